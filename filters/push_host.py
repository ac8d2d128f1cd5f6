"""What a predicate over req.host implies about the host as it was on the wire.

The row's host is in lower case and without a default port; Qtap has the authority as sent:
`API.Example.com:443`. So a condition on ours becomes a search, without regard to case, for a
text that must be somewhere in theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from filters.compare import go_text
from filters.nodes import (
    Array,
    Call,
    Compare,
    CompareOp,
    Field,
    In,
    Leaf,
    Literal,
    Matches,
    Truth,
)
from filters.push_leaf import NEVER, NOTHING, Implied, compared, pattern, quote
from filters.values import Ip, Net, Regex, compile_regex

# in their own normal form: what the wire has exactly like this, the row has, too
_NORMAL = re.compile(r"[a-z0-9._-]*[a-z0-9_-]")
# patterns that only grow when case is ignored and anchors go: no flags, no negated classes
_PLAIN = re.compile(
    r"(?:\(\?i\))?\^?((?:(?!\(\?)[A-Za-z0-9_.|()*+?-]|\\[.dw-]|\[[A-Za-z0-9_.-]+\])+)\$?"
)
_SEARCHED = ("string", "ip", "cidr", "regex")


def imply_host(leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """What a pass (or a fail) of a predicate over the row's host implies."""
    match leaf:
        case Truth(Field()):
            return leaf if wanted else NOTHING
        case Truth(Call("starts_with", (Field(), Literal(value=value)))) if wanted:
            return _found(field, [_pattern(go_text(value))])
        case Truth(Call("in_zone", (Field(), Literal(kind="string", value=value)))) if wanted:
            return _found(field, [_pattern(value)])
        case Matches(Field(), regex):
            return _holds(field, [regex]) if wanted else NOTHING
        case Compare(Field(), op, Literal() as literal):
            if literal.kind in ("int", "float", "bool", "mac"):
                return NEVER if wanted else NOTHING  # false with every operator
            return _compared(field, op, [literal], wanted)
        case Compare(Call("zone", (Field(),)), "==", Literal() as literal) if wanted:
            return _holds(field, [literal])
        case Compare(Field(), "==" | "!=" as op, Array() as array):
            return _compared(field, op, array.items, wanted)
        case Compare(Literal(kind="string") as literal, "==" | "!=" as op, Field()):
            return _compared(field, op, [literal], wanted)
        case In(Field(), array) | Compare(Array() as array, "==" | "contains", Field()):
            # elements stand on the left there, where only plain strings equal a string
            strings = [item for item in array.items if _is_string(item)]
            return _compared(field, "==", strings, wanted)
    return NOTHING


def _is_string(item: Field | Literal) -> bool:
    return isinstance(item, Field) or item.kind in ("string", "mac")


def _compared(
    field: Field, op: CompareOp, items: Sequence[Field | Literal], wanted: bool
) -> Implied:
    """`host op` any of the items."""
    if op == "contains":
        return _holds(field, items) if wanted else NOTHING
    if op not in ("==", "!="):
        return NEVER if wanted else NOTHING
    return _holds(field, items) if (op == "==") == wanted else _holds_not(field, items)


def _holds(field: Field, items: Sequence[Field | Literal]) -> Implied:
    """The host is, or has in it, one of the items: so must the wire's, in some case."""
    if any(isinstance(item, Field) or item.kind in ("mac", "hex") for item in items):
        return NOTHING
    texts = [item for item in items if isinstance(item, Literal) and item.kind in _SEARCHED]
    return _found(field, [_pattern(item.value) for item in texts])


def _found(field: Field, patterns: Sequence[str | None]) -> Implied:
    """One of the patterns is found in the wire's host; None stands for one not known."""
    known = [one for one in patterns if one is not None]
    if len(known) < len(patterns):
        return NOTHING
    if not known:
        return NEVER
    regex = f"(?i){'|'.join(dict.fromkeys(known))}"
    return Matches(field, pattern(regex), 0, 0)


def _holds_not(field: Field, items: Sequence[Field | Literal]) -> Implied:
    """The host is none of the items: where one is in normal form, the wire's is not it either."""
    normal = [
        item
        for item in items
        if isinstance(item, Literal)
        and isinstance(item.value, str)
        and _NORMAL.fullmatch(item.value)
    ]
    if not normal:
        return NOTHING
    right = normal[0] if len(normal) == 1 else Array(tuple(normal), 0, 0)
    return compared(field, "!=", right)


def _pattern(value: object) -> str | None:
    """RE2 for what must be in the wire's host; None where that cannot be said."""
    if isinstance(value, Regex):
        plain = _PLAIN.fullmatch(value.pattern)
        return _compiles(f"(?:{plain[1]})") if plain else None
    text = value.text if isinstance(value, Ip | Net) else value
    return quote(text)


def _compiles(regex: str) -> str | None:
    try:
        compile_regex(regex)
    except ValueError:
        return None
    return regex

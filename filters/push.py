"""The part of a filter that Qtap can apply: the strongest condition that the filter implies.

Qtap delivers an event only when its own reading of the condition passes. So the condition is
free of negation (Qtap's `not` does not negate), says by parentheses what binds, names only
fields that Qtap has, and holds for every event that the whole filter accepts in our meaning.
What cannot be said like that, and shapes that nobody writes, are left out: that is always
safe, as the recorder applies the whole filter to what arrives.

It relies on what decoding does. A row has Qtap's own status and method, but POST for a gRPC
call, whose method Qtap leaves empty. Its host is the authority as sent, in lower case and
without userinfo and default port: `API.Example.com:443` is `api.example.com`. Of a gRPC call
Qtap's own host lacks every port, and the brackets of an IPv6 address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from typing import Literal as OneOf

from filters.fields import FIELDS
from filters.nodes import (
    Array,
    BoolOp,
    Call,
    Compare,
    CompareOp,
    Expr,
    Field,
    Leaf,
    Literal,
    Node,
    Not,
    Truth,
    comparison,
    field_nodes,
    render,
)
from filters.predicate import predicate
from filters.values import Ip, Net, Regex, compile_regex, go_text

Mode: TypeAlias = OneOf["safe", "all", "none"]
Implied: TypeAlias = Node | bool
NOTHING: Final = True  # implies nothing: Qtap must send everything
NEVER: Final = False  # cannot hold

_SAFE = frozenset(name for name, spec in FIELDS.items() if "push" in spec.uses)
# Qtap's documentation has these for HTTP; its code never matches them for a transaction
_DOCUMENTED = frozenset(
    {"direction", "protocol", "process.path", "process.binary", "container.name"}
    | {"container.image", "pod.name", "pod.namespace"}
)
_NO_METHOD: Final = Compare(
    Field("req.method", 0, 0), "==", Literal("string", '""', "", 0, 0), 0, 0
)  # a gRPC call, for Qtap
_OPPOSITE: Final[dict[CompareOp, CompareOp]] = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip


def pushable(expr: Expr, mode: Mode = "safe") -> str | None:
    """The condition to send to Qtap, or None where nothing can be pushed.

    "safe": over req.method, req.host and res.status only. "all": over every field that Qtap's
    documentation names too, which may well give an empty stream. "none": nothing.
    """
    if mode == "none":
        return None
    implied = _node(expr.root, True, _SAFE if mode == "safe" else _SAFE | _DOCUMENTED)
    return None if isinstance(implied, bool) else render(implied)


def _node(node: Node, wanted: bool, names: frozenset[str]) -> Implied:
    """What a pass (or, `wanted` false, a fail) of the node implies."""
    match node:
        case BoolOp(op, items):
            meet = wanted if op == "and" else not wanted
            return _join([_node(item, wanted, names) for item in items], meet)
        case Not(item):
            return _node(item, not wanted, names)
        case _:
            return _leaf(node, wanted, names)


def _join(implied: Sequence[Implied], meet: bool) -> Implied:
    """AND (`meet`) or OR. True: implies nothing; False: never holds."""
    if any(one is (not meet) for one in implied):
        return not meet
    op: OneOf["and", "or"] = "and" if meet else "or"
    nodes: list[Node] = []
    for one in implied:
        if not isinstance(one, bool):
            nodes += one.items if isinstance(one, BoolOp) and one.op == op else [one]
    unique = list({render(one): one for one in nodes}.values())
    if len(unique) < 2:
        return unique[0] if unique else meet
    return BoolOp(op, tuple(unique), 0, 0)


def _leaf(leaf: Leaf, wanted: bool, names: frozenset[str]) -> Implied:
    fields = list(field_nodes(leaf))
    if len(fields) != 1 or fields[0].name not in names:
        return NOTHING
    field = fields[0]
    if field.name == "req.host":
        return _host(leaf, field, wanted)
    implied = _same_value(leaf, field, wanted)
    return _or_no_method(implied, leaf, wanted) if field.name == "req.method" else implied


def _or_no_method(implied: Implied, leaf: Leaf, wanted: bool) -> Implied:
    """Where a POST is accepted, let gRPC calls through, too."""
    if isinstance(implied, bool):
        return implied
    accepts = predicate(Expr("", leaf if wanted else Not(leaf, 0, 0), False))
    delivers = predicate(Expr("", implied, False), "qtap")
    if not accepts({"req.method": "POST"}) or delivers({"req.method": ""}):
        return implied
    return _or_grpc(implied)


def _or_grpc(implied: Node) -> Node:
    return BoolOp("or", (implied, _NO_METHOD), 0, 0)


def _same_value(leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """Over a field that has the same value on both sides, such as res.status.

    It is there on Qtap's side when it is on ours and is not empty. `not FIELD` is not pushed:
    Qtap leaves out a value that is empty.
    """
    match leaf:
        case Truth(Field() | Call("starts_with")):
            return leaf if wanted else NOTHING
        case Compare(Field(), "matches", regex) if FIELDS[field.name].kind == "text":
            return leaf if wanted else Compare(field, "!=", regex, 0, 0)
    compared = comparison(leaf, FIELDS[field.name].kind)
    if compared is None:
        return NOTHING
    op, items = compared
    if op != "!=" and not items:
        return NEVER if wanted else NOTHING
    if not wanted:
        opposite = _OPPOSITE.get(op)
        return _compared(field, opposite, items) if opposite else NOTHING
    return _compared(field, op, items)


def _compared(field: Field, op: CompareOp, items: Sequence[Literal]) -> Implied:
    if not items:
        return NOTHING
    right = items[0] if len(items) == 1 else Array(tuple(items), 0, 0)
    return Compare(field, op, right, 0, 0)


# in their own normal form: what the wire has exactly like this, the row has, too
_NORMAL: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-]")
# patterns that only grow when case is ignored and anchors go: no flags, no negated classes
_PLAIN: Final = re.compile(
    r"(?:\(\?i\))?\^?((?:(?!\(\?)[A-Za-z0-9_.|()*+?-]|\\[.dw-]|\[[A-Za-z0-9_.-]+\])+)\$?"
)
# alternatives of a pattern, and how one ends that can end in no port
_ALTERNATIVES: Final = re.compile(r"\|(?![^(]*\))")
_ENDS_IN_NAME: Final = re.compile(r".*(?:(?<!\\)[A-Za-z_-]|\\[.-])")
_PRINTABLE: Final = re.compile(r"[ -~]+")


def _host(leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """What a pass (or a fail) of a predicate over the row's host implies about Qtap's.

    A condition on ours becomes a search, without regard to case, for what must be in theirs.
    """
    match leaf:
        case Truth(Field()) if wanted:
            return leaf
        case Truth(Call("starts_with" | "in_zone", (Field(), Literal(value=value)))) if wanted:
            return _found(field, [_in_name(go_text(value))])
        case Compare(Call("zone", (Field(),)), "==", Literal(kind="string", value=value)) if wanted:
            return _found(field, [_in_name(value)])
    compared = comparison(leaf, FIELDS[field.name].kind)
    if compared is None:
        return NOTHING
    op, items = compared
    if op != "!=" and not items:
        return NEVER if wanted else NOTHING
    if op == "contains":
        return _holds(field, items, part=True) if wanted else NOTHING
    return _holds(field, items) if (op == "==") == wanted else _holds_not(field, items)


def _holds(field: Field, items: Sequence[Literal], part: bool = False) -> Implied:
    """The host is one of the items, or (`part`) has it in it."""
    patterns: list[str | None] = []
    for item in items:
        if isinstance(item.value, Regex):
            plain = _PLAIN.fullmatch(item.value.pattern)
            patterns.append(_compiling(f"(?:{plain[1]})") if plain else None)
        elif item.kind == "hex" or (part and go_text(item.value).isdigit()):
            patterns.append(None)  # it may be in the port
        else:
            patterns.append(_in_name(item.value))
    implied = _found(field, patterns)
    regexes = [item.value.pattern for item in items if isinstance(item.value, Regex)]
    if isinstance(implied, bool) or all(_ends_in_name(one) for one in regexes):
        return implied
    return _or_grpc(implied)


def _holds_not(field: Field, items: Sequence[Literal]) -> Implied:
    """The host is none of the items: where one is in normal form, the wire's is not it either.

    But for gRPC: our `x.com:8443` is not `x.com`, Qtap's is.
    """
    normal = [
        item for item in items if isinstance(item.value, str) and _NORMAL.fullmatch(item.value)
    ]
    implied = _compared(field, "!=", normal)
    return implied if isinstance(implied, bool) else _or_grpc(implied)


def _found(field: Field, patterns: Sequence[str | None]) -> Implied:
    """One of the patterns is found in the wire's host; None stands for one not known."""
    known = [one for one in patterns if one is not None]
    if len(known) < len(patterns):
        return NOTHING
    regex = f"(?i){'|'.join(dict.fromkeys(known))}"
    literal = Literal("regex", f"/{regex}/", compile_regex(regex), 0, 0)
    return Compare(field, "matches", literal, 0, 0)


def _in_name(value: object) -> str | None:
    """RE2 for what is left of a text without port and brackets; None where nothing is."""
    text = value.text if isinstance(value, Ip | Net) else str(value)
    name = (text.rpartition(":")[0] if ":" in text else text).strip("[]")
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", name) if _PRINTABLE.fullmatch(name) else None


def _ends_in_name(regex: str) -> bool:
    """Whether every match of a pattern ends before the port: with a letter, a dot or a dash."""
    body = regex.removesuffix("$")
    return all(_ENDS_IN_NAME.fullmatch(one) for one in _ALTERNATIVES.split(body))


def _compiling(regex: str) -> str | None:
    try:
        compile_regex(regex)
    except ValueError:
        return None
    return regex

"""What a predicate over one field of Qtap's implies, where the row has Qtap's own value.

Everything not recognised implies nothing. The field is always there on Qtap's side when it is
on ours, and of the same kind, so only the kinds of the literals need thought.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

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
    Node,
    Operand,
    Truth,
)
from filters.values import Regex, compile_regex

Implied: TypeAlias = Node | bool
NOTHING: Final = True  # implies nothing: Qtap must send everything
NEVER: Final = False  # cannot hold

_OPPOSITE: dict[CompareOp, CompareOp] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}
_TURNED: dict[CompareOp, CompareOp] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBERS = ("int", "float")
_PRINTABLE = re.compile(r"[ -~]+")
_TEXTS = ("string", "ip", "cidr")  # compared with text as their own canonical text


def compared(left: Operand, op: CompareOp, right: Operand) -> Node:
    return Compare(left, op, right, 0, 0)


def imply_number(leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """Over a field that is a number on both sides, such as res.status."""
    match leaf:
        case Truth(Field()):
            return leaf if wanted else compared(field, "==", made("0", 0))
        case Truth(Call("starts_with")):
            return _call(leaf, wanted)
        case Compare(Field(), op, Literal() as literal):
            return _number(field, op, literal, wanted)
        case Compare(Literal() as literal, op, Field()):
            return _number(field, _TURNED.get(op, op), literal, wanted)
        case Compare(Field(), op, Array() as array):
            return NOTHING if op == "contains" else _members(field, op, array, _NUMBERS, wanted)
        case Compare(Array() as array, op, Field()):
            # numbers are equal both ways round
            op = "==" if op == "contains" else op
            return _members(field, op, array, _NUMBERS, wanted)
        case In(Field(), array):
            return _members(field, "==", array, _NUMBERS, wanted)
    return NOTHING


def imply_text(leaf: Leaf, field: Field, wanted: bool) -> Implied:
    """Over a field that is the same text on both sides, such as req.method."""
    match leaf:
        case Truth(Field()):
            return leaf if wanted else compared(field, "==", made('""', ""))
        case Truth(Call("starts_with")):
            return _call(leaf, wanted)
        case Matches(Field(), regex):
            return leaf if wanted else compared(field, "!=", regex)
        case Compare(Field(), op, Literal() as literal):
            return _text(field, op, literal, wanted)
        case Compare(Literal(kind="string") as literal, "==" | "!=" as op, Field()):
            return _text(field, op, literal, wanted)
        case Compare(Field(), "==" | "!=" as op, Array() as array):
            same = all(not isinstance(item, Field) for item in array.items)
            return compared(field, op if wanted else _OPPOSITE[op], array) if same else NOTHING
        case Compare(Array() as array, "==" | "contains", Field()) | In(Field(), array):
            return _elements(field, array, wanted)
        case Compare(Array() as array, "!=", Field()):
            return _elements(field, array, not wanted)
    return NOTHING


def _call(leaf: Truth, wanted: bool) -> Implied:
    """starts_with: text of a number is the same on both sides for whole numbers."""
    return leaf if wanted else compared(leaf.operand, "==", made("false", False))


def _number(field: Field, op: CompareOp, literal: Literal, wanted: bool) -> Implied:
    if literal.kind not in _NUMBERS or op == "contains":
        return NEVER if wanted else NOTHING
    return compared(field, op if wanted else _OPPOSITE[op], literal)


def _members(
    field: Field, op: CompareOp, array: Array, kinds: tuple[str, ...], wanted: bool
) -> Implied:
    """`field == [..]` or `!=`: only members that can be equal matter."""
    if op not in ("==", "!="):
        return NOTHING
    op = op if wanted else _OPPOSITE[op]
    items = [item for item in array.items if isinstance(item, Literal) and item.kind in kinds]
    if not items:
        return NEVER if op == "==" else NOTHING
    return compared(field, op, items[0] if len(items) == 1 else Array(tuple(items), 0, 0))


def _text(field: Field, op: CompareOp, literal: Literal, wanted: bool) -> Implied:
    comparable = literal.kind in (*_TEXTS, "regex", "hex")
    if not comparable or op not in ("==", "!=", "contains"):
        return NEVER if wanted else NOTHING
    if wanted:
        return compared(field, op, literal)
    if op != "contains":
        return compared(field, _OPPOSITE[op], literal)
    if isinstance(literal.value, Regex):
        return compared(field, "!=", literal)
    quoted = quote(literal.value)
    return NOTHING if quoted is None else compared(field, "!=", pattern(quoted))


def quote(text: object) -> str | None:
    """RE2 that finds just this text; None unless it is printable ASCII, and some."""
    if not isinstance(text, str) or not _PRINTABLE.fullmatch(text):
        return None
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)


def pattern(regex: str) -> Literal:
    """A literal for a pattern in which every slash is escaped."""
    return Literal("regex", f"/{regex}/", compile_regex(regex), 0, 0)


def _elements(field: Field, array: Array, wanted: bool) -> Implied:
    """`field in [..]`: each element stands on the left, so only plain strings can be equal."""
    if any(not isinstance(item, Literal) or item.kind == "mac" for item in array.items):
        return NOTHING
    op: CompareOp = "==" if wanted else "!="
    return _members(field, op, array, ("string",), True)


def made(raw: str, value: object) -> Literal:
    """A literal made here, not read."""
    kind = {bool: "bool", int: "int", str: "string"}[type(value)]
    return Literal(kind, raw, value, 0, 0)  # type: ignore[arg-type]

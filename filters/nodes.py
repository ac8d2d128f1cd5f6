"""A parsed filter: its tree, with the position of every part in the text.

AND and OR have any number of items: `a and b and c` is one node, which keeps a long filter
shallow. Parentheses leave no node of their own; `Expr.mixes` remembers what they would have
decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias
from typing import Literal as OneOf

from store.errors import UsageError

CompareOp = OneOf["==", "!=", "<", "<=", ">", ">=", "contains", "matches", "in"]
LiteralKind = OneOf["string", "int", "float", "bool", "ip", "cidr", "mac", "hex", "regex"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event, by its dotted name."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the filter. `raw` is its source text, `value` see `filters.values`.

    `kind` is the kind of the value, not of the token: a quoted IP address has kind "ip".
    """

    kind: LiteralKind
    raw: str
    value: object
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Array:
    """A list of literals and fields; never empty, never nested."""

    items: tuple[Field | Literal, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call. Which functions exist is not the parser's business."""

    name: str
    args: tuple[Operand, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Compare:
    """A value and another one: right of `matches` a regex, right of `in` a list."""

    left: Operand
    op: CompareOp
    right: Operand
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Truth:
    """An operand alone: it holds when its value is not empty, zero or false."""

    operand: Operand
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Not:
    item: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BoolOp:
    op: OneOf["and", "or"]
    items: tuple[Node, ...]
    start: int
    end: int


Operand: TypeAlias = Field | Literal | Array | Call
Leaf: TypeAlias = Compare | Truth
Node: TypeAlias = Leaf | Not | BoolOp


@dataclass(frozen=True, slots=True)
class Expr:
    """A whole filter. `mixes`: AND and OR stand side by side without parentheses somewhere."""

    text: str
    root: Node
    mixes: bool

    def fields(self) -> set[str]:
        """The names of all fields that the filter reads."""
        return {field.name for field in field_nodes(self.root)}

    def pretty(self) -> str:
        """The filter in one line with all its parentheses: how qrec (and Qtap) read it."""
        return render(self.root)


def leaves(node: Node) -> Iterator[Leaf]:
    """The predicates of a tree, left to right."""
    match node:
        case BoolOp(items=items):
            for item in items:
                yield from leaves(item)
        case Not(item):
            yield from leaves(item)
        case _:
            yield node


def operands(leaf: Leaf) -> tuple[Operand, ...]:
    """The operands of a predicate, left to right."""
    match leaf:
        case Compare(left, _, right):
            return (left, right)
        case Truth(operand):
            return (operand,)


def parts(operand: Operand) -> Iterator[Operand]:
    """An operand and everything inside it."""
    yield operand
    if isinstance(operand, Array):
        yield from operand.items
    elif isinstance(operand, Call):
        for arg in operand.args:
            yield from parts(arg)


def missing_of(leaf: Leaf) -> Field | None:
    """The field of which missing(field) asks whether it is not there."""
    match leaf:
        case Truth(Call("missing", (Field() as field,))):
            return field
    return None


def field_nodes(node: Node) -> Iterator[Field]:
    """Every mention of a field, left to right."""
    for leaf in leaves(node):
        for operand in operands(leaf):
            yield from (part for part in parts(operand) if isinstance(part, Field))


def equalities(expr: Expr) -> Iterator[tuple[str, str]]:
    """(field, text) of each comparison of a field with one text that it has to equal."""
    for leaf in leaves(expr.root):
        match leaf:
            case Compare(Field(name), "==", Literal(value=str(text))):
                yield name, text


# The other way round: the operator after the field, where the literal stands before it.
_TURNED: Final[dict[str, CompareOp]] = {
    "==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
# By the kind of a field: its operators, the literals that it can equal, and those that can as an
# element of a list left of it.
_OPERATORS: Final = {
    "int": tuple(_TURNED), "text": ("==", "!=", "contains"), "texts": ("==", "contains"),
}  # fmt: skip
_COMPARABLE: Final = {
    "int": ("int", "float"), "text": ("string", "ip", "cidr", "regex", "hex"),
    "texts": ("string", "regex"),
}  # fmt: skip
_ELEMENTS: Final = {"int": ("int", "float"), "text": ("string",), "texts": ()}


def comparison(leaf: Leaf, kind: str) -> tuple[CompareOp, list[Literal]] | None:
    """The operator between a field of that kind (text, int, texts) and literals: `==` where any of
    them, `!=` where none of them may be equal to it; `matches` is `==`.

    No literals: it never holds, unless the operator is `!=`. None: not a comparison like that.
    """
    comparable: tuple[str, ...] = _COMPARABLE[kind]
    items: tuple[Field | Literal, ...]
    match leaf:
        case Compare(Literal() as literal, op, Field() as field) if kind == "int":
            turned = Compare(field, _TURNED.get(op, op), literal, leaf.start, leaf.end)
            return comparison(turned, kind)
        case Compare(Field(), "!=", Literal()) if kind == "texts":
            return None  # it holds where any of its texts is another one
        case Compare(Field(), "matches", Literal() as literal):
            op, items = "==", (literal,)
        case Compare(Field(), op, Literal() as literal):
            items = (literal,)
            if op not in _OPERATORS[kind] or literal.kind not in comparable:
                return "==", []  # false with every operator
        case Compare(Field(), "==" | "!=" as op, Array(items)):
            pass
        case Compare(Field(), "in", Array(items)):
            op, comparable = "==", _ELEMENTS[kind]
        case _:
            return None
    literals = [item for item in items if isinstance(item, Literal)]
    if len(literals) < len(items) or any(item.kind == "mac" for item in literals):
        return None  # fields in the list, or an address that is compared without regard to case
    return op, [item for item in literals if item.kind in comparable]


def render(node: Node | Operand) -> str:
    """The source text of a tree, with parentheses wherever AND, OR and NOT meet."""
    match node:
        case BoolOp(op, items):
            return f" {op} ".join(_inner(item) for item in items)
        case Not(item):
            return f"not {_inner(item)}" if isinstance(item, Truth) else f"not ({render(item)})"
        case Compare(left, op, right):
            return f"{render(left)} {op} {render(right)}"
        case Truth(operand):
            return render(operand)
        case Field(name):
            return name
        case Literal():
            return node.raw
        case Array(inner):
            return f"[{', '.join(render(item) for item in inner)}]"
        case Call(name, args):
            return f"{name}({', '.join(render(arg) for arg in args)})"


def _inner(node: Node) -> str:
    return f"({render(node)})" if isinstance(node, BoolOp) else render(node)


_WIDTH = 76  # of the filter's line shown around the mistake; longer lines are cut on both sides


class FilterError(UsageError):
    """A filter that cannot be parsed or used. Positions count characters from 1.

    `reason` is the bare sentence, `line`, `column` say where it applies, `hint` what to write
    instead. `message` puts them together with the line itself and a caret under the mistake.
    `token` is the kind of the token at fault, where there is one, `accepted` what could stand
    there.
    """

    token = ""
    accepted: frozenset[str] = frozenset()

    def __init__(self, text: str, reason: str, start: int, end: int = 0, hint: str = "") -> None:
        start = min(start, len(text))
        before = text[:start]
        self.text = text
        self.reason = reason
        self.line = before.count("\n") + 1
        self.column = start - (before.rfind("\n") + 1) + 1
        self.start = start
        self.end = max(end, start)
        shown = _snippet(text, start, self.end)
        super().__init__(f"filter {self.line}:{self.column}: {reason}\n{shown}", hint)


def _snippet(text: str, start: int, end: int) -> str:
    """The line around `start`, and a line of carets below it, as wide as the mistake."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first:] if last < 0 else text[first:last]
    line = "".join(char if char.isprintable() else " " for char in line)
    column = start - first
    carets = max(1, min(end, first + len(line)) - start)
    cut = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
    shown = line[cut : cut + _WIDTH]
    left = "…" if cut else ""
    right = "…" if cut + _WIDTH < len(line) else ""
    carets = max(1, min(carets, len(shown) - (column - cut)))
    return f"  {left}{shown}{right}\n  {' ' * (len(left) + column - cut)}{'^' * carets}"

"""A filter as a function over one event, compiled to closures once.

Every part gives a value, of which an error (a field is missing, a function is unknown) is one;
only a pass (True) lets an event through. In the meaning "qtap" `not` changes nothing, which is
what Qtap does; in "qrec" it turns pass into fail and back, and missing(field) says whether a field
is not there, which Qtap does not know.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from typing import Literal as OneOf

from filters.fields import WHOSE, Row
from filters.nodes import (
    Array,
    BoolOp,
    Call,
    Compare,
    Expr,
    Field,
    Leaf,
    Literal,
    Node,
    Not,
    Operand,
    Truth,
    leaves,
    missing_of,
    operands,
)
from filters.values import FUNCTIONS, compare, match, truthy

Meaning: TypeAlias = OneOf["qrec", "qtap"]
Event: TypeAlias = Mapping[str, Any] | Row
_Read: TypeAlias = Callable[[Event], Any]


class _Error:
    """Stands for a value that could not be had."""


_ERROR: Final = _Error()


def predicate(expr: Expr, meaning: Meaning = "qrec") -> Callable[[Event], bool]:
    """A function that says whether an event passes; it never raises. Compile once, call often."""
    read = _node(expr.root, meaning == "qrec")
    return lambda event: read(event) is True


def decision(expr: Expr, meaning: Meaning = "qrec") -> Callable[[Event], bool | None]:
    """The same, and None where a field that is not there leaves it open: no event passes then."""
    read = _node(expr.root, meaning == "qrec")
    return lambda event: None if (answer := read(event)) is _ERROR else answer


def is_of_recorders(expr: Expr) -> bool:
    """Whether a filter asks for nothing but whose rows they are."""
    fields = expr.fields()
    return bool(fields) and fields <= WHOSE


def takes_of(expr: Expr) -> Callable[[str, str], bool]:
    """Whether a filter may take a row of a recorder, by its name and its group."""
    absent = {field.name for leaf in leaves(expr.root) if (field := missing_of(leaf))}
    if WHOSE.isdisjoint(expr.fields()) or not absent <= WHOSE:
        return lambda recorder, group: True
    test = decision(expr)
    return lambda recorder, group: test({"recorder": recorder, "group": group}) is not False


def _node(node: Node, ours: bool) -> _Read:
    """True (pass), False (fail) or an error."""
    match node:
        case BoolOp(op, items):
            return _all([_node(item, ours) for item in items], op == "or")
        case Not(item):
            test = _node(item, ours)
            return _applied(operator.not_, [test]) if ours else test
        case _:
            return _leaf(node, ours)


def _all(tests: Sequence[_Read], decisive: bool) -> _Read:
    """AND and OR: the first decisive answer wins, even over an error before or after it."""

    def run(event: Event) -> Any:
        result: bool | _Error = not decisive
        for test in tests:
            answer = test(event)
            if answer is decisive:
                return decisive
            if answer is _ERROR:
                result = _ERROR
        return result

    return run


def _leaf(leaf: Leaf, ours: bool) -> _Read:
    if ours and (absent := missing_of(leaf)):
        read = _field(absent.name)
        return lambda event: read(event) is _ERROR
    reads = [_operand(operand) for operand in operands(leaf)]
    match leaf:
        case Truth():
            return _applied(truthy, reads)
        case Compare(op="matches"):
            return _applied(match, reads)
        case Compare(op="in"):
            # the element is the left side: `x in [..]` is `[..] contains x`
            return _applied(lambda x, xs: compare(xs, "contains", x), reads)
        case Compare(op=op):
            return _applied(lambda x, y: compare(x, op, y), reads)


def _applied(function: Callable[..., Any], reads: Sequence[_Read]) -> _Read:
    """The function of some values; an error where one of them is."""

    def run(event: Event) -> Any:
        values = [read(event) for read in reads]
        return _ERROR if _ERROR in values else function(*values)

    return run


def _operand(operand: Operand) -> _Read:
    match operand:
        case Literal(value=value):
            return lambda event: value
        case Field(name):
            return _field(name)
        case Array(items):
            return _applied(lambda *values: [*values], [_operand(item) for item in items])
        case Call(name, args):
            return _call(name, [_operand(arg) for arg in args])


def _call(name: str, reads: Sequence[_Read]) -> _Read:
    function = FUNCTIONS.get(name)
    if function is None or function.arity != len(reads):
        return lambda event: _ERROR
    strings, call = function.strings, function.call

    def run(*args: Any) -> Any:
        return _ERROR if strings and not all(type(arg) is str for arg in args) else call(*args)

    return _applied(run, reads)


def _field(name: str) -> _Read:
    """Reads a dotted name: the whole rest as a key first, else step into its first part."""
    first, dot, rest = name.partition(".")
    deeper = _field(rest) if dot else None

    def run(event: Event) -> Any:
        value = event.get(name, _ERROR)
        if value is not _ERROR or deeper is None:
            return value
        inner = event.get(first)
        return deeper(inner) if isinstance(inner, Mapping) else _ERROR

    return run

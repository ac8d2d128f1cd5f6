"""A filter as a function over one event, compiled to closures once.

Every part gives True (pass), False (fail) or None (error: a field is missing, a function is
unknown); only a pass lets an event through. In the meaning "qtap" `not` changes nothing,
which is what Qtap does; in "qrec" it turns pass into fail and back, and missing(field) says
whether a field is not there, which Qtap does not know.
"""

from __future__ import annotations

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
)
from filters.values import FUNCTIONS, Regex, compare, compare_numbers, match, truthy

Meaning: TypeAlias = OneOf["qrec", "qtap"]
Event: TypeAlias = Mapping[str, Any] | Row
_Test: TypeAlias = Callable[[Event], "bool | None"]
_Read: TypeAlias = Callable[[Event], Any]


class _Error:
    """Stands for a value that could not be had."""


_ERROR: Final = _Error()


def predicate(expr: Expr, meaning: Meaning = "qrec") -> Callable[[Event], bool]:
    """A function that says whether an event passes; it never raises. Compile once, call often."""
    test = decision(expr, meaning)
    return lambda event: test(event) is True


def decision(expr: Expr, meaning: Meaning = "qrec") -> Callable[[Event], bool | None]:
    """The same, and None where a field that is not there leaves it open: no event passes then."""
    return _node(expr.root, meaning == "qrec")


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


def _node(node: Node, ours: bool) -> _Test:
    match node:
        case BoolOp(op, items):
            return _all([_node(item, ours) for item in items], op == "or")
        case Not(item):
            test = _node(item, ours)
            return _negated(test) if ours else test
        case _:
            return _leaf(node, ours)


def _all(tests: Sequence[_Test], decisive: bool) -> _Test:
    """AND and OR: the first decisive answer wins, even over an error before or after it."""

    def run(event: Event) -> bool | None:
        result: bool | None = not decisive
        for test in tests:
            answer = test(event)
            if answer is decisive:
                return decisive
            if answer is None:
                result = None
        return result

    return run


def _negated(test: _Test) -> _Test:
    def run(event: Event) -> bool | None:
        answer = test(event)
        return answer if answer is None else not answer

    return run


def _leaf(leaf: Leaf, ours: bool) -> _Test:
    if ours and (absent := missing_of(leaf)):
        read = _field(absent.name)
        return lambda event: read(event) is _ERROR
    match leaf:
        case Truth(operand):
            return _lift(truthy, _operand(operand))
        case Compare(left, "matches", Literal(value=Regex() as regex)):
            return _lift(lambda value: match(value, regex), _operand(left))
        case Compare(left, "in", array):
            # the element is the left side: `x in [..]` is `[..] contains x`
            return _lift2(lambda x, xs: compare(xs, "contains", x), left, array)
        case Compare(Field() as field, op, Literal(value=value)) if type(value) is str:
            return _text_short_cut(_operand(field), op, value)
        case Compare(Field() as field, op, Literal(value=value)) if type(value) is int:
            return _int_short_cut(_operand(field), op, value)
        case Compare(left, op, right):
            return _lift2(lambda x, y: compare(x, op, y), left, right)
    raise AssertionError(leaf)


def _text_short_cut(read: _Read, op: str, literal: str) -> _Test:
    def equal(event: Event) -> bool | None:
        value = read(event)
        if type(value) is str:
            return value == literal
        return None if value is _ERROR else compare(value, "==", literal)

    def other(event: Event) -> bool | None:
        value = read(event)
        return None if value is _ERROR else compare(value, op, literal)

    return equal if op == "==" else other


def _int_short_cut(read: _Read, op: str, literal: int) -> _Test:
    def run(event: Event) -> bool | None:
        value = read(event)
        if type(value) is int or type(value) is float:
            return compare_numbers(value, op, literal)
        return None if value is _ERROR else compare(value, op, literal)

    return run


def _lift(check: Callable[[Any], bool], read: _Read) -> _Test:
    def run(event: Event) -> bool | None:
        value = read(event)
        return None if value is _ERROR else check(value)

    return run


def _lift2(check: Callable[[Any, Any], bool], left: Operand, right: Operand) -> _Test:
    read_left, read_right = _operand(left), _operand(right)

    def run(event: Event) -> bool | None:
        one, two = read_left(event), read_right(event)
        return None if one is _ERROR or two is _ERROR else check(one, two)

    return run


def _operand(operand: Operand) -> _Read:
    match operand:
        case Literal(value=value):
            return lambda event: value
        case Field(name):
            return _field(name)
        case Array(items):
            return _array([_operand(item) for item in items])
        case Call(name, args):
            return _call(name, [_operand(arg) for arg in args])


def _array(reads: Sequence[_Read]) -> _Read:
    def run(event: Event) -> Any:
        values = [read(event) for read in reads]
        return _ERROR if _ERROR in values else values

    return run


def _call(name: str, reads: Sequence[_Read]) -> _Read:
    function = FUNCTIONS.get(name)
    if function is None or function.arity != len(reads):
        return lambda event: _ERROR
    strings, call = function.strings, function.call

    def run(event: Event) -> Any:
        args = [read(event) for read in reads]
        if _ERROR in args or (strings and not all(type(arg) is str for arg in args)):
            return _ERROR
        return call(*args)

    return run


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

"""How two values compare: the type of the left one decides, as in rulekit.

What does not fit compares false, with every operator, `!=` included. This is the slow general
form; `filters.predicate` has short cuts for what filters mostly ask.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from filters.values import Hex, Ip, Mac, Net, Regex

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(left: object, op: str, right: object) -> bool:
    """Whether `left op right` holds, for any two values and any operator but matches and in."""
    if type(right) is list:
        # a list on the right never "contains", whatever the left side is
        return op != "contains" and _each(right, op, lambda one, op: compare(left, op, one))
    kind = type(left)
    if kind is str:
        return _text(left, op, right)  # type: ignore[arg-type]
    if kind is int or kind is float:
        return compare_numbers(left, op, right)
    if kind is list:
        return _each(left, op, lambda one, op: compare(one, op, right))  # type: ignore[arg-type]
    if kind is bool:
        return op in ("==", "!=") and type(right) is bool and _ORDERS[op](left, right)
    if kind is tuple:
        return _texts(left, op, right)  # type: ignore[arg-type]
    return _address(left, op, right)


def compare_numbers(left: Any, op: str, right: object) -> bool:
    """Numeric order over int and float. Go turns the integer into a float where they meet."""
    if type(right) is float:
        left = float(left)
    elif type(right) is not int:
        return False
    elif type(left) is float:
        right = float(right)
    order = _ORDERS.get(op)
    return order is not None and order(left, right)


def match(left: object, regex: Regex) -> bool:
    """`left matches regex`: a string, or any of a list of strings; nothing else."""
    if type(left) is str:
        return bool(regex.search(left))
    return type(left) is tuple and any(regex.search(one) for one in left)


def truthy(value: object) -> bool:
    """Whether a value alone holds: not null, false, zero or empty. Maps always do."""
    if isinstance(value, str | bool | int | float | bytes | list | tuple | None):
        return bool(value)
    return True


def go_text(value: object) -> str:
    """A value as Go prints it, which is what starts_with compares."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if value is None:
        return "<nil>"
    if isinstance(value, Ip | Net | Mac):
        return value.text
    if isinstance(value, Hex):
        return value.raw
    if isinstance(value, Regex):
        return value.pattern
    if isinstance(value, list | tuple):
        return f"[{' '.join(go_text(one) for one in value)}]"
    if isinstance(value, bytes):
        return f"[{' '.join(str(octet) for octet in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    return str(value)


def _go_float(value: float) -> str:
    sign, digits, _ = (exact := Decimal(repr(value)).normalize()).as_tuple()
    exponent = exact.adjusted() if exact else 0
    if -4 <= exponent < 6:
        # Go prints 999999 but 1e+06
        return format(exact, "f")
    rest = "".join(str(digit) for digit in digits[1:])
    mantissa = f"{'-' if sign else ''}{digits[0]}{'.' if rest else ''}{rest}"
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _each(items: Iterable[object], op: str, check: Callable[[object, str], bool]) -> bool:
    if op == "!=":
        return not any(check(one, "==") for one in items)
    op = "==" if op == "contains" else op
    return any(check(one, op) for one in items)


def _text(left: str, op: str, right: object) -> bool:
    if type(right) is str:
        return _strings(left, op, right)
    if isinstance(right, Regex):
        return op in ("==", "!=", "contains") and bool(right.search(left)) != (op == "!=")
    if isinstance(right, Ip | Net):
        return _strings(left, op, right.text)
    if isinstance(right, Hex):
        return _strings(left.encode("utf-8", "surrogatepass"), op, right.octets)
    return False


def _strings(left: Any, op: str, right: Any) -> bool:
    if op == "contains":
        return right in left
    return bool(left == right if op == "==" else op == "!=" and left != right)


def _texts(left: Sequence[str], op: str, right: object) -> bool:
    if type(right) is not str and not isinstance(right, Regex):
        return False
    op = "==" if op == "contains" else op
    return any(_text(one, op, right) for one in left)


def _address(left: object, op: str, right: object) -> bool:
    if isinstance(left, Mac):
        if isinstance(right, Mac):
            return _strings(left.octets, op, right.octets)
        other = right.raw if isinstance(right, Hex) else right
        return isinstance(other, str) and _strings(left.text, op, other.lower())
    if isinstance(left, Ip) and isinstance(right, Ip):
        return op in ("==", "!=") and (left[:2] == right[:2]) == (op == "==")
    if isinstance(left, Net) and isinstance(right, Ip):
        left, right = right, left
    if isinstance(left, Ip) and isinstance(right, Net):
        return op in ("==", "!=", "contains") and right.contains(left) == (op != "!=")
    return False

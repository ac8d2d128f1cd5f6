"""Comparisons in SQL, agreeing with `filters.compare` on every row.

Each gives a constant, where the kinds alone decide, or SQL that is true or false wherever all
its columns have values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from filters.compare import compare
from filters.sql_values import Scope, Value
from filters.values import Hex, Mac, Regex

Truth: TypeAlias = str | bool
_NUMBERS = ("int", "float")
_SQL_OPS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def compare_values(scope: Scope, left: Value, op: str, right: Value) -> Truth:
    """`left op right`."""
    if right.kind == "list":
        if op == "contains":
            return False
        listed = _listed(scope, left, op, right)
        if listed is not None:
            return listed
        return _each(right.items, op, lambda one, op: compare_values(scope, left, op, one))
    if left.kind == "list":
        listed = _listed(scope, right, op, left)
        if listed is not None:
            return listed
        return _each(left.items, op, lambda one, op: compare_values(scope, one, op, right))
    if not left.sql and not right.sql:
        return compare(left.constant, op, right.constant)
    if left.kind == "string":
        return _text(scope, left, op, right)
    if left.kind in _NUMBERS and right.kind in _NUMBERS and op in _SQL_OPS:
        return f"{_sql(scope, left)} {_SQL_OPS[op]} {_sql(scope, right)}"
    if left.kind == right.kind == "bool" and op in ("==", "!="):
        return f"{_sql(scope, left)} {_SQL_OPS[op]} {_sql(scope, right)}"
    if left.kind == "texts":
        return _texts(scope, left, op, right)
    if isinstance(left.constant, Mac) and right.kind == "string":
        return _strings(scope.bind(left.constant.text), op, f"lower({right.sql})")
    return False


def matches(scope: Scope, left: Value, regex: Regex) -> Truth:
    """`left matches regex`."""
    if left.kind not in ("string", "texts"):
        return False
    if not left.sql:
        return bool(regex.search(str(left.constant)))
    pattern = scope.bind(regex.pattern)
    return _matching(left, pattern)


def truth(value: Value) -> Truth:
    """A value alone."""
    if value.kind == "list":
        return bool(value.items)
    if value.kind == "string" and value.sql:
        return f"{value.sql} <> ''"
    if value.kind == "int" and value.sql:
        return f"{value.sql} <> 0"
    if value.kind == "texts":
        return f"len({value.sql}) > 0"
    if value.sql:
        return value.sql
    return bool(value.constant) if value.kind in ("string", "bool", *_NUMBERS) else True


def disjunction(parts: Sequence[Truth]) -> Truth:
    """OR, with constants taken out."""
    return _join(parts, " OR ", decisive=True)


def conjunction(parts: Sequence[Truth]) -> Truth:
    """AND, with constants taken out."""
    return _join(parts, " AND ", decisive=False)


def negation(part: Truth) -> Truth:
    """NOT. Only over what is not null."""
    return not part if isinstance(part, bool) else f"NOT ({part})"


def _join(parts: Sequence[Truth], word: str, decisive: bool) -> Truth:
    if any(part is decisive for part in parts):
        return decisive
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < 2:
        return texts[0] if texts else not decisive
    return f"({word.join(texts)})"


def _each(items: Sequence[Value], op: str, check: Callable[[Value, str], Truth]) -> Truth:
    if op == "!=":
        return negation(disjunction([check(one, "==") for one in items]))
    op = "==" if op == "contains" else op
    return disjunction([check(one, op) for one in items])


def _listed(scope: Scope, value: Value, op: str, listed: Value) -> Truth | None:
    """`value IN (…)` where that says it all: plain constants of the kind of the value."""
    plain = all(item.kind == value.kind and not item.sql for item in listed.items)
    if not value.sql or value.kind not in ("string", "int") or not plain:
        return None
    if op not in ("==", "!=", "contains"):
        return None
    constants = ", ".join(scope.bind(item.constant) for item in listed.items)
    found = f"{value.sql} IN ({constants})"
    return negation(found) if op == "!=" else found


def _sql(scope: Scope, value: Value) -> str:
    return value.sql or scope.bind(value.constant)


def _text(scope: Scope, left: Value, op: str, right: Value) -> Truth:
    if right.kind == "string":
        return _strings(_sql(scope, left), op, _sql(scope, right))
    if right.kind in ("ip", "cidr"):
        return _strings(_sql(scope, left), op, scope.text(right))
    if isinstance(right.constant, Regex):
        if op not in ("==", "!=", "contains"):
            return False
        found = _matching(left, scope.bind(right.constant.pattern))
        return negation(found) if op == "!=" else found
    if isinstance(right.constant, Hex):
        return _octets(scope, left, op, right.constant.octets)
    return False


def _strings(left: str, op: str, right: str) -> Truth:
    if op == "contains":
        return f"contains({left}, {right})"
    return f"{left} {_SQL_OPS[op]} {right}" if op in ("==", "!=") else False


def _octets(scope: Scope, left: Value, op: str, octets: bytes) -> Truth:
    try:
        return _strings(left.sql, op, scope.bind(octets.decode()))
    except UnicodeDecodeError:
        # text is UTF-8, so it can at most contain such bytes: look at it in hex, aligned
        if op == "contains":
            pattern = scope.bind(f"^(?:..)*{octets.hex().upper()}")
            return f"regexp_matches(hex(encode({left.sql})), {pattern})"
        return op == "!="


def _texts(scope: Scope, left: Value, op: str, right: Value) -> Truth:
    if right.kind == "string" and op in ("==", "contains"):
        return f"list_contains({left.sql}, {_sql(scope, right)})"
    if right.kind == "string" and op == "!=":
        return f"len(list_filter({left.sql}, lambda x: x <> {_sql(scope, right)})) > 0"
    if isinstance(right.constant, Regex) and op in ("==", "!=", "contains"):
        return _matching(left, scope.bind(right.constant.pattern), "NOT " if op == "!=" else "")
    return False


def _matching(left: Value, pattern: str, no: str = "") -> str:
    if left.kind == "string":
        return f"regexp_matches({left.sql}, {pattern})"
    return f"len(list_filter({left.sql}, lambda x: {no}regexp_matches(x, {pattern}))) > 0"

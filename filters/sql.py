"""A filter as a DuckDB expression over rows, with the answers of `predicate(expr, "qrec")`.

rulekit has three answers: pass, fail, error. In SQL each part is written for the one that is
asked: a pass, or under `not` a fail. Either is never true where a field is missing, so nothing
but AND and OR stands above, and NULL may stand for "no" all the way up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from typing import Literal as OneOf

from filters.fields import FieldSpec, check, resolve
from filters.nodes import (
    Array,
    BoolOp,
    Call,
    Compare,
    Expr,
    Field,
    FilterError,
    Leaf,
    Literal,
    LiteralKind,
    Node,
    Not,
    Operand,
    Truth,
    missing_of,
)
from filters.values import FUNCTIONS, Hex, Mac, Regex, compare, go_text, zone

ZONE_FUNCTION = "qrec_zone"
ValueKind: TypeAlias = LiteralKind | OneOf["texts", "list", "error"]
# SQL that is true or false wherever all its columns have values, or a constant
Answer: TypeAlias = str | bool
_NUMBERS = ("int", "float")
_SQL_OPS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Sql(NamedTuple):
    """`text` for WHERE or FILTER (true: the row passes; false or null: it does not).

    `params` are bound by name. Call `prepare(con)` once a connection before running it.
    """

    text: str
    params: dict[str, object]
    uses_zone: bool

    def prepare(self, con: Any) -> None:
        """Register on a DuckDB connection what the text needs; twice does no harm."""
        known = f"SELECT 1 FROM duckdb_functions() WHERE function_name = '{ZONE_FUNCTION}'"
        if self.uses_zone and not con.execute(known).fetchall():
            con.create_function(ZONE_FUNCTION, _zones, ["VARCHAR"], "VARCHAR", type="arrow")


def to_sql(
    expr: Expr, columns: Mapping[str, str] | None = None, prefix: str = "p", group: str = "''"
) -> Sql:
    """Translate a filter. `columns`: SQL for each column of `transactions` that the view has.

    Without `columns` all are there under their own names. Parameters are named `<prefix>1`, ….
    group: SQL for the group of a row's recorder, which no view has by itself.
    FilterError: an unknown field or function, a field that the view has not.
    """
    check(expr, "where")
    scope = Scope(expr, columns, prefix, group)
    answer = _node(scope, expr.root, True)
    text = answer if isinstance(answer, str) else str(answer).upper()
    # what was decided without a row may have bound more than is left in the text
    used = set(re.findall(rf"\$({re.escape(prefix)}[0-9]+)", text))
    params = {name: value for name, value in scope.params.items() if name in used}
    return Sql(text, params, scope.uses_zone)


def _node(scope: Scope, node: Node, wanted: bool) -> Answer:
    """When the node passes, or (`wanted` false) when it fails."""
    match node:
        case BoolOp(op, items):
            join = _conjunction if (op == "and") == wanted else _disjunction
            return join([_node(scope, item, wanted) for item in items])
        case Not(item):
            return _node(scope, item, not wanted)
        case _:
            return _leaf(scope, node, wanted)


def _leaf(scope: Scope, leaf: Leaf, wanted: bool) -> Answer:
    answer, needs = evaluate(scope, leaf)
    if answer is None:
        return False
    answer = answer if wanted else _negation(answer)
    return _conjunction([*(f"{need} IS NOT NULL" for need in sorted(needs)), answer])


def evaluate(scope: Scope, leaf: Leaf) -> tuple[Answer | None, frozenset[str]]:
    """When a predicate holds, and what else must not be null; None: never, it is an error.

    A comparison of two single values is null by itself where one is missing. One with a list
    can hold although an element is missing, which makes it an error: so that is asked for.
    """
    if isinstance(leaf, Truth) and (field := missing_of(leaf)):
        needs = scope.value(field).needs
        return (f"{next(iter(needs))} IS NULL" if needs else False), frozenset()
    left = scope.value(leaf.operand if isinstance(leaf, Truth) else leaf.left)
    right = scope.value(leaf.right) if isinstance(leaf, Compare) else _NO_VALUE
    if "error" in (left.kind, right.kind):
        return None, frozenset()
    if isinstance(leaf, Truth):
        answer = _truth(left)
    elif isinstance(regex := right.constant, Regex) and leaf.op == "matches":
        answer = _matches(scope, left, regex)
    elif leaf.op == "in":
        answer = _compare_values(scope, right, "contains", left)  # `x in [..]`, turned round
    else:
        answer = _compare_values(scope, left, leaf.op, right)
    decided = isinstance(answer, bool) or "list" in (left.kind, right.kind)
    return answer, left.needs | right.needs if decided else frozenset()


def _zones(domains: Any) -> Any:
    """The zone of every domain of an Arrow array; each different one is looked up once."""
    import pyarrow as pa

    coded = domains.combine_chunks() if isinstance(domains, pa.ChunkedArray) else domains
    coded = coded.dictionary_encode()
    zones = [None if one is None else zone(one) for one in coded.dictionary.to_pylist()]
    return pa.array(zones, pa.string()).take(coded.indices)


class Value(NamedTuple):
    """An operand. `sql` is empty for constants, which have `constant`, and for lists (`items`).

    `needs` are the SQL expressions that are null where a field of the operand is missing. Kind
    "error": it has no value whatever the row.
    """

    kind: ValueKind
    sql: str = ""
    constant: object = None
    items: tuple[Value, ...] = ()
    needs: frozenset[str] = frozenset()


class Scope:
    """What an expression may refer to, and the parameters that it has bound so far."""

    def __init__(
        self, expr: Expr, columns: Mapping[str, str] | None, prefix: str, group: str = "''"
    ) -> None:
        self.expr = expr
        self.params: dict[str, object] = {}
        self.uses_zone = False
        self._columns = columns
        self._prefix = prefix
        self._group = group

    def bind(self, value: object) -> str:
        """A parameter with that value."""
        name = f"{self._prefix}{len(self.params) + 1}"
        self.params[name] = value
        return f"${name}"

    def value(self, operand: Operand) -> Value:
        """The operand in SQL. FilterError: a field that is not among the columns."""
        match operand:
            case Literal(kind, _, constant):
                return Value(kind, constant=constant)
            case Field():
                return self._field(operand)
            case Array(items):
                return self._list(tuple(self.value(item) for item in items))
            case Call(name, args):
                return self._call(name, tuple(self.value(arg) for arg in args))

    def text(self, value: Value) -> str:
        """SQL for the text of any value, as Go prints it."""
        if value.kind == "list":
            inner = " || ' ' || ".join(self.text(item) for item in value.items)
            return f"('[' || {inner} || ']')"
        if not value.sql:
            return self.bind(go_text(value.constant))
        if value.kind == "texts":
            return f"('[' || array_to_string({value.sql}, ' ') || ']')"
        return value.sql if value.kind == "string" else f"CAST({value.sql} AS VARCHAR)"

    def _field(self, field: Field) -> Value:
        spec = resolve(field.name)
        if spec is None:
            raise FilterError(self.expr.text, f"there is no field {field.name}", field.start)
        sql = self._expression(spec, field)
        sql = sql if sql.isidentifier() else f"({sql})"
        kinds: dict[str, ValueKind] = {"text": "string", "int": "int", "texts": "texts"}
        needs = frozenset() if spec.always else frozenset({sql})
        return Value(kinds[spec.kind], sql, needs=needs)

    def _expression(self, spec: FieldSpec, field: Field) -> str:
        names = {column: column for column in spec.columns}
        if self._columns is not None:
            names = {column: self._columns.get(column, "") for column in spec.columns}
        if "group_name" in names:
            names["group_name"] = self._group
        if not all(names.values()):
            reason = f"{field.name} cannot be used here: this view does not have it"
            raise FilterError(self.expr.text, reason, field.start, field.end)
        return spec.sql.format_map(names)

    def _list(self, items: tuple[Value, ...]) -> Value:
        if any(item.kind == "error" for item in items):
            return Value("error")
        needs = frozenset[str]().union(*(item.needs for item in items))
        return Value("list", items=items, needs=needs)

    def _call(self, name: str, args: tuple[Value, ...]) -> Value:
        function = FUNCTIONS.get(name)
        if function is None or function.arity != len(args):
            return Value("error")
        if any(arg.kind == "error" for arg in args):
            return Value("error")
        if function.strings and any(arg.kind != "string" for arg in args):
            return Value("error")
        needs = frozenset[str]().union(*(arg.needs for arg in args))
        if name == "starts_with":
            sql = f"starts_with({self.text(args[0])}, {self.text(args[1])})"
            return Value("bool", sql, needs=needs)
        if not any(arg.sql for arg in args):
            constant = function.call(*(arg.constant for arg in args))
            return Value("string" if name == "zone" else "bool", constant=constant)
        if name == "zone":
            self.uses_zone = True
            return Value("string", f"{ZONE_FUNCTION}({args[0].sql})", needs=needs)
        domain, zone = (self.text(arg) for arg in args)
        sql = f"({domain} = {zone} OR ends_with({domain}, '.' || {zone}))"
        return Value("bool", sql, needs=needs)


_NO_VALUE = Value("bool", constant=False)  # in place of a right side that is not there


def _compare_values(scope: Scope, left: Value, op: str, right: Value) -> Answer:
    """`left op right`."""
    if right.kind == "list":
        if op == "contains":
            return False
        listed = _listed(scope, left, op, right)
        if listed is not None:
            return listed
        return _each(right.items, op, lambda one, op: _compare_values(scope, left, op, one))
    if left.kind == "list":
        listed = _listed(scope, right, op, left)
        if listed is not None:
            return listed
        return _each(left.items, op, lambda one, op: _compare_values(scope, one, op, right))
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


def _matches(scope: Scope, left: Value, regex: Regex) -> Answer:
    """`left matches regex`."""
    if left.kind not in ("string", "texts"):
        return False
    if not left.sql:
        return bool(regex.search(str(left.constant)))
    pattern = scope.bind(regex.pattern)
    return _matching(left, pattern)


def _truth(value: Value) -> Answer:
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


def _disjunction(parts: Sequence[Answer]) -> Answer:
    """OR, with constants taken out."""
    return _join(parts, " OR ", decisive=True)


def _conjunction(parts: Sequence[Answer]) -> Answer:
    """AND, with constants taken out."""
    return _join(parts, " AND ", decisive=False)


def _negation(part: Answer) -> Answer:
    """NOT. Only over what is not null."""
    return not part if isinstance(part, bool) else f"NOT ({part})"


def _join(parts: Sequence[Answer], word: str, decisive: bool) -> Answer:
    if any(part is decisive for part in parts):
        return decisive
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < 2:
        return texts[0] if texts else not decisive
    return f"({word.join(texts)})"


def _each(items: Sequence[Value], op: str, check: Callable[[Value, str], Answer]) -> Answer:
    if op == "!=":
        return _negation(_disjunction([check(one, "==") for one in items]))
    op = "==" if op == "contains" else op
    return _disjunction([check(one, op) for one in items])


def _listed(scope: Scope, value: Value, op: str, listed: Value) -> Answer | None:
    """`value IN (…)` where that says it all: plain constants of the kind of the value."""
    plain = all(item.kind == value.kind and not item.sql for item in listed.items)
    if not value.sql or value.kind not in ("string", "int") or not plain:
        return None
    if op not in ("==", "!=", "contains"):
        return None
    constants = ", ".join(scope.bind(item.constant) for item in listed.items)
    listed_sql = f"{value.sql} IN ({constants})"
    return _negation(listed_sql) if op == "!=" else listed_sql


def _sql(scope: Scope, value: Value) -> str:
    return value.sql or scope.bind(value.constant)


def _text(scope: Scope, left: Value, op: str, right: Value) -> Answer:
    if right.kind == "string":
        return _strings(_sql(scope, left), op, _sql(scope, right))
    if right.kind in ("ip", "cidr"):
        return _strings(_sql(scope, left), op, scope.text(right))
    if isinstance(right.constant, Regex):
        if op not in ("==", "!=", "contains"):
            return False
        searched = _matching(left, scope.bind(right.constant.pattern))
        return _negation(searched) if op == "!=" else searched
    if isinstance(right.constant, Hex):
        return _octets(scope, left, op, right.constant.octets)
    return False


def _strings(left: str, op: str, right: str) -> Answer:
    if op == "contains":
        return f"contains({left}, {right})"
    return f"{left} {_SQL_OPS[op]} {right}" if op in ("==", "!=") else False


def _octets(scope: Scope, left: Value, op: str, octets: bytes) -> Answer:
    try:
        return _strings(left.sql, op, scope.bind(octets.decode()))
    except UnicodeDecodeError:
        # text is UTF-8, so it can at most contain such bytes: look at it in hex, aligned
        if op == "contains":
            pattern = scope.bind(f"^(?:..)*{octets.hex().upper()}")
            return f"regexp_matches(hex(encode({left.sql})), {pattern})"
        return op == "!="


def _texts(scope: Scope, left: Value, op: str, right: Value) -> Answer:
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

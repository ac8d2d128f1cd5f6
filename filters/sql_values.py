"""The operands of a filter in SQL: a constant, or an expression with a known kind.

Columns have types, so what rulekit decides for each event by the type of its left operand is
decided here once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal as OneOf
from typing import NamedTuple, TypeAlias

from filters.compare import go_text
from filters.errors import FilterError
from filters.fields import FieldSpec, resolve
from filters.functions import FUNCTIONS
from filters.nodes import Array, Call, Expr, Field, Literal, LiteralKind, Operand

ZONE_FUNCTION = "qrec_zone"
ValueKind: TypeAlias = LiteralKind | OneOf["texts", "list", "error"]


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

    def __init__(self, expr: Expr, columns: Mapping[str, str] | None, prefix: str) -> None:
        self.expr = expr
        self.params: dict[str, object] = {}
        self.uses_zone = False
        self._columns = columns
        self._prefix = prefix

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

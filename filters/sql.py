"""A filter as a DuckDB expression over rows, with the answers of `predicate(expr, "qrec")`.

rulekit has three answers: pass, fail, error. In SQL each part is written for the one that is
asked: a pass, or under `not` a fail. Either is never true where a field is missing, so nothing
but AND and OR stands above, and NULL may stand for "no" all the way up.

What people ask, a field beside literals, is SQL. Any other part (two fields in one comparison, a
zone, bytes that are no text) is asked of the predicate itself: a function of DuckDB that gets the
part's text and the values of its fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from filters.fields import FieldSpec, check, resolve
from filters.nodes import (
    BoolOp,
    Call,
    CompareOp,
    Expr,
    Field,
    FilterError,
    Leaf,
    Literal,
    Node,
    Not,
    Truth,
    comparison,
    field_nodes,
    missing_of,
    render,
)
from filters.parser import parse
from filters.predicate import Event, decision, predicate
from filters.values import Hex, Regex, go_text

HOLDS_FUNCTION = "qrec_holds"
# SQL that is true or false wherever all its columns have values, or a constant
Answer: TypeAlias = str | bool


class Sql(NamedTuple):
    """`text` for WHERE or FILTER (true: the row passes; false or null: it does not), with `params`
    bound by name. Call `prepare` once a connection before running it."""

    text: str
    params: dict[str, object]


def prepare(con: Any, text: str) -> None:
    """Register on a DuckDB connection what the text needs; twice does no harm."""
    known = f"SELECT 1 FROM duckdb_functions() WHERE function_name = '{HOLDS_FUNCTION}'"
    if HOLDS_FUNCTION in text and not con.execute(known).fetchall():
        con.create_function(HOLDS_FUNCTION, _hold, ["VARCHAR", "VARCHAR"], "BOOLEAN", type="arrow")


def to_sql(
    expr: Expr, columns: Mapping[str, str] | None = None, prefix: str = "p", group: str = "''"
) -> Sql:
    """Translate a filter. `columns`: SQL for each column of `transactions` that the view has.

    Without `columns` all are there under their own names. Parameters are named `<prefix>1`, ….
    group: SQL for the group of a row's recorder, which no view has by itself.
    FilterError: an unknown field or function, a field that the view has not.
    """
    check(expr, "where")
    scope = _Scope(expr, columns, prefix, group)
    answer = _node(scope, expr.root, True)
    text = answer if isinstance(answer, str) else str(answer).upper()
    # what was decided without a row may have bound more than is left in the text
    used = set(re.findall(rf"\$({re.escape(prefix)}[0-9]+)", text))
    return Sql(text, {name: value for name, value in scope.params.items() if name in used})


class _Scope:
    """What an expression may refer to, and the parameters that it has bound so far."""

    def __init__(
        self, expr: Expr, columns: Mapping[str, str] | None, prefix: str, group: str
    ) -> None:
        self.expr = expr
        self.params: dict[str, object] = {}
        self._columns = columns
        self._prefix = prefix
        self._group = group

    def bind(self, value: object) -> str:
        """A parameter with that value."""
        name = f"{self._prefix}{len(self.params) + 1}"
        self.params[name] = value
        return f"${name}"

    def read(self, field: Field) -> tuple[FieldSpec, str]:
        """A field and SQL for it. FilterError: it is not among the columns."""
        spec = resolve(field.name)
        if spec is None:
            raise FilterError(self.expr.text, f"there is no field {field.name}", field.start)
        names = {column: column for column in spec.columns}
        if self._columns is not None:
            names = {column: self._columns.get(column, "") for column in spec.columns}
        if "group_name" in names:
            names["group_name"] = self._group
        if not all(names.values()):
            reason = f"{field.name} cannot be used here: this view does not have it"
            raise FilterError(self.expr.text, reason, field.start, field.end)
        sql = spec.sql.format_map(names)
        return spec, sql if sql.isidentifier() else f"({sql})"


def _node(scope: _Scope, node: Node, wanted: bool) -> Answer:
    """When the node passes, or (`wanted` false) when it fails."""
    match node:
        case BoolOp(op, items):
            decisive = (op == "or") == wanted
            return _join([_node(scope, item, wanted) for item in items], decisive)
        case Not(item):
            return _node(scope, item, not wanted)
        case _:
            return _leaf(scope, node, wanted)


def _leaf(scope: _Scope, leaf: Leaf, wanted: bool) -> Answer:
    fields = {field.name: scope.read(field) for field in field_nodes(leaf)}
    if not fields:
        return decision(Expr("", leaf, False))({}) is wanted
    spec, sql = next(iter(fields.values()))
    if missing_of(leaf):
        return _negation(spec.always or f"{sql} IS NOT NULL", not wanted)
    answer = _said(scope, leaf, spec, sql)
    if answer is None:
        part = render(leaf if wanted else Not(leaf, leaf.start, leaf.end))
        values = ", ".join(f"'{name}', {sql}" for name, (_, sql) in fields.items())
        return f"{HOLDS_FUNCTION}({scope.bind(part)}, json_object({values})::VARCHAR)"
    answer = _negation(answer, wanted)
    there = spec.always or f"{sql} IS NOT NULL"
    return _join([there, answer], False) if isinstance(answer, bool) else answer


def _negation(answer: Answer, wanted: bool) -> Answer:
    """The answer, or its opposite. Only over what is null where a field is missing."""
    if wanted:
        return answer
    return not answer if isinstance(answer, bool) else f"NOT ({answer})"


def _join(parts: Sequence[Answer], decisive: bool) -> Answer:
    """AND, or OR (`decisive` true), with constants taken out."""
    if any(part is decisive for part in parts):
        return decisive
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < 2:
        return texts[0] if texts else not decisive
    return f"({(' OR ' if decisive else ' AND ').join(texts)})"


def _said(scope: _Scope, leaf: Leaf, spec: FieldSpec, sql: str) -> Answer | None:
    """When a predicate over one field holds, in SQL; None: in other words than SQL has."""
    match leaf:
        case Truth(Field()):
            return {"text": f"{sql} <> ''", "int": f"{sql} <> 0", "texts": f"len({sql}) > 0"}[
                spec.kind
            ]
        case Truth(Call("starts_with", (Field(), Literal(value=start)))) if spec.kind == "text":
            return f"starts_with({sql}, {scope.bind(go_text(start))})"
        case Truth(Call("in_zone", (Field(), Literal(value=str(zone))))) if spec.kind == "text":
            return f"({sql} = {scope.bind(zone)} OR ends_with({sql}, {scope.bind(f'.{zone}')}))"
    compared = comparison(leaf, spec.kind)
    if compared is None:
        return None
    op, literals = compared
    if not literals:
        return op == "!="
    if spec.kind == "int":
        return _number(scope, sql, op, literals)
    return _text(scope, sql, op, literals, many=spec.kind == "texts")


def _number(scope: _Scope, sql: str, op: CompareOp, literals: Sequence[Literal]) -> Answer:
    sign = {"==": "=", "!=": "="}.get(op, op)
    parts = [f"{sql} {sign} {scope.bind(literal.value)}" for literal in literals]
    return _negation(_join(parts, True), op != "!=")


def _text(
    scope: _Scope, sql: str, op: CompareOp, literals: Sequence[Literal], many: bool
) -> Answer | None:
    """A text, or (`many`) any of a list, beside literals of which one may be it, or in it."""
    texts: list[str] = []
    parts: list[Answer] = []
    for literal in literals:
        if isinstance(literal.value, Regex):
            parts.append(f"regexp_matches({sql}, {scope.bind(literal.value.pattern)})")
        elif isinstance(literal.value, Hex):
            try:
                texts.append(literal.value.octets.decode())
            except UnicodeDecodeError:
                return None
        else:
            texts.append(go_text(literal.value))
    if many and parts:
        return None
    if many:
        parts = [f"list_contains({sql}, {scope.bind(text)})" for text in texts]
    elif op == "contains":
        parts += [f"contains({sql}, {scope.bind(text)})" for text in texts]
    elif texts:
        bound = ", ".join(map(scope.bind, texts))
        parts.append(f"{sql} = {bound}" if len(texts) == 1 else f"{sql} IN ({bound})")
    return _negation(_join(parts, True), op != "!=")


def _hold(parts: Any, events: Any) -> Any:
    """Whether a part of a filter passes: its text and the values of its fields as JSON, as Arrow
    arrays. Each different event is looked at once."""
    import pyarrow as pa

    coded = events.combine_chunks() if isinstance(events, pa.ChunkedArray) else events
    coded = coded.dictionary_encode()
    part = parts[0].as_py()  # a parameter, and so the same in all rows
    answers = [_passes(part, event) for event in coded.dictionary.to_pylist()]
    return pa.array(answers, pa.bool_()).take(coded.indices)


@lru_cache(maxsize=256)
def _test(part: str) -> Callable[[Event], bool]:
    return predicate(parse(part))


@lru_cache(maxsize=4096)  # hosts and the like come again and again
def _passes(part: str, event: str) -> bool:
    """A list of texts is a tuple, as `filters.values` has it; what is null is not there."""
    values = json.loads(event)
    return _test(part)({name: tuple(value) if isinstance(value, list) else value
                        for name, value in values.items() if value is not None})  # fmt: skip

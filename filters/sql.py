"""A filter as a DuckDB expression over rows, with the answers of `predicate(expr, "qrec")`.

rulekit has three answers: pass, fail, error. In SQL each part is written for the one that is
asked: a pass, or under `not` a fail. Either is never true where a field is missing, so nothing
but AND and OR stands above, and NULL may stand for "no" all the way up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from filters.check import check
from filters.functions import zone
from filters.nodes import And, Compare, Expr, In, Leaf, Matches, Node, Not, Or, Truth
from filters.sql_compare import Truth as Answer
from filters.sql_compare import (
    compare_values,
    conjunction,
    disjunction,
    matches,
    negation,
    truth,
)
from filters.sql_values import ZONE_FUNCTION, Scope, Value
from filters.values import Regex


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


def to_sql(expr: Expr, columns: Mapping[str, str] | None = None, prefix: str = "p") -> Sql:
    """Translate a filter. `columns`: SQL for each column of `transactions` that the view has.

    Without `columns` all are there under their own names. Parameters are named `<prefix>1`, ….
    FilterError: an unknown field or function, a field that the view has not.
    """
    check(expr, "where")
    scope = Scope(expr, columns, prefix)
    answer = _node(scope, expr.root, True)
    text = answer if isinstance(answer, str) else str(answer).upper()
    # what was decided without a row may have bound more than is left in the text
    used = set(re.findall(rf"\$({re.escape(prefix)}[0-9]+)", text))
    params = {name: value for name, value in scope.params.items() if name in used}
    return Sql(text, params, scope.uses_zone)


_NO_VALUE = Value("bool", constant=False)  # in place of a right side that is not there


def _node(scope: Scope, node: Node, wanted: bool) -> Answer:
    """When the node passes, or (`wanted` false) when it fails."""
    match node:
        case And(items):
            join = conjunction if wanted else disjunction
            return join([_node(scope, item, wanted) for item in items])
        case Or(items):
            join = disjunction if wanted else conjunction
            return join([_node(scope, item, wanted) for item in items])
        case Not(item):
            return _node(scope, item, not wanted)
        case _:
            return _leaf(scope, node, wanted)


def _leaf(scope: Scope, leaf: Leaf, wanted: bool) -> Answer:
    answer, needs = evaluate(scope, leaf)
    if answer is None:
        return False
    answer = answer if wanted else negation(answer)
    return conjunction([*(f"{need} IS NOT NULL" for need in sorted(needs)), answer])


def evaluate(scope: Scope, leaf: Leaf) -> tuple[Answer | None, frozenset[str]]:
    """When a predicate holds, and what else must not be null; None: never, it is an error.

    A comparison of two single values is null by itself where one is missing. One with a list
    can hold although an element is missing, which makes it an error: so that is asked for.
    """
    left = scope.value(leaf.operand if isinstance(leaf, Truth) else leaf.left)
    right = _NO_VALUE
    if isinstance(leaf, In | Compare):
        right = scope.value(leaf.array if isinstance(leaf, In) else leaf.right)
    if "error" in (left.kind, right.kind):
        return None, frozenset()
    if isinstance(leaf, Matches) and isinstance(regex := leaf.regex.value, Regex):
        answer = matches(scope, left, regex)
    elif isinstance(leaf, Compare):
        answer = compare_values(scope, left, leaf.op, right)
    elif isinstance(leaf, In):
        answer = compare_values(scope, right, "contains", left)  # `x in [..]`, turned round
    else:
        answer = truth(left)
    decided = isinstance(answer, bool) or "list" in (left.kind, right.kind)
    return answer, left.needs | right.needs if decided else frozenset()


def _zones(domains: Any) -> Any:
    """The zone of every domain of an Arrow array; each different one is looked up once."""
    import pyarrow as pa

    coded = domains.combine_chunks() if isinstance(domains, pa.ChunkedArray) else domains
    coded = coded.dictionary_encode()
    found = [None if one is None else zone(one) for one in coded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(coded.indices)

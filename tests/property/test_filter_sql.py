"""A filter as SQL picks the same rows as the filter run over each."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import FilterError, Row, parse, predicate, prepare, to_sql
from recorder.decode.events import Transaction
from store.schema import TRANSACTIONS
from tests.property.filter_strategies import FIELDS, filters, transactions


def plain(column: pa.DataType) -> pa.DataType:
    return column.value_type if pa.types.is_dictionary(column) else column


SCHEMA = pa.schema([(one.name, plain(one.type)) for one in TRANSACTIONS])


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def table(rows: list[Transaction]) -> pa.Table:
    def row(tx: Transaction) -> dict[str, Any]:
        found = {name: getattr(tx, name, None) for name in SCHEMA.names}
        found["findings"] = [one._asdict() for one in tx.findings]
        return found

    return pa.Table.from_pylist([row(tx) for tx in rows], SCHEMA)


@given(filters(FIELDS), st.lists(transactions, min_size=1, max_size=8))
def test_sql_and_predicate_agree(
    con: duckdb.DuckDBPyConnection, text: str, rows: list[Transaction]
) -> None:
    expr = parse(text)
    expected = [predicate(expr)(Row(tx)) for tx in rows]
    try:
        sql = to_sql(expr)
    except FilterError:
        assert not any(expected)  # an unknown function, a wrong number of arguments
        return
    prepare(con, sql.text)
    con.register("rows", table(rows))
    found = con.execute(f"SELECT coalesce({sql.text}, false) FROM rows", sql.params).fetchall()
    assert [one for (one,) in found] == expected, sql

"""The view over the rows and the functions over one row say the same of every transaction."""

from __future__ import annotations

import duckdb
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from store.derived import derived_sql, failed, outcome
from store.schema import TRANSACTIONS

STATUSES = st.none() | st.integers(100, 599)
GRPC = st.none() | st.sampled_from(["", "OK"]) | st.integers(0, 20).map(str) | st.text(max_size=5)
PLACES = {"egress-external": "outside", "egress-internal": "inside", "ingress": "here"}
DIRECTIONS = st.none() | st.sampled_from([*PLACES, "other"])


@given(st.lists(st.tuples(STATUSES, GRPC, DIRECTIONS), min_size=1, max_size=20))
def test_a_row_is_read_alike_in_sql_and_in_python(cases: list[tuple[int, str, str]]) -> None:
    rows = [{"status": s, "grpc_status": g, "direction": d, "seq": i}
            for i, (s, g, d) in enumerate(cases)]  # fmt: skip
    with duckdb.connect() as con:
        con.register("t", pa.Table.from_pylist(rows, schema=TRANSACTIONS))
        view = derived_sql().replace("{rows}", "t")
        seen = con.sql(f"SELECT outcome, failed, place FROM ({view}) ORDER BY seq").fetchall()
    assert seen == [(outcome(s, g), failed(s, g), PLACES.get(d, "unknown")) for s, g, d in cases]


def test_a_grpc_call_that_answers_200_and_unavailable_has_failed() -> None:
    assert failed(200, "14")
    assert outcome(200, "14") == "server_error"
    assert outcome(200, "5") == "client_error"  # NOT_FOUND is the caller's
    assert not failed(200, "0")

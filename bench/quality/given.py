"""Made-up cells, one row a minute and key, as what the comparison counts."""

from __future__ import annotations

from importlib.resources import files

import duckdb
import pyarrow as pa

from queries.diff.counts import Counts


def given(cells: pa.Table) -> Counts:
    """cells: recorder, minute, the columns of a key, requests, bytes_received, and durations, a
    map from bucket to requests."""
    if "grpc_status" not in cells.column_names:
        cells = cells.append_column("grpc_status", pa.nulls(cells.num_rows, pa.string()))
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register("cells", cells)
    con.execute((files("bench") / "quality" / "given.sql").read_text(encoding="utf-8"))
    hours = con.execute("SELECT DISTINCT hour FROM numbered ORDER BY hour").fetchall()
    return Counts(con, [hour for (hour,) in hours])

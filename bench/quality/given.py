"""Made-up per-minute cells, one row a minute and key, as what the comparison counts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import duckdb
import pyarrow as pa

from queries.diff.cells import Cells
from queries.diff.compare import Span
from queries.diff.parts import Held, numbers, of_table
from store.hours import to_us

_MINUTE_US = 60_000_000


def given(cells: pa.Table, spans: Sequence[Span]) -> Cells:
    """cells: recorder, minute, the columns of a key, requests, bytes_received, and durations, a
    map from bucket to requests."""
    text = (files("bench") / "quality" / "given.sql").read_text(encoding="utf-8")
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("cells", cells)
        table = con.sql(text).to_arrow_table()
    hours = numbers(table, "hour")
    parts: list[Held] = []
    begin = 0
    while begin < hours.size:
        end = begin + int((hours[begin:] == hours[begin]).sum())
        parts.append(of_table(table.slice(begin, end - begin), int(hours[begin])))
        begin = end
    asked = [(to_us(s.from_ts) // _MINUTE_US, to_us(s.to_ts) // _MINUTE_US) for s in spans]
    return Cells(parts, asked)

"""A rollup holds what a plain count of its rows holds, whatever stands in them."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorder.write.rollup
from recorder.write.rollup import write_tables
from store.derived import BUCKET_BASE, COLUMNS, DURATIONS, KEYS, MINUTES, NAMES, ROLLUPS, failed
from store.hours import from_us
from store.schema import TRANSACTIONS
from tests.kit import NOON

_TEXT = (
    st.none() | st.sampled_from(["", "a", "b", "ä", "\U0001f40c", "\uffff"]) | st.text(max_size=3)
)
_TEXTS = (
    "direction", "host", "method", "route", "grpc_status", "container_name", "pod_name",
    "process_exe", "error_signature",
)  # fmt: skip
_BYTES = st.none() | st.integers(0, 2**40)
_ROWS = st.fixed_dictionaries({
    "ts": st.integers(0, 3_600_000_000 - 1).map(lambda us: from_us(NOON + us)),
    "duration_ms": st.none() | st.integers(-5, 2**31 - 1),
    "status": st.none() | st.integers(0, 599),
    "recorder": st.sampled_from(["web", "db"]),
    "session": st.sampled_from(["s1", "s2"]),
    "seq": st.integers(1, 2**40),
    **dict.fromkeys(_TEXTS, _TEXT),
    "bytes_sent": _BYTES,
    "bytes_received": _BYTES,
})  # fmt: skip
_COLUMNS = {
    "container": "container_name", "pod": "pod_name", "process": "process_exe",
    "signature": "error_signature",
}  # fmt: skip


@given(st.lists(_ROWS, min_size=1, max_size=30))
@pytest.mark.parametrize(("most", "at_once"), [(1 << 62, 1 << 20), (100, 1 << 20), (100, 1)])
def test_a_rollup_is_a_count_of_its_rows(
    most: int, at_once: int, rows: list[dict[str, Any]]
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(recorder.write.rollup, "_MOST", most)
        patch.setattr(recorder.write.rollup, "_AT_ONCE", at_once)
        files = [Path(name) / "first", Path(name) / "second"]
        pq.write_table(pa.Table.from_pylist(rows[:10], schema=TRANSACTIONS), files[0])
        pq.write_table(pa.Table.from_pylist(rows[10:], schema=TRANSACTIONS), files[1])
        paths = {table: Path(name) / table.replace("/", "-") for table in ROLLUPS}
        write_tables(paths, files, {})
        tables = {table: pq.read_table(path) for table, path in paths.items()}
    told = {table: rows.to_pylist() for table, rows in tables.items()}

    assert all(set(tables[table].column_names) == set(COLUMNS[table]) for table in ROLLUPS)
    assert [one["key"] for one in told[KEYS]] == list(range(len(told[KEYS])))
    names = {one["key"]: (*(one[name] for name in NAMES), one["failed"]) for one in told[KEYS]}
    if at_once > 1 and not any(row[name] == "" for row in rows for name in _TEXTS):
        order = ("host", "route", "method", "container", "pod", "direction", "status")
        assert told[KEYS] == sorted(told[KEYS], key=lambda one: [one[name] for name in order])
        assert told[DURATIONS] == sorted(
            told[DURATIONS], key=lambda one: (one["key"], one["minute"], one["bucket"])
        )
        assert told[MINUTES] == sorted(
            told[MINUTES], key=lambda one: (one["minute"] // 15, one["key"], one["minute"])
        )

    def summed(table: str, value: str, *by: str) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for one in told[table]:
            found[names[one["key"]], *(one[name] for name in by)] += one[value]
        return +found

    def counted(value: str, *by: str) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for row in rows:
            if "bucket" not in by or row["duration_ms"] is not None:
                found[_names(row), *(_OF[name](row) for name in by)] += _OF[value](row)
        return +found

    assert summed(DURATIONS, "requests", "minute", "bucket") == counted(
        "requests", "minute", "bucket"
    )
    for value in ("requests", "bytes_sent", "bytes_received"):
        assert summed(MINUTES, value, "minute") == counted(value, "minute")
        assert summed(KEYS, value) == counted(value)
    active = Counter[Any]()
    first: dict[Any, int] = {}
    for row in rows:
        cell = _names(row), row["ts"].minute
        active[_names(row)] |= 1 << row["ts"].minute
        first[cell] = min(row["seq"], first.get(cell, row["seq"]))
    seen = Counter[Any]()
    earliest: dict[Any, int] = {}
    for one in told[KEYS]:
        seen[names[one["key"]]] |= one["active"]
    for one in told[MINUTES]:
        cell = names[one["key"]], one["minute"]
        earliest[cell] = min(one["seq"], earliest.get(cell, one["seq"]))
    assert (seen, earliest) == (active, first)


def _names(row: dict[str, Any]) -> tuple[object, ...]:
    texts = (
        row[_COLUMNS.get(name, name)] or (0 if name == "status" else "") for name in NAMES
    )  # fmt: skip
    return (*texts, failed(row["status"], row["grpc_status"]))


def _bucket(row: dict[str, Any]) -> int:
    return min(math.ceil(math.log(max(row["duration_ms"], 1)) / math.log(BUCKET_BASE)), 254)


_OF: dict[str, Any] = {
    "requests": lambda row: 1,
    "minute": lambda row: row["ts"].minute,
    "bucket": _bucket,
    "bytes_sent": lambda row: row["bytes_sent"] or 0,
    "bytes_received": lambda row: row["bytes_received"] or 0,
}

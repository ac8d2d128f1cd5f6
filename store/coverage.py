"""Coverage on disk: what a recorder could see and what not, stretch by stretch, a file an hour.

A stretch is a time in one state under one filter. It stands in the file of the hour in which it
begins; one that sees nothing may reach over many hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from store.files import make_folder, replacing
from store.layout import Store
from store.schema import COVERAGE
from store.values import dataclass

SEEING: Final = frozenset({"receiving", "lagging"})

# Why a stretch is in its state, for programs; `reason` says it to people and may be reworded.
CLOCK_STEPPED: Final = "clock_stepped"
LATE_EVENTS: Final = "late_events"
KILLED: Final = "killed"
NOT_RUNNING: Final = "not_running"
SILENT: Final = "silent"
UNREADABLE: Final = "unreadable"


@dataclass
class Stretch:
    """One row of coverage; times are microseconds since the epoch at the source."""

    recorder: str
    session: str
    from_ts: int
    to_ts: int
    state: str
    reason: str | None = None
    reason_code: str | None = None
    filter: str | None = None
    pushed: str | None = None
    topics: list[str] = field(default_factory=list)
    events: int = 0
    rejected: int = 0
    duplicates: int = 0
    filtered: int = 0
    other: int = 0
    bodies_shed: int = 0
    dropped: int = 0
    max_lag_ms: int = 0
    dropped_estimate: int | None = None
    dropped_basis: str | None = None
    group_name: str | None = None


def coverage_file(store: Store, hour: str, recorder: str) -> Path:
    """Coverage needs no segments: it is small, and its file is replaced as it grows."""
    return store.sealed_hour("coverage", hour) / f"{recorder}.parquet"


def read_stretches(path: Path) -> list[Stretch]:
    """The stretches of a file of any version; OSError and pa.ArrowInvalid as they come."""
    # ParquetFile and views, not read_table and casts: those load 5 MB of Arrow that the recorder's
    # first process has no other use for, and pandas (27 MB) where that happens to be installed.
    with pq.ParquetFile(path) as file:
        rows = file.read([name for name in COVERAGE.names if name in file.schema_arrow.names])
    columns = [
        column.combine_chunks().view(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in rows.columns
    ]
    return [Stretch(**row) for row in pa.table(columns, names=rows.column_names).to_pylist()]


def write_stretches(path: Path, stretches: Iterable[Stretch]) -> None:
    """Replace a file of coverage; OSError when the disk refuses."""
    make_folder(path.parent)
    table = pa.Table.from_pylist([vars(stretch) for stretch in stretches], schema=COVERAGE)
    # Every few seconds: in memory first, and without what makes large files small.
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy", use_dictionary=False, write_statistics=False)
    with replacing(path) as temporary:
        temporary.write_bytes(sink.getvalue())


def last_stretch(store: Store, recorder: str) -> Stretch | None:
    """Where this recorder's coverage ended; None when it never ran (or nothing is readable)."""
    for hour in reversed(store.hours("coverage")):
        try:
            rows = read_stretches(coverage_file(store, hour, recorder))
        except (OSError, pa.ArrowInvalid):
            continue
        if rows:
            # "stopped" begins and ends where the stretch before it ends: the later row counts
            return max(reversed(rows), key=lambda row: (row.to_ts, row.from_ts))
    return None

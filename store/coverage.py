"""Coverage on disk: what a recorder could see and what not, stretch by stretch, a file an hour.

A stretch is a time in one state under one filter. It stands in the file of the hour in which it
begins; one that sees nothing may reach over many hours.
"""

from __future__ import annotations

import dataclasses
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


_IN_MICROSECONDS: Final = pa.schema(
    [pa.field(f.name, pa.int64() if f.name.endswith("_ts") else f.type) for f in COVERAGE]
)


def coverage_file(store: Store, hour: str, recorder: str) -> Path:
    """Coverage needs no segments: it is small, and its file is replaced as it grows."""
    return store.sealed_hour("coverage", hour) / f"{recorder}.parquet"


def read_stretches(path: Path) -> list[Stretch]:
    """The stretches of a file of any version; OSError and pa.ArrowInvalid as they come."""
    rows = pq.read_table(path, partitioning=None)
    names = [name for name in COVERAGE.names if name in rows.column_names]
    columns = [rows[name].cast(_IN_MICROSECONDS.field(name).type) for name in names]
    return [Stretch(**row) for row in pa.table(columns, names=names).to_pylist()]


def write_stretches(path: Path, stretches: Iterable[Stretch]) -> None:
    """Replace a file of coverage; OSError when the disk refuses."""
    make_folder(path.parent)
    rows = [dataclasses.asdict(stretch) for stretch in stretches]
    table = pa.Table.from_pylist(rows, schema=_IN_MICROSECONDS).cast(COVERAGE)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


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

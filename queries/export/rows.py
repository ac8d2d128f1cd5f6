"""The rows of an export, oldest first, in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from queries.core.selection import Selection
    from queries.core.window import Window

_PIECE = 25_000  # rows, with their bodies
_BATCH = 500  # rows as Python objects

Row = dict[str, Any]


@dataclass
class Source:
    """The transactions of a window that match. `given`: how many were read so far."""

    chosen: Selection
    stretches: Sequence[tuple[datetime, datetime]]
    total: int
    limit: int | None
    given: int = 0

    @property
    def window(self) -> Window:
        return self.chosen.window

    def tables(self) -> Iterator[pa.Table]:
        """Arrow tables with every column of the store, in order of time."""
        for start, end in self.stretches:
            table = self.chosen.reader.sql("export", {"from_ts": start, "to_ts": end})
            if self.limit is not None:
                table = table.slice(0, self.limit - self.given)
            self.given += table.num_rows
            if table.num_rows:
                yield table
            if self.limit is not None and self.given >= self.limit:
                return

    def rows(self) -> Iterator[Row]:
        """The same one by one; headers as dicts, findings as lists of dicts."""
        for table in self.tables():
            for batch in table.to_batches(max_chunksize=_BATCH):
                for row in batch.to_pylist():
                    for side in ("req_headers", "res_headers"):
                        row[side] = dict(row[side] or ())
                    yield row


def source(chosen: Selection, limit: int | None) -> Source:
    """What is to be written: one cheap pass counts the rows of each second."""
    counts = chosen.rows("export_seconds")
    total = sum(row["requests"] for row in counts)
    return Source(chosen, _stretches(chosen.window, counts), total, limit)


def _stretches(window: Window, counts: Sequence[Row]) -> list[tuple[datetime, datetime]]:
    """The window in half-open pieces of at most _PIECE rows, unless one second has more."""
    found: list[tuple[datetime, datetime]] = []
    start, held = window.from_ts, 0
    for row in counts:
        if held and held + row["requests"] > _PIECE:
            found.append((start, max(row["second"], start)))
            start, held = max(row["second"], start), 0
        held += row["requests"]
    if held:
        found.append((start, window.to_ts))
    return [(a, b) for a, b in found if b - a > timedelta(0)]

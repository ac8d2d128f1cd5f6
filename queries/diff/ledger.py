"""Which minutes of which recorder count, as bit sets and tables that arrays are indexed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.parts import Part
from queries.diff.spans import Span

if TYPE_CHECKING:
    import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Hour:
    """One hour of one span.

    nth: the hour's first minute, counted from the span's first; negative if the hour began before.
    seen, kept [recorders + 1]: a bit for each minute of the hour that the recorder covered at all,
    and for each that is compared. weight [recorders + 1]: what its kept requests count. The last
    entry stands for a recorder that was never covered.
    """

    nth: int
    seen: Any
    kept: Any
    weight: Any


class Ledger:
    """The minutes of all spans (numbered window, baseline, history): see compare_minutes.sql."""

    def __init__(self, con: duckdb.DuckDBPyConnection, spans: Sequence[Span]) -> None:
        table = con.sql(
            "select recorder, span, nth, kept, weight from compare_minutes"
        ).to_arrow_table()
        texts = table.column("recorder").to_pylist()
        self.recorders = {name: i for i, name in enumerate(sorted(set(texts)))}
        self.recorder = np.array([self.recorders[name] for name in texts], dtype=np.int64)
        column = {name: table.column(name).to_numpy() for name in table.column_names[1:]}
        self.span, self.nth = column["span"].astype(np.int64), column["nth"].astype(np.int64)
        self.weight = column["weight"].astype(float)
        self.kept = column["kept"].astype(bool)
        self.starts = [int((s.from_ts - _EPOCH) // timedelta(minutes=1)) for s in spans]
        self.ends = [start + s.minutes for start, s in zip(self.starts, spans, strict=True)]
        self.sections = [np.flatnonzero(self.span == span) for span in range(len(spans))]

    def hour(self, span: int, hour: int) -> Hour:
        size = len(self.recorders) + 1
        seen, kept = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
        weight = np.ones(size)
        first = hour * 60 - self.starts[span]
        rows = self.sections[span]
        rows = rows[(self.nth[rows] >= first) & (self.nth[rows] < first + 60)]
        bits = np.uint64(1) << (self.nth[rows] - first).astype(np.uint64)
        np.bitwise_or.at(seen, self.recorder[rows], bits)
        inside = rows[self.kept[rows]]
        np.bitwise_or.at(kept, self.recorder[inside], bits[self.kept[rows]])
        weight[self.recorder[inside]] = self.weight[inside]
        return Hour(first, seen, kept, weight)

    def hours(self, span: int, parts: Sequence[Part]) -> list[tuple[int, Part, Hour]]:
        """(number, part, hour) of the parts that hold some of the span."""
        begin, end = self.starts[span], self.ends[span]
        found: dict[int, Hour] = {}
        for part in parts:
            if part.hour * 60 < end and part.hour * 60 + 60 > begin:
                found.setdefault(part.hour, self.hour(span, part.hour))
        return [(i, p, found[p.hour]) for i, p in enumerate(parts) if p.hour in found]

    def of(self, part: Part) -> Any:
        """[rows]: the number of each row's recorder, for the arrays of Hour."""
        column = part.keys["recorder"]
        unknown = len(self.recorders)
        return np.array([self.recorders.get(name, unknown) for name in column.values])[column.codes]

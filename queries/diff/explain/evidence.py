"""A few transactions that show a finding: the failed ones, the slow ones, and those of before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import numpy as np

from queries.core.session import parquet, sql_text
from queries.diff.stats import add_up
from store.cover import is_early
from store.errors import TooMuchError
from store.hours import hour_key, to_us
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.session import Reader
    from queries.core.window import Window
    from queries.diff.counts import Counts
    from queries.diff.frame import Frame
    from queries.diff.stats import Floats, Mask

Order = Literal["first", "last", "slowest", "smallest", "largest"]
_MOST = 3  # examples a side
_NAMES = 20  # raw names of a finding's keys that are looked for


@dataclass(frozen=True)
class Rows:
    """Where the rows of a comparison are; condition and params: under which they were counted."""

    reader: Reader
    counts: Counts
    condition: str | None
    params: Mapping[str, Any]

    def ask(
        self, name: str, keys: Mask, weights: Floats, spans: list[Window],
        recorders: Collection[str], **params: Any,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """What queries/sql/<name>.sql says of rows of those keys, of the busiest names.

        weights [keys]: which keys tell most. recorders: read only their files; none: all. Nothing
        where a file cannot be read (any more): a
        finding stands without its rows.
        """
        paths = [
            path
            for path in self.reader.files["transactions"]
            if any(_touches(path.parent.name.removeprefix("hour="), span) for span in spans)
            and not is_early(path)
            and (not recorders or self.reader.store.recorder_of(path) in recorders)
        ]
        if not keys.any() or not paths:
            return []
        try:
            self.reader.store.fetch(paths)
        except TooMuchError:
            return []
        named = sql_text("compare_named", rows=parquet(paths), where=self.condition or "true")
        values = {**self.params, **self._names(keys, weights), **params}
        try:
            rows: list[tuple[Any, ...]] = self.reader.con.execute(
                sql_text(name, named=named), values
            ).fetchall()
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error:
            return []
        return rows

    def _names(self, keys: Mask, weights: Floats) -> dict[str, Any]:
        """The names under which the busiest of the keys were recorded."""
        counts = self.counts
        chosen = np.flatnonzero(keys[counts.keys.of])
        order = np.argsort(-weights[counts.keys.of[chosen]], kind="stable")
        busiest = chosen[order[:_NAMES]].tolist()
        rows = [[counts.names.of(i)[name] for name in _COLUMNS] for i in busiest]
        return {
            "hosts": sorted({str(row[0]) for row in rows}),
            "routes": sorted({str(row[_COLUMNS.index("route")]) for row in rows}),
            "names": ["\x1f".join(map(str, row)) for row in rows],
        }


def examples(
    rows: Rows, keys: Mask, weights: Floats, spans: list[Window], order: Order,
    recorders: Collection[str],
) -> tuple[str, ...]:  # fmt: skip
    """Ids of transactions of those keys in the spans, by that order; recorders: as Rows.ask."""
    starts, ends = ([getattr(s, name) for s in spans] for name in _EDGES)
    limits = {"starts": starts, "ends": ends, "sort": order, "most": _MOST}
    return tuple(
        row[0] for row in rows.ask("compare_examples", keys, weights, spans, recorders, **limits)
    )


def minutes(
    rows: Rows, scope: Mask, part: Mask, weights: Floats, span: Window
) -> tuple[Floats, Floats]:
    """(requests of the part, of the scope) of each minute of a span of past hours."""
    edges = {"from_ts": span.from_ts, "to_ts": span.to_ts}
    totals = []
    for keys in (part, scope):
        counted = rows.ask("compare_onset", keys, weights, [span], (), **edges)
        at = np.array(counted, dtype=np.int64).reshape(-1, 2)
        totals.append(add_up(at[:, 0], at[:, 1], span.minutes))
    return totals[0], totals[1]


_EDGES = ("from_ts", "to_ts")
_COLUMNS = ("host", "method", "route", "status", "grpc_status", "container", "pod", "signature")


def _touches(hour: str, span: Window) -> bool:
    return hour_key(to_us(span.from_ts)) <= hour <= hour_key(to_us(span.to_ts) - 1)


def around(frame: Frame, since: datetime | None, until: datetime | None) -> Window:
    """The time in which the change shows."""
    window = frame.axis.spans[0]
    begin = max(since, window.from_ts) if since else window.from_ts
    end = min(until, window.to_ts) if until else window.to_ts
    return type(window)(begin, end) if begin < end else window

"""A few transactions that show a finding: the failed ones, the slow ones, and those of before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from queries.core.session import parquet, sql_text
from queries.diff.stats import add_up
from store.hours import hour_key, to_us

if TYPE_CHECKING:
    from pathlib import Path

    from queries.core.session import Reader
    from queries.core.window import Window
    from queries.diff.counts import Counts
    from queries.diff.frame import Frame
    from queries.diff.stats import Floats, Mask

_MOST = 3  # examples a side
_NAMES = 20  # raw names of a finding's keys that are looked for


def examples(
    reader: Reader, counts: Counts, keys: Mask, weights: Floats, spans: list[Window],
    slower_than: float | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Ids of transactions of those keys in the spans, of the busiest names; newest spans last.

    weights [keys]: which keys tell most. slower_than: only what took longer (ms), slowest first.
    """
    paths = _paths(reader, spans)
    if not keys.any() or not paths:
        return ()
    params = {**_named(counts, keys, weights), "least_ms": slower_than, "most": _MOST}
    params["starts"], params["ends"] = ([getattr(s, name) for s in spans] for name in _EDGES)
    text = sql_text("compare_examples", rows=parquet(paths))
    try:
        return tuple(row[0] for row in reader.con.execute(text, params).fetchall())
    except duckdb.InterruptException:
        raise
    except duckdb.Error:  # a file that cannot be read: the finding stands without an example
        return ()


def minutes(
    reader: Reader, counts: Counts, scope: Mask, part: Mask, weights: Floats, span: Window
) -> tuple[Floats, Floats]:
    """(requests of the part, of the scope) of each minute of a span of past hours."""
    size = span.minutes
    totals = []
    for keys in (part, scope):
        params = {**_named(counts, keys, weights), "from_ts": span.from_ts, "to_ts": span.to_ts}
        paths = _paths(reader, [span])
        rows: list[tuple[int, int]] = []
        if keys.any() and paths:
            text = sql_text("compare_onset", rows=parquet(paths))
            rows = reader.con.execute(text, params).fetchall()
        at = np.array(rows, dtype=np.int64).reshape(-1, 2)
        totals.append(add_up(at[:, 0], at[:, 1], size))
    return totals[0], totals[1]


def _named(counts: Counts, keys: Mask, weights: Floats) -> dict[str, Any]:
    """The names under which the busiest of the keys were recorded."""
    chosen = np.flatnonzero(keys[counts.keys.of])
    order = np.argsort(-weights[counts.keys.of[chosen]], kind="stable")
    rows = [[counts.names[name][i] for name in _COLUMNS] for i in chosen[order[:_NAMES]].tolist()]
    return {
        "hosts": sorted({str(row[0]) for row in rows}),
        "names": ["\x1f".join(map(str, row)) for row in rows],
    }


def _paths(reader: Reader, spans: list[Window]) -> list[Path]:
    return [
        path
        for path in reader.files["transactions"]
        if any(_touches(path.parent.name.removeprefix("hour="), span) for span in spans)
    ]


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

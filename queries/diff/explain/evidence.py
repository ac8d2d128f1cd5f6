"""A few transactions that show a finding: the failed ones, the slow ones, and those of before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from queries.core.session import parquet, sql_text
from store.hours import hour_key, to_us

if TYPE_CHECKING:
    from queries.core.session import Reader
    from queries.core.window import Window
    from queries.diff.candidate import Candidate
    from queries.diff.counts import Counts
    from queries.diff.frame import Frame
    from queries.diff.stats import Floats, Mask

_MOST = 3  # examples a side
_NAMES = 20  # raw names of a finding's keys that are looked for


def examples(
    reader: Reader, counts: Counts, keys: Mask, weights: Floats, spans: list[Window],
    slow: float | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Ids of transactions of those keys in the spans, of the busiest names; newest spans last.

    weights [keys]: which keys tell most. slow: only what took longer, in ms; the slowest first.
    """
    if not keys.any() or not spans:
        return ()
    chosen = np.flatnonzero(keys[counts.keys.of])
    order = np.argsort(-weights[counts.keys.of[chosen]], kind="stable")
    rows = [
        {name: values[i] for name, values in counts.names.items() if name in _COLUMNS}
        for i in chosen[order[:_NAMES]].tolist()
    ]
    paths = [
        path
        for path in reader.files["transactions"]
        if any(_touches(path.parent.name.removeprefix("hour="), span) for span in spans)
    ]
    if not paths:
        return ()
    params = {
        "hosts": sorted({str(row["host"]) for row in rows}),
        "names": ["\x1f".join(str(row[name]) for name in _COLUMNS) for row in rows],
        "starts": [span.from_ts for span in spans],
        "ends": [span.to_ts for span in spans],
        "slow": slow,
        "most": _MOST,
    }
    text = sql_text("compare_examples", rows=parquet(paths))
    try:
        return tuple(row[0] for row in reader.con.execute(text, params).fetchall())
    except duckdb.InterruptException:
        raise
    except duckdb.Error:  # a file that cannot be read: the finding stands without an example
        return ()


_COLUMNS = ("host", "method", "route", "status", "grpc_status", "container", "pod", "signature")


def _touches(hour: str, span: Window) -> bool:
    return hour_key(to_us(span.from_ts)) <= hour <= hour_key(to_us(span.to_ts) - 1)


def around(c: Candidate, frame: Frame, since: datetime | None, until: datetime | None) -> Window:
    """The time in which the change shows."""
    window = frame.axis.spans[0]
    begin = max(since, window.from_ts) if since else window.from_ts
    end = min(until, window.to_ts) if until else window.to_ts
    return type(window)(begin, end) if begin < end else window

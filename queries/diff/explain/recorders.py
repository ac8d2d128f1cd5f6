"""On how many recorders a finding shows, of those that see its requests: all of a fleet, or a few.

Counted over the hours that the window touches, from each recorder's own rollup: a merged one has
sums of groups. Only of what can be counted so: requests that are new, and a share that rose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from queries.core.answer import Shown
from queries.core.session import hours_of, sql_text
from queries.diff.groups import named
from queries.diff.rollups import keys_relation, place_of
from queries.diff.stats import Floats, Ints, Mask, add_up
from store.errors import TooMuchError
from store.rollup import KEYS
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.window import Window
    from queries.diff.candidate import Candidate
    from queries.diff.explain.evidence import Rows

_CLEAR = 3.0  # standard deviations beyond what chance gives one recorder
_HALF = 0.5  # of the change that recorders which show it clearly have: else it is everywhere
_NAMED = 10
_MOST = 2_000  # rollups: so many are read for a sentence


@dataclass(frozen=True)
class Counted:
    """Requests of the window's hours by key and recorder, each a place in `recorders`."""

    recorders: list[str]
    key: Ints
    place: Ints
    requests: Floats

    def of(self, keys: Mask) -> Floats:
        """[recorders]: requests of those keys."""
        return add_up(self.place, self.requests * keys[self.key], len(self.recorders))


def counted(rows: Rows, window: Window) -> Counted | None:
    """None where there is one recorder alone, under a filter, or not all of it is in rollups."""
    store, hours = rows.reader.store, set(hours_of([window]))
    files = [path for path in rows.reader.files["transactions"]
             if path.parent.name.removeprefix("hour=") in hours]  # fmt: skip
    recorders = sorted({store.recorder_of(path) for path in files})
    live = any(not path.parent.name.startswith("hour=") for path in files)
    if len(recorders) < 2 or live or rows.condition or len(files) > _MOST:
        return None
    keys = [store.rollup(path)[KEYS] for path in files]
    text = sql_text("compare_rows", keys=keys_relation(keys), place=place_of(recorders))
    try:
        store.fetch(keys)
        columns: dict[str, Any] = rows.reader.con.execute(
            f"SELECT names, place, sum(requests)::DOUBLE AS requests FROM ({text}) GROUP BY ALL"
        ).fetchnumpy()
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except (TooMuchError, duckdb.Error):
        return None
    key, same = named(rows.counts, columns["names"])
    return Counted(recorders, key[same], columns["place"][same], columns["requests"][same])


def shown(counts: Counted | None, c: Candidate, once: Mask) -> Shown | None:
    """On which recorders a candidate shows; once: its scope as one end of the wire saw it. None
    where that cannot be told, or no recorder shows it clearly."""
    rose = c.metric.endswith("_share") and c.direction == "up"
    if counts is None or not (rose or (c.direction == "new" and c.metric == "requests")):
        return None
    total, part = counts.of(once), counts.of(once & c.part)
    expected = total * (c.baseline or 0.0) if rose else np.zeros(total.size)
    excess = part - expected
    clear = excess > _CLEAR * np.sqrt(np.maximum(expected, 1.0))
    if excess[clear].sum() < _HALF * excess.clip(0).sum() or not clear.any():
        return None
    first = np.argsort(-np.where(clear, excess, 0.0), kind="stable")[: min(clear.sum(), _NAMED)]
    names = tuple(counts.recorders[i] for i in first.tolist())
    of = total if rose else counts.of(np.ones(once.size, dtype=bool))
    return Shown(int(clear.sum()), int((of > 0).sum()), names)

"""On how many recorders a finding shows, of those that see its requests: all of a fleet, or a few.

Counted from each recorder's own rollups of the hours that window and baseline touch, since a merged
one has sums of groups; under a filter from the rows that were counted. A recorder shows a change of
counts where it has clearly more of it than chance gives, and one of durations or sizes where its
own mean moved by half as far as the whole did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.answer import Shown
from queries.core.session import sql_text
from queries.core.window import hours_of
from queries.diff.counts import NO_DURATION
from queries.diff.coverage import named
from queries.diff.durations import BASE
from queries.diff.rollups import if_readable, keys_relation, rows_relation, whole_parquet
from queries.diff.stats import Floats, Ints, Mask, add_up
from store.derived import DURATIONS, KEYS
from store.files import parquet
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.axis import Axis
    from queries.diff.candidate import Candidate
    from queries.diff.explain.evidence import Rows

_CLEAR = 3.0  # standard deviations beyond what chance gives one recorder
_HALF = 0.5  # of the change that recorders which show it clearly have: else it is everywhere
_ENOUGH = 20  # requests a side, for a mean
_NAMED = 10
_HOLDERS = 4
_MOST = 2_000  # rollups: so many are read for a sentence


@dataclass(frozen=True)
class Counted:
    """Cells of key and recorder, a place in `recorders`: requests and bytes of the window (side 0)
    and of the baseline (1). scale: the window's length by the baseline's, 0 where that was not
    counted. spread: the sums of cells of some keys, [value, side, recorder]: requests with a
    duration, and their buckets."""

    recorders: list[str]
    scale: float
    key: Ints
    place: Ints
    side: Ints
    requests: Floats
    received: Floats
    spread: Callable[[Mask], Floats]

    def of(self, keys: Mask, side: int = 0, received: bool = False) -> Floats:
        """[recorders]: requests of those keys, or the bytes of their answers."""
        value = self.received if received else self.requests
        return add_up(self.place, value * (keys[self.key] & (self.side == side)), self.size)

    @property
    def size(self) -> int:
        return len(self.recorders)

    def holders(self, keys: Mask, side: int) -> set[str]:
        """The few recorders with most requests of those keys; none where that is not known."""
        requests = self.of(keys, side)
        first = np.argsort(-requests, kind="stable")[:_HOLDERS]
        return {self.recorders[i] for i in first.tolist() if requests[i] > 0}


def needs_both(c: Candidate) -> bool:
    """Whether the baseline of each recorder says whether a candidate shows there."""
    return not (c.metric.endswith("_share") or c.direction == "new")


def counted(rows: Rows, axis: Axis, both: bool) -> Counted | None:
    """both: of the baseline as well, which takes as many files again. None where there is one
    recorder alone, or a file cannot be read."""
    if rows.condition:
        return _from_rows(rows, axis)
    return if_readable(lambda: _from_rollups(rows, axis, both), None)


def _from_rows(rows: Rows, axis: Axis) -> Counted | None:
    recorders, cells = rows.counts.own("received")
    window = axis.slots[0].size
    mine = cells.slot < axis.size
    cells = cells.where(mine)
    side = (cells.slot >= window).astype(np.int64)
    if len(recorders) < 2:
        return None

    def spread(keys: Mask) -> Floats:
        bucket = rows.counts.own("bucket")[1].where(mine).value
        chosen = keys[cells.key] & (bucket != NO_DURATION)
        place, of = (side * len(recorders) + cells.recorder)[chosen], cells.requests[chosen]
        sums = [add_up(place, of * x, 2 * len(recorders)) for x in (1, bucket[chosen])]
        return np.array(sums).reshape(2, 2, -1)

    length = axis.spans[0].seconds / sum(span.seconds for span in axis.spans[1:])
    return Counted(
        recorders, length, cells.key, cells.recorder, side, cells.requests, cells.value, spread
    )


def _from_rollups(rows: Rows, axis: Axis, both: bool) -> Counted | None:
    reader, store = rows.reader, rows.reader.store
    sides = [set(hours_of(axis.spans[:1])), set(hours_of(axis.spans[1:]))]
    paths = [reader.rows_of(hours) for hours in sides]
    recorders = sorted({store.recorder_of(path) for some in paths for path in some})
    if len(recorders) < 2 or len(paths[0]) > _MOST:
        return None
    if not both or sides[0] & sides[1] or len(paths[0] + paths[1]) > _MOST:
        paths[1] = []
    listed = [*paths[0], *paths[1]]
    rollups = {path: store.rollup(path) for path in listed}
    store.fetch(one[KEYS] for one in rollups.values())
    there = {path: rollups[path][KEYS].exists() for path in listed}
    if not all(there.values()):  # an hour that grows
        store.fetch(path for path in listed if not there[path])
        listed, both = paths[0], False
    sealed, without = ([path for path in listed if there[path] == of] for of in (True, False))
    files = [*sealed, *without]
    relations = [keys_relation(rollups[path][KEYS] for path in sealed)] if sealed else []
    relations += [rows_relation(f"(FROM {parquet([path])})", len(sealed) + i)
                  for i, path in enumerate(without)]  # fmt: skip
    if not relations:
        return None
    place, now = {name: i for i, name in enumerate(recorders)}, set(paths[0])
    owner = np.array([place[store.recorder_of(path)] for path in files])
    side = np.array([path not in now for path in files], dtype=np.int64)
    text = sql_text("compare_rows", keys=" UNION ALL BY NAME ".join(relations), place="0")
    columns: dict[str, Any] = reader.con.execute(
        "SELECT names, file, sum(requests)::DOUBLE AS requests,"
        f" sum(bytes_received)::DOUBLE AS received FROM ({text}) GROUP BY ALL"
    ).fetchnumpy()
    key, same = named(rows.counts, columns["names"])

    def spread(keys: Mask) -> Floats:
        durations = [rollups[path][DURATIONS] for path in sealed]
        store.fetch(durations)
        reader.con.register("wanted", {"names": rows.counts.hashes[keys[rows.counts.keys.of]]})
        sums: dict[str, Any] = reader.con.execute(
            "SELECT file, sum(d.requests)::DOUBLE AS n, sum(d.requests * bucket)::DOUBLE AS buckets"
            f" FROM (SELECT file_index AS file, * FROM {whole_parquet(durations)}) AS d"
            f" JOIN (FROM ({text}) SEMI JOIN wanted USING (names)) USING (file, key) GROUP BY file"
        ).fetchnumpy()
        at = side[sums["file"]] * len(recorders) + owner[sums["file"]]
        parts = [add_up(at, sums[name], 2 * len(recorders)) for name in ("n", "buckets")]
        return np.array(parts).reshape(2, 2, -1)

    scale = len(sides[0]) / len(sides[1]) if both and side.any() else 0.0
    file = columns["file"][same]
    values = {name: columns[name][same] for name in ("requests", "received")}
    return Counted(recorders, scale, key[same], owner[file], side[file], spread=spread, **values)


def shown(counts: Counted | None, c: Candidate, once: Mask) -> Shown | None:
    """On which recorders a candidate shows; once: its scope as one end of the wire saw it. None
    where that cannot be told, or no recorder shows it clearly."""
    if counts is None:
        return None
    told = _moved if c.lasts or c.metric == "bytes_received" else _counts
    return if_readable(lambda: told(counts, c, once), None)


def _counts(counts: Counted, c: Candidate, once: Mask) -> Shown | None:
    total, part = counts.of(once), counts.of(once & c.part)
    if c.metric.endswith("_share") and c.direction == "up":
        expected, of = total * (c.baseline or 0.0), total
    elif c.direction == "new":
        expected, of = np.zeros(total.size), counts.of(np.ones(once.size, dtype=bool))
    elif c.metric in ("requests", "per_s") and counts.scale:
        expected = counts.of(once & c.part, 1) * counts.scale
        of = part + expected
    else:
        return None
    if c.direction in ("gone", "down"):  # of a recorder that is not there any more, nobody can say
        there = counts.of(np.ones(once.size, dtype=bool)) > 0
        expected, of, excess = expected * there, of * there, (expected - part) * there
    else:
        excess = part - expected
    return _few(counts, excess, excess > _CLEAR * np.sqrt(np.maximum(expected, 1.0)), of)


def _moved(counts: Counted, c: Candidate, once: Mask) -> Shown | None:
    """Where the mean of durations or of sizes moved as the whole did."""
    if not (counts.scale and c.ratio):
        return None
    keys = once & c.part
    if c.lasts:
        n, sums = counts.spread(keys)
    else:
        n, sums = (np.stack([counts.of(keys, side, received) for side in (0, 1)])
                   for received in (False, True))  # fmt: skip
    means = sums / np.maximum(n, 1)
    if not c.lasts:
        means = np.log(np.maximum(means, 1.0)) / BASE
    known = n.min(0) >= _ENOUGH
    far = (means[0] - means[1]) * BASE / np.log(c.ratio) * known
    return _few(counts, far * n[0], far >= _HALF, n.max(0) * known)


def _few(counts: Counted, excess: Floats, clear: Mask, of: Floats) -> Shown | None:
    if excess[clear].sum() < _HALF * excess.clip(0).sum() or not clear.any():
        return None
    first = np.argsort(-np.where(clear, excess, 0.0), kind="stable")[: min(clear.sum(), _NAMED)]
    names = tuple(counts.recorders[i] for i in first.tolist())
    return Shown(int(clear.sum()), int((of > 0).sum()), names)

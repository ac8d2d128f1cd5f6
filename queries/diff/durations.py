"""Durations of units (side, endpoint, instance), as histograms of buckets 10 % wide."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.frame import UNIT, Frame, Level
from queries.diff.stats import Floats, Ints, Mask, add_up, ratio
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.axis import Covered
    from queries.diff.counts import Cells, Counts

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
BASE = np.log(1.1)


@dataclass
class Durations:
    """unit, slot, bucket, requests [entries of the spans], of the time that counts, in the order
    of units. past [units, buckets]: of the past hours that were read; course [3, units, stretches]:
    number, sum and squares of the buckets of each of them."""

    frame: Frame
    level: Level
    unit: Any
    slot: Any
    bucket: Any
    requests: Any
    past: Floats
    course: Floats

    @cached_property
    def window(self) -> Mask:
        mine: Mask = self.slot < self.frame.axis.slots[0].size
        return mine

    def _histogram(self, entries: Mask) -> Floats:
        size = self.level.size
        place = self.unit[entries].astype(np.int64) * BUCKETS + self.bucket[entries]
        return add_up(place, self.requests[entries], size * BUCKETS).reshape(size, BUCKETS)

    @cached_property
    def now(self) -> Floats:
        """[units, buckets] of the window."""
        return self._histogram(self.window)

    @cached_property
    def before(self) -> Floats:
        """[units, buckets] of the baseline."""
        return self._histogram(~self.window)

    @cached_property
    def _cell(self) -> Ints:
        """[entries]: the unit and block of each."""
        blocks = int(self.frame.axis.starts[-1])
        cell: Ints = self.unit.astype(np.int64) * blocks + self.frame.axis.block[self.slot]
        return cell

    def _blocks(self, cell: Any, requests: Any) -> Floats:
        blocks, size = int(self.frame.axis.starts[-1]), self.level.size
        return add_up(cell, requests, size * blocks).reshape(size, blocks)

    @cached_property
    def blocks(self) -> Floats:
        """[units, blocks]: requests with a duration."""
        return self._blocks(self._cell, self.requests)

    def powers(self, power: int) -> Floats:
        """[units, blocks of the window]: sums of the buckets' numbers, to a power."""
        _, bucket, cell, requests = self._sides[0]
        sums = self._blocks(cell, requests * bucket.astype(np.float64) ** power)
        return sums[:, : self.frame.window.shape[1]]

    def side(self, against: str) -> Floats:
        """[units, buckets] of what the window is compared with."""
        return self.past if against == "usual" else self.before

    @cached_property
    def _sides(self) -> list[tuple[Any, ...]]:
        """unit, bucket, cell, requests of the window's entries, and of the baseline's."""
        columns = self.unit, self.bucket, self._cell, self.requests
        return [tuple(x[side] for x in columns) for side in (self.window, ~self.window)]

    def beyond(self, cut: Ints, up: bool, window: bool) -> Floats:
        """[units, blocks]: requests of one side above the unit's bucket `cut`, or below it."""
        unit, bucket, cell, requests = self._sides[0 if window else 1]
        limit = cut.astype(np.int16)[unit]
        far = bucket > limit if up else bucket < limit
        return self._blocks(cell[far], requests[far])

    def of(self, scope: Mask) -> Ints:
        """The entries of units whose first key is in the scope."""
        units = np.flatnonzero(scope[self.level.first])
        edges = np.searchsorted(self.unit, np.stack([units, units + 1]))
        none = np.zeros(0, dtype=np.int64)
        return np.concatenate([none, *(np.arange(a, b) for a, b in edges.T.tolist())])

    def total(self, entries: Ints) -> Floats:
        """[buckets] of some of the entries."""
        return add_up(self.bucket[entries], self.requests[entries], BUCKETS)

    def compared(self, scope: Mask, against: str) -> Floats:
        """[buckets] of what a scope is compared with."""
        total: Floats = self.side(against)[scope[self.level.first]].sum(0)
        return total


def durations_of(frame: Frame, counts: Counts, covered: Covered) -> Durations:
    place = {name: i for i, name in enumerate(covered.recorders)}
    known = np.array([place.get(name, -1) for name in counts.recorders], dtype=np.int64)
    level = frame.level(UNIT)
    size, first = level.size, frame.axis.size

    def kept(cells: Cells) -> tuple[Any, Any, Cells]:
        recorder = known[cells.recorder] if cells.key.size else cells.recorder
        seen = (recorder >= 0) & (covered.seconds[recorder, cells.slot] > 0)
        cells = cells if seen.all() else cells.where(seen)
        bucket = np.minimum(cells.value, LAST_BUCKET).astype(np.uint8)
        return level.group[cells.key].astype(np.int32), bucket, cells

    past = np.zeros(size * BUCKETS)
    course = np.zeros((3, size, len(frame.axis.past)))
    for hour in counts.past_spread():
        unit, bucket, cells = kept(hour)
        past += add_up(unit.astype(np.int64) * BUCKETS + bucket, cells.requests, past.size)
        for stretch in np.unique(cells.slot).tolist():
            mine = cells.slot == stretch
            of, n, value = unit[mine], cells.requests[mine], bucket[mine].astype(np.float64)
            for power in range(3):
                course[power, :, stretch - first] += add_up(of, n * value**power, size)
    unit, bucket, cells = kept(counts.spread)
    order = np.argsort(unit, kind="stable")
    return Durations(
        frame, level, unit[order], cells.slot[order], bucket[order], cells.requests[order],
        past.reshape(size, BUCKETS), course,
    )  # fmt: skip


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    cumulative = histogram.cumsum(-1)
    total = cumulative[..., -1:]
    target = q * total
    at = np.minimum((cumulative < target).sum(-1), BUCKETS - 1)
    before = np.take_along_axis(cumulative, np.maximum(at - 1, 0)[..., None], -1)[..., 0]
    below = np.where(at > 0, before, 0.0)
    inside = np.take_along_axis(histogram, at[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(inside > 0, (target[..., 0] - below) / inside, 0.5)
    value = MIDDLES[at] * 1.1 ** (np.clip(step, 0, 1) - 0.5)
    return np.where(total[..., 0] > 0, value, np.nan)


def means(histogram: Floats) -> Floats:
    """[..., buckets] -> [...]: the mean in milliseconds; 0 if empty."""
    total = histogram.sum(-1)
    return ratio((histogram * MIDDLES).sum(-1), total)

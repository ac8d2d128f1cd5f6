"""Durations of units (side, endpoint, instance), as histograms of buckets 10 % wide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from queries.diff.frame import UNIT, Frame, Level
from queries.diff.stats import Floats, Ints, Mask, add_up, ratio

if TYPE_CHECKING:
    from queries.diff.counts import Counts
    from queries.diff.coverage import Covered

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
BASE = np.log(1.1)


@dataclass
class Durations:
    """unit, slot, bucket, requests [entries], of the time that counts, in the order of units."""

    frame: Frame
    level: Level
    unit: Ints
    slot: Ints
    bucket: Ints
    requests: Floats

    @cached_property
    def window(self) -> Mask:
        return self.slot < self.frame.axis.slots[0].size

    @cached_property
    def before(self) -> Mask:
        mine: Mask = ~self.window & (self.slot < self.frame.axis.size)
        return mine

    @cached_property
    def past(self) -> Mask:
        mine: Mask = self.slot >= self.frame.axis.size
        return mine

    def histogram(self, entries: Mask) -> Floats:
        """[units, buckets] of some of the entries."""
        size = self.level.size
        place = self.unit[entries] * BUCKETS + self.bucket[entries]
        return add_up(place, self.requests[entries], size * BUCKETS).reshape(size, BUCKETS)

    @cached_property
    def side(self) -> tuple[Floats, Floats, Floats]:
        """[units, buckets] of the window, the baseline and the past."""
        return tuple(  # type: ignore[return-value]
            self.histogram(entries) for entries in (self.window, self.before, self.past)
        )

    def blocks(self, chosen: Mask) -> Floats:
        """[units, blocks of the spans]: requests of some of the entries (of spans)."""
        blocks = int(self.frame.axis.starts[-1])
        place = self.unit[chosen] * blocks + self.frame.axis.block[self.slot[chosen]]
        size = self.level.size
        return add_up(place, self.requests[chosen], size * blocks).reshape(size, blocks)

    @cached_property
    def all_blocks(self) -> Floats:
        """[units, blocks]: requests with a duration."""
        return self.blocks(~self.past)

    def of(self, scope: Mask) -> Ints:
        """The entries of units whose first key is in the scope."""
        units = np.flatnonzero(scope[self.level.first])
        edges = np.searchsorted(self.unit, np.stack([units, units + 1]))
        none = np.zeros(0, dtype=np.int64)
        return np.concatenate([none, *(np.arange(a, b) for a, b in edges.T.tolist())])

    def total(self, entries: Ints) -> Floats:
        """[buckets] of some of the entries."""
        return add_up(self.bucket[entries], self.requests[entries], BUCKETS)


def durations_of(frame: Frame, counts: Counts, covered: Covered) -> Durations:
    place = {name: i for i, name in enumerate(covered.recorders)}
    known = np.array([place.get(name, -1) for name in counts.recorders], dtype=np.int64)
    cells = counts.spread
    recorder = known[cells.recorder] if cells.key.size else cells.recorder
    kept = np.flatnonzero((recorder >= 0) & (covered.seconds[recorder, cells.slot] > 0))
    cells = cells.where(kept)
    level = frame.level(UNIT)
    unit = level.group[cells.key]
    order = np.argsort(unit, kind="stable")
    bucket = np.minimum(cells.value[order].astype(np.int64), LAST_BUCKET)
    return Durations(frame, level, unit[order], cells.slot[order], bucket, cells.requests[order])


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

"""Durations as histograms: by place, block of minutes, and log bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT
from queries.diff.frame import UNIT, Frame, Level
from queries.diff.stats import Floats, Ints, Mask
from queries.diff.traffic import block_of
from store.rollup import DURATIONS

if TYPE_CHECKING:
    from queries.diff.traffic import Traffic

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
AT_ONCE = 8 << 20  # cells of histograms in memory


@dataclass(frozen=True)
class Spread:
    """Durations of one hour: `unit`, `cell` (BUCKETS * block + bucket), `requests` [entries]."""

    unit: Ints
    cell: Ints
    requests: Floats

    def of(self, place: Ints, elsewhere: int) -> tuple[Ints, Any, Any]:
        """(place, cell, requests) of the entries; `place` [units] is negative for those left out.

        Where few are left out they come along, at the place `elsewhere`: that is quicker.
        """
        if 2 * np.count_nonzero(place >= 0) > place.size:
            return np.where(place >= 0, place, elsewhere)[self.unit], self.cell, self.requests
        mine = place[self.unit]
        kept = np.flatnonzero(mine >= 0)
        return mine[kept], self.cell[kept], self.requests[kept]


class Durations:
    """Histograms of the durations of units: the finest places (side, endpoint, container).

    blocks: window blocks first, then those of the baseline.
    """

    def __init__(self, frame: Frame, hours: Sequence[Spread]) -> None:
        self.unit = frame.level(UNIT)
        self._level = frame.level(("side", *ENDPOINT))
        self.blocks_w = frame.window.shape[1]
        self.blocks = self.blocks_w + frame.baseline.shape[1]
        self._hours = hours
        self._slower: dict[float, tuple[Mask, Floats]] = {}
        self._endpoints: tuple[Mask, Floats] | None = None
        self._block, self._bucket = np.divmod(np.arange(self.blocks * BUCKETS), BUCKETS)

    def histogram(self, group: Ints, groups: int) -> Floats:
        """[groups, blocks, buckets] of requests; `group` maps keys, -1 leaves a key out.

        A unit goes where its first key goes.
        """
        size = self.blocks * BUCKETS
        sums = self._sums(group[self.unit.first], groups, np.arange(size))
        return sums.reshape(groups, self.blocks, BUCKETS)

    def grouped(self, level: Level, number: Ints, groups: int, within: Mask) -> Floats:
        """The histogram of groups of a level, by their `number`, of the keys in `within`.

        Levels above endpoints are summed from those, as long as all of them fit into memory.
        """
        fine = self._level
        if not set(level.dims) <= set(fine.dims) or fine.size * self._block.size > AT_ONCE:
            return self.histogram(np.where(within, number[level.group], -1), groups)
        if self._endpoints is None or not np.array_equal(self._endpoints[0], within):
            group = np.where(within, fine.group, -1)
            self._endpoints = within, self.histogram(group, fine.size)
        of = number[level.group[fine.first]]
        order = np.argsort(of, kind="stable")
        order = order[of[order] >= 0]
        found: Floats = self._endpoints[1][order]
        if groups < order.size:
            starts = np.searchsorted(of[order], np.arange(groups))
            found = np.add.reduceat(found, starts, axis=0)
        return found

    def sides(self, units: Ints, began: int, ended: int) -> Floats:
        """[units, 2, buckets]: requests of window blocks began..ended, and of the baseline."""
        run = (self._block >= began) & (self._block < ended)
        side = np.where(run, 0, np.where(self._block >= self.blocks_w, 1, 2))
        number = np.full(self.unit.size, -1)
        number[units] = np.arange(units.size)
        sums = self._sums(number, units.size, side * BUCKETS + self._bucket, 3 * BUCKETS)
        return sums.reshape(units.size, 3, BUCKETS)[:, :2]

    @cached_property
    def counts(self) -> Floats:
        """[units, blocks]: requests with a duration."""
        units = self.unit.size
        return self._sums(np.arange(units), units, self._block).reshape(units, self.blocks)

    @cached_property
    def both(self) -> Mask:
        """Keys of places with durations on both sides: others cannot be slower or faster."""
        w, b = self.counts[:, : self.blocks_w].sum(1), self.counts[:, self.blocks_w :].sum(1)
        known: Mask = ((w > 0) & (b > 0))[self.unit.group]
        return known

    def above(self, q: float, units: Ints) -> Floats:
        """[units, blocks]: requests slower than the quantile q of their own unit's baseline;
        zeros but for the `units` asked for, now or before."""
        if q not in self._slower:
            known = np.zeros(self.unit.size, dtype=bool)
            self._slower[q] = known, np.zeros((self.unit.size, self.blocks))
        known, found = self._slower[q]
        missing = units[~known[units]]
        for begin in range(0, missing.size, AT_ONCE // BUCKETS):
            some = missing[begin : begin + AT_ONCE // BUCKETS]
            number = np.full(self.unit.size, -1)
            number[some] = np.arange(some.size)
            found[some] = self._above(q, number, some.size)
        known[missing] = True
        return found

    def _above(self, q: float, number: Ints, size: int) -> Floats:
        """[numbers, blocks]: requests in buckets beyond the quantile q of the unit's baseline."""
        before = np.where(self._block >= self.blocks_w, self._bucket, BUCKETS)
        running = self._sums(number, size, before, BUCKETS + 1)[:, :BUCKETS].cumsum(1)
        total = running[:, -1]
        limit = (running >= (q * total - 1e-9)[:, None]).argmax(1)
        limit = np.append(np.where(total > 0, limit, BUCKETS), BUCKETS)
        sums = np.zeros((size + 1) * self.blocks)
        for hour in self._hours:
            at, cell, requests = hour.of(number, size)
            weights = requests * (self._bucket[cell] > limit[at])
            sums += np.bincount(at * self.blocks + self._block[cell], weights, sums.size)
        return sums.reshape(size + 1, self.blocks)[:size]

    def _sums(self, number: Ints, size: int, of_cell: Ints, width: int | None = None) -> Floats:
        """[numbers, width]: requests of the units with that number, by what `of_cell` makes of
        each cell."""
        width = width or int(of_cell.max(initial=0)) + 1
        sums = np.zeros((size + 1) * width)
        for hour in self._hours:
            at, cell, requests = hour.of(np.where(number >= 0, number * width, -1), size * width)
            at += of_cell[cell] if width < of_cell.size else cell
            sums += np.bincount(at, weights=requests, minlength=sums.size)
        return sums.reshape(size + 1, width)[:size]


def histograms(traffic: Traffic, frame: Frame) -> Durations:
    """The durations of window and baseline, of the minutes that count."""
    unit_of_row = frame.level(UNIT).group[traffic.key]
    bucket = np.minimum(np.arange(256), LAST_BUCKET)
    hours = []
    for span in range(frame.starts.size - 1):
        for s in traffic.slices(span):
            entries = traffic.entries(s, DURATIONS, ("bucket", "requests"))
            first = block_of(s, frame.starts, frame.block_minutes) * BUCKETS
            spread = Spread(
                unit_of_row[entries.row],
                first[entries["minute"]] + bucket[entries["bucket"]],
                entries["requests"].astype(np.float64),
            )
            if (weight := s.weight(entries)) is not None:
                kept = weight > 0
                spread = Spread(spread.unit[kept], spread.cell[kept], spread.requests[kept])
            hours.append(spread)
    return Durations(frame, hours)


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    return quantiles_of(histogram, histogram.cumsum(-1), q)


def quantiles_of(histogram: Floats, cumulative: Floats, q: float) -> Floats:
    """The same with the running cumulative of the histogram."""
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

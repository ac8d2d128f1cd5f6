"""Durations as histograms: by place, block of minutes, and log bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT
from queries.diff.frame import UNIT, Frame, Level
from queries.diff.parts import Lists, only
from queries.diff.stats import Floats, Ints, Mask
from queries.diff.traffic import block_of
from store.rollup import CODES

if TYPE_CHECKING:
    from queries.diff.traffic import Traffic

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
AT_ONCE = 8 << 20  # cells of histograms in memory


@dataclass(frozen=True)
class Entries:
    """Durations of one part: `unit` [rows], and lists of `cell` (BUCKETS * block + bucket) and
    `requests`."""

    unit: Ints
    lists: Lists

    def of(self, place: Ints, elsewhere: int) -> tuple[Ints, Any, Any]:
        """(place, cell, requests) of the entries; `place` [units] is negative for those left out.

        Where few are left out they come along, at the place `elsewhere`: that is quicker.
        """
        mine = place[self.unit]
        rows = np.flatnonzero(mine >= 0)
        if 2 * rows.size > mine.size:
            mine = np.where(mine >= 0, mine, elsewhere)
            values = self.lists.values
            return np.repeat(mine, self.lists.lengths), values["cell"], values["requests"]
        row, values = self.lists.of(rows)
        return mine[row], values["cell"], values["requests"]


class Durations:
    """Histograms of the durations of units: the finest places (side, endpoint, container).

    blocks: window blocks first, then those of the baseline.
    """

    def __init__(self, frame: Frame, entries: Sequence[Entries]) -> None:
        self.unit = frame.level(UNIT)
        self._level = frame.level(("side", *ENDPOINT))
        self.blocks_w = frame.window.shape[1]
        self.blocks = self.blocks_w + frame.baseline.shape[1]
        self._entries = entries
        self._slower: dict[float, tuple[Mask, Floats]] = {}
        self._endpoints: tuple[Mask, Floats] | None = None
        self._block, self._bucket = np.divmod(np.arange(self.blocks * BUCKETS), BUCKETS)

    def histogram(self, group: Ints, groups: int) -> Floats:
        """[groups, blocks, buckets] of requests; `group` maps keys, -1 leaves a key out.

        A unit goes where its first key goes.
        """
        size = self.blocks * BUCKETS
        heap = self._heap(group[self.unit.first], groups, np.arange(size))
        return heap.reshape(groups, self.blocks, BUCKETS)

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
        heap = self._heap(number, units.size, side * BUCKETS + self._bucket, 3 * BUCKETS)
        return heap.reshape(units.size, 3, BUCKETS)[:, :2]

    @cached_property
    def counts(self) -> Floats:
        """[units, blocks]: requests with a duration."""
        units = self.unit.size
        return self._heap(np.arange(units), units, self._block).reshape(units, self.blocks)

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
        running = self._heap(number, size, before, BUCKETS + 1)[:, :BUCKETS].cumsum(1)
        total = running[:, -1]
        limit = (running >= (q * total - 1e-9)[:, None]).argmax(1)
        limit = np.append(np.where(total > 0, limit, BUCKETS), BUCKETS)
        heap = np.zeros((size + 1) * self.blocks)
        for entries in self._entries:
            at, cell, requests = entries.of(number, size)
            weights = requests * (self._bucket[cell] > limit[at])
            heap += np.bincount(at * self.blocks + self._block[cell], weights, heap.size)
        return heap.reshape(size + 1, self.blocks)[:size]

    def _heap(self, number: Ints, size: int, of_cell: Ints, width: int | None = None) -> Floats:
        """[numbers, width]: requests of the units with that number, by what `of_cell` makes of
        each cell."""
        width = width or int(of_cell.max(initial=0)) + 1
        heap = np.zeros((size + 1) * width)
        for entries in self._entries:
            at, cell, requests = entries.of(np.where(number >= 0, number * width, -1), size * width)
            at += of_cell[cell] if width < of_cell.size else cell
            heap += np.bincount(at, weights=requests, minlength=heap.size)
        return heap.reshape(size + 1, width)[:size]


def histograms(traffic: Traffic, frame: Frame) -> Durations:
    """The durations of window and baseline, of the minutes that count."""
    unit = frame.level(UNIT).group
    entries = []
    for span in range(frame.starts.size - 1):
        for s in traffic.sections(span):
            listed = s.part.durations()
            code, requests = listed.values["code"], listed.values["requests"].astype(np.float64)
            cell = _cells(block_of(s, frame.starts, frame.block_minutes))[code]
            lists = Lists(listed.offsets, {"cell": cell, "requests": requests})
            if not s.whole:
                kept = s.weight(listed.lengths, code // CODES) > 0
                lists = only(listed.offsets, kept, cell=cell, requests=requests)
            entries.append(Entries(unit[s.key], lists))
    return Durations(frame, entries)


def _cells(blocks: Ints) -> Ints:
    """[code] -> cell."""
    bucket = np.minimum(np.arange(CODES), LAST_BUCKET)
    return (blocks[:, None] * BUCKETS + bucket).ravel().astype(np.int32)


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    return quantiles_of(histogram, histogram.cumsum(-1), q)


def quantiles_of(histogram: Floats, heap: Floats, q: float) -> Floats:
    """The same with the running sums of the histogram."""
    total = heap[..., -1:]
    target = q * total
    at = np.minimum((heap < target).sum(-1), BUCKETS - 1)
    before = np.take_along_axis(heap, np.maximum(at - 1, 0)[..., None], -1)[..., 0]
    below = np.where(at > 0, before, 0.0)
    inside = np.take_along_axis(histogram, at[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(inside > 0, (target[..., 0] - below) / inside, 0.5)
    value = MIDDLES[at] * 1.1 ** (np.clip(step, 0, 1) - 0.5)
    return np.where(total[..., 0] > 0, value, np.nan)

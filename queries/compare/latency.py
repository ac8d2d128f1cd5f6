"""Latency: p50, p95 and p99, each on its own, from the block histograms of durations.

Each block gives one quantile; the blocks are the sample. Their spread already holds the noise
that a slow minute brings to all of its requests, which a test on single requests would not know.
Which requests became slow is then counted against each place's own baseline quantile, so that
a mere shift of the mix between fast and slow endpoints is not taken for slowness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.compare.candidate import ENDPOINT, Candidate, whole_or_run
from queries.compare.frame import UNIT, Frame, Level
from queries.compare.limits import Limits
from queries.compare.mix import alike, slowed
from queries.compare.shares import Runs
from queries.compare.stats import Floats, Ints, Mask, best_runs, bounds, intervals, run_sums
from queries.compare.tested import Tested, tested
from queries.compare.traffic import block_of
from queries.parts import Lists, only
from store.cells import CODES

if TYPE_CHECKING:
    from queries.compare.traffic import Traffic

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
# quantile, name, least requests a side, least requests a block
QUANTILES = ((0.5, "p50_ms", 40, 4), (0.95, "p95_ms", 200, 15), (0.99, "p99_ms", 1000, 60))
# q (1 - q) / density**2 of the normal distribution at its quantile q
_FACTOR = {0.5: 1.57, 0.95: 4.47, 0.99: 13.9}
_AT_ONCE = 8 << 20  # cells of histograms in memory


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
        if not set(level.dims) <= set(fine.dims) or fine.size * self._block.size > _AT_ONCE:
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
        for begin in range(0, missing.size, _AT_ONCE // BUCKETS):
            some = missing[begin : begin + _AT_ONCE // BUCKETS]
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


def load(traffic: Traffic, frame: Frame) -> Durations:
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
    return _quantile(histogram, histogram.cumsum(-1), q)


def _quantile(histogram: Floats, heap: Floats, q: float) -> Floats:
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


def scan(
    w: Floats,
    b: Floats,
    drift: float,
    limits: Limits,
    chance: tuple[Floats, Floats] | None = None,
) -> Runs:
    """t-test of every run of window blocks against all baseline blocks, on logs; NaN is no value.

    drift: standard deviation between quiet hours that is allowed for on both sides.
    chance: variance of each value that its own few requests explain, [groups, blocks] a side.
    """
    starts, ends, price = intervals(w.shape[1])
    n, total, squares = (run_sums(x, starts, ends) for x in _moments(w))
    nb, total_b, squares_b = (x.sum(1)[:, None] for x in _moments(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, mean_b = total / n, total_b / nb
        spread = np.nan_to_num(np.maximum(squares - n * mean * mean, 0))
        spread_b = np.nan_to_num(np.maximum(squares_b - nb * mean_b * mean_b, 0))
        df = limits.prior_df + np.maximum(n - 1, 0) + np.maximum(nb - 1, 0)
        common = _common(spread_b[:, 0], nb[:, 0])
        variance = (limits.prior_df * common + spread + spread_b) / df
        error, error_b = variance / n, variance / nb
        if chance is not None:
            few, few_b = (
                np.where(np.isfinite(x), c, 0) for x, c in zip((w, b), chance, strict=True)
            )
            error = np.maximum(error, run_sums(few, starts, ends) / (n * n))
            error_b = np.maximum(error_b, few_b.sum(1)[:, None] / (nb * nb))
        t = (mean - mean_b) / np.sqrt(error + error_b + 2 * drift * drift)
    t = np.nan_to_num(t, posinf=0, neginf=0)
    t[(n < 1) | (nb < 3)] = 0.0
    p, best = best_runs(np.abs(t), df, price)
    row = np.arange(p.size)
    return Runs(p, starts[best], ends[best], t[row, best], variance[row, best])


def _moments(values: Floats) -> tuple[Floats, Floats, Floats]:
    zero = np.nan_to_num(values)
    return np.isfinite(values).astype(np.float64), zero, zero * zero


def _common(spread: Floats, n: Floats) -> float:
    """The typical variance of a group's blocks, at least that of 5 % noise."""
    enough = n >= 4
    if not enough.any():
        return 0.15**2
    return max(float(np.median(spread[enough] / (n[enough] - 1))), 0.05**2)


@dataclass(frozen=True)
class Measured:
    """[groups, blocks]: the log of each block's quantile (NaN: too few), and its variance if
    requests were independent log-normals."""

    values: Floats
    chance: Floats


def find(
    frame: Frame, durations: Durations, dims: tuple[str, ...], limits: Limits, within: Mask
) -> list[Tested]:
    level = frame.level(dims)
    within = within & durations.both
    w, b = _volumes(durations, level, within)
    able = np.flatnonzero((w >= QUANTILES[0][2]) & (b >= QUANTILES[0][2]))
    if able.size == 0:
        return []
    found: list[Tested] = []
    measured = _measure(durations, level, within, able)
    for (q, metric, least, _), each in zip(QUANTILES, measured, strict=True):
        rows = np.flatnonzero((w[able] >= least) & (b[able] >= least))
        if rows.size == 0:
            continue
        values, chance = each.values[rows], each.chance[rows]
        w_side, b_side = np.s_[:, : durations.blocks_w], np.s_[:, durations.blocks_w :]
        halves = chance[w_side], chance[b_side]
        runs = scan(values[w_side], values[b_side], limits.latency_drift, limits, halves)

        def build(
            i: int, rows: Ints = rows, runs: Runs = runs, measure: tuple[float, str] = (q, metric)
        ) -> Candidate:
            g = int(able[rows[i]])
            key = dict(zip(level.dims, level.values[g], strict=True))
            scope = (level.group == g) & within
            return _candidate(frame, durations, scope, key, measure, i, runs)

        found.append(tested(runs.p, limits.q, build))
    return found


def _volumes(durations: Durations, level: Level, within: Mask) -> tuple[Floats, Floats]:
    """[groups]: requests with a duration, in the window and in the baseline."""
    first = durations.unit.first
    counts = durations.counts * within[first][:, None]
    w, b = counts[:, : durations.blocks_w].sum(1), counts[:, durations.blocks_w :].sum(1)
    group = level.group[first]
    sums: list[Floats] = [np.bincount(group, side, level.size).astype(float) for side in (w, b)]
    return sums[0], sums[1]


def _measure(durations: Durations, level: Level, within: Mask, able: Ints) -> list[Measured]:
    """What each of QUANTILES is in the blocks of the groups `able`, some groups at a time."""
    most = max(_AT_ONCE // (durations.blocks * BUCKETS), 1)
    parts = []
    for begin in range(0, able.size, most):
        some = able[begin : begin + most]
        number = np.full(level.size, -1)
        number[some] = np.arange(some.size)
        parts.append(_measured(durations.grouped(level, number, some.size, within)))
    return [
        Measured(
            np.concatenate([part[i].values for part in parts]),
            np.concatenate([part[i].chance for part in parts]),
        )
        for i in range(len(QUANTILES))
    ]


def _measured(histogram: Floats) -> list[Measured]:
    whole = histogram.sum(1)
    heap = histogram.cumsum(-1)
    counts = heap[..., -1]
    found = []
    for q, _, _, each in QUANTILES:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(_quantile(histogram, heap, q))
            spread = np.log(quantiles(whole, 0.84) / quantiles(whole, 0.16)) / 2
        values[counts < each] = np.nan
        chance = _FACTOR[q] * (spread * spread)[:, None] / np.maximum(counts, 1)
        found.append(Measured(values, chance))
    return found


def _candidate(
    frame: Frame,
    durations: Durations,
    scope: Mask,
    key: dict[str, Any],
    measure: tuple[float, str],
    i: int,
    runs: Runs,
) -> Candidate:
    q, metric = measure
    histogram = durations.histogram(np.where(scope, 0, -1), 1)[0]
    began, ended = int(runs.began[i]), int(runs.ended[i])
    before, run = histogram[durations.blocks_w :].sum(0), histogram[began:ended].sum(0)
    value_w, value_b = float(quantiles(run, q)), float(quantiles(before, q))
    change = value_w / value_b if value_b and math.isfinite(value_w) else 1.0
    now, due = alike(durations, scope, began, ended)
    net = float(quantiles(now, q) / quantiles(due, q)) if due.any() and now.any() else 1.0
    error = math.sqrt(float(runs.dispersion[i]) * (1 / max(ended - began, 1) + 1 / 12))
    run_excess, run_volume = slowed(frame, durations, scope, q, began, ended)
    excess, volume = slowed(frame, durations, scope, q, 0, durations.blocks_w)
    if not whole_or_run(excess, run_excess):
        excess, volume = run_excess, run_volume
    return Candidate(
        kind="latency",
        direction="up" if change >= 1 else "down",
        key=key,
        scope=scope,
        part=scope,
        excess=excess,
        volume=volume,
        metric=metric,
        window=float(quantiles(histogram[: durations.blocks_w].sum(0), q)),
        baseline=value_b,
        ratio=change,
        low=bounds(change, error)[0],
        high=bounds(change, error)[1],
        p=float(runs.p[i]),
        began=began,
        ended=ended,
        in_run=float(run_excess.sum()),
        run_volume=float(run_volume.sum()),
        noise=2.0,
        net=net,
    )


def matters(c: Candidate, limits: Limits) -> bool:
    """Slower by a quarter and by what one can feel, and really slower place by place."""
    assert c.ratio is not None
    assert c.baseline is not None
    least = min(c.ratio, c.net) if c.direction == "up" else max(c.ratio, c.net)
    folds = least if c.direction == "up" else 1 / max(least, 1e-9)
    felt = abs(c.baseline * (c.ratio - 1))
    moved = c.in_run * (1 if c.direction == "up" else -1)
    usual = {"p50_ms": 0.5, "p95_ms": 0.05, "p99_ms": 0.01}[c.metric]
    share = moved / max(c.run_volume, 1.0)
    floor = 0.2 * usual if c.metric == "p50_ms" else 0.5 * usual
    return (
        folds >= limits.latency_ratio
        and felt >= limits.latency_ms
        and moved >= max(8.0, 2.5 * math.sqrt(usual * max(c.run_volume, 1.0)))
        and share >= floor
    )

"""Latency: p50, p95 and p99, each on its own, from the block histograms of durations.

Each block gives one quantile; the blocks are the sample. Their spread already holds the noise
that a slow minute brings to all of its requests, which a test on single requests would not know.
Which requests became slow is then counted against each place's own baseline quantile, so that
a mere shift of the mix between fast and slow endpoints is not taken for slowness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.compare.candidate import Candidate, whole_or_run
from queries.compare.frame import FIRST_BUCKET, LAST_BUCKET, Frame, arrays
from queries.compare.limits import Limits
from queries.compare.mix import alike, slowed
from queries.compare.shares import Runs
from queries.compare.stats import Floats, Ints, Mask, best_runs, bounds, intervals, run_sums
from queries.compare.tested import Tested, tested

if TYPE_CHECKING:
    import duckdb

BUCKETS = LAST_BUCKET - FIRST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(FIRST_BUCKET, LAST_BUCKET + 1) - 0.5)  # milliseconds
# quantile, name, least requests a side, least requests a block
QUANTILES = ((0.5, "p50_ms", 40, 4), (0.95, "p95_ms", 200, 15), (0.99, "p99_ms", 1000, 60))
# q (1 - q) / density**2 of the normal distribution at its quantile q
_FACTOR = {0.5: 1.57, 0.95: 4.47, 0.99: 13.9}


@dataclass(frozen=True)
class Durations:
    """One row a place, block and bucket; `key` is the first of the place's keys."""

    key: Ints
    block: Ints  # window blocks first, then those of the baseline
    bucket: Ints
    requests: Floats
    blocks_w: int
    blocks: int
    keys: int
    slower: dict[float, Floats] = field(default_factory=dict)

    def histogram(self, group: Ints, groups: int) -> Floats:
        """[groups, blocks, buckets] of requests; `group` maps keys, -1 leaves a key out."""
        g = group[self.key]
        inside = g >= 0
        place = (g[inside] * self.blocks + self.block[inside]) * BUCKETS + self.bucket[inside]
        size = groups * self.blocks * BUCKETS
        heap = np.bincount(place, weights=self.requests[inside], minlength=size)
        return heap.astype(np.float64).reshape(groups, self.blocks, BUCKETS)

    def counts(self) -> Floats:
        """[keys, blocks]: requests with a duration."""
        return self.above(-1.0)

    def both(self, frame: Frame) -> Mask:
        """Keys of places with durations on both sides: others cannot be slower or faster."""
        counts = self.counts()
        seen = (counts[:, : self.blocks_w].sum(1) > 0) & (counts[:, self.blocks_w :].sum(1) > 0)
        unit = frame.level(("side", "host", "method", "route", "container"))
        known: Mask = (unit.sum(seen.astype(np.float64)) > 0)[unit.group]
        return known

    def above(self, q: float) -> Floats:
        """[keys, blocks]: requests slower than the quantile q of their own place's baseline."""
        if q not in self.slower:
            limit = self._own_quantile(q) if q >= 0 else np.full(self.keys, -1)
            self.slower[q] = self._grid(self.bucket > limit[self.key])
        return self.slower[q]

    def _grid(self, rows: Mask) -> Floats:
        place = self.key[rows] * self.blocks + self.block[rows]
        size = self.keys * self.blocks
        heap = np.bincount(place, weights=self.requests[rows], minlength=size)
        return heap.astype(np.float64).reshape(self.keys, self.blocks)

    def _own_quantile(self, q: float) -> Ints:
        """[keys]: the bucket below which a part q of the place's baseline lies."""
        before = self.block >= self.blocks_w
        code, back = np.unique(
            self.key[before] * BUCKETS + self.bucket[before], return_inverse=True
        )
        heap = np.bincount(back, weights=self.requests[before], minlength=code.size)
        key = code // BUCKETS
        total = np.bincount(key, weights=heap, minlength=self.keys)
        running = np.cumsum(heap)
        start = np.concatenate([[0.0], np.cumsum(total)])[:-1]
        reached = running - start[key] >= q * total[key] - 1e-9
        limit = np.full(self.keys, BUCKETS, dtype=np.int64)
        np.minimum.at(limit, key[reached], (code % BUCKETS)[reached])
        return limit


def load(con: duckdb.DuckDBPyConnection, frame: Frame) -> Durations:
    column = arrays(con, "durations", block=frame.block_minutes)
    places = np.array(frame.places, dtype=np.uint64)
    unique, first = np.unique(places, return_index=True)
    key = first[np.searchsorted(unique, column["place"])]
    block = frame.starts[column["span"]] + column["block"]
    bucket = np.clip(column["bucket"], FIRST_BUCKET, LAST_BUCKET) - FIRST_BUCKET
    blocks_w = frame.window.shape[1]
    return Durations(
        key=key.astype(np.int64),
        block=block.astype(np.int64),
        bucket=bucket.astype(np.int64),
        requests=column["requests"],
        blocks_w=blocks_w,
        blocks=blocks_w + frame.baseline.shape[1],
        keys=frame.size,
    )


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    heap = histogram.cumsum(-1)
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


def find(
    frame: Frame, durations: Durations, dims: tuple[str, ...], limits: Limits, within: Mask
) -> list[Tested]:
    level = frame.level(dims)
    totals = durations.counts()
    within = within & durations.both(frame)
    w = level.sum(totals[:, : durations.blocks_w].sum(1) * within)
    b = level.sum(totals[:, durations.blocks_w :].sum(1) * within)
    able = np.flatnonzero((w >= QUANTILES[0][2]) & (b >= QUANTILES[0][2]))
    if able.size == 0:
        return []
    number = np.full(level.size, -1)
    number[able] = np.arange(able.size)
    histogram = durations.histogram(np.where(within, number[level.group], -1), able.size)
    counts = histogram.sum(-1)
    found: list[Tested] = []
    for q, metric, least, each in QUANTILES:
        rows = np.flatnonzero((w[able] >= least) & (b[able] >= least))
        if rows.size == 0:
            continue
        values = np.log(quantiles(histogram[rows], q))
        values[counts[rows] < each] = np.nan
        w_values, b_values = values[:, : durations.blocks_w], values[:, durations.blocks_w :]
        chance = _chance(histogram[rows], counts[rows], q)
        halves = chance[:, : durations.blocks_w], chance[:, durations.blocks_w :]
        runs = scan(w_values, b_values, limits.latency_drift, limits, halves)

        def build(
            i: int, rows: Ints = rows, runs: Runs = runs, measure: tuple[float, str] = (q, metric)
        ) -> Candidate:
            g = int(able[rows[i]])
            key = dict(zip(level.dims, level.values[g], strict=True))
            scope = (level.group == g) & within
            return _candidate(frame, durations, scope, key, histogram[rows[i]], measure, i, runs)

        found.append(tested(runs.p, limits.q, build))
    return found


def _chance(histogram: Floats, counts: Floats, q: float) -> Floats:
    """Variance of the log of each block's quantile if requests were independent log-normals."""
    whole = histogram.sum(1)
    spread = np.log(quantiles(whole, 0.84) / quantiles(whole, 0.16)) / 2
    value: Floats = _FACTOR[q] * (spread * spread)[:, None] / np.maximum(counts, 1)
    return value


def _candidate(
    frame: Frame,
    durations: Durations,
    scope: Mask,
    key: dict[str, Any],
    histogram: Floats,
    measure: tuple[float, str],
    i: int,
    runs: Runs,
) -> Candidate:
    q, metric = measure
    began, ended = int(runs.began[i]), int(runs.ended[i])
    before, run = histogram[durations.blocks_w :].sum(0), histogram[began:ended].sum(0)
    value_w, value_b = float(quantiles(run, q)), float(quantiles(before, q))
    change = value_w / value_b if value_b and math.isfinite(value_w) else 1.0
    now, due = alike(durations, scope, began, ended)
    net = float(quantiles(now, q) / quantiles(due, q)) if due.any() and now.any() else 1.0
    error = math.sqrt(float(runs.dispersion[i]) * (1 / max(ended - began, 1) + 1 / 12))
    run_excess, run_volume = slowed(durations, scope, q, began, ended)
    excess, volume = slowed(durations, scope, q, 0, durations.blocks_w)
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

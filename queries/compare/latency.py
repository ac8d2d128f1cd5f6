"""Latency: p50, p95 and p99, each on its own, from the block histograms of durations.

Each block gives one quantile; the blocks are the sample. Their spread already holds the noise
that a slow minute brings to all of its requests, which a test on single requests would not know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from queries.compare.candidate import Candidate
from queries.compare.frame import FIRST_BUCKET, LAST_BUCKET, Frame, arrays
from queries.compare.limits import Limits
from queries.compare.shares import Runs
from queries.compare.stats import Floats, Ints, Mask, intervals, run_sums, t_tail

if TYPE_CHECKING:
    import duckdb

BUCKETS = LAST_BUCKET - FIRST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(FIRST_BUCKET, LAST_BUCKET + 1) - 0.5)  # milliseconds
QUANTILES = ((0.5, "p50_ms", 40, 4), (0.95, "p95_ms", 200, 15), (0.99, "p99_ms", 1000, 60))


@dataclass(frozen=True)
class Durations:
    """One row a place, block and bucket; `key` is the first of the place's keys."""

    key: Ints
    block: Ints  # window blocks first, then those of the baseline
    bucket: Ints
    requests: Floats
    blocks_w: int
    blocks: int

    def histogram(self, group: Ints, groups: int) -> Floats:
        """[groups, blocks, buckets] of requests; `group` maps keys, -1 leaves a key out."""
        g = group[self.key]
        inside = g >= 0
        place = (g[inside] * self.blocks + self.block[inside]) * BUCKETS + self.bucket[inside]
        size = groups * self.blocks * BUCKETS
        heap = np.bincount(place, weights=self.requests[inside], minlength=size)
        return heap.astype(np.float64).reshape(groups, self.blocks, BUCKETS)


def load(con: duckdb.DuckDBPyConnection, frame: Frame) -> Durations:
    column = arrays(con, "durations", block=frame.block_minutes)
    places = np.array(frame.places, dtype=np.uint64)
    unique, first = np.unique(places, return_index=True)
    key = first[np.searchsorted(unique, column["place"])]
    blocks_w = frame.window.shape[1]
    block = frame.starts[column["span"]] + column["block"]
    bucket = np.clip(column["bucket"], FIRST_BUCKET, LAST_BUCKET) - FIRST_BUCKET
    blocks = blocks_w + frame.baseline.shape[1]
    return Durations(
        key.astype(np.int64),
        block.astype(np.int64),
        bucket.astype(np.int64),
        column["requests"],
        blocks_w,
        blocks,
    )


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    heap = histogram.cumsum(-1)
    total = heap[..., -1:]
    target = q * total
    at = np.minimum((heap < target).sum(-1), BUCKETS - 1)
    below = np.where(
        at > 0, np.take_along_axis(heap, np.maximum(at - 1, 0)[..., None], -1)[..., 0], 0.0
    )
    inside = np.take_along_axis(histogram, at[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(inside > 0, (target[..., 0] - below) / inside, 0.5)
    value = MIDDLES[at] * 1.1 ** (np.clip(step, 0, 1) - 0.5)
    return np.where(total[..., 0] > 0, value, np.nan)


def scan(w: Floats, b: Floats, limits: Limits) -> Runs:
    """t-test of every run of window blocks against all baseline blocks, on log quantiles."""
    starts, ends, price = intervals(w.shape[1])
    seen_w, seen_b = np.isfinite(w).astype(np.float64), np.isfinite(b).astype(np.float64)
    zero_w, zero_b = np.nan_to_num(w), np.nan_to_num(b)
    n, nb = run_sums(seen_w, starts, ends), seen_b.sum(1)[:, None]
    total, squares = run_sums(zero_w, starts, ends), run_sums(zero_w * zero_w, starts, ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, mean_b = total / n, zero_b.sum(1)[:, None] / nb
        spread = np.maximum(squares - n * mean * mean, 0)
        spread_b = (zero_b * zero_b).sum(1)[:, None] - nb * mean_b * mean_b
        own = np.where(n > 0, spread, 0) + np.maximum(spread_b, 0)
        df_own = np.maximum(n - 1, 0) + np.maximum(nb - 1, 0)
        common = _common(spread_b[:, 0], nb[:, 0])
        df = limits.prior_df + df_own
        variance = (limits.prior_df * common + own) / df
        t = (mean - mean_b) / np.sqrt(variance * (1 / n + 1 / nb))
    t = np.nan_to_num(t, posinf=0, neginf=0)
    p = np.minimum(1.0, t_tail(np.abs(t), df) * price)
    p[(n < 1) | (nb < 3)] = 1.0
    best = np.lexsort((-np.abs(t), p), axis=1)[:, 0]
    row = np.arange(w.shape[0])
    return Runs(p[row, best], starts[best], ends[best], t[row, best], variance[row, best])


def _common(spread: Floats, n: Floats) -> float:
    """The typical variance of a group's blocks, at least that of 5 % noise."""
    enough = n >= 4
    if not enough.any():
        return 0.15**2
    return max(float(np.median(spread[enough] / (n[enough] - 1))), 0.05**2)


def find(
    frame: Frame, durations: Durations, dims: tuple[str, ...], limits: Limits, within: Mask
) -> list[tuple[float, Candidate]]:
    level = frame.level(dims)
    group = np.where(within, level.group, -1)
    histogram = durations.histogram(group, level.size)
    found: list[tuple[float, Candidate]] = []
    for q, metric, least, each in QUANTILES:
        counts = histogram.sum(-1)
        w, b = counts[:, : durations.blocks_w], counts[:, durations.blocks_w :]
        able = np.flatnonzero((w.sum(1) >= least) & (b.sum(1) >= least))
        if able.size == 0:
            continue
        values = np.log(quantiles(histogram[able], q))
        values[counts[able] < each] = np.nan
        w_values, b_values = values[:, : durations.blocks_w], values[:, durations.blocks_w :]
        runs = scan(w_values, b_values, limits)
        for i, g in enumerate(able.tolist()):
            if runs.p[i] < 1:
                scope = (level.group == g) & within
                key = dict(zip(level.dims, level.values[g], strict=True))
                one = histogram[g]
                found.append((float(runs.p[i]), _candidate(
                    frame, scope, key, one, q, metric, i, runs, durations.blocks_w)))  # fmt: skip
    return found


def _candidate(
    frame: Frame, scope: Mask, key: dict[str, object], histogram: Floats, q: float, metric: str,
    i: int, runs: Runs, blocks_w: int,
) -> Candidate:  # fmt: skip
    began, ended = int(runs.began[i]), int(runs.ended[i])
    before = histogram[blocks_w:].sum(0)
    run = histogram[began:ended].sum(0)
    value_w, value_b = float(quantiles(run, q)), float(quantiles(before, q))
    change = value_w / value_b if value_b else math.inf
    error = math.sqrt(float(runs.dispersion[i]) * (1 / max(ended - began, 1) + 1 / 12))
    slow = float(run[value_b * 1.1 < MIDDLES].sum() - run.sum() * _above(before, value_b * 1.1))
    requests = np.where(scope, frame.window[:, began:ended].sum(1), 0.0)
    total = max(float(requests.sum()), 1.0)
    return Candidate(
        kind="latency",
        direction="up" if change >= 1 else "down",
        key=key,
        scope=scope,
        part=scope,
        excess=requests * (max(abs(slow), 1.0) / total),
        metric=metric,
        window=float(quantiles(histogram[:blocks_w].sum(0), q)),
        baseline=value_b,
        ratio=change,
        low=change * math.exp(-2 * error),
        high=change * math.exp(2 * error),
        p=float(runs.p[i]),
        began=began,
        ended=ended,
    )


def _above(histogram: Floats, value: float) -> float:
    total = float(histogram.sum())
    return float(histogram[value < MIDDLES].sum()) / total if total else 0.0


def matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    assert c.baseline is not None
    folds = c.ratio if c.direction == "up" else 1 / max(c.ratio, 1e-9)
    felt = abs(c.baseline * (c.ratio - 1))
    return folds >= limits.latency_ratio and felt >= limits.latency_ms and c.affected >= 10

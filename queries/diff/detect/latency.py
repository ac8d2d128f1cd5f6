"""Latency: p50, p95 and p99, each on its own, from the block histograms of durations.

Each block gives one quantile; the blocks are the sample. Their spread already holds the noise
that a slow minute brings to all of its requests, which a test on single requests would not know.
Which requests became slow is then counted against each place's own baseline quantile, so that
a mere shift of the mix between fast and slow endpoints is not taken for slowness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from queries.diff.candidate import Candidate, Tested, tested, whole_or_run
from queries.diff.durations import AT_ONCE, BUCKETS, Durations, quantiles, quantiles_of
from queries.diff.frame import Frame, Level
from queries.diff.limits import Limits
from queries.diff.stats import Floats, Ints, Mask, Runs, block_runs, bounds, ratio

# quantile, name, least requests a side, least requests a block
QUANTILES = ((0.5, "p50_ms", 40, 4), (0.95, "p95_ms", 200, 15), (0.99, "p99_ms", 1000, 60))
# q (1 - q) / density**2 of the normal distribution at its quantile q
_FACTOR = {0.5: 1.57, 0.95: 4.47, 0.99: 13.9}


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
        runs = block_runs(values[w_side], values[b_side], limits.latency_drift, limits, halves)

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
    most = max(AT_ONCE // (durations.blocks * BUCKETS), 1)
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
    cumulative = histogram.cumsum(-1)
    counts = cumulative[..., -1]
    found = []
    for q, _, _, each in QUANTILES:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(quantiles_of(histogram, cumulative, q))
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


_AT_ONCE = 8_000  # units whose histograms are in memory


def alike(durations: Durations, scope: Mask, began: int, ended: int) -> tuple[Floats, Floats]:
    """Histograms of the run as it was, and as it had been if each place had its usual durations.

    [buckets] each; both of the places that have durations in the baseline as well.
    """
    units = np.flatnonzero(scope[durations.unit.first])
    now = due = np.zeros(1)
    for start in range(0, units.size, _AT_ONCE):
        sides = durations.sides(units[start : start + _AT_ONCE], began, ended)
        run, usual = sides[:, 0], sides[:, 1]
        known = usual.sum(1) > 0
        weight = ratio(run.sum(1), usual.sum(1))
        now = now + run[known].sum(0)
        due = due + (usual * weight[:, None])[known].sum(0)
    return now, due


def slowed(
    frame: Frame, durations: Durations, scope: Mask, q: float, began: int, ended: int
) -> tuple[Floats, Floats]:
    """Per key: requests of the run slower than usual beyond the usual part, and all requests.

    A unit's requests are told of its first key.
    """
    first = durations.unit.first
    units = np.flatnonzero(scope[first])
    above, counts = durations.above(q, units)[units], durations.counts[units]
    w, base = slice(began, ended), slice(durations.blocks_w, None)
    usual = ratio(above[:, base].sum(1), counts[:, base].sum(1))
    excess, volume = np.zeros(frame.size), np.zeros(frame.size)
    run = np.where(counts[:, base].sum(1) > 0, counts[:, w].sum(1), 0.0)
    volume[first[units]] = run
    excess[first[units]] = np.where(run > 0, above[:, w].sum(1) - usual * run, 0.0)
    return excess, volume

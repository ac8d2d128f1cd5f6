"""Rates: is a group busier or quieter than before, net of what the whole traffic did?

The whole is the median ratio of the endpoints, not the total: in a retry storm the total grows,
and everything else would seem to fall.
"""

from __future__ import annotations

import numpy as np

from queries.compare.candidate import ENDPOINT, Candidate
from queries.compare.frame import Frame, Level
from queries.compare.limits import Limits
from queries.compare.shares import Runs, grouped
from queries.compare.stats import (
    Floats,
    Ints,
    Mask,
    intervals,
    ratio,
    run_sums,
    t_tail,
    weighted_median,
    xlogy,
)


def overall(frame: Frame, within: Mask) -> float:
    """How many times busier the typical endpoint is than in the baseline (1.0: the same)."""
    level = frame.level(("side", *ENDPOINT))
    w = level.sum(frame.window.sum(1) * within)
    b = level.sum(frame.baseline.sum(1) * within) * frame.scale
    enough = (w + b >= 10) & (w > 0) & (b > 0)
    if enough.sum() < 4:
        total_w, total_b = w.sum(), b.sum()
        return float(total_w / total_b) if total_w > 0 and total_b > 0 else 1.0
    logs = np.log((w[enough] + 0.5) / (b[enough] + 0.5))
    return float(np.exp(weighted_median(logs, np.log1p(w[enough] + b[enough]))))


def scan(n_w: Floats, n_b: Floats, s_w: Floats, s_b: Floats, factor: float, limits: Limits) -> Runs:
    """Quasi-Poisson of the window and of each of its suffixes against the baseline."""
    starts, ends, price = intervals(n_w.shape[1])
    keep = ends == n_w.shape[1]  # a burst inside the hour is what traffic is like: no inner runs
    starts, ends, price = starts[keep], ends[keep], price[keep] / 2
    n, time = run_sums(n_w, starts, ends), run_sums(s_w[None, :], starts, ends) * factor
    nb, time_b = n_b.sum(1)[:, None], float(s_b.sum())
    share = time / (time + time_b)
    both = n + nb
    deviance = 2 * (xlogy(n, ratio(n, both * share)) + xlogy(nb, ratio(nb, both * (1 - share))))
    rate_b = n_b.sum(1) / time_b
    spread_b, df_b = _spread(n_b, (rate_b[:, None] + 0.5 / time_b) * s_b[None, :])
    spread_w, df_w = _run_spread(n_w, s_w, n, run_sums(s_w[None, :], starts, ends), starts, ends)
    df = limits.prior_df + df_b + df_w
    top = limits.prior_df * limits.dispersion_rates + spread_b[:, None] + spread_w
    dispersion = np.maximum(1.0, top / df)
    t = np.sqrt(np.maximum(deviance, 0) / dispersion)
    p = np.minimum(1.0, t_tail(t, np.broadcast_to(df, t.shape)) * price)
    p[:, time[0] <= 0] = 1.0
    best = np.lexsort((-t, p), axis=1)[:, 0]
    row = np.arange(n.shape[0])
    return Runs(p[row, best], starts[best], ends[best], t[row, best], dispersion[row, best])


def _spread(n: Floats, expected: Floats) -> tuple[Floats, float]:
    terms = np.divide((n - expected) ** 2, expected, out=np.zeros_like(n), where=expected > 0)
    return terms.sum(1), max(float((expected[:1] > 0).sum()) - 1, 0.0)


def _run_spread(
    n_w: Floats, s_w: Floats, n: Floats, time: Floats, starts: Ints, ends: Ints
) -> tuple[Floats, Floats]:
    """Pearson's sum of each run around its own rate, from running sums of n and n^2 / seconds."""
    live = np.where(s_w > 0, s_w, 1.0)
    squares = run_sums(n_w * n_w / live, starts, ends)
    rate = (n + 0.5) / np.maximum(time, 1)
    filled = run_sums((s_w[None, :] > 0).astype(np.float64), starts, ends)
    return np.maximum((squares - 2 * rate * n + rate * rate * time) / rate, 0), filled - 1


def find(
    frame: Frame, dims: tuple[str, ...], limits: Limits, within: Mask, factor: float
) -> list[tuple[float, Candidate]]:
    level = frame.level(dims)
    inside = within[:, None]
    n_w, n_b = grouped(level, frame.window * inside), grouped(level, frame.baseline * inside)
    able = np.flatnonzero(
        (np.maximum(n_w.sum(1), n_b.sum(1) * frame.scale) >= limits.rate_count)
        & (n_w.sum(1) > 0)
        & (n_b.sum(1) > 0)
    )
    if able.size == 0:
        return []
    runs = scan(n_w[able], n_b[able], frame.seconds_w, frame.seconds_b, factor, limits)
    return [
        (float(runs.p[i]), _candidate(frame, level, g, i, runs, within, factor))
        for i, g in enumerate(able.tolist())
    ]


def _candidate(
    frame: Frame, level: Level, g: int, i: int, runs: Runs, within: Mask, factor: float
) -> Candidate:
    scope = (level.group == g) & within
    began, ended = int(runs.began[i]), int(runs.ended[i])
    n_b, time_b = float(frame.baseline[scope].sum()), float(frame.seconds_b.sum())
    run, time = float(frame.window[scope, began:ended].sum()), frame.seconds_w[began:ended].sum()
    expected = n_b * float(time) / time_b * factor
    change = (run + 0.5) / (expected + 0.5)
    error = float(np.sqrt(runs.dispersion[i] * (1 / (run + 0.5) + 1 / (n_b + 0.5))))
    scale = float(time) / time_b * factor
    excess = np.where(scope, frame.window[:, began:ended].sum(1), 0.0)
    excess -= np.where(scope, frame.baseline.sum(1), 0.0) * scale
    return Candidate(
        kind="rate",
        direction="up" if change >= 1 else "down",
        key=dict(zip(level.dims, level.values[g], strict=True)),
        scope=scope,
        part=scope,
        excess=excess,
        metric="per_s",
        window=float(frame.window[scope].sum() / frame.seconds_w.sum()),
        baseline=n_b / time_b,
        ratio=change,
        low=change * float(np.exp(-2 * error)),
        high=change * float(np.exp(2 * error)),
        p=float(runs.p[i]),
        began=began,
        ended=ended,
    )


def matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / c.ratio
    return folds >= limits.rate_ratio and c.affected >= limits.rate_count

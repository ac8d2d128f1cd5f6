"""Size of good answers: bytes a request, block by block, tested like a latency."""

from __future__ import annotations

import math

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate, Tested, tested
from queries.diff.frame import Frame, grouped
from queries.diff.limits import Limits
from queries.diff.stats import Floats, Mask, block_runs, bounds, ratio

_LEAST = 3  # requests a block


def find(frame: Frame, dims: tuple[str, ...], limits: Limits, within: Mask) -> Tested:
    level = frame.level(dims)
    good = within & ~frame.failed
    n_w, n_b = grouped(level, frame.window, good), grouped(level, frame.baseline, good)
    r_w, r_b = grouped(level, frame.received_w, good), grouped(level, frame.received_b, good)
    able = np.flatnonzero((n_w.sum(1) >= 40) & (n_b.sum(1) >= 40) & (r_b.sum(1) > 0))
    if able.size == 0:
        return Tested()
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(n_w[able] >= _LEAST, np.log((r_w[able] + 1) / n_w[able]), np.nan)
        b = np.where(n_b[able] >= _LEAST, np.log((r_b[able] + 1) / n_b[able]), np.nan)
    runs = block_runs(w, b, limits.latency_drift, limits)

    def build(i: int) -> Candidate:
        g = int(able[i])
        began, ended = int(runs.began[i]), int(runs.ended[i])
        run = float(r_w[g, began:ended].sum() / max(n_w[g, began:ended].sum(), 1))
        base = float(r_b[g].sum() / n_b[g].sum())
        change = (run + 1) / (base + 1)
        error = math.sqrt(float(runs.dispersion[i]) * (1 / max(ended - began, 1) + 1 / 12))
        scope = (level.group == g) & good
        requests = np.where(scope, frame.window[:, began:ended].sum(1), 0.0)
        return Candidate(
            kind="size",
            direction="up" if change >= 1 else "down",
            key=dict(zip(level.dims, level.values[g], strict=True)),
            scope=scope,
            part=scope,
            excess=_alike(frame, good, change, began, ended)
            * requests
            * (1 if change >= 1 else -1),
            volume=requests,
            metric="bytes_received",
            window=float(r_w[g].sum() / n_w[g].sum()),
            baseline=base,
            ratio=change,
            low=bounds(change, error)[0],
            high=bounds(change, error)[1],
            p=float(runs.p[i]),
            began=began,
            ended=ended,
        )

    return tested(runs.p, limits.q, build)


def _alike(frame: Frame, good: Mask, change: float, began: int, ended: int) -> Floats:
    """Per key: how much of the common change its own endpoint shows, 0 to 1.5.

    A host's answers also get smaller when its large endpoints are called less; then no single
    endpoint shows the change, and it is none.
    """
    level = frame.level(("side", *ENDPOINT))
    run = slice(began, ended)
    sums = [
        level.sum(np.where(good, values, 0.0))
        for values in (
            frame.received_w[:, run].sum(1),
            frame.window[:, run].sum(1),
            frame.received_b.sum(1),
            frame.baseline.sum(1),
        )
    ]
    both = (sums[1] >= 1) & (sums[3] >= 1)
    logs = np.log((ratio(sums[0], sums[1]) + 1) / (ratio(sums[2], sums[3]) + 1))
    common = math.log(change)
    shown = np.where(both, logs / (common if abs(common) > 1e-6 else 1e-6), 0.0)
    part: Floats = np.clip(shown, 0.0, 1.5)[level.group]
    return part


def matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / max(c.ratio, 1e-9)
    bytes_each = abs((c.window or 0.0) - (c.baseline or 0.0))
    shown = c.affected / max(float(c.volume.sum()), 1.0)
    return folds >= limits.size_ratio and bytes_each >= 64 and c.affected >= 20 and shown >= 0.5

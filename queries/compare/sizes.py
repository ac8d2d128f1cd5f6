"""Size of good answers: bytes a request, block by block, tested like a latency."""

from __future__ import annotations

import math

import numpy as np

from queries.compare.candidate import Candidate
from queries.compare.frame import Frame
from queries.compare.latency import scan
from queries.compare.limits import Limits
from queries.compare.stats import Mask
from queries.compare.tally import grouped
from queries.compare.tested import Tested, tested

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
    runs = scan(w, b, limits.latency_drift, limits)

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
            excess=requests if change >= 1 else -requests,
            volume=requests,
            metric="bytes_received",
            window=float(r_w[g].sum() / n_w[g].sum()),
            baseline=base,
            ratio=change,
            low=change * math.exp(-2 * error),
            high=change * math.exp(2 * error),
            p=float(runs.p[i]),
            began=began,
            ended=ended,
        )

    return tested(runs.p, limits.q, build)


def matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / max(c.ratio, 1e-9)
    bytes_each = abs((c.window or 0.0) - (c.baseline or 0.0))
    return folds >= limits.size_ratio and bytes_each >= 64 and c.affected >= 20

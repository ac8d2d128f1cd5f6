"""Sizes of good answers: the mean of each block, on logs, beyond a band."""

from __future__ import annotations

import math

import numpy as np

from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.frame import Frame
from queries.diff.stats import Floats, Moments, best, bounds, mean_z, moments, ratio, runs_of

LEVELS: tuple[tuple[str, ...], ...] = (("side", *ENDPOINT),)
_SPREAD = 0.02  # variance of log means that blocks always have
_REQUESTS = 5


def sizes(frame: Frame, dims: tuple[str, ...]) -> list[Candidate]:
    """Endpoints whose good answers became larger or smaller."""
    level = frame.level(dims)
    good = frame.own & ~frame.failed
    n, nb = level.sums(frame.window, good), level.sums(frame.baseline, good)
    r, rb = level.sums(frame.received_w, good), level.sums(frame.received_b, good)
    able = np.flatnonzero((n.sum(1) >= _REQUESTS) & (nb.sum(1) >= _REQUESTS))
    if not able.size:
        return []
    n, nb, r, rb = (x[able] for x in (n, nb, r, rb))
    runs = runs_of(n.shape[1])
    sums = [x.sum(1)[:, None] for x in _powers(nb, rb)]
    base = moments(sums[0], sums[1], sums[2], _SPREAD)
    sums = [runs.sums(x) for x in _powers(n, r)]
    own = moments(sums[0], sums[1], sums[2], _SPREAD)
    shared = np.maximum(own.variance, base.variance)
    z, run = best(mean_z(Moments(own.n, own.mean, shared), base, limits.BAND), runs)
    bar = limits.bar(able.size)
    changed = []
    for i in np.flatnonzero(np.abs(z) >= bar).tolist():
        where = int(runs.starts[run[i]]), int(runs.ends[run[i]])
        run_n, run_r = (float(x[i, slice(*where)].sum()) for x in (n, r))
        now, was = run_r / run_n, float(rb[i].sum() / nb[i].sum())
        folds = max((now + 1) / (was + 1), (was + 1) / (now + 1))
        if folds < math.exp(limits.BAND) or abs(now - was) < limits.BYTES:
            continue
        scope = (level.group == int(able[i])) & good
        requests = np.where(scope, frame.window[:, slice(*where)].sum(1), 0.0)
        up = now > was
        error = math.sqrt(float(shared[i, run[i]]) * (1 / max(run_n, 1) + 1 / float(base.n[i, 0])))
        low, high = bounds((now + 1) / (was + 1), error)
        changed.append(Candidate(
            kind="size", direction="up" if up else "down", key=level.key(int(able[i])),
            scope=scope, part=scope, excess=requests if up else -requests, volume=requests,
            metric="bytes_received", window=now, baseline=was, low=low, high=high,
            z=abs(float(z[i])), began=where[0], ended=where[1],
        ))  # fmt: skip
    return changed


def _powers(n: Floats, received: Floats) -> tuple[Floats, Floats, Floats]:
    """Whether a block has requests, and of those that have: log bytes each, and their squares."""
    there = (n > 0).astype(np.float64)
    logs = np.log(ratio(received, n) + 1) * there
    return there, logs, logs * logs

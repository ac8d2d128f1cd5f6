"""Sizes of good answers: the mean of each block, on logs, beyond a band."""

from __future__ import annotations

import math

import numpy as np

from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.frame import Frame
from queries.diff.stats import (
    Floats,
    Moments,
    band,
    best,
    bounds,
    mean_z,
    middle,
    moments,
    ratio,
    runs_of,
)

LEVELS: tuple[tuple[str, ...], ...] = (("side", *ENDPOINT),)
_SPREAD = 0.02  # variance of log means that blocks always have
_REQUESTS = 5


def sizes(frame: Frame, dims: tuple[str, ...]) -> list[Candidate]:
    """Endpoints whose good answers became larger or smaller."""
    level = frame.level(dims)
    good = frame.own & ~frame.failed
    n, nb = level.sums(frame.window, good), level.sums(frame.baseline, good)
    r, rb = level.sums(frame.received_w, good), level.sums(frame.received_b, good)
    n_p, r_p = level.sums(frame.past, good), level.sums(frame.received_p, good)
    able = np.flatnonzero(
        (n.sum(1) >= _REQUESTS) & (np.maximum(nb.sum(1), n_p.sum(1)) >= _REQUESTS)
    )
    if not able.size:
        return []
    n, nb, n_p, r, rb, r_p = (x[able] for x in (n, nb, n_p, r, rb, r_p))
    runs = runs_of(n.shape[1])
    base = _moments(nb, rb)
    logs, there = _logs(n, r)
    sums = [runs.sums(x) for x in (there, logs * there, logs * logs * there)]
    own = moments(sums[0], sums[1], sums[2], _SPREAD)
    shared = np.maximum(own.variance, base.variance[:, None])
    window = Moments(own.n, own.mean, shared)
    z, run = best(_z(window, base, limits.BAND), runs)
    usual = np.zeros(z.size, dtype=bool)
    if n_p.shape[1] >= limits.KNOWN:
        logs_p, there_p = _logs(n_p, r_p)
        logs_p = np.where(there_p > 0, logs_p, np.nan)
        variances = np.broadcast_to(base.variance[:, None] / np.maximum(n_p, 1), n_p.shape)
        drift = band(logs_p - middle(logs_p)[:, None], variances, limits.BAND)
        z_u, run_u = best(_z(window, _moments(n_p, r_p), drift), runs)
        lately = np.abs(base.mean - own.mean[:, 0]) > limits.BAND / 2  # what changed long ago ...
        usual = (np.abs(z_u) > np.abs(z)) & (lately | (base.n < 2))  # ... is no news
        z, run = np.where(usual, z_u, z), np.where(usual, run_u, run)
    bar = limits.bar(able.size)
    changed = []
    for i in np.flatnonzero(np.abs(z) >= bar).tolist():
        where = int(runs.starts[run[i]]), int(runs.ends[run[i]])
        run_n, run_r = (float(x[i, slice(*where)].sum()) for x in (n, r))
        now, was = run_r / run_n, _mean(rb[i], nb[i])
        if usual[i]:
            was = _mean(r_p[i], n_p[i])
        folds = max((now + 1) / (was + 1), (was + 1) / (now + 1))
        if folds < math.exp(limits.BAND) or abs(now - was) < limits.BYTES:
            continue
        scope = (level.group == int(able[i])) & good
        requests = np.where(scope, frame.window[:, slice(*where)].sum(1), 0.0)
        up = now > was
        error = math.sqrt(float(shared[i, run[i]]) * (1 / max(run_n, 1) + 1 / max(base.n[i], 1)))
        low, high = bounds((now + 1) / (was + 1), error)
        changed.append(Candidate(
            kind="size",
            direction="up" if up else "down",
            key=dict(zip(level.dims, level.values[int(able[i])], strict=True)),
            scope=scope,
            part=scope,
            excess=requests if up else -requests,
            volume=requests,
            metric="bytes_received",
            window=now,
            baseline=was,
            low=low,
            high=high,
            z=abs(float(z[i])),
            began=where[0],
            ended=where[1],
            against="usual" if usual[i] else "baseline",
        ))  # fmt: skip
    return changed


def _z(window: Moments, side: Moments, wide: Floats | float) -> Floats:
    against = Moments(side.n[:, None], side.mean[:, None], side.variance[:, None])
    return mean_z(window, against, np.reshape(wide, (-1, 1)))


def _mean(received: Floats, n: Floats) -> float:
    return float(received.sum()) / max(float(n.sum()), 1.0)


def _logs(n: Floats, received: Floats) -> tuple[Floats, Floats]:
    there = (n > 0).astype(np.float64)
    return np.log(ratio(received, n) + 1), there


def _moments(n: Floats, received: Floats) -> Moments:
    logs, there = _logs(n, received)
    return moments(there.sum(1), (logs * there).sum(1), (logs * logs * there).sum(1), _SPREAD)

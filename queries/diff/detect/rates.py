"""Rates: is a group busier or quieter than before, net of what the whole traffic did?

The whole is the median ratio of the endpoints, not the total: in a retry storm the total grows,
and everything else would seem to fall. How much a group's rate drifts between quiet hours is
learned from the past, and taken as large where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate, Tested, one_end, tested, whole_or_run
from queries.diff.frame import Frame, Level, Tally, tally
from queries.diff.limits import Limits
from queries.diff.stats import (
    Floats,
    Ints,
    Mask,
    Runs,
    best_runs,
    bounds,
    intervals,
    run_sums,
    weighted_median,
)

_ASSUMED = 20.0  # degrees of freedom of a drift that the past did not show
_PRIOR = 10  # endpoints that the drift assumed without a past is worth
_QUANTILES = ((0.5, 0.455), (0.9, 2.706))  # of chi-squared with one degree of freedom


@dataclass(frozen=True)
class TypicalChange:
    """What the endpoints together did: the typical change now and in each past span, against the
    baseline, and how much their rates drift between quiet hours (variance of the log)."""

    factor: float
    past: Floats
    drift: float


def usual(frame: Frame, within: Mask, limits: Limits) -> TypicalChange:
    """How many times busier the typical endpoint is, and how far endpoints stray from it."""
    level = frame.level(ENDPOINT)
    counts = tally(frame, level, within)
    b = counts.baseline.sum(1) / max(float(frame.seconds_b.sum()), 1.0)
    window = _typical(counts.window.sum(1) / max(float(frame.seconds_w.sum()), 1.0), b, frame)
    past = [
        _typical(column / max(seconds, 1.0), b, frame)
        for column, seconds in zip(counts.history.T, frame.seconds_h.tolist(), strict=True)
    ]
    return TypicalChange(window, np.array(past), _peers(counts, frame, window, limits))


def _peers(n: Tally, frame: Frame, factor: float, limits: Limits) -> float:
    """Drift that the endpoints show among themselves, shrunk towards the one assumed.

    Without a past, the other endpoints of the same two hours tell how much a quiet one drifts.
    Median and ninth decile of their squared changes each give a variance; the larger counts, and
    neither minds an incident in a tenth of them.
    """
    assumed = limits.rate_drift**2
    w, b = n.window.sum(1), n.baseline.sum(1)
    known = (w >= limits.rate_count) & (b >= limits.rate_count)
    if limits.calibrated or not known.any():
        return assumed
    w, b = w[known], b[known]
    squares = np.log(w / b / (frame.scale * factor)) ** 2
    chance = limits.dispersion_rates * (1 / w + 1 / b)
    low, high = 0.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        scaled = squares / (2 * middle + chance)
        more = any(float(np.quantile(scaled, q)) > due for q, due in _QUANTILES)
        low, high = (middle, high) if more else (low, middle)
    shown = max(high, limits.rate_peers**2)
    return float((_PRIOR * assumed + w.size * shown) / (_PRIOR + w.size))


def _typical(rate: Floats, base: Floats, frame: Frame) -> float:
    seconds = float(frame.seconds_w.sum())
    # one that fell to nothing tells of the whole as well: without those, thin hours seem fuller
    enough = (rate + base) * seconds >= 10
    if enough.sum() < 4:
        total, total_b = float(rate.sum()), float(base.sum())
        return total / total_b if total > 0 and total_b > 0 else 1.0
    few = 0.5 / seconds
    logs = np.log((rate[enough] + few) / (base[enough] + few))
    weights = np.sqrt((rate[enough] + base[enough]) * seconds)
    return float(np.exp(weighted_median(logs, weights)))


def scan(n: Tally, frame: Frame, usual: TypicalChange, limits: Limits) -> tuple[Runs, Floats]:
    """t of the log ratio of the window, and of each of its suffixes; and the drift allowed for."""
    starts, ends, price = intervals(n.window.shape[1])
    keep = ends == n.window.shape[1]  # a burst inside the hour is what traffic is like
    starts, ends, price = starts[keep], ends[keep], price[keep] / 2
    time = run_sums(frame.seconds_w[None, :], starts, ends)
    time_b = float(frame.seconds_b.sum())
    run, base = run_sums(n.window, starts, ends), n.baseline.sum(1)[:, None]
    change = np.log((run + 0.5) / np.maximum(time, 1)) - np.log((base + 0.5) / time_b)
    change -= np.log(usual.factor)
    noise, df_noise = _noise(n, frame, run, time, starts, ends, limits)
    drift, drift_df = _drift(n, frame, usual, limits)
    counting = noise * _chance(run, base, time * usual.factor, time_b)
    t = change / np.sqrt(counting + 2 * drift[:, None])
    # each of the two spreads was measured; the certainty is that of the larger one (Welch)
    both = counting + 2 * drift[:, None]
    df = both**2 / (counting**2 / df_noise + (2 * drift**2)[:, None] ** 2 / drift_df[:, None])
    if limits.calibrated:
        long = _against_past(n, frame, run, time, usual, drift, noise)
        t = np.where(np.sign(t) == np.sign(long), np.sign(t) * np.minimum(abs(t), abs(long)), 0)
    t[:, time[0] <= 0] = 0.0
    p, best = best_runs(np.abs(t), df, price)
    row = np.arange(p.size)
    return Runs(p, starts[best], ends[best], t[row, best], noise[row, best]), drift


def _chance(run: Floats, base: Floats, time: Floats, time_b: float) -> Floats:
    """Variance of the log ratio of two counts, by the likelihood ratio of independent requests.

    1 / run + 1 / base is the same for small changes, and far too careful about a fall: the few
    requests that are left would be the measure of how many could have been missing by chance.
    """
    r, b = np.broadcast_arrays(run + 0.5, base + 0.5)
    pooled = (r + b) / (np.maximum(time, 1.0) + time_b)
    due, due_b = pooled * np.maximum(time, 1.0), pooled * time_b
    change = np.log(r / due) - np.log(b / due_b)
    deviance = 2 * (r * np.log(r / due) + b * np.log(b / due_b))
    wald = 1 / r + 1 / b
    return np.where(np.abs(change) > 0.05, change**2 / np.maximum(deviance, 1e-12), wald)


def _noise(
    n: Tally, frame: Frame, run: Floats, time: Floats, starts: Ints, ends: Ints, limits: Limits
) -> tuple[Floats, Floats]:
    """Spread of the blocks around their own rate, over that of independent requests."""
    time_b = float(frame.seconds_b.sum())
    expected = (n.baseline.sum(1)[:, None] + 0.5) / time_b * frame.seconds_b[None, :]
    live = expected > 0
    terms = np.divide(
        (n.baseline - expected) ** 2, expected, out=np.zeros_like(expected), where=live
    )
    seconds = np.where(frame.seconds_w > 0, frame.seconds_w, 1.0)
    squares = run_sums(n.window * n.window / seconds, starts, ends)
    rate = (run + 0.5) / np.maximum(time, 1)
    spread = np.maximum((squares - 2 * rate * run + rate * rate * time) / rate, 0)
    filled = run_sums((frame.seconds_w[None, :] > 0).astype(np.float64), starts, ends)
    # a block with less than a cluster of requests says little about how clustered they are
    telling = _telling(expected, limits)
    telling_w = _telling(run / np.maximum(filled, 1), limits)
    df_b = np.maximum(telling.sum(1) - telling.max(1, initial=0), 0)[:, None]
    df = limits.prior_df + df_b + telling_w * np.maximum(filled - 1, 0)
    top = limits.prior_df * limits.dispersion_rates + (terms * telling).sum(1)[:, None]
    top = top + spread * telling_w
    return np.maximum(1.0, top / df), df


def _telling(requests: Floats, limits: Limits) -> Floats:
    """How much a block of that many requests tells of their dispersion, 0 to 1."""
    clusters = 2 * requests / limits.dispersion_rates
    return clusters / (1 + clusters)


def _drift(n: Tally, frame: Frame, usual: TypicalChange, limits: Limits) -> tuple[Floats, Floats]:
    """Variance of the log rate between past spans beyond counting noise, shrunk to the common."""
    groups = n.window.shape[0]
    least = limits.rate_drift**2
    if not limits.calibrated:
        return np.full(groups, usual.drift), np.full(groups, _ASSUMED)
    logs = np.log((n.history + 0.5) / np.maximum(frame.seconds_h, 1)) - np.log(usual.past)
    mean = n.history.mean(1)
    spread = logs.var(1, ddof=1)
    counting = limits.dispersion_rates / (mean + 0.5)
    own = np.maximum(spread - counting, 0)
    known = mean >= 20
    common = max(float(np.median(own[known])) if known.any() else least, least)
    df = float(n.history.shape[1] - 1)
    drift = (limits.prior_df * common + df * np.maximum(own, least)) / (limits.prior_df + df)
    return drift, np.full(groups, limits.prior_df + df)


def _against_past(
    n: Tally,
    frame: Frame,
    run: Floats,
    time: Floats,
    usual: TypicalChange,
    drift: Floats,
    noise: Floats,
) -> Floats:
    """t of the window against the mean of the past: a strange baseline alone is no change."""
    rate = (n.history + 0.5) / np.maximum(frame.seconds_h, 1) / usual.past
    mean = np.exp(np.log(rate).mean(1))[:, None]
    change = np.log((run + 0.5) / np.maximum(time, 1) / usual.factor) - np.log(mean)
    due = mean * np.maximum(time, 1) * usual.factor
    deviance = 2 * ((run + 0.5) * np.log((run + 0.5) / due) - (run + 0.5 - due))
    counting = noise * np.where(
        np.abs(change) > 0.05, change**2 / np.maximum(deviance, 1e-12), 1 / (run + 0.5)
    )
    t: Floats = change / np.sqrt(counting + drift[:, None] * (1 + 1 / usual.past.size))
    return t


def find(
    frame: Frame,
    dims: tuple[str, ...],
    limits: Limits,
    within: Mask,
    usual: TypicalChange,
    once: Frame,
) -> Tested:
    level = frame.level(dims)
    counts = tally(frame if "side" in dims else once, level, within)
    w, b = counts.window.sum(1), counts.baseline.sum(1)
    able = np.flatnonzero(
        (np.maximum(w, b * frame.scale * usual.factor) >= limits.rate_count) & (w > 0) & (b > 0)
    )
    if able.size == 0:
        return Tested()
    runs, drift = scan(counts.of(able), frame, usual, limits)
    return tested(
        runs.p,
        limits.q,
        lambda i: _candidate(
            frame, level, int(able[i]), i, runs, within, usual.factor, float(drift[i])
        ),
    )


def _candidate(
    frame: Frame,
    level: Level,
    g: int,
    i: int,
    runs: Runs,
    within: Mask,
    factor: float,
    drift: float,
) -> Candidate:
    scope = (level.group == g) & within
    began, ended = int(runs.began[i]), int(runs.ended[i])
    n_b, time_b = float(frame.baseline[scope].sum()), float(frame.seconds_b.sum())
    time = float(frame.seconds_w[began:ended].sum())
    run = float(frame.window[scope, began:ended].sum())
    scale = time / time_b * factor
    expected = np.where(scope, frame.baseline.sum(1), 0.0) * scale
    change = (run + 0.5) / (float(expected.sum()) + 0.5)
    in_run = np.where(scope, frame.window[:, began:ended].sum(1), 0.0) - expected
    due = np.where(scope, frame.baseline.sum(1), 0.0) * (
        float(frame.seconds_w.sum()) / time_b * factor
    )
    whole = np.where(scope, frame.window.sum(1), 0.0) - due
    use_whole = whole_or_run(whole, in_run)
    counting = float(runs.dispersion[i]) * (1 / (run + 0.5) + 1 / (n_b + 0.5))
    error = float(np.sqrt(counting + 2 * drift))
    return Candidate(
        kind="rate",
        direction="up" if change >= 1 else "down",
        key=dict(zip(level.dims, level.values[g], strict=True)),
        scope=scope,
        part=scope,
        excess=whole if use_whole else in_run,
        volume=due if use_whole else expected,
        metric="per_s",
        window=float(frame.window[scope].sum() / frame.seconds_w.sum()),
        baseline=n_b / time_b,
        ratio=change,
        low=bounds(change, error)[0],
        high=bounds(change, error)[1],
        p=float(runs.p[i]),
        began=began,
        ended=ended,
        in_run=one_end(in_run, frame.incoming),
        run_volume=one_end(expected, frame.incoming),
        noise=float(runs.dispersion[i]),
    )


def matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / c.ratio
    return folds >= limits.rate_ratio and abs(c.in_run) >= limits.rate_count

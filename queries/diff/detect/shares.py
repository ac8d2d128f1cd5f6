"""Shares: does a larger or smaller part of a group's requests fail than before?

Quasi-binomial on blocks of minutes. Requests of one minute share their fate (retries, one slow
upstream), so the spread between blocks, not the number of requests, says what is unusual. Where
there are past hours, the change has to stand out from their spread as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queries.core.answer import Kind
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
    ratio,
    run_sums,
    xlogy,
)


def scan(n: Tally, e: Tally, drift: float, limits: Limits) -> Runs:
    """Quasi-likelihood ratio of every run of window blocks against the baseline and the past."""
    starts, ends, price = intervals(n.window.shape[1])
    run_n, run_e = run_sums(n.window, starts, ends), run_sums(e.window, starts, ends)
    base_n, base_e = n.baseline.sum(1), e.baseline.sum(1)
    past, past_df = past_dispersion(n, e, limits)
    spread_w, df_w = _run_spread(n.window, e.window, run_n, run_e, starts, ends)
    spread_b, df_b = _spread(n.baseline, e.baseline, (base_e + 0.5) / (base_n + 1))
    df = limits.prior_df + df_w + df_b[:, None]
    own = (limits.prior_df * limits.dispersion_shares + spread_w + spread_b[:, None]) / df
    dispersion = np.maximum(np.maximum(1.0, own), past[:, None])
    # a share drifts between quiet hours, in proportion to itself: more requests do not help
    usual = run_n * ((base_e + 0.5) / (base_n + 1))[:, None]
    dispersion = dispersion + 2 * drift**2 * usual
    t = _deviance(run_n, run_e, base_n, base_e, dispersion)
    if limits.calibrated:
        long_n, long_e = base_n + n.history.sum(1), base_e + e.history.sum(1)
        t = np.minimum(t, _deviance(run_n, run_e, long_n, long_e, dispersion))
        df = np.minimum(df, past_df[:, None])
    t[(run_n == 0) | (base_n[:, None] == 0)] = 0.0
    p, best = best_runs(t, df, price)
    row = np.arange(p.size)
    return Runs(p, starts[best], ends[best], t[row, best], dispersion[row, best])


def _deviance(n: Floats, e: Floats, base_n: Floats, base_e: Floats, dispersion: Floats) -> Floats:
    """Root of the likelihood ratio of two shares, scaled by the dispersion."""
    nb, eb = base_n[:, None], base_e[:, None]
    share, share_b = ratio(e, n), ratio(eb, nb)
    pooled = ratio(e + eb, n + nb)
    deviance = 2 * (
        xlogy(e, ratio(share, pooled))
        + xlogy(n - e, ratio(1 - share, 1 - pooled))
        + xlogy(eb, ratio(share_b, pooled))
        + xlogy(nb - eb, ratio(1 - share_b, 1 - pooled))
    )
    root: Floats = np.sqrt(np.maximum(deviance, 0) / dispersion)
    return root


def past_dispersion(n: Tally, e: Tally, limits: Limits) -> tuple[Floats, Floats]:
    """Spread of whole past hours over what chance alone gives, and its degrees of freedom."""
    all_n = np.concatenate([n.history, n.baseline.sum(1)[:, None]], axis=1)
    all_e = np.concatenate([e.history, e.baseline.sum(1)[:, None]], axis=1)
    share = (all_e.sum(1) + 0.5) / (all_n.sum(1) + 1)
    spread, df = _spread(all_n, all_e, share)
    if not limits.calibrated:
        return np.ones(spread.size), np.full(spread.size, limits.prior_df)
    known = (df >= 5) & (all_e.sum(1) >= 10)
    common = float(np.median(spread[known] / df[known])) if known.any() else 1.0
    common = max(common, limits.dispersion_shares)
    total = limits.prior_df + df
    return (limits.prior_df * common + spread) / total, total


def _spread(n: Floats, e: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Pearson's sum and its degrees of freedom, over the blocks that have requests."""
    expected = n * share[:, None]
    variance = expected * (1 - share[:, None])
    terms = np.divide((e - expected) ** 2, variance, out=np.zeros_like(n), where=variance > 0)
    return terms.sum(1), np.maximum((n > 0).sum(1) - 1.0, 0)


def _run_spread(
    n_w: Floats, e_w: Floats, n: Floats, e: Floats, starts: Ints, ends: Ints
) -> tuple[Floats, Floats]:
    squares = run_sums(ratio(e_w * e_w, n_w), starts, ends)
    filled = run_sums((n_w > 0).astype(np.float64), starts, ends)
    share = (e + 0.5) / (n + 1)
    spread = (squares - 2 * share * e + share * share * n) / (share * (1 - share))
    return np.maximum(spread, 0), np.maximum(filled - 1, 0)


def find(
    frame: Frame,
    dims: tuple[str, ...],
    part: Mask,
    kind: Kind,
    metric: str,
    limits: Limits,
    within: Mask,
    once: Frame,
) -> Tested:
    """All groups of a level whose share of `part` could have changed, tested.

    once: the frame in which a call that was recorded at both ends counts once.
    """
    level = frame.level(dims)
    counts = frame if "side" in dims else once
    n, e = tally(counts, level, within), tally(counts, level, part & within)
    able = np.flatnonzero(
        (np.maximum(e.window.sum(1), e.baseline.sum(1) * frame.scale) >= limits.min_errors)
        & (n.baseline.sum(1) > 0)
        & (n.window.sum(1) > 0)
    )
    if able.size == 0:
        return Tested()
    drift = limits.share_drift if dims else limits.share_drift / 2  # ups and downs cancel
    runs = scan(n.of(able), e.of(able), drift, limits)
    return tested(
        runs.p,
        limits.q,
        lambda i: candidate(
            frame, level, int(able[i]), i, runs, part & within, within, kind, metric
        ),
    )


def candidate(
    frame: Frame,
    level: Level,
    g: int,
    i: int,
    runs: Runs,
    part: Mask,
    within: Mask,
    kind: Kind,
    metric: str,
) -> Candidate:
    scope = (level.group == g) & within
    part = part & scope
    began, ended = int(runs.began[i]), int(runs.ended[i])
    n_w, e_w = float(frame.window[scope].sum()), float(frame.window[part].sum())
    n_b, e_b = float(frame.baseline[scope].sum()), float(frame.baseline[part].sum())
    requests = np.where(scope, frame.window[:, began:ended].sum(1), 0.0)
    run_n = max(float(requests.sum()), 1e-9)
    run_e = float(frame.window[part, began:ended].sum())
    base = e_b / n_b
    change = ((run_e + 0.5) / (run_n + 1)) / ((e_b + 0.5) / (n_b + 1))
    error = float(np.sqrt(runs.dispersion[i] * (1 / (run_e + 0.5) + 1 / (e_b + 0.5))))
    before = np.where(part, frame.baseline.sum(1), 0.0)
    run = np.where(part, requests, 0.0) - before * (run_n / n_b)
    everything = np.where(scope, frame.window.sum(1), 0.0)
    whole = np.where(part, everything, 0.0) - before * (n_w / n_b)
    use_whole = whole_or_run(whole, run)
    return Candidate(
        kind=kind,
        direction="up" if run_e / run_n >= base else "down",
        key=dict(zip(level.dims, level.values[g], strict=True)),
        scope=scope,
        part=part,
        excess=whole if use_whole else run,
        volume=everything if use_whole else requests,
        metric=metric,
        window=e_w / n_w,
        baseline=base,
        ratio=change,
        low=bounds(change, error)[0],
        high=bounds(change, error)[1],
        p=float(runs.p[i]),
        began=began,
        ended=ended,
        in_run=one_end(run, frame.incoming),
        run_volume=one_end(requests, frame.incoming),
        noise=float(runs.dispersion[i]),
    )


def matters(c: Candidate, limits: Limits) -> bool:
    """The floors: twice as often, enough requests, and more than a trace of them."""
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / c.ratio
    extra = abs(c.in_run)
    points = extra / max(c.run_volume, 1.0)
    if c.direction == "down" and (c.p > 1e-5 or extra < 3 * limits.min_errors):
        return False  # good news can wait until it is certain
    return (
        folds >= (limits.error_ratio if c.key else limits.broad_ratio)
        and extra >= limits.min_errors
        and (points >= limits.error_points or extra >= limits.error_many)
    )


STATUS_LEVELS: tuple[tuple[str, ...], ...] = (("host",), ENDPOINT)


def find_statuses(
    frame: Frame, dims: tuple[str, ...], limits: Limits, within: Mask, once: Frame
) -> Tested:
    """Every status of every group of `dims`; of whole hosts only those that are failures.

    once: the frame in which a call that was recorded at both ends counts once.
    """
    level, child = frame.level(dims), frame.level((*dims, "status"))
    above = np.zeros(child.size, dtype=np.int64)
    above[child.group] = level.group
    n, e = tally(once, level, within).of(above), tally(once, child, within)
    status = np.array([value[-1] for value in child.values], dtype=np.int64)
    able = np.flatnonzero(
        (e.window.sum(1) >= limits.min_errors)
        & (n.baseline.sum(1) > 0)
        & (status > 0)
        & ((status >= 400) | (dims == ENDPOINT))
    )
    if able.size == 0:
        return Tested()
    runs = scan(n.of(able), e.of(able), limits.share_drift, limits)

    def build(i: int) -> Candidate:
        g = int(able[i])
        part = (child.group == g) & within
        found = candidate(
            frame, level, int(above[g]), i, runs, part, within, "statuses", "status_share"
        )
        return replace(found, key={**found.key, "status": int(status[g])})

    return tested(runs.p, limits.q, build)


def status_matters(c: Candidate, limits: Limits) -> bool:
    """More of it; of a good status much more, since which of those comes depends on the asker."""
    if c.direction != "up" or c.ratio is None:
        return False
    if c.key["status"] >= 400:
        return matters(c, limits)
    points = c.in_run / max(c.run_volume, 1.0)
    return points >= limits.mix_points and c.ratio >= 1.5 and c.in_run >= 2 * limits.min_errors

"""Shares: does a larger or smaller part of a group's requests fail than before?

Quasi-binomial on blocks of minutes. Requests of one minute share their fate (retries, one slow
upstream), so the spread between blocks, not the number of requests, says what is unusual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.answer import Kind
from queries.compare.candidate import Candidate
from queries.compare.frame import Frame, Level
from queries.compare.limits import Limits
from queries.compare.stats import (
    Floats,
    Ints,
    Mask,
    benjamini_hochberg,
    intervals,
    ratio,
    run_sums,
    t_tail,
    xlogy,
)


@dataclass(frozen=True)
class Runs:
    """For each group its most telling run of window blocks: p (paid for), began, ended, t."""

    p: Floats
    began: Ints
    ended: Ints
    t: Floats
    dispersion: Floats


def grouped(level: Level, per_key: Floats) -> Floats:
    """[keys, blocks] -> [groups, blocks]."""
    return np.stack([level.sum(column) for column in per_key.T], axis=1)


def scan(n_w: Floats, e_w: Floats, n_b: Floats, e_b: Floats, prior: float, df0: float) -> Runs:
    """Quasi-likelihood ratio of every run of window blocks against the whole baseline."""
    starts, ends, price = intervals(n_w.shape[1])
    n, e = run_sums(n_w, starts, ends), run_sums(e_w, starts, ends)
    nb, eb = n_b.sum(1)[:, None], e_b.sum(1)[:, None]
    share, share_b = ratio(e, n), ratio(eb, nb)
    pooled = ratio(e + eb, n + nb)
    deviance = 2 * (
        xlogy(e, ratio(share, pooled))
        + xlogy(n - e, ratio(1 - share, 1 - pooled))
        + xlogy(eb, ratio(share_b, pooled))
        + xlogy(nb - eb, ratio(1 - share_b, 1 - pooled))
    )
    spread_w, df_w = _run_spread(n_w, e_w, n, e, starts, ends)
    smooth_b = ((eb + 0.5) / (nb + 1))[:, 0]
    spread_b, df_b = _spread(n_b, e_b, smooth_b)
    df = df0 + df_w + df_b[:, None]
    dispersion = np.maximum(1.0, (df0 * prior + spread_w + spread_b[:, None]) / df)
    t = np.sqrt(np.maximum(deviance, 0) / dispersion)
    p = np.minimum(1.0, t_tail(t, df) * price)
    p[(n == 0) | (nb == 0)] = 1.0
    best = np.lexsort((-t, p), axis=1)[:, 0]
    row = np.arange(n.shape[0])
    return Runs(p[row, best], starts[best], ends[best], t[row, best], dispersion[row, best])


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
) -> list[tuple[float, Candidate]]:
    """All groups of a level whose share of `part` could have changed: (p, candidate)."""
    level = frame.level(dims)
    inside = within[:, None]
    n_w, n_b = grouped(level, frame.window * inside), grouped(level, frame.baseline * inside)
    counts = part[:, None] & inside
    e_w, e_b = grouped(level, frame.window * counts), grouped(level, frame.baseline * counts)
    able = np.flatnonzero(
        (np.maximum(e_w.sum(1), e_b.sum(1) * frame.scale) >= limits.min_errors)
        & (n_b.sum(1) > 0)
        & (n_w.sum(1) > 0)
    )
    if able.size == 0:
        return []
    runs = scan(n_w[able], e_w[able], n_b[able], e_b[able], limits.dispersion_shares,
                limits.prior_df)  # fmt: skip
    return [
        (float(runs.p[i]), candidate)
        for i, g in enumerate(able.tolist())
        if (candidate := _candidate(frame, level, g, i, runs, part & within, within, kind, metric))
    ]


def _candidate(
    frame: Frame,
    level: Level,
    g: int,
    i: int,
    runs: Runs,
    part: Mask,
    within: Mask,
    kind: Kind,
    metric: str,
) -> Candidate | None:
    scope = (level.group == g) & within
    part = part & scope
    began, ended = int(runs.began[i]), int(runs.ended[i])
    n_w, e_w = float(frame.window[scope].sum()), float(frame.window[part].sum())
    n_b, e_b = float(frame.baseline[scope].sum()), float(frame.baseline[part].sum())
    run_n = float(frame.window[scope, began:ended].sum())
    run_e = float(frame.window[part, began:ended].sum())
    base = e_b / n_b
    smooth = (e_b + 0.5) / (n_b + 1)
    change = ((run_e + 0.5) / (run_n + 1)) / smooth
    error = float(np.sqrt(runs.dispersion[i] * (1 / (run_e + 0.5) + 1 / (e_b + 0.5))))
    excess = np.where(part, frame.window[:, began:ended].sum(1), 0.0)
    excess -= np.where(part, frame.baseline.sum(1), 0.0) * (run_n / n_b)
    return Candidate(
        kind=kind,
        direction="up" if run_e / run_n >= base else "down",
        key=dict(zip(level.dims, level.values[g], strict=True)),
        scope=scope,
        part=part,
        excess=excess,
        metric=metric,
        window=e_w / n_w,
        baseline=base,
        ratio=change,
        low=change * float(np.exp(-2 * error)),
        high=change * float(np.exp(2 * error)),
        p=float(runs.p[i]),
        began=began,
        ended=ended,
    )


def passed(found: list[tuple[float, Candidate]], limits: Limits) -> list[Candidate]:
    """Those that pass Benjamini-Hochberg over the kind, then the floors on size and effect."""
    p = np.array([value for value, _ in found])
    ok = benjamini_hochberg(p, limits.q)
    return [c for yes, (_, c) in zip(ok, found, strict=True) if yes and _matters(c, limits)]


def _matters(c: Candidate, limits: Limits) -> bool:
    assert c.ratio is not None
    folds = c.ratio if c.direction == "up" else 1 / c.ratio
    return folds >= limits.error_ratio and c.affected >= limits.min_errors

"""Could anybody have seen it? The test of one place and measure, told where and at what to look.

An incident counts as visible where this test, over the whole window against the stretch before it
or against the past before that, is beyond chance at p < 1e-4 after a minimum effect is taken off.
It is independent of the comparison: rows, likelihood ratios, the spread between blocks of the past.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.world.rows import Batch, Ints, Name

VISIBLE: Final = 3.72  # p = 1e-4, one-sided
_ODDS, _P50, _P95, _SIZE, _RATE, _TOTAL = 2.0, 1.3, 1.5, 1.4, 1.6, 1.4  # the least effects
_LEAST_MS, _LEAST_BYTES, _LEAST_REQUESTS = 3.0, 40.0, 3
_BLOCKS = 12


@dataclass(frozen=True)
class Look:
    """Where to look (which names), and at what: failed, status, slow, size, count or total."""

    place: Callable[[Name], bool]
    measure: str
    direction: str = "up"
    status: int | None = None


def failed(name: Name) -> bool:
    status = name["status"]
    return status is None or status >= 400 or name.get("grpc_status", "0") != "0"


def z_score(
    look: Look, rows: Batch, past_us: Sequence[int], window_us: Sequence[int], quiet: Batch
) -> float:
    """How far beyond the least effect the change is, in standard deviations; below 0 for none.

    past_us: where the past begins and ends (at the baseline, or earlier), and where the window
    begins; window_us: where that begins and ends; quiet: a day before it, also where the question
    has less of a past: how much the numbers of such stretches vary.
    """
    mine, quiet = (_of_place(look, some) for some in (rows, quiet))
    window = mine.between(*window_us)
    begin, middle, end = past_us
    before = max(middle, 2 * window_us[0] - window_us[1])
    spans = [(before, end)] + ([(begin, middle)] if begin < middle else [])
    noise = 1.0
    if look.measure in ("count", "total"):
        noise = _spread(quiet.ts, window_us)
    return max(_against(look, window, mine, span, window_us, noise) for span in spans)


def _of_place(look: Look, rows: Batch) -> Batch:
    mask = np.array([look.place(name) for name in rows.names], dtype=bool)
    return rows.where(mask[rows.name])


def _against(
    look: Look, window: Batch, mine: Batch, span: Sequence[int], window_us: Sequence[int],
    noise: float,
) -> float:  # fmt: skip
    before = mine.between(*span)
    if look.measure in ("failed", "status"):
        hit_w, hit_b = _hits(look, window), _hits(look, before)
        if hit_w.sum() < _LEAST_REQUESTS:
            return -1.0
        phi = _dispersion(before, hit_b, span)
        return _odds(hit_w.sum(), len(window), hit_b.sum(), len(before), np.log(_ODDS), phi)
    if look.measure in ("count", "total"):
        ratio = (window_us[1] - window_us[0]) / (span[1] - span[0])
        band = np.log(_RATE if look.measure == "count" else _TOTAL)
        return _rate(len(window), len(before), ratio, band, look.direction, noise)
    values_w, values_b = _values(look, window), _values(look, before)
    if min(values_w.size, values_b.size) < 4:
        return -1.0
    if look.measure == "size":
        cuts = [(0.5, np.log(_SIZE), _LEAST_BYTES)]
    else:
        cuts = [(0.5, np.log(_P50), _LEAST_MS), (0.95, np.log(_P95), _LEAST_MS)]
    return max(_beyond(values_w, values_b, look.direction, *cut) for cut in cuts)


def _hits(look: Look, rows: Batch) -> Any:
    if look.measure == "failed":
        hit = [failed(name) for name in rows.names]
    else:
        hit = [name["status"] == look.status for name in rows.names]
    return np.array(hit, dtype=bool)[rows.name]


def _values(look: Look, rows: Batch) -> Any:
    """Of good answers, which alone tell of slowness and size."""
    good = np.array([not failed(name) for name in rows.names], dtype=bool)[rows.name]
    return (rows.size if look.measure == "size" else rows.ms)[good].astype(float)


def _beyond(
    window: Any, before: Any, direction: str, quantile: float, band: float, least: float
) -> float:
    """Whether more of the window lies beyond the quantile of before, times the band."""
    sign = 1.0 if direction == "up" else -1.0
    edge = np.quantile(sign * before, quantile) * sign
    cut = sign * edge * np.exp(sign * band)
    cut = max(cut, sign * edge + least)
    usual = (1 - quantile) * before.size
    if usual < 0.5 or window.size * (1 - quantile) < 0.5:
        return -1.0
    hits = float((sign * window > cut).sum())
    return _odds(hits, window.size, usual, before.size, 0.0, 1.0) / 1.15


def _odds(hit_w: Any, n_w: int, hit_b: Any, n_b: int, band: float, phi: float) -> float:
    """Signed root of the likelihood ratio of two shares, the null being odds of at most e^band."""
    if not n_w or not n_b:
        return -1.0
    if hit_w / n_w <= hit_b / n_b:
        return -1.0
    psi, total = np.exp(band), hit_w + hit_b
    a, b, c = psi * (n_w + n_b - total), n_w * psi + n_b - total * (1 + psi), -total
    odds = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a) if a > 0 else 1e12
    p_b, p_w = odds / (1 + odds), psi * odds / (1 + psi * odds)
    if hit_w / n_w <= p_w:
        return -1.0
    null = _bernoulli(hit_w, n_w, p_w) + _bernoulli(hit_b, n_b, p_b)
    best = _bernoulli(hit_w, n_w, hit_w / n_w) + _bernoulli(hit_b, n_b, hit_b / n_b)
    return float(np.sqrt(max(2 * (best - null) / phi, 0.0)))


def _rate(n_w: int, n_b: int, ratio: float, band: float, direction: str, phi: float) -> float:
    """The same of two counts; ratio: of the lengths of their times."""
    sign = 1.0 if direction in ("up", "new") else -1.0
    rho = ratio * np.exp(sign * band)
    if sign * (n_w - rho * n_b) <= 0 or max(n_w, n_b) < _LEAST_REQUESTS:
        return -1.0
    total, p = n_w + n_b, rho / (1 + rho)
    drop = _bernoulli(n_w, total, n_w / total) - _bernoulli(n_w, total, p)
    return float(np.sqrt(max(2 * drop / phi, 0.0)))


def _bernoulli(hits: Any, n: int, p: float) -> float:
    p = min(max(p, 1e-12), 1 - 1e-12)
    return float(hits * np.log(p) + (n - hits) * np.log(1 - p))


def _dispersion(before: Batch, hits: Any, span: Sequence[int]) -> float:
    """Pearson's dispersion of a share between blocks, 1 at least."""
    edges = np.linspace(span[0], span[1], _BLOCKS + 1)
    n, _ = np.histogram(before.ts, edges)
    k, _ = np.histogram(before.ts[hits], edges)
    p = k.sum() / max(n.sum(), 1)
    if p in (0.0, 1.0) or n.sum() == 0:
        return 1.0
    some = n > 0
    return max(1.0, float(((k - n * p)[some] ** 2 / (n * p * (1 - p))[some]).sum() / some.sum()))


def _spread(ts: Ints, window_us: Sequence[int]) -> float:
    """Variance over mean of counts of stretches as long as the window, one after the other before
    it: by what neighbours differ, so that the day's curve counts little. 1 at least."""
    begin, end = window_us
    stretches = int((begin - ts.min()) // (end - begin)) if ts.size else 0
    if stretches < 2:
        return 1.0
    edges = begin - (end - begin) * np.arange(stretches, -1, -1)
    counts, _ = np.histogram(ts, edges)
    mean = counts.mean()
    return max(1.0, float((np.diff(counts) ** 2).mean() / 2 / mean)) if mean > 0 else 1.0

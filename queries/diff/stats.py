"""Signed likelihood-ratio tests of a change beyond a band, and how much quiet stretches vary.

The null hypothesis is never "no change" but "no more than quiet hours do": the effect lies within
a band, on logs. So evidence grows with the requests, and a change that quiet hours show too is no
news however many requests show it. Everything is over arrays, [groups] or [groups, runs].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from store.values import dataclass

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_PRIOR = 6  # blocks that the typical dispersion counts for, against a group's own
_POOL = 4  # past changes that the typical drift counts for
_CLIP = 1.5  # log: a past change that is larger was an incident, and says little about quiet
WORST = 8  # stretches of a past of which one may have had an incident
CUT = 0.3  # z that the choice of a run, or of an older past, costs at least
_COARSE = 3  # blocks that are taken together to see dispersion that lasts longer than one


def odds_z(fw: Floats, nw: Floats, fb: Floats, nb: Floats, band: Floats | float) -> Floats:
    """How far the share fw of nw lies from fb of nb, beyond odds of e^band: a signed root of the
    likelihood ratio, 0 within the band or where a side is empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        signs = np.sign(_logit(fw, nw) - _logit(fb, nb))
        beyond = (signs * (_raw(fw, nw) - _raw(fb, nb)) > band) & (nw > 0) & (nb > 0)
        if not beyond.any():
            return np.zeros(beyond.shape)
        columns = np.broadcast_arrays(fw, nw, fb, nb, band, signs)
        fw, nw, fb, nb, band, sign = (column[beyond] for column in columns)  # mostly few
        psi = np.exp(sign * band)
        total = fw + fb
        # the odds of the baseline under which the ratio of the odds is just psi
        b = nw * psi + nb - total * (1 + psi)
        a = psi * (nw + nb - total)
        root = np.sqrt(np.maximum(b * b + 4 * a * total, 0))
        x = np.where(b > 0, 2 * total / (b + root), (root - b) / np.maximum(2 * a, 1e-300))
        q, p = x / (1 + x), psi * x / (1 + psi * x)
        full = np.isinf(x) | (a <= 0)
        q, p = np.where(full, 1.0, q), np.where(full, 1.0, p)
        gain = (
            _loglik(fw, nw, ratio(fw, nw)) + _loglik(fb, nb, ratio(fb, nb))
            - _loglik(fw, nw, p) - _loglik(fb, nb, q)
        )  # fmt: skip
    z = np.zeros(beyond.shape)
    z[beyond] = sign * np.sqrt(2 * np.maximum(np.nan_to_num(gain), 0))
    return z


def _raw(f: Floats, n: Floats) -> Floats:
    """Log odds; infinite where none or all fail."""
    return np.log(f) - np.log(n - f)


def _logit(f: Floats, n: Floats) -> Floats:
    return np.log((f + 0.5) / (n - f + 0.5))


def logit(f: Floats, n: Floats) -> tuple[Floats, Floats]:
    """(log odds, its variance): with half a request on either side, so that both exist."""
    return _logit(f, n), 1 / (f + 0.5) + 1 / (n - f + 0.5)


def _loglik(f: Floats, n: Floats, share: Floats) -> Floats:
    return xlogy(f, share) + xlogy(n - f, 1 - share)


def rate_z(nw: Floats, nb: Floats, rho: Floats, band: Floats | float) -> Floats:
    """The same for counts: nw against nb times rho, the exposure of the one over the other's."""
    nw, nb, rho, band = np.broadcast_arrays(nw, nb, rho, band)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.log(nw) - np.log(nb * rho)
        sign = np.where(nw > nb * rho, 1.0, -1.0)
        odds = rho * np.exp(sign * band)
        p = odds / (1 + odds)
        total = nw + nb
        gain = _loglik(nw, total, ratio(nw, total)) - _loglik(nw, total, p)
    z = sign * np.sqrt(2 * np.maximum(np.nan_to_num(gain), 0))
    found: Floats = np.where((np.abs(effect) > band) & (total > 0) & (rho > 0), z, 0.0)
    return found


def mean_z(a: Moments, b: Moments, band: Floats | float) -> Floats:
    """The same for means of logs, by Welch's t: sqrt(df ln(1 + t^2 / df))."""
    with np.errstate(divide="ignore", invalid="ignore"):
        change = a.mean - b.mean
        error = np.sqrt(a.variance / a.n + b.variance / b.n)
        t = np.maximum(np.abs(change) - band, 0) / error
        df = np.maximum(a.n + b.n - 2, 1)
        z = np.sign(change) * np.sqrt(df * np.log1p(t * t / df))
    found: Floats = np.where((a.n >= 2) & (b.n >= 3), np.nan_to_num(z, posinf=0, neginf=0), 0.0)
    return found


@dataclass(frozen=True)
class Moments:
    """n, mean and variance of values."""

    n: Floats
    mean: Floats
    variance: Floats


def moments(n: Floats, total: Floats, squares: Floats, least: float) -> Moments:
    """From sums of values and of squares; variance is `least`, at least."""
    mean = ratio(total, n)
    variance = np.maximum(ratio(squares, n) - mean * mean, 0) * ratio(n, np.maximum(n - 1, 1))
    return Moments(n, mean, np.maximum(variance, least))


def dispersion(n: Floats, f: Floats, typical: float, most: float) -> Floats:
    """[groups]: variance of f among n over that of independent requests, between 1 and `most`.

    n, f [groups, blocks]. Seen in single blocks and in three at a time, whichever varies more; a
    group's own blocks count against the typical group's, and that against `typical`.
    """
    share = (f.sum(1) + 0.5) / (n.sum(1) + 1)
    expected = n * share[:, None]
    return _shrunk(f - expected, expected, expected * (1 - share[:, None]), typical, most)


def at_once(f: Floats, of: Floats) -> Floats:
    """[groups]: how many of f come together, on average, beyond what would if they were spread like
    `of`: 1 where each has a fate of its own. Both [groups, slots of seconds or minutes]."""
    total = f.sum(1)
    alike = (total - 1) * (ratio(of, of.sum(1)[:, None]) ** 2).sum(1)
    more: Floats = 1 + np.maximum(ratio((f * (f - 1)).sum(1), total) - alike, 0)
    return more


def rate_dispersion(n: Floats, exposure: Floats, typical: float, most: float) -> Floats:
    """The same of counts, over blocks that were exposed ([blocks], or [groups, blocks]) so much:
    seconds that were seen, say."""
    expected = n.sum(1)[:, None] * ratio(exposure, exposure.sum(-1, keepdims=True))
    return _shrunk(n - expected, expected, expected, typical, most)


def _shrunk(
    away: Floats, expected: Floats, variance: Floats, typical: float, most: float
) -> Floats:
    largest = np.ones(len(away))
    for size in (1, _COARSE):
        apart, due, var = (_together(x, size) for x in (away, expected, variance))
        terms = np.divide(apart**2, var, out=np.zeros_like(apart), where=due > 0)
        chi, df = terms.sum(1), np.maximum((due > 0).sum(1) - 1.0, 0)
        known = (df >= 3) & (due.sum(1) >= 10)
        common = typical
        if known.sum() >= 5:
            common = median(chi[known] / df[known])
        own = (_PRIOR * np.clip(common, 1, most) + chi) / (_PRIOR + df)
        largest = np.maximum(largest, own)
    clipped: Floats = np.clip(largest, 1.0, most)
    return clipped


def _together(x: Floats, size: int) -> Floats:
    """[groups, blocks] -> sums of `size` blocks at a time; what is left over is dropped."""
    blocks = x.shape[1] // size
    if size == 1 or blocks < 2:
        return x
    sums: Floats = x[:, : blocks * size].reshape(len(x), blocks, size).sum(2)
    return sums


def band(effects: Floats, variances: Floats, floor: float, peers: Floats | None = None) -> Floats:
    """[groups]: by how much quiet stretches differ, on logs: twice the drift, `floor` at least.

    effects, variances [groups, past changes]: NaN where there is none; variances are what requests
    explain. peers [groups]: changes of this very comparison, NaN where unknown: they tell each
    other's drift where the past is short. All of them changing alike is no drift.
    """
    known = np.isfinite(effects) & np.isfinite(variances)
    e2 = np.where(known, np.clip(effects, -_CLIP, _CLIP) ** 2, 0.0)
    var = np.where(known, np.minimum(variances, _CLIP**2), 0.0)
    m = known.sum(1)
    pool = _spread(effects[known], variances[known])
    if peers is not None and known.shape[1] < 3:
        told = peers[np.isfinite(peers).all(1)]
        apart = told[:, 0] - median(told[:, 0]) if told.size else told[:, 0]
        pool = max(pool, min(_spread(apart, told[:, 1]), (1.5 * floor) ** 2))
    tau2 = ((e2 - var).sum(1) + _POOL * pool) / (m + _POOL)
    found: Floats = np.maximum(floor, 2 * np.sqrt(np.maximum(tau2, 0)))
    return found


def _spread(effects: Floats, variances: Floats) -> float:
    """The variance that requests do not explain, of those changes that are known well."""
    clear = variances < 0.25
    if clear.sum() < 5:
        return 0.0
    typical = median(np.abs(effects[clear])) / 0.6745
    return max(typical**2 - median(variances[clear]), 0.0)


@dataclass(frozen=True)
class Runs:
    """Runs of window blocks that are looked at: the whole window, what goes on, what is over.

    price [runs]: what the choice costs, in units of z.
    """

    starts: Ints
    ends: Ints
    price: Floats

    def sums(self, blocks: Floats) -> Floats:
        """[groups, blocks] -> [groups, runs]"""
        upto = np.zeros((len(blocks), blocks.shape[1] + 1))
        np.cumsum(blocks, axis=1, out=upto[:, 1:])
        total: Floats = upto[:, self.ends] - upto[:, self.starts]
        return total


@cache
def runs_of(blocks: int, over: bool = True) -> Runs:
    """Whole; the last 3/4, half, quarter, sixth and block; each quarter and block within, which
    are over."""
    chosen = {(0, blocks): 0.0}
    suffixes = ((0.75, CUT), (0.5, CUT), (0.25, CUT), (1 / 6, 0.5), (1 / 12, 0.5))
    for part, price in suffixes:
        length = max(1, round(part * blocks))
        chosen.setdefault((blocks - length, blocks), price)
    for part, price in ((0.25, 1.0), (1 / 12, 2.0)) if over else ():
        length = max(1, round(part * blocks))
        for start in range(blocks - length):
            chosen.setdefault((start, start + length), price)
    starts, ends = zip(*chosen, strict=True)
    return Runs(np.array(starts), np.array(ends), np.array(list(chosen.values())))


def spans_of(blocks: int, size: int) -> list[slice]:
    """The baseline's blocks, span by span, where its spans have as many as the window."""
    return [slice(at, at + size) for at in range(0, blocks, size)] if blocks % size == 0 else []


def best(
    z: Floats, runs: Runs, own: Callable[[Ints], list[Floats]] | None = None, bar: float = 0.0
) -> tuple[Floats, Ints]:
    """[groups]: the most telling run's z, less its price, and the run.

    own: of some groups, what the runs of each of the baseline's spans look like against all of it:
    a run of the window has to tell more than the most telling one of its length there. bar: groups
    that stay below it anyway are not asked for that.
    """
    worth = np.abs(z) - runs.price
    able = np.flatnonzero(worth.max(1) >= bar)
    spans = own(able) if own and able.size else []
    lengths = runs.ends - runs.starts
    for length in distinct(lengths).tolist() if spans else ():
        same = np.flatnonzero(lengths == length)
        quiet = np.concatenate([each[:, same] for each in spans], axis=1)
        up, down = (np.maximum(x.max(1), 0.0)[:, None] for x in (quiet, -quiet))
        place = np.ix_(able, same)
        worth[place] -= np.where(z[place] > 0, up, down)
    chosen = worth.argmax(1)
    row = np.arange(len(z))
    paid: Floats = np.sign(z[row, chosen]) * np.maximum(worth[row, chosen], 0)
    return paid, chosen.astype(np.int64)


def add_up(place: Any, values: Any, size: int) -> Floats:
    """[size]: the sum of the values at each place."""
    sums: Floats = np.bincount(place, values, size).astype(np.float64, copy=False)
    return sums


def distinct(values: Any) -> Any:
    """The different values, sorted. np.unique without counts imports all of numpy.ma first, which
    takes longer than a small comparison."""
    return np.unique(values, return_counts=True)[0]


def changes(values: Any) -> Any:
    """Where another value begins, the first included."""
    fresh = np.ones(values.size, dtype=bool)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)


def numbered(hashes: Any) -> tuple[Any, Any]:
    """(the first row of each different hash; [rows]: the number of its hash)."""
    order = np.argsort(hashes)
    starts = changes(hashes[order])
    number = np.empty(hashes.size, dtype=np.int32)
    number[order] = np.repeat(np.arange(starts.size), np.diff(starts, append=hashes.size))
    firsts = np.minimum.reduceat(order, starts) if hashes.size else order
    return firsts, number


def xlogy(x: Floats, y: Floats) -> Floats:
    """x * log(y), and 0 where x is 0."""
    product: Floats = np.where(x > 0, x * np.log(np.where(y > 0, y, 1e-300)), 0.0)
    return product


def ratio(above: Any, below: Any) -> Floats:
    """above / below, 0 where there is nothing below."""
    above, below = np.broadcast_arrays(above, below)
    quotient: Floats = np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
    return quotient


def middle(values: Floats) -> Floats:
    """[groups, columns] -> [groups]: the (lower) median of what is not NaN; NaN where all is."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    known = np.isfinite(values).sum(1)
    median: Floats = np.sort(values, axis=1)[np.arange(len(values)), np.maximum(known - 1, 0) // 2]
    return median


def quantile(values: Floats, q: float) -> Floats:
    """[groups, columns] -> [groups]: that of np.quantile, which imports all of numpy.ma first."""
    ordered = np.sort(values, axis=1)
    part, low = np.modf(q * (values.shape[1] - 1))
    below, above = ordered[:, int(low)], ordered[:, int(np.ceil(low + part))]
    apart = above - below
    between: Floats = below + apart * part if part < 0.5 else above - apart * (1 - part)
    return between


def median(values: Any) -> float:
    """That of np.median, which imports all of numpy.ma first."""
    ordered = np.sort(values)
    return float(ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2


def weighted_median(values: Floats, weights: Floats) -> float:
    if values.size == 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(cumulative, cumulative[-1] / 2))]])


def bounds(change: float, error: float) -> tuple[float, float]:
    """Where the ratio may lie, two standard errors of its log to either side."""
    wide = float(np.exp(min(2 * error, 30.0)))
    return change / wide, change * wide

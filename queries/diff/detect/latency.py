"""Latency: how many requests are slower than a quantile of their own place was, and a band more.

Requests are counted against the baseline's p50, p95 and p99 of their own unit (side, endpoint,
instance), so that a shift of the mix between fast and slow endpoints is no slowness; the counts of
a group's units are added up and tested like shares. The past is a second baseline, as for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

import numpy as np

from queries.core.answer import Direction
from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Against, Candidate
from queries.diff.durations import BASE, BUCKETS, MIDDLES, Durations, quantiles
from queries.diff.frame import UNIT, Frame, Groups, Level
from queries.diff.stats import (
    Floats,
    Ints,
    Runs,
    add_up,
    band,
    best,
    bounds,
    dispersion,
    middle,
    odds_z,
    ratio,
    runs_of,
    spans_of,
)  # fmt: skip
from store.values import dataclass

_ENDPOINTS = ("side", *ENDPOINT)
LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("side", "host"),
    _ENDPOINTS,
    ("side", "service"),
    ("side", "instance"),
    ("side", "service", "host"),
)
QUANTILES = (
    (0.5, "p50_ms", limits.NARROW),
    (0.95, "p95_ms", limits.BAND),
    (0.99, "p99_ms", limits.BAND),
)
# where the groups of some levels are summed from; of all others, from units
_FINER: dict[tuple[str, ...], tuple[str, ...]] = {
    (): _ENDPOINTS, ("side", "host"): _ENDPOINTS,
    ("side", "service"): ("side", "service", "host"),
}  # fmt: skip
_SOME = 3.0  # durations before there is a mean; and what the typical variance counts for
_TYPICAL = (0.5 / BASE) ** 2  # variance of log durations, in buckets


@dataclass(frozen=True)
class Beyond:
    """Requests beyond the quantile, and beyond it by the band: of units that can be judged.

    base, base_n [units]: of the side compared with; blocks [units, blocks of the baseline]: how
    they came in its course, with their number. window, window_n [units, blocks].
    """

    base: Floats
    base_n: Floats
    window: Floats
    window_n: Floats
    cut: Ints


def beyond(
    d: Durations, q: float, floor: float, wide: Floats, against: Against, up: bool
) -> Beyond:
    """up: slower than the quantile; else faster."""
    before, together = d.before[against], d.together[against]
    at, of_all = before.reached(q), together.reached(q)
    able, known = (x.total * min(q, 1 - q) >= limits.BEYOND for x in (before, together))
    # an instance of few requests, or a new one, is held to its endpoint's quantile
    at, able = np.where(able, at, of_all[d.endpoints.group]), able | known[d.endpoints.group]
    step = np.ceil(np.maximum(wide, floor) / BASE - 1e-9).astype(np.int64)
    felt = np.searchsorted(MIDDLES, MIDDLES + limits.MS)[at]
    if up:
        base = before.total - before.below(at)
        cut = np.minimum(np.maximum(at + step, felt), BUCKETS - 1)
    else:
        base = before.below(at - 1)
        cut = at - step
        able &= (MIDDLES[at] - MIDDLES[np.maximum(cut, 0)] >= limits.MS) & (cut >= 0)
    window = d.beyond(np.where(able, cut, BUCKETS if up else -1), up, 0)
    return Beyond(
        np.where(able, base, 0.0), np.where(able, before.total, 0.0), window,
        np.where(able[:, None], d.blocks[0], 0.0), np.where(able, at, BUCKETS),
    )  # fmt: skip


def drift(d: Durations) -> tuple[Floats, Floats]:
    """[units]: bands of the mean log duration, from one stretch to the next, and to the past."""
    x, var = _moments(d.course, 1)
    before, now = (_moments(sums, 10) for sums in (d.before["baseline"].moments, d.now))
    peers = np.stack([now[0] - before[0], now[1] + before[1]], axis=1)
    return (
        band(np.diff(x, axis=1), var[:, 1:] + var[:, :-1], limits.NARROW, peers),
        band(x - middle(x)[:, None], var, limits.NARROW),
    )


def _moments(sums: Floats, least: int) -> tuple[Floats, Floats]:
    """[units]: mean log duration and the variance of it; NaN where there are fewer requests."""
    n, total, squares = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n >= least, total / n, np.nan)
        return mean * BASE, np.maximum(squares / n - mean * mean, 1.0) * BASE**2 / n


@dataclass
class Sums:
    """Numbers of units, each [units, columns], summed over the groups of a level; of a coarser
    level over those of a finer one, which are fewer than units."""

    d: Durations
    values: Sequence[Floats]
    known: dict[tuple[str, ...], Sequence[Floats]] = field(default_factory=dict)

    def at(self, dims: tuple[str, ...]) -> Sequence[Floats]:
        """[groups, columns] each."""
        frame = self.d.frame
        if dims not in self.known:
            values, groups = self.values, self.d.groups(dims)
            if finer := _FINER.get(dims):
                level = frame.level(dims)
                groups = Groups(level.group[frame.level(finer).first], level.size)
                values = self.at(finer)
            elif not frame.own.all():
                values = [x * frame.own[self.d.level.first][:, None] for x in values]
            self.known[dims] = values if dims == UNIT else [groups.sums(x) for x in values]
        return self.known[dims]


@dataclass(frozen=True)
class _Side:
    """What the window is compared with; wide [units]: the band of the means; moments: theirs."""

    against: Against
    beyond: Beyond
    wide: Floats
    moments: Sums


def slower(frame: Frame, d: Durations) -> list[Candidate]:
    """Groups of all levels that are slower at one of the quantiles, or faster at the median."""
    wide: dict[Against, Floats] = dict(zip(d.before, drift(d), strict=True))
    moments = {name: Sums(d, [one.moments.T]) for name, one in d.before.items()}
    whole, powers = Sums(d, [d.blocks[1]]), Sums(d, d.powers)

    def at(measure: tuple[float, str, float], up: bool) -> list[Candidate]:
        sides = [
            _Side(name, beyond(d, *measure[::2], wide[name], name, up), wide[name], moments[name])
            for name, one in d.before.items()
            if name == "baseline" or (one.codes.size and up)
        ]
        each = [
            x
            for b in (side.beyond for side in sides)
            for x in (b.base_n[:, None], b.base[:, None], b.window_n, b.window)
        ]
        sums = Sums(d, [d.beyond(sides[0].beyond.cut, up, 1), *each])
        numbers = whole, sums, powers
        return [c for dims in LEVELS for c in _level(d, dims, measure, sides, numbers, up)]

    ways = [(one, up) for one in QUANTILES for up in ((True, False) if one[0] == 0.5 else (True,))]
    return [c for way in ways for c in at(*way)]


def _level(
    d: Durations, dims: tuple[str, ...], measure: tuple[float, str, float], sides: list[_Side],
    numbers: tuple[Sums, Sums, Sums], up: bool,
) -> list[Candidate]:  # fmt: skip
    """numbers: of the baseline's requests; of those beyond the quantile, and what each of the
    sides has; and the window's powers."""
    frame, metric = d.frame, measure[1]
    level = frame.level(dims)
    [whole], [far, *each] = (sums.at(dims) for sums in numbers[:2])
    results = [
        (side, n_b[:, 0], f_b[:, 0], n_w, f_w)
        for side, n_b, f_b, n_w, f_w in zip(sides, *(each[i::4] for i in range(4)), strict=True)
    ]
    enough = np.maximum(results[0][3].sum(1), results[-1][3].sum(1)) >= 4
    able = np.flatnonzero(enough & frame.named(level))
    if not able.size:
        return []
    # what has fewer beyond the quantile is no candidate
    some = np.maximum(results[0][4].sum(1), results[-1][4].sum(1))[able] >= limits.FEW
    if not some.any():
        return []
    noise = dispersion(whole[able], far[able], limits.CLUSTER, limits.MOST_CLUSTERED)
    bar = limits.bar(able.size)
    able, noise = able[some], noise[some]
    runs = runs_of(frame.window.shape[1])
    n_o, f_o = whole[able], far[able]

    def quiet(groups: Ints) -> list[Floats]:
        n_q, f_q = n_o[groups], f_o[groups]
        whole = f_q.sum(1), n_q.sum(1), noise[groups]
        return [
            _z(runs.sums(f_q[:, part]), runs.sums(n_q[:, part]), *whole)
            for part in spans_of(n_o.shape[1], frame.window.shape[1])
        ]

    best_of = []
    for side, n_b, f_b, n_w, f_w in results:
        n_r, f_r = runs.sums(n_w[able]), runs.sums(f_w[able])
        z = _z(f_r, n_r, f_b[able], n_b[able], noise)
        if metric == "p50_ms" and up and dims:  # everything together has enough requests
            means = _mean_z(d, level, side, numbers[2], runs)[able]
            z = np.maximum(z, means / np.sqrt(noise)[:, None])
        best_of.append(best(z, runs, quiet, bar))
    z, run = best_of[0]
    usual = np.zeros(z.size, dtype=bool)
    if len(best_of) > 1:
        usual = best_of[1][0] > z
        z, run = np.where(usual, best_of[1][0], z), np.where(usual, best_of[1][1], run)
    changed = []
    for i in np.flatnonzero(z >= bar).tolist():
        side = sides[int(usual[i])]
        where = int(runs.starts[run[i]]), int(runs.ends[run[i]])
        c = _candidate(d, level, int(able[i]), measure, where, side, up)
        if c is not None:
            c.z, c.noise = float(z[i]), float(noise[i])
            changed.append(c)
    return changed


def _mean_z(d: Durations, level: Level, side: _Side, powers: Sums, runs: Runs) -> Floats:
    """[groups, runs]: the mean log duration beyond its band, endpoint by endpoint, by Welch's t.

    It says more of few requests than how many of them are beyond a quantile.
    """
    also = tuple(dim for dim in ("service", "instance") if dim in level.dims)
    part = d.frame.level((*_ENDPOINTS, *also))
    [before] = side.moments.at(part.dims)
    known = np.flatnonzero(before[:, 0] >= _SOME)
    units, now = d.groups(part.dims), d.now[0]
    band_of = ratio(units.sum(side.wide * now), units.sum(now)) / BASE
    due = (ratio(before[:, 1], before[:, 0]) + band_of)[known]
    groups = Groups(level.group[part.first[known]], level.size)
    n, s, q = powers.at(part.dims)
    away = np.maximum(runs.sums(groups.sums(s[known] - n[known] * due[:, None])), 0)
    some = (away.max(1) > 0)[groups.group]  # of most groups, nothing is beyond the band
    known, groups = known[some], Groups(groups.group[some], level.size)
    n_b, s_b, q_b = before[known].T
    n, s, q = (runs.sums(one[known]) for one in (n, s, q))
    squares = np.maximum(q - ratio(s * s, n), 0)
    squares += np.maximum(q_b - s_b * ratio(s_b, n_b), 0)[:, None]
    df = groups.sums(np.where(n > 0, n + n_b[:, None] - 2, 0.0)) + _SOME
    spread = groups.sums(np.where(n > 0, squares, 0.0))
    variance = (spread + _SOME * _TYPICAL) / df
    total = groups.sums(n)
    error = np.sqrt(variance * (total + groups.sums(ratio(n * n, n_b[:, None]))))
    t = away / np.maximum(error, 1e-9)
    z: Floats = np.where(total > 0, np.sqrt(df * np.log1p(t * t / df)), 0.0)
    return z


def _z(f: Floats, n: Floats, fb: Floats, nb: Floats, noise: Floats) -> Floats:
    z: Floats = np.maximum(odds_z(f, n, fb[:, None], nb[:, None], 0.0), 0)
    return z / np.sqrt(noise)[:, None]


def _time(d: Durations, units: Ints, slots: list[int], against: Against) -> Floats:
    """[2, units], in milliseconds: what requests of the slots took more than so many of the side
    compared with, and what these took."""
    entries, before, size = d.entries[0], d.before[against], d.level.size
    codes = entries.of(units)
    codes = codes[(entries.slot(codes) >= slots[0]) & (entries.slot(codes) < slots[1])]
    unit, n = entries.unit(codes), entries.requests(codes)
    took = MIDDLES[entries.bucket(codes)] * n
    usual = add_up(before.codes >> 8, before.requests * MIDDLES[before.codes & 255], size)
    spent = ratio(usual, before.total) * add_up(unit, n, size)
    return np.stack([add_up(unit, took, size) - spent, spent])


def _candidate(
    d: Durations, level: Level, g: int, measure: tuple[float, str, float],
    where: tuple[int, int], side: _Side, up: bool,
) -> Candidate | None:  # fmt: skip
    frame, b = d.frame, side.beyond
    q, metric, floor = measure
    began, ended = where
    scope = (level.group == g) & frame.own
    first = d.level.first
    mine = scope[first]
    far, n = b.window[:, began:ended].sum(1), b.window_n[:, began:ended].sum(1)
    share = float(b.base[mine].sum()) / max(float(b.base_n[mine].sum()), 1e-9)
    excess, volume = np.zeros(frame.size), np.zeros(frame.size)
    excess[first[mine]] = far[mine] - share * n[mine]
    volume[first[mine]] = n[mine]
    if float(far[mine].sum()) < limits.FEW or float(excess.sum()) <= 0:
        return None
    slots = np.searchsorted(frame.axis.slots[0].block, [began, ended]).tolist()
    run = d.of(scope).between(*slots)
    base = d.compared(scope, side.against)
    time = None
    if up and level.dims and "host" not in level.dims:  # else nobody asks in which host it is lost
        time = np.zeros((2, frame.size))
        time[:, first[mine]] = _time(d, np.flatnonzero(mine), slots, side.against)[:, mine]
    now, was = float(quantiles(run, q)), float(quantiles(base, q))
    direction: Direction = "up" if up else "down"
    folds = now / was if was else 1.0
    folds = folds if up else 1 / max(folds, 1e-9)
    if not folds >= np.exp(floor) * 0.95 or abs(now - was) < limits.MS:
        return None  # the mix hides it: its parts will tell
    error = float(np.sqrt(4.0 / max(float(excess.sum()), 1.0)) / 4)
    low, high = bounds(now / was, error)
    return Candidate(
        kind="latency", direction=direction, scope=scope, part=scope, excess=excess, volume=volume,
        key=level.key(g), metric=metric, window=now,
        baseline=was, low=low, high=high, began=began, ended=ended, against=side.against, time=time,
    )  # fmt: skip

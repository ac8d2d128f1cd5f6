"""Shares of requests: those that fail, and those of one status among the others.

Tested is the change of the odds, so that 36 % to 100 % is as large as it feels; against the
baseline and against all of the past, of which the better one counts: five of five failures after
none of five say little, after none of four hundred much.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queries.core.answer import Direction, Kind
from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Against, Candidate, whole_or_run
from queries.diff.frame import Frame, Groups, Level
from queries.diff.stats import (
    CUT,
    Floats,
    Ints,
    Mask,
    Runs,
    at_once,
    band,
    best,
    bounds,
    dispersion,
    logit,
    middle,
    odds_z,
    ratio,
    runs_of,
    spans_of,
)
from store.values import dataclass

LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("host",),
    ("host", "method"),
    ENDPOINT,
    ("side", "instance"),
    ("side", "service", "host"),
    ("side", "service", *ENDPOINT),
    ("side", *ENDPOINT, "instance"),
)


@dataclass(frozen=True)
class Shares:
    """n, f [groups, blocks of window / of baseline / stretches of the past]."""

    n: tuple[Floats, Floats, Floats]
    f: tuple[Floats, Floats, Floats]

    def of(self, groups: Ints) -> Shares:
        n, f = (tuple(x[groups] for x in side) for side in (self.n, self.f))
        return Shares(n, f)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tested:
    """The most telling run of each group: signed z, the run, and what it is compared with: the past
    without the `newer` of its stretches, or (-1) the baseline."""

    runs: Runs
    z: Floats
    run: Ints
    newer: Ints
    noise: Floats


def counted(level: Level, frame: Frame, chosen: Mask) -> tuple[Floats, Floats, Floats]:
    counts = frame.counted(level.dims)
    sides = (counts.window, counts.baseline, counts.past)
    sums = [level.sums(side, chosen) for side in sides]
    return sums[0], sums[1], sums[2]


def scan(shares: Shares) -> Tested:
    """Every run of window blocks against the baseline, against all of the past, and against what
    of it is older than half or three quarters: an incident may have gone on for hours."""
    (n, nb, np_), (f, fb, fp) = shares.n, shares.f
    runs = runs_of(n.shape[1])
    sums = runs.sums(n), runs.sums(f)
    noise = dispersion(nb, fb, limits.CLUSTER, limits.MOST_CLUSTERED)
    x, var = logit(fp, np_)
    x, var = np.where(np_ > 0, x, np.nan), np.where(np_ > 0, var * noise[:, None], np.nan)
    nb1, fb1 = nb.sum(1), fb.sum(1)
    steps = np.diff(x, axis=1), var[:, 1:] + var[:, :-1]  # between neighbours
    wide = _band(*steps)
    stretches = np_.shape[1]
    before = nb1, fb1, noise, wide
    bar = limits.bar(len(n))

    def quiet(groups: Ints) -> list[Floats]:
        own, whole = (nb[groups], fb[groups]), [column[groups] for column in before]
        return [
            _against(*(runs.sums(x[:, part]) for x in own), *whole)
            for part in spans_of(nb.shape[1], n.shape[1])
        ]

    beside = {-1: _against(*sums, *before)}
    for cut in sorted({0, stretches // 2, 3 * stretches // 4}) if stretches else ():
        nu, fu = np_[:, cut:].sum(1), fp[:, cut:].sum(1)
        drift = _band(x[:, cut:] - middle(x[:, cut:])[:, None], var[:, cut:])
        beside[cut] = _against(*sums, nu, fu, noise, drift)
        if cut == 0 and stretches >= limits.KNOWN:
            # few requests may have fared well by chance: beside them as many of the past as say
            # as much of it; and more than those is no news where that many usually fail
            share = (fu + 0.5) / (nu + 1)
            like = np.minimum(noise / ((drift / 2) ** 2 * share * (1 - share)), nu)
            both = _against(*sums, nb1 + like, fb1 + like * ratio(fu, nu), noise, wide)
            z = np.clip(both, np.minimum(beside[-1], 0), np.maximum(beside[-1], 0))
            beside[-1] = np.where((z > 0) & (nu > 0)[:, None] & (beside[0] <= 0), 0.0, z)
    z, run, newer = np.zeros(len(n)), np.zeros(len(n), dtype=np.int64), np.full(len(n), -1)
    for cut, against in beside.items():
        z_c, run_c = best(against, runs, quiet, bar)
        if cut > 0:
            z_c = np.sign(z_c) * np.maximum(np.abs(z_c) - CUT, 0) * _lasting(shares, cut)
        better = np.abs(z_c) > np.abs(z)
        z, run = np.where(better, z_c, z), np.where(better, run_c, run)
        newer = np.where(better, cut, newer)
    return Tested(runs, z, run, newer, noise)


def _lasting(shares: Shares, cut: int) -> Mask:
    """Whether the window is so far from what is older than the cut that no day drifts as far, and
    the baseline, with the stretches of the past up to the one before the cut, is more like it."""
    (n, nb, np_), (f, fb, fp) = shares.n, shares.f
    now, old = ratio(f.sum(1), n.sum(1)), ratio(fp[:, cut:].sum(1), np_[:, cut:].sum(1))
    some = nb.sum(1) + np_[:, : cut - 1].sum(1)
    since = ratio(fb.sum(1) + fp[:, : cut - 1].sum(1), some)
    alike = (some > 0) & (np.abs(since - now) <= np.abs(since - old))
    lasting: Mask = alike & (np.abs(now - old) >= limits.POINTS)
    return lasting


def _band(effects: Floats, variances: Floats) -> Floats:
    floor = limits.BAND if effects.shape[1] >= limits.KNOWN - 1 else limits.WIDE
    return band(effects, variances, floor)


def _against(n: Floats, f: Floats, nb: Floats, fb: Floats, noise: Floats, wide: Floats) -> Floats:
    z: Floats = odds_z(f, n, fb[:, None], nb[:, None], wide[:, None])
    return z / np.sqrt(noise)[:, None]


def failures(frame: Frame, dims: tuple[str, ...]) -> list[Candidate]:
    """Groups of a level that fail more or less than the baseline or the past shows."""
    level = frame.level(dims)
    n, f = counted(level, frame, frame.own), counted(level, frame, frame.own & frame.failed)
    able = np.flatnonzero(
        frame.named(level)
        & (np.maximum(f[0].sum(1), f[1].sum(1)) >= limits.FEW)
        & (n[1].sum(1) + n[2].sum(1) > 0)
        & (n[0].sum(1) > 0)
    )
    if not able.size:
        return []
    shares = Shares(n, f).of(able)
    bar = limits.bar(able.size)
    places = (level, able, frame.own), (level, able, frame.own & frame.failed)
    found = _apart(frame, scan(shares), limits.MOST * bar, *places)
    changed = [
        candidate
        for i in np.flatnonzero((found.z >= limits.MOST * bar) | (found.z <= -bar)).tolist()
        if (candidate := _failing(frame, level, int(able[i]), i, shares, found))
    ]
    return [replace(c, sure=c.z >= bar) for c in changed]


def _apart(frame: Frame, found: Tested, bar: float, *places: tuple[Level, Ints, Mask]) -> Tested:
    """What failures that come at once say: no more than as many as have a fate of their own. Beside
    a known past all that come in the same seconds, else more than requests come so anyway."""
    some = np.flatnonzero(found.z >= bar)
    if not some.size:
        return found
    run, block = found.run[some, None], frame.axis.slots[0].block
    in_run = (block >= found.runs.starts[run]) & (block < found.runs.ends[run])
    n, f = (frame.by_slot(level, groups[some], keys) for level, groups, keys in places)
    usual = (found.newer[some, None] >= 0) & (frame.past.shape[1] >= limits.KNOWN)
    once = at_once(f * in_run, np.where(usual, 1.0, n) * in_run)
    noise = found.noise.copy()
    noise[some] = np.clip(once, noise[some], limits.MOST_CLUSTERED)
    return replace(found, z=found.z * np.sqrt(found.noise / noise), noise=noise)


def _failing(
    frame: Frame, level: Level, g: int, i: int, shares: Shares, found: Tested
) -> Candidate | None:
    scope = (level.group == g) & frame.own
    part = scope & frame.failed
    silent = part & (frame.status == 0)
    c = candidate(frame, level, g, i, scope, part, "errors", shares, found)
    if c is None or (c.direction == "down" and not _lately(c, shares, i)):
        return None
    if c.direction == "up" and float(c.excess[silent].sum()) >= 0.5 * c.affected:
        c.kind, c.metric = "no_response", "no_response_share"
    return c


def candidate(
    frame: Frame, level: Level, g: int, i: int, scope: Mask, part: Mask, kind: Kind,
    shares: Shares, found: Tested,
) -> Candidate | None:  # fmt: skip
    """The change of one group as its run shows it; None if it is not worth a line."""
    run = int(found.run[i])
    began, ended = int(found.runs.starts[run]), int(found.runs.ends[run])
    n_r = float(shares.n[0][i, began:ended].sum())
    f_r = float(shares.f[0][i, began:ended].sum())
    newer = int(found.newer[i])
    against: Against = "baseline" if newer < 0 else "usual"
    n_b, f_b = (
        float(x[1][i].sum() if newer < 0 else x[2][i, newer:].sum()) for x in (shares.n, shares.f)
    )
    now, base = f_r / n_r, f_b / n_b
    direction: Direction = "up" if now >= base else "down"
    if direction == "down" and abs(float(found.z[i])) < limits.Z_STRONG:
        return None
    if not limits.worth(now, base, n_r, direction):
        return None
    excess, volume = spread(frame, scope, part, began, ended, before_of(frame, against, newer))
    error = float(np.sqrt(found.noise[i] * (1 / (f_r + 0.5) + 1 / (f_b + 0.5))))
    low, high = bounds(now / base, error) if base and now else (None, None)
    return Candidate(
        kind=kind, direction=direction, key=level.key(g),
        scope=scope, part=part, excess=excess, volume=volume, metric="error_share",
        window=now, baseline=base, low=low, high=high, z=abs(float(found.z[i])), began=began,
        ended=ended, against=against, newer=max(newer, 0), noise=float(found.noise[i]),
    )  # fmt: skip


def before_of(frame: Frame, against: Against, newer: int) -> Floats:
    """[keys]: requests of the baseline, or of the past without the newest stretches."""
    return frame.before if against == "baseline" else frame.past[:, max(newer, 0) :].sum(1)


def spread(frame: Frame, scope: Mask, part: Mask, began: int, ended: int, before: Floats) -> Floats:
    """(excess, volume) [keys]: requests of the part beyond what the scope's endpoints usually have.

    Endpoint by endpoint, so that a shift of the mix between good and bad ones is no change; one
    that was not there before has the share of all. before [keys]: requests of what it is beside.
    """
    level, keys = frame.level(("side", *ENDPOINT)), np.flatnonzero(scope)
    of_scope, mine, before = Groups(level.group[keys], level.size), part[keys], before[keys]
    group = of_scope.group
    n_b, f_b = of_scope.sum(before), of_scope.sum(np.where(mine, before, 0.0))
    common = float(f_b.sum()) / max(float(n_b.sum()), 1e-9)
    share = np.where(n_b > 0, ratio(f_b, n_b), common)[group]
    results = []
    for requests in (frame.requests[keys], frame.window[keys, began:ended].sum(1)):
        failing = np.where(mine, requests, 0.0)
        due = share * of_scope.sum(requests)[group]
        # which of an endpoint's failures were due, their statuses say before, else their numbers
        weights = np.where(mine & (f_b[group] > 0), before, failing)
        of_key = ratio(weights, of_scope.sum(weights)[group])
        results.append((failing - due * of_key, requests))
    (whole, everything), (run, volume) = results
    chosen = whole_or_run(whole, run)
    both = np.zeros((2, frame.size))
    both[:, keys] = chosen, everything if chosen is whole else volume
    return both


def _lately(c: Candidate, shares: Shares, i: int) -> bool:
    """Whether the baseline, too, is more like what is usual than like the window."""
    n, f = float(shares.n[1][i].sum()), float(shares.f[1][i].sum())
    usual, now = c.baseline or 0.0, c.window or 0.0
    return n == 0 or abs(f / n - usual) <= abs(f / n - now)


def statuses(frame: Frame) -> list[Candidate]:
    """Statuses that endpoints answer more often.

    A good one counts among the good answers: that fewer fail is another piece of news.
    """
    level, child = frame.level(ENDPOINT), frame.level((*ENDPOINT, "status"))
    above = np.zeros(child.size, dtype=np.int64)
    above[child.group] = level.group
    status = np.array([value[-1] for value in child.values], dtype=np.int64)
    fine, passed = status < 400, frame.own & ~frame.failed
    n, f = (
        tuple(np.where(fine[:, None], *pair) for pair in zip(good, every, strict=True))
        for good, every in (
            [[x[above] for x in counted(level, frame, mask)] for mask in (passed, frame.own)],
            [counted(child, frame, mask) for mask in (passed, frame.own)],
        )
    )
    able = np.flatnonzero(
        (f[0].sum(1) >= limits.FEW)
        & (n[1].sum(1) + n[2].sum(1) > 0)
        & (status > 0)
        & frame.named(level)[above]
    )
    if not able.size:
        return []
    shares = Shares(n, f).of(able)  # type: ignore[arg-type]
    bar = limits.bar(able.size)
    places = (level, above[able], frame.own), (child, able, frame.own)
    found = _apart(frame, scan(shares), bar, *places)
    changed = []
    for i in np.flatnonzero(found.z >= bar).tolist():
        g = int(able[i])
        mine = passed if fine[g] else frame.own
        scope, part = (level.group == int(above[g])) & mine, (child.group == g) & mine
        c = candidate(frame, level, int(above[g]), i, scope, part, "statuses", shares, found)
        if c is None or c.direction != "up":
            continue
        if fine[g] and not _lately(c, shares, i):
            continue
        points = (c.window or 0) - (c.baseline or 0)
        if fine[g] and (points < limits.POINTS or c.affected < 2 * limits.MORE):
            continue  # which good status comes depends on what is asked for
        c.key["status"] = int(status[g])
        c.metric = "status_share"
        changed.append(c)
    return changed

"""Rates: everything, and then what differs from the common change of everything.

The total is a question of its own: when all traffic stops, nothing else is news. Every other key
is tested net of the median change of the endpoints (not of the total, in which a retry storm makes
all else seem to fall), and only told if its own rate changed as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Against, Candidate, whole_or_run
from queries.diff.detect.presence import Births, births_of
from queries.diff.frame import Frame, Level
from queries.diff.stats import (
    WORST,
    Floats,
    Ints,
    Mask,
    Runs,
    band,
    best,
    bounds,
    middle,
    quantile,
    rate_dispersion,
    rate_z,
    ratio,
    runs_of,
    spans_of,
    weighted_median,
)  # fmt: skip
from store.values import dataclass

LEVELS: tuple[tuple[str, ...], ...] = (
    ("host",),
    ("host", "method"),
    ENDPOINT,
    ("side", "service", "host"),
    ("side", "service", *ENDPOINT),
)

Common = Mapping[Against, float]
ALIKE: Common = {"baseline": 1.0, "usual": 1.0}


@dataclass(frozen=True)
class _Side:
    """What the window is compared with: n [groups], due [groups, blocks], effects, variances
    [groups, past]."""

    against: Against
    n: Floats
    due: Floats
    effects: Floats
    variances: Floats


def common(frame: Frame) -> Common:
    """By how much the typical rate changed: the median change of the endpoints, or that of what
    comes from outside, if it is smaller: the one is led by a storm where few endpoints are busy,
    the other by one from outside."""
    level = frame.level(ENDPOINT)
    counts = frame.once
    now = level.sum(counts.requests * frame.own)
    factors = []
    for due in (counts.due, counts.due_past):
        expected = level.sum(due * frame.own)
        busy = np.flatnonzero(np.maximum(now, expected) >= limits.SEVERAL)
        weights = np.sqrt(np.maximum(now[busy], expected[busy]))
        changes = np.log(ratio(now[busy] + 0.5, expected[busy] + 0.5))
        outside = frame.own & frame.front
        front = counts.requests[outside].sum() + 0.5, due[outside].sum() + 0.5
        both = np.array([weighted_median(changes, weights), math.log(front[0] / front[1])])
        alike = both.min() > 0 or both.max() < 0
        factors.append(math.exp(both[np.abs(both).argmin()]) if alike else 1.0)
    return {"baseline": factors[0], "usual": factors[1]}


def total(frame: Frame) -> list[Candidate]:
    """Everything busier or quieter than people's habits explain."""
    long = frame.axis.spans[0].seconds >= limits.HABITS_S
    floor = limits.WIDE if long else limits.BAND
    return rates(frame, (), ALIKE, floor)


def rates(
    frame: Frame, dims: tuple[str, ...], factor: Common, floor: float | None = None
) -> list[Candidate]:
    floor = limits.BAND if floor is None else floor
    level, counts, own = frame.level(dims), frame.counted(dims), frame.own
    window, baseline, past = (
        level.sums(side, own) for side in (counts.window, counts.baseline, counts.past)
    )
    expected, usual_due = (level.sums(x, own) for x in (counts.expected, counts.usual))
    due = expected.sum(1)
    kept = level.kept(counts.due * own, frame.kept)
    able = np.flatnonzero(
        frame.named(level)
        & (np.maximum(window.sum(1), due) >= limits.MORE)
        & (baseline.sum(1) >= limits.FEW)
        & ((window.sum(1) > 0) | (not dims))
    )  # fmt: skip
    if not able.size:
        return []
    bar = limits.bar(able.size) if dims else limits.Z_ALL
    births = births_of(level, frame, past, baseline, window) if "route" in dims else None
    window, past, due = window[able], past[able], due[able]
    expected, usual_due = expected[able], usual_due[able]
    noise = rate_dispersion(baseline[able], frame.seconds_b, limits.BURSTS, limits.MOST_BURSTS)
    runs = runs_of(window.shape[1], over=False)
    n = runs.sums(window)
    steady = _steady(window, runs)
    sides = _sides(frame, (baseline[able].sum(1), past), (expected, usual_due), noise)
    results, moved = [], []
    for side in sides:
        of_side = side.due.sum(1) * factor[side.against]
        change = np.log(ratio(window.sum(1) + 0.5, of_side + 0.5))
        moved.append(change)
        peers = np.stack([change, noise * (1 / (window.sum(1) + 0.5) + 1 / (side.n + 0.5))], 1)
        wide = band(side.effects, side.variances, floor, peers if dims else None)
        if not dims and side.effects.shape[1]:  # a day has hours of all sorts, a week has days
            apart = np.nan_to_num((side if frame.axis.adjacent else sides[-1]).effects)
            day = quantile(np.abs(apart), 1 - 1 / WORST)
            if side.against == "usual":  # what rises at once and beyond all of them is none of them
                rose = np.log(ratio(window.sum(1) + 0.5, due + 0.5)) >= floor
                day = np.where(rose, apart.max(1), day + floor)
            wide = np.maximum(wide, day)
        rho = ratio(runs.sums(side.due), side.n[:, None])
        signed = [
            _signed(n, steady, side.n[:, None], rho * net, wide[:, None])
            for net in (1.0, factor[side.against])  # its own rate has to have changed as well
        ]
        both = np.where(signed[0] * signed[1] > 0, np.minimum(*np.abs(signed)), 0.0)
        z = np.sign(signed[0]) * both / np.sqrt(noise)[:, None]
        left = kept[able][:, None]
        if (left < 1).any():  # a fall has to show beside what was sure to be seen, too
            sure = _signed(n, steady, side.n[:, None], rho * left, wide[:, None])
            z = np.where(z < 0, np.maximum(z, np.minimum(sure, 0) / np.sqrt(noise)[:, None]), z)
        quiet = partial(_own, runs, baseline[able], frame.seconds_b[None], noise, wide)
        results.append((*best(z, runs, quiet, bar), side))
    z, run, _ = results[0]
    usual = np.zeros(z.size, dtype=bool)
    if len(results) > 1:  # what changed long ago is no news
        z_u, run_u, _ = results[1]
        least = np.maximum(floor / 2, limits.MOST * np.abs(moved[1]))
        alike = np.sign(z_u) * moved[0] > least  # most of it since the baseline
        usual = (np.abs(z_u) > np.abs(z)) & alike
        z, run = np.where(usual, z_u, z), np.where(usual, run_u, run)
    asked = np.zeros(z.size, dtype=bool)
    if "service" in dims:
        demand = _demand(frame, level, own, able)
        z_d, run_d, noise_d = _by_demand(demand, (window, baseline[able], past))
        asked = np.abs(z_d) > np.abs(z)
        z, run = np.where(asked, z_d, z), np.where(asked, run_d, run)
        noise = np.where(asked, noise_d, noise)
    changed = []
    for i in np.flatnonzero(np.abs(z) >= bar).tolist():
        if births and _young(births, int(able[i]), float(max(n[i, 0], due[i]))):
            continue
        if z[i] > 0 and not asked[i] and _in_runs(past[i], float(n[i, 0])):
            continue
        side = results[int(usual[i] and not asked[i])][2]
        where = int(runs.starts[run[i]]), int(runs.ends[run[i]])
        c = _candidate(frame, level, int(able[i]), where, side.against, factor, float(noise[i]))
        c.z = abs(float(z[i]))
        c.direction = "up" if z[i] > 0 else "down"
        if asked[i]:
            caller = frame.codes["service"] == frame.codes["service"][level.first[able[i]]]
            c.demand = own & frame.incoming & caller
        if dims and c.direction == "down" and _silent(window[i], expected[i] / noise[i]):
            c.kind, c.direction, c.metric = "gone", "gone", "requests"
        # its own rate changed as well, not only beside the others', and by a number of requests
        less, more = (c.baseline or 0.0, c.window or 0.0)[:: 1 if c.direction == "up" else -1]
        if more >= math.exp(floor) * less and c.affected >= limits.MORE:
            changed.append(c)
    return changed


def _young(births: Births, g: int, requests: float) -> bool:
    """Whether it came up lately, where names so busy come up all the time: they go again, too.
    Without a past, whether it came up in the course of the baseline."""
    if births.late[g]:
        return True
    return bool(births.young[g]) and births.often(g, requests) >= limits.HABIT


def _in_runs(past: Floats, requests: float) -> bool:
    """Whether it is often silent for as long as an hour, and was as busy in another one."""
    often = past.size >= limits.KNOWN and float((past == 0).mean()) >= limits.HABIT
    return often and requests <= past.max()


def _signed(n: Floats, steady: Floats, nb: Floats, rho: Floats, wide: Floats) -> Floats:
    """Fewer by all requests, more by those that do not come in one burst."""
    fewer, more = rate_z(n, nb, rho, wide), rate_z(steady, nb, rho, wide)
    both: Floats = np.minimum(fewer, 0) + np.maximum(more, 0)
    return both


def _silent(window: Floats, due: Floats) -> bool:
    """Whether nothing came for so long, up to now, that it is not there any more."""
    last = np.flatnonzero(window)
    return float(due[last[-1] + 1 :].sum() if last.size else due.sum()) >= limits.MORE


def _steady(window: Floats, runs: Runs, due: Floats | None = None) -> Floats:
    """[groups, runs]: the requests of a run, its busiest quarter taken for as busy as the rest (a
    job may run for minutes); none of a run of a block or two.

    due [groups, blocks]: what there would be of them by what they depend on; else alike in all.
    """
    steady = np.zeros((len(window), runs.starts.size))
    due = np.ones_like(window) if due is None else due
    order = np.argsort(window - due, axis=1, kind="stable")
    sorted_, weights = (np.take_along_axis(x, order, axis=1) for x in (window, due))
    for i, (start, end) in enumerate(zip(runs.starts.tolist(), runs.ends.tolist(), strict=True)):
        rest = end - start - max((end - start) // 4, 1)
        if rest >= 2:
            inside = (order >= start) & (order < end)
            kept = inside & (np.cumsum(inside, axis=1) <= rest)
            total, left = (weights * inside).sum(1), (weights * kept).sum(1)
            steady[:, i] = (sorted_ * kept).sum(1) * ratio(total, left)
    return steady


def _demand(frame: Frame, level: Level, own: Mask, able: Ints) -> tuple[Floats, Floats, Floats]:
    """[groups, blocks of window / of baseline / stretches of the past]: what the service of each
    group that makes calls is asked itself; 0 where that is not recorded."""
    services = frame.level(("side", "service"))
    first = services.first[frame.incoming[services.first]]
    place = np.full(len(frame.labels["service"]), services.size)
    place[frame.codes["service"][first]] = services.group[first]
    calls = level.first[able]
    of = np.where(frame.incoming[calls], services.size, place[frame.codes["service"][calls]])
    sides = (services.sums(x, own) for x in (frame.window, frame.baseline, frame.past))
    window, baseline, past = (np.concatenate([x, np.zeros((1, x.shape[1]))])[of] for x in sides)
    return window, baseline, past


def _by_demand(
    asked: tuple[Floats, Floats, Floats], calls: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Ints, Floats]:
    """[groups]: z, the run and the dispersion of calls for each request that the caller gets. Those
    that come in a burst because their callers' requests do are no burst, so that it shows in few
    requests who tries again and again, and which calls are made no more.
    """
    (window, baseline, past), (a_w, a_b, a_p) = calls, asked
    runs = runs_of(window.shape[1], over=False)
    n, nb = runs.sums(window), baseline.sum(1)
    noise = rate_dispersion(baseline, a_b, limits.BURSTS, limits.MOST_BURSTS)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(a_p > 0, np.log((past + 0.5) / a_p), np.nan)
    variances = noise[:, None] / (past + 0.5)
    wide = band(np.diff(logs, axis=1), variances[:, 1:] + variances[:, :-1], limits.BAND)
    rho = ratio(runs.sums(a_w), a_b.sum(1)[:, None])
    steady = _steady(window, runs, a_w * ratio(nb, a_b.sum(1))[:, None])
    signed = _signed(n, steady, nb[:, None], rho, wide[:, None]) / np.sqrt(noise)[:, None]
    known = (a_b.sum(1) >= limits.SEVERAL) & (a_w.sum(1) >= limits.FEW)
    signed = np.where(known[:, None], signed, 0.0)
    quiet = partial(_own, runs, baseline, a_b, noise, wide)
    return (*best(signed, runs, quiet, limits.bar(len(n))), noise)


def _own(
    runs: Runs, n: Floats, exposure: Floats, noise: Floats, wide: Floats, groups: Ints
) -> list[Floats]:
    """What the runs of the baseline's own spans look like against all of it, of some groups."""
    exposure = exposure[groups] if len(exposure) > 1 else exposure
    n, noise, wide = n[groups], noise[groups], wide[groups]
    total, whole = n.sum(1)[:, None], np.maximum(exposure.sum(1), 1e-9)[:, None]
    own = []
    for part in spans_of(n.shape[1], runs.ends.max()):
        rho = runs.sums(exposure[:, part]) / whole
        z = rate_z(runs.sums(n[:, part]), total, rho, wide[:, None])
        own.append(z / np.sqrt(noise)[:, None])
    return own


def _sides(
    frame: Frame, n: tuple[Floats, Floats], due: tuple[Floats, Floats], noise: Floats
) -> list[_Side]:
    """The baseline, with past changes from one stretch to the next of their own; and what is usual,
    if there is a past. n: of the baseline [groups], of the past [groups, stretches]."""
    seen, past = frame.seconds_p > 0, n[1]
    rate = np.where(seen, (past + 0.5) / np.maximum(frame.seconds_p, 1e-9), np.nan)
    logs, var = np.log(rate), noise[:, None] / (past + 0.5)  # what requests explain of it
    sides = [_Side("baseline", n[0], due[0], np.diff(logs, axis=1), var[:, 1:] + var[:, :-1])]
    if past.shape[1]:
        sides.append(_Side("usual", past.sum(1), due[1], logs - middle(logs)[:, None], var))
    return sides


def _candidate(
    frame: Frame, level: Level, g: int, where: tuple[int, int], against: Against,
    factor: Common, noise: float,
) -> Candidate:  # fmt: skip
    scope = (level.group == g) & frame.own
    began, ended = where
    seconds = float(frame.seconds_w[began:ended].sum())
    by_block = frame.expected if against == "baseline" else frame.usual
    due = np.where(scope[:, None], by_block, 0.0) * factor[against]
    whole_due, run_due = due.sum(1), due[:, began:ended].sum(1)
    in_run = np.where(scope, frame.window[:, began:ended].sum(1), 0.0)
    whole = np.where(scope, frame.requests, 0.0) - whole_due
    excess = whole_or_run(whole, in_run - run_due)
    own = run_due / factor[against]  # what is shown is the key's own rate, not net of others
    n, b = float(in_run.sum()), float(own.sum())
    low, high = bounds(n / b, math.sqrt(noise * (1 / (n + 0.5) + 1 / (b + 0.5)))) if n else (0, 0)
    return Candidate(
        kind="rate", direction="up", key=level.key(g), scope=scope, part=scope, excess=excess,
        volume=whole_due if excess is whole else run_due, metric="per_s", window=n / seconds,
        baseline=b / seconds, low=low or None, high=high or None, began=began, ended=ended,
        against=against, noise=noise,
    )  # fmt: skip

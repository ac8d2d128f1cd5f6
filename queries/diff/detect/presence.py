"""Presence: what is there now and was not, and what was there and is not any more.

Counted are sightings, not requests: slots in which a key was active, of a burst a quarter of its
requests at most. How likely is it that all of them miss the other side by chance? And, which is
often more: how often has this key been silent for as long, how often do new names come at this
level? A job that sleeps is no news, nor is the next article of a newspaper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from queries.core.answer import Direction, Kind
from queries.diff import limits
from queries.diff.candidate import ENDPOINT, Against, Candidate
from queries.diff.frame import Frame, Level
from queries.diff.stats import WORST, Floats, Ints, Mask, add_up, quantile, rate_dispersion
from store.values import dataclass

REPLICA = ("service", "instance")
MOVE = ({"host"}, {"service", "host"}, set(ENDPOINT))  # what may take another name
LEVELS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("new", ("host",)),
    ("new", ("service",)),
    ("new", ENDPOINT),
    ("new", (*ENDPOINT, "status")),
    ("new", (*ENDPOINT, "grpc_status")),
    ("edge", ("service", "host")),
    ("signature", ("host", "method", "route", "signature")),
    ("new", ("service", "process")),
    ("gone", REPLICA),
)
_ACTIVE = 60  # slots a span that are told apart
_CHANCE = 0.05  # of what goes on: that it is silent for as long as that
_DAY_S = 86_400


@dataclass(frozen=True)
class Births:
    """When names came up for the first time: parent [groups]; at [groups]: the stretch of the past,
    or quarter of the baseline or the window, in which it did (-1: was there from the start, or is
    not there yet), busy [groups]: its requests then, at the length of the window; of: how many
    there were.
    young [groups]: not known to have been there from the start. late [groups]: there is no past,
    and it was not there when the baseline began.
    """

    parent: Ints
    at: Ints
    busy: Floats
    of: int
    least: int
    young: Mask
    late: Mask

    def often(self, g: int, requests: float) -> float:
        """The chance that a name so busy comes up under the parent of group g in the window."""
        alike = (self.at >= 0) & (self.parent == self.parent[g]) & (self.busy >= requests / 4)
        if self.least > 1:  # what came together is one release; of a past, the window is not one
            alike &= self.at != self.at[g]
        times = len(set(self.at[alike].tolist()))
        if alike.sum() < self.least or not self.of or (times == 1 and self.of >= WORST):
            return 0.0  # that one came once was a release, and no habit
        return min(times / self.of, 1.0)


def births_of(
    level: Level, frame: Frame, past: Floats, baseline: Floats, window: Floats
) -> Births:  # fmt: skip
    parent = np.zeros(level.size, dtype=np.int64)
    if len(level.dims) > 1:
        parent = frame.codes[level.dims[0]][level.first].astype(np.int64)
    seconds = float(frame.seconds_w.sum())
    if past.shape[1] >= 2:
        course, lengths, least = past[:, ::-1], frame.seconds_p[::-1], 1
    else:  # in quarters, of which the first one cannot tell
        sides = ((baseline, frame.seconds_b), (window, frame.seconds_w))
        quarters = [
            (counts[:, q].sum(1), exposure[q].sum())
            for counts, exposure in sides
            for q in np.array_split(np.arange(counts.shape[1]), 4)
        ]
        course, least = np.stack([n for n, _ in quarters], axis=1), 2
        lengths = np.array([length for _, length in quarters])
    there = course > 0
    first = np.where(there.any(1), there.argmax(1), -1)
    at = np.where(first > 0, first, -1).astype(np.int64)
    row = np.arange(level.size)
    busy = course[row, at] * (seconds / np.maximum(lengths[at], 1e-9))
    of = course.shape[1] - 1 if least == 1 else 2
    young = (at >= 0) | (past.sum(1) == 0)
    return Births(parent, at, busy, of, least, young, (first > 0) & (least == 2))


def _silences(past: Floats) -> Floats:
    """[groups]: how often a name is silent. Once, and for an eighth of the past at most, it was an
    incident, and no habit."""
    silent = past == 0
    begins = silent.copy()
    begins[:, 1:] &= ~silent[:, :-1]
    often: Floats = silent.mean(axis=1)
    return np.where((begins.sum(axis=1) <= 1) & (often <= 1 / WORST), 0.0, often)


def presence(frame: Frame, factors: Mapping[Against, float], lossy: bool) -> list[Candidate]:
    """factors: by how much the typical rate changed, against the baseline and the past; lossy:
    requests may be missing unseen."""
    changed: list[Candidate] = []
    for kind, dims in LEVELS:
        named = frame.own & _named(frame, dims)
        if not named.any():
            continue
        sides = _Sides(frame, frame.level(dims), named, factors)
        if dims != REPLICA:
            changed += sides.new(kind)
        if lossy or kind == "signature" or "status" in dims or "grpc_status" in dims:
            continue
        gone = sides.gone(kind)
        changed += [c for c in gone if sides.missed(c)] if dims == REPLICA else gone
    return changed


def _named(frame: Frame, dims: tuple[str, ...]) -> Mask:
    """Keys that have a value in the dimensions that may be missing."""
    named = np.ones(frame.size, dtype=bool)
    for dim in set(dims) & {"host", "service", "signature", "process", "grpc_status"}:
        if dim != "host" or "signature" not in dims:
            named &= frame.has(dim)
    if dims == (*ENDPOINT, "grpc_status"):
        named &= frame.grpc_failed
    if "service" in dims and "host" in dims:
        named &= ~frame.incoming
    return named


class _Sides:
    """One level's sightings on both sides and in the past."""

    def __init__(
        self, frame: Frame, level: Level, part: Mask, factors: Mapping[Against, float]
    ) -> None:
        self.frame, self.level, self.part = frame, level, part
        self.factor = min(max(factors["baseline"], 0.5), 2.0)
        self.more = max(factors["baseline"], 1.0)
        self.busy = min(factors["usual"] / factors["baseline"], 1.0)  # the baseline, of the usual
        once = frame.counted(level.dims)
        self.window, self.baseline, self.past = (
            level.sums(x, part) for x in (once.window, once.baseline, once.past)
        )
        self.n, self.before = self.window.sum(1), self.baseline.sum(1)
        self.kept = level.kept(once.before * part, frame.kept)
        self.seconds, self.length = float(frame.seconds_w.sum()), frame.axis.spans[0].seconds
        self.other = float(frame.seconds_b.sum())
        self.history = float(frame.seconds_p.sum())
        self.here = level.sum(frame.anyhow_w * part)
        self.there = level.sum(frame.anyhow_b * part)

    @cached_property
    def births(self) -> Births:
        return births_of(self.level, self.frame, self.past, self.baseline, self.window)

    @cached_property
    def failures(self) -> Births:
        """When names began to fail: that new ones do is no news where new ones always do."""
        once, bad = self.frame.counted(self.level.dims), self.part & self.frame.failed
        sides = (self.level.sums(x, bad) for x in (once.past, once.baseline, once.window))
        return births_of(self.level, self.frame, *sides)

    def _active(self, groups: Mask) -> tuple[Floats, Mask]:
        """[groups]: slots of the window, of some 60, in which those groups were active; and whether
        they have stopped: silent since then for longer than ever before, and than by chance."""
        names = np.flatnonzero(groups)
        counts = self.frame.by_slot(self.level, names, self.part)
        width = max(counts.shape[1] // _ACTIVE, 1)
        there = np.add.reduceat(counts, np.arange(0, counts.shape[1], width), axis=1) > 0
        active, stopped = add_up(names, there.sum(1), groups.size), np.zeros_like(groups)
        for g, row in zip(names.tolist(), there, strict=True):
            own, room = np.flatnonzero(row), row.size
            since = room - 1 - own[-1]
            chance = (1 - since / (room - own[0])) ** (own.size - 1)
            stopped[g] = since > np.diff(own).max(initial=1) and chance < _CHANCE
        return active, stopped

    def new(self, kind: Kind) -> list[Candidate]:
        """Never before (a job's, maybe, where less than a day was recorded); or silent in the
        baseline though always there before (back)."""
        fresh = (self.n >= limits.FEW) & (self.there == 0)
        slots, stopped = self._active(fresh)
        slots = np.minimum(slots, self.n)
        sightings = slots + (self.n - slots) / limits.BURSTS
        busy = self.seconds * self.factor
        rarely = busy / (busy + self.other + self.history)
        log_p = sightings * np.log(rarely)
        odds = np.exp(np.maximum(log_p, -700.0))
        fresh &= self.past.sum(1) == 0
        bad = self.level.sum(self.frame.requests * (self.part & self.frame.failed))
        failing = bad >= limits.MOST * self.level.sum(self.frame.requests * self.part)
        for g in np.flatnonzero(fresh).tolist():
            births = self.failures if failing[g] else self.births
            odds[g] = max(odds[g], births.often(g, float(sightings[g]) / self.more))
        changed = self._pick(fresh, odds, kind, "new")
        told = (self.other + self.history) / self.seconds * self.length
        if changed and told < limits.NEARLY_ALL * _DAY_S:
            endpoint = self.frame.level(ENDPOINT)
            before = endpoint.sum(self.frame.anyhow_b)[endpoint.group]
            works = self._in_runs()
            for c in changed:
                first, out = np.flatnonzero(c.scope)[0], c.scope & ~self.frame.incoming
                g, known = self.level.group[first], "status" in c.key and before[first] > 0
                runs = stopped[g] or (out.any() and works[out].all())
                c.job = bool(runs and not failing[g] and not known)
        if kind == "new" and "status" not in self.level.dims and self.past.shape[1] >= limits.KNOWN:
            rates = self.past / np.maximum(self.frame.seconds_p, 1)
            due = quantile(rates, 0.25) * self.other * self.busy
            often = 1 - (self.past > 0).mean(axis=1)
            p = np.maximum(np.exp(-np.minimum(due / limits.BURSTS, 700.0)), often)
            steady = (self.n >= limits.FEW) & (self.there == 0) & (often < limits.HABIT)
            changed += self._pick(steady, p, "back", "new")
        return changed

    def _in_runs(self) -> Mask:
        """[keys]: of services that were there before and call in runs, all in all or most of what
        they called before: blocks are left out that so many calls, in bunches, would be in."""
        frame, works = self.frame, np.zeros(self.frame.size, dtype=bool)
        calls = frame.level(("side", "service"))
        known = calls.sum(frame.before + frame.earlier)
        for level in (calls, frame.level(("side", "service", *ENDPOINT))):
            counts = np.concatenate([level.sums(x) for x in (frame.baseline, frame.window)], axis=1)
            blocks, bunches = counts.shape[1], counts.sum(1) / limits.BURSTS
            idle = (counts > 0).sum(1) < limits.MOST * blocks * -np.expm1(-bunches / blocks)
            before = calls.sum((frame.before + frame.earlier) * idle[level.group])
            works |= (before > limits.MOST * known)[calls.group]
        return works

    def gone(self, kind: Kind) -> list[Candidate]:
        scale = self.seconds / max(self.other, 1e-9) * min(self.factor, 1.0)
        due = self.before * scale
        if self.past.shape[1] >= 3:
            rates = self.past / np.maximum(self.frame.seconds_p, 1)
            due = np.minimum(due, quantile(rates, 0.25) * self.seconds)
        due = due * self.kept
        noise = rate_dispersion(
            self.baseline, self.frame.seconds_b, limits.BURSTS, limits.MOST_BURSTS
        )
        p = np.exp(-np.minimum(due / noise, 700.0))
        if self.past.shape[1]:
            # stretches of the past are hours: that a window of minutes is silent is more likely
            p = np.maximum(p, _silences(self.past))
        able = (self.before >= limits.FEW) & (self.here == 0) & (due >= limits.FEW)
        if self.past.shape[1] < 2:  # what came in the course of the baseline may well go again
            able &= np.argmax(self.baseline > 0, axis=1) <= self.baseline.shape[1] / 4
        for g in np.flatnonzero(able & self.births.young).tolist():  # what comes so, goes so
            p[g] = max(p[g], self.births.often(g, float(due[g])))
        return self._pick(able, p, "gone" if kind == "new" else kind, "gone")

    def missed(self, c: Candidate) -> bool:
        """Whether an instance that is gone leaves a gap among its own: others stay, most of them,
        and none came in its place. Replaced ones are a roll-out or were moved, and no news.
        """
        mine = [g for g, v in enumerate(self.level.values) if v[0] == c.key["service"]]
        early = self.baseline[:, : max(self.baseline.shape[1] // 4, 1)].sum(1) + self.past.sum(1)
        stay = [g for g in mine if self.n[g] > 0 and early[g] > 0]
        came = [g for g in mine if self.n[g] > 0 and early[g] == 0]
        went = [g for g in mine if self.n[g] == 0 and self.before[g] > 0]
        return not came and len(stay) >= max(len(went), 1)

    def _pick(self, able: Mask, p: Floats, kind: Kind, direction: Direction) -> list[Candidate]:
        bar = limits.bar(int(((self.n > 0) | (self.before > 0)).sum()))
        z = np.sqrt(-2 * np.log(np.clip(p, 1e-300, 1.0)))
        z = np.sqrt(np.maximum(z * z - np.log(np.maximum(z * z, 1.0) * 2 * np.pi), 0))
        least = bar * (limits.MOST if set(self.level.dims) in MOVE else 1)
        return [
            replace(self._candidate(g, kind, direction, float(z[g])), sure=bool(z[g] >= bar))
            for g in np.flatnonzero(able & (z >= least)).tolist()
        ]

    def _candidate(self, g: int, kind: Kind, direction: Direction, z: float) -> Candidate:
        frame = self.frame
        scope = (self.level.group == g) & self.part
        signed = frame.requests - frame.due
        blocks = np.flatnonzero(self.window[g])
        return Candidate(
            kind=kind, direction=direction, key=self.level.key(g), scope=scope, part=scope, z=z,
            excess=np.where(scope, signed, 0.0), volume=np.where(scope, np.abs(signed), 0.0),
            metric="requests", window=float(frame.requests[scope].sum()),
            baseline=float(frame.due[scope].sum()), ended=frame.window.shape[1],
            began=int(blocks[0]) if direction == "new" and blocks.size else 0,
        )  # fmt: skip

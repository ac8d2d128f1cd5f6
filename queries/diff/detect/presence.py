"""Presence: what is there now and was not, and what was there and is not any more.

Counted in active minutes and blocks, not in requests: a burst of a hundred requests in one
minute is one sighting. Three chances are worked out and the largest one counts: that sightings
which fall at random over all covered minutes all missed the one side; that a key which is
active in a part of the blocks since it began stayed silent for the whole other side; and that
the other side got none of the few clusters of requests it was due. The last two know that a job
of ten minutes an hour may well be silent for an hour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from queries.core.answer import Direction, Kind
from queries.diff.candidate import Candidate
from queries.diff.frame import Frame, Level, grouped
from queries.diff.limits import Limits
from queries.diff.stats import Floats, Mask, benjamini_hochberg

REPLICA = ("service", "container")
LEVELS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("new", ("host",)),
    ("new", ("service",)),
    ("new", ("host", "method", "route")),
    ("new", ("host", "method", "route", "status")),
    ("edge", ("service", "host")),
    ("signature", ("host", "method", "route", "signature")),
    ("new", ("service", "process")),
    ("gone", REPLICA),
)
_STEADY = 0.8  # of the past spans in which a key has to be seen before it can be gone


def slots_of(level: Level, bits: Any, within: Mask) -> Floats:
    """Active slots of each group: the bit sets of its keys joined, and counted."""
    inside = np.flatnonzero(within & (bits > 0))
    joined = np.zeros(level.size, dtype=np.uint64)
    np.bitwise_or.at(joined, level.group[inside], bits[inside])
    return np.bitwise_count(joined).astype(np.float64)


def find(
    frame: Frame, limits: Limits, within: Mask, factor: float, lossy: bool, once: Frame
) -> list[Candidate]:
    """once: the frame in which a call that was recorded at both ends counts once."""
    found: list[Candidate] = []
    for kind, dims in LEVELS:
        sides = _Sides(frame, frame.level(dims), within & _named(frame, dims), factor, once)
        if dims == REPLICA:
            found += [] if lossy else [c for c in sides.gone(kind, limits) if sides.missed(c)]
            continue
        found += sides.new(kind, limits)
        if kind != "signature" and "status" not in dims and not lossy:
            found += sides.gone(kind, limits)
        if kind == "new" and "status" not in dims and limits.calibrated:
            found += sides.back(limits)
    return found


def _named(frame: Frame, dims: tuple[str, ...]) -> Mask:
    """Keys that have a value in the dimensions that may be missing."""
    named = np.ones(frame.size, dtype=bool)
    for dim in set(dims) & {"host", "service", "signature", "process"}:
        named &= frame.has(dim)
    if "service" in dims and "host" in dims:
        named &= ~frame.incoming
    return named


class _Sides:
    """One level's sightings on both sides."""

    def __init__(self, frame: Frame, level: Level, part: Mask, factor: float, once: Frame) -> None:
        self.frame, self.level, self.part, self.factor = frame, level, part, factor
        self.window = grouped(level, once.window, part)
        self.baseline = grouped(level, once.baseline, part)
        self.history = grouped(level, once.history, part)
        self.now = slots_of(level, frame.slots_w, part)
        self.before = _total([slots_of(level, s, part) for s in frame.slots_b], level.size)
        past = [slots_of(level, s, part) for s in frame.slots_h]
        self.past = _total(past, level.size)
        self.spans = _total([(p > 0).astype(np.float64) for p in past], level.size)

    def new(self, kind: Kind, limits: Limits) -> list[Candidate]:
        seconds = float(self.frame.seconds_w.sum())
        other = float(self.frame.seconds_b.sum() + self.frame.seconds_h.sum())
        elsewhere = self.level.sum(self.frame.anyhow_b * self.part) + self.past
        rarely = seconds / (seconds + other)
        first = np.argmax(self.window > 0, axis=1)
        blocks = self.window.shape[1] - first
        usual = (blocks + 1 - (self.window > 0).sum(1)) / (blocks + 1)
        silent = usual ** max(self.window.shape[1] * other / seconds, 1.0)
        requests = self.window.sum(1)
        loud = 3.0 if self.level.dims == ("host",) else limits.cluster
        unlucky = np.exp(-np.minimum(requests * other / seconds / loud, 700.0))
        p = np.maximum(rarely ** (self.now / max(self.factor, 1.0)), np.maximum(silent, unlucky))
        enough = (self.now >= limits.new_slots) & (requests >= limits.new_count)
        return self._pick((self.now > 0) & (elsewhere == 0), p, enough, kind, "new", limits)

    def gone(self, kind: Kind, limits: Limits) -> list[Candidate]:
        seconds = float(self.frame.seconds_w.sum())
        other = float(self.frame.seconds_b.sum() + self.frame.seconds_h.sum())
        here = self.level.sum(self.frame.anyhow_w * self.part)
        sightings = (self.before + self.past) * min(self.factor, 1.0)
        first = np.argmax(self.baseline > 0, axis=1)
        blocks = self.baseline.shape[1] - first
        active = (self.baseline > 0).sum(1) * min(self.factor, 1.0)
        silent = ((blocks + 1 - active) / (blocks + 1)) ** self.window.shape[1]
        requests = self._usual() * min(self.factor, 1.0)
        unlucky = np.exp(-np.minimum(requests / limits.cluster, 700.0))
        p = np.maximum((other / (other + seconds)) ** sightings, np.maximum(silent, unlucky))
        enough = (self.before >= limits.new_slots) & (requests >= limits.new_count)
        enough &= self.spans >= _STEADY * len(self.frame.slots_h)
        named: Kind = "gone" if kind == "new" else kind
        return self._pick((self.before > 0) & (here == 0), p, enough, named, "gone", limits)

    def missed(self, c: Candidate) -> bool:
        """Whether a container that is gone leaves a gap among its own: others stay, most of them,
        and none came in its place. Replaced ones are a roll-out or were moved, and no news.
        """
        mine = [g for g, v in enumerate(self.level.values) if v[0] == c.key["service"]]
        stay = [g for g in mine if self.now[g] > 0 and self.before[g] > 0]
        came = [g for g in mine if self.now[g] > 0 and self.before[g] == 0]
        went = [g for g in mine if self.now[g] == 0 and self.before[g] > 0]
        return not came and len(stay) >= max(len(went), 1)

    def back(self, limits: Limits) -> list[Candidate]:
        """Steady in the past, silent in the whole baseline, and there again."""
        frame = self.frame
        absent = self.level.sum(frame.anyhow_b * self.part) == 0
        rates = self.history / np.maximum(frame.seconds_h, 1)
        due = np.quantile(rates, 0.25, axis=1) * float(frame.seconds_b.sum())
        p = np.exp(-np.minimum(due / limits.cluster, 700.0))
        enough = (self.now >= limits.new_slots) & (self.window.sum(1) >= limits.new_count)
        enough &= self.spans >= _STEADY * len(frame.slots_h)
        able = absent & (self.now > 0) & (self.past > 0)
        return self._pick(able, p, enough, "back", "new", limits)

    def _usual(self) -> Floats:
        """Requests that the window would have had, by the baseline and the leanest of the past."""
        seconds = float(self.frame.seconds_w.sum())
        base = self.baseline.sum(1) * self.frame.scale
        if not len(self.frame.slots_h):
            return np.asarray(base, dtype=np.float64)
        rates = self.history / np.maximum(self.frame.seconds_h, 1)
        usual: Floats = np.minimum(base, np.quantile(rates, 0.25, axis=1) * seconds)
        return usual

    def _pick(
        self, able: Mask, p: Floats, enough: Mask, kind: Kind, direction: Direction, limits: Limits
    ) -> list[Candidate]:
        at = np.flatnonzero(able & (p <= limits.q))
        # every key that is there on a side could have come or gone, not only those that did
        tests = int(((self.now > 0) | (self.before > 0)).sum())
        ok = benjamini_hochberg(p[at], limits.q, max(tests, 1), limits.step_up)
        chosen = at[ok & enough[at]]
        return [self._candidate(int(g), kind, direction, float(p[g])) for g in chosen]

    def _candidate(self, g: int, kind: Kind, direction: Direction, p: float) -> Candidate:
        frame = self.frame
        scope = (self.level.group == g) & self.part
        signed = frame.window.sum(1) - frame.baseline.sum(1) * frame.scale
        return Candidate(
            kind=kind,
            direction=direction,
            key=dict(zip(self.level.dims, self.level.values[g], strict=True)),
            scope=scope,
            part=scope,
            excess=np.where(scope, signed, 0.0),
            volume=np.where(scope, np.abs(signed), 0.0),
            metric="requests",
            window=float(frame.window[scope].sum()),
            baseline=float(frame.baseline[scope].sum()) * frame.scale,
            ratio=None,
            low=None,
            high=None,
            p=p,
            began=int(np.argmax(self.window[g] > 0)) if direction == "new" else 0,
            ended=frame.window.shape[1],
        )


def _total(parts: list[Floats], size: int) -> Floats:
    return np.sum(parts, axis=0) if parts else np.zeros(size)

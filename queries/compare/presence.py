"""Presence: what is there now and was not, and what was there and is not any more.

Counted in active minutes, not in requests: a burst of a hundred requests in one minute is one
sighting. If a key's sightings fell at random over all covered minutes, the chance that none of
them fell outside (or inside) the window is (other time / all time) ** sightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from queries.answer import Direction, Kind
from queries.compare.candidate import Candidate
from queries.compare.frame import Frame, Level
from queries.compare.limits import Limits
from queries.compare.stats import Floats, Mask, benjamini_hochberg

LEVELS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("new", ("host",)),
    ("new", ("service",)),
    ("new", ("host", "method", "route")),
    ("new", ("host", "method", "route", "status")),
    ("edge", ("service", "host")),
    ("signature", ("host", "method", "route", "signature")),
)


def slots_of(level: Level, bits: Any, within: Mask) -> Floats:
    """Active slots of each group: the bit sets of its keys joined, and counted."""
    inside = (level.group >= 0) & within & (bits > 0)
    joined = np.zeros(level.size, dtype=np.uint64)
    np.bitwise_or.at(joined, level.group[inside], bits[inside])
    return np.bitwise_count(joined).astype(np.float64)


def find(frame: Frame, limits: Limits, within: Mask) -> list[Candidate]:
    found: list[Candidate] = []
    for kind, dims in LEVELS:
        part = within & _named(frame, dims)
        level = frame.level(dims)
        now = slots_of(level, frame.slots_w, part)
        before = sum((slots_of(level, s, part) for s in frame.slots_b), np.zeros(level.size))
        past = [slots_of(level, s, part) for s in frame.slots_h]
        sides = _Sides(frame, level, part, now, before, past)
        found += sides.new(kind, limits)
        found += sides.gone(kind, limits)
    return found


def _named(frame: Frame, dims: tuple[str, ...]) -> Mask:
    """Keys that have a value in the dimensions that may be missing."""
    named = np.ones(frame.size, dtype=bool)
    for dim in set(dims) & {"host", "service", "signature"}:
        named &= np.array([bool(value) for value in frame.columns[dim]])
    if "service" in dims and "host" in dims:
        named &= np.array([side == "out" for side in frame.columns["side"]])
    return named


class _Sides:
    """One level's sightings on both sides."""

    def __init__(
        self, frame: Frame, level: Level, part: Mask, now: Floats, before: Floats,
        past: Sequence[Floats],
    ) -> None:  # fmt: skip
        self.frame, self.level, self.part = frame, level, part
        self.now, self.before = now, before
        self.past = sum(past, np.zeros(level.size))
        self.steady = sum(((p > 0).astype(np.float64) for p in past), np.zeros(level.size))
        window, baseline = frame.seconds_w.sum(), frame.seconds_b.sum()
        other = baseline + frame.seconds_h.sum()
        self.miss_window = float(other / (other + window))
        self.miss_other = float(window / (other + window))

    def new(self, kind: Kind, limits: Limits) -> list[Candidate]:
        w = self.level.sum(self.frame.window.sum(1) * self.part)
        elsewhere = self.level.sum(self.frame.anyhow_b * self.part) + self.past
        able = (self.now > 0) & (elsewhere == 0)
        p = self.miss_other**self.now
        enough = (self.now >= limits.new_slots) & (w >= limits.new_count)
        return self._pick(able, p, enough, kind, "new", limits)

    def gone(self, kind: Kind, limits: Limits) -> list[Candidate]:
        b = self.level.sum(self.frame.baseline.sum(1) * self.part) * self.frame.scale
        here = self.level.sum(self.frame.anyhow_w * self.part)
        able = (self.before > 0) & (here == 0)
        p = self.miss_window ** (self.before + self.past)
        histories = len(self.frame.slots_h)
        enough = (self.before >= limits.new_slots) & (b >= limits.new_count)
        enough &= self.steady >= 0.8 * histories
        return self._pick(able, p, enough, "gone" if kind == "new" else kind, "gone", limits)

    def _pick(
        self, able: Mask, p: Floats, enough: Mask, kind: Kind, direction: Direction, limits: Limits
    ) -> list[Candidate]:
        at = np.flatnonzero(able & (p <= limits.q))
        ok = benjamini_hochberg(p[at], limits.q, tests=int(max(able.sum(), 1)))
        chosen = at[ok & enough[at]]
        return [self._candidate(int(g), kind, direction, float(p[g])) for g in chosen]

    def _candidate(self, g: int, kind: Kind, direction: Direction, p: float) -> Candidate:
        frame = self.frame
        scope = (self.level.group == g) & self.part
        blocks = frame.window.shape[1]
        signed = frame.window.sum(1) - frame.baseline.sum(1) * frame.scale
        excess = np.where(scope, signed, 0.0)
        return Candidate(
            kind=kind,
            direction=direction,
            key=dict(zip(self.level.dims, self.level.values[g], strict=True)),
            scope=scope,
            part=scope,
            excess=excess,
            metric="requests",
            window=float(frame.window[scope].sum()),
            baseline=float(frame.baseline[scope].sum()) * frame.scale,
            ratio=None,
            low=None,
            high=None,
            p=p,
            began=0,
            ended=blocks,
        )

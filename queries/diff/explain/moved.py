"""Something that went away here and came up there: one finding, not two."""

from __future__ import annotations

import re

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.frame import Frame

_WORD = re.compile(r"[A-Za-z]{3,}|\{[a-z_]+\}")
_ALIKE = 0.5


def pair(frame: Frame, leads: list[Candidate]) -> list[Candidate]:
    """Replace each fitting pair of a gone and a new lead by one that has moved."""
    gone = [c for c in leads if c.direction == "gone"]
    fresh = [c for c in leads if c.direction == "new" and c.kind != "back"]
    taken: set[int] = set()
    for old in sorted(gone, key=Candidate.order):
        fits = [
            (-_likeness(frame, old, new), *new.order(), i)
            for i, new in enumerate(fresh)
            if i not in taken and set(old.key) == set(new.key) and _same_size(old, new)
        ]
        if fits and -min(fits)[0] >= _ALIKE:
            place = min(fits)[-1]
            taken.add(place)
            _join(old, fresh[place])
            leads = [c for c in leads if c is not old]
    return leads


def _same_size(old: Candidate, new: Candidate) -> bool:
    return 0.4 * old.affected <= new.affected <= 2.5 * old.affected


def _likeness(frame: Frame, old: Candidate, new: Candidate) -> float:
    """Part of the paths (or, of one path, of the words) that both have in common."""
    if set(old.key) in ({"host"}, {"service"}):
        return _common(_paths(frame, old), _paths(frame, new))
    if set(old.key) == {"service", "process"}:
        return 1.0 if old.key["service"] == new.key["service"] else 0.0
    if set(old.key) != set(ENDPOINT) or old.key["method"] != new.key["method"]:
        return 0.0
    if old.key["host"] != new.key["host"]:
        return 1.0 if old.key["route"] == new.key["route"] else 0.0
    words = [set(_WORD.findall(str(c.key["route"]))) for c in (old, new)]
    return _common(*words)


def _paths(frame: Frame, c: Candidate) -> set[object]:
    columns = frame.columns
    keys = np.flatnonzero(c.scope & (np.abs(c.excess) > 0)).tolist()
    return {(columns["method"][k], columns["route"][k]) for k in keys}


def _common(a: set[object], b: set[object]) -> float:  # type: ignore[type-arg,unused-ignore]
    return len(a & b) / len(a | b) if a and b else 0.0


def _join(old: Candidate, new: Candidate) -> None:
    new.kind, new.direction = "moved", "moved"
    new.folded += [old, *old.folded]
    new.scope = new.scope | old.scope
    new.baseline = old.baseline

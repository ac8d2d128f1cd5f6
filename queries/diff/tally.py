"""Counts of a level's groups on all three sides: window, baseline, history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.diff.frame import UNIT, Frame, Level
from queries.diff.stats import Floats, Ints, Mask


@dataclass(frozen=True)
class Tally:
    """window, baseline [groups, blocks]; history [groups, spans]: requests."""

    window: Floats
    baseline: Floats
    history: Floats

    def of(self, groups: Ints) -> Tally:
        return Tally(self.window[groups], self.baseline[groups], self.history[groups])


def tally(frame: Frame, level: Level, part: Mask) -> Tally:
    """The counts of the keys in `part`, kept for whoever asks for them again.

    A level that knows no more than units (side, endpoint, container) is summed from those.
    """
    known = (level.dims, part.tobytes())
    if known not in frame.tallies:
        unit = frame.level(UNIT)
        if level is not unit and set(level.dims) <= {*UNIT, "service"}:
            fine = tally(frame, unit, part)
            sums = fine.window, fine.baseline, fine.history
            group = level.group[unit.first]
            frame.tallies[known] = Tally(*(_summed(group, level.size, each) for each in sums))
        else:
            sums = frame.window, frame.baseline, frame.history
            frame.tallies[known] = Tally(*(grouped(level, each, part) for each in sums))
    return frame.tallies[known]


def grouped(level: Level, per_key: Floats, part: Mask) -> Floats:
    """[keys, columns] -> [groups, columns], of the keys in `part`."""
    if part.all():
        return _summed(level.group, level.size, per_key)
    keys = np.flatnonzero(part)
    return _summed(level.group[keys], level.size, per_key[keys])


def _summed(group: Ints, size: int, rows: Floats) -> Floats:
    columns = rows.shape[1]
    if columns == 0 or group.size == 0:
        return np.zeros((size, columns))
    place = group[:, None] * columns + np.arange(columns)
    heap = np.bincount(place.ravel(), weights=rows.ravel(), minlength=size * columns)
    return heap.astype(np.float64, copy=False).reshape(size, columns)

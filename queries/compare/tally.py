"""Counts of a level's groups on all three sides: window, baseline, history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.compare.frame import Frame, Level
from queries.compare.stats import Floats, Ints, Mask


@dataclass(frozen=True)
class Tally:
    """window, baseline [groups, blocks]; history [groups, spans]: requests."""

    window: Floats
    baseline: Floats
    history: Floats

    def of(self, groups: Ints) -> Tally:
        return Tally(self.window[groups], self.baseline[groups], self.history[groups])


def tally(frame: Frame, level: Level, part: Mask) -> Tally:
    return Tally(
        grouped(level, frame.window, part),
        grouped(level, frame.baseline, part),
        grouped(level, frame.history, part),
    )


def grouped(level: Level, per_key: Floats, part: Mask) -> Floats:
    """[keys, columns] -> [groups, columns], of the keys in `part`."""
    columns = per_key.shape[1]
    keys = np.flatnonzero(part)
    if columns == 0 or keys.size == 0:
        return np.zeros((level.size, columns))
    place = level.group[keys][:, None] * columns + np.arange(columns)
    heap = np.bincount(place.ravel(), weights=per_key[keys].ravel(), minlength=level.size * columns)
    return heap.astype(np.float64).reshape(level.size, columns)

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
    result = np.zeros((level.size, per_key.shape[1]))
    keys = level.order[part[level.order]]
    if keys.size and per_key.shape[1]:
        group = level.group[keys]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1])
        result[group[starts]] = np.add.reduceat(per_key[keys], starts, axis=0)
    return result

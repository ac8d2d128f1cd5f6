"""Slow trends: what grows a little every hour, and looks the same next to the hour before.

Over the unbroken run of past stretches up to the window: Kendall's test for a trend that is not
chance, Theil and Sen's slope for its size.
"""

from __future__ import annotations

import math

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.frame import Frame, tally
from queries.diff.limits import Limits
from queries.diff.stats import Floats, Mask, ratio

LEAST = 8  # stretches in a row
MOST = 12  # an older part of the past would hide a trend that began today
_CERTAIN = 3.7  # standard deviations of Kendall's S; with the floor, one in ten thousand keys
_FOLDS = 1.8  # over the whole run


def find(frame: Frame, row: list[int], limits: Limits, within: Mask) -> list[Candidate]:
    """Endpoints and hosts whose error share rises hour by hour.

    row: the columns of `frame.history` that run, oldest first, without a break up to the
    baseline. Only rising shares: rates follow the day, and a share does not.
    """
    if len(row) + 2 < LEAST:
        return []
    row = row[-(MOST - 2) :]
    found = []
    for dims in (("host",), ENDPOINT):
        level = frame.level(dims)
        n, e = tally(frame, level, within), tally(frame, level, within & frame.failed)
        all_n = np.column_stack([n.history[:, row], n.baseline.sum(1), n.window.sum(1)])
        all_e = np.column_stack([e.history[:, row], e.baseline.sum(1), e.window.sum(1)])
        able = np.flatnonzero((all_n.min(1) >= 20) & (all_e.sum(1) >= 5 * limits.min_errors))
        logs = np.log((all_e[able] + 0.5) / (all_n[able] + 1))
        certain, slope = kendall(logs), theil_sen(logs)
        total = np.exp(slope * (all_n.shape[1] - 1))
        for i in np.flatnonzero((certain >= _CERTAIN) & (total >= _FOLDS)).tolist():
            g = int(able[i])
            shares = ratio(all_e[g], all_n[g])
            found.append(_candidate(frame, dims, g, within, float(total[i]), shares, certain[i]))
    return found


def kendall(values: Floats) -> Floats:
    """[groups, times] -> Kendall's S over its standard deviation under no trend."""
    times = values.shape[1]
    s = np.zeros(values.shape[0])
    for lag in range(1, times):
        s += np.sign(values[:, lag:] - values[:, :-lag]).sum(1)
    scaled: Floats = (s - np.sign(s)) / math.sqrt(times * (times - 1) * (2 * times + 5) / 18)
    return scaled


def theil_sen(values: Floats) -> Floats:
    """[groups, times] -> median slope a step."""
    first, last = np.triu_indices(values.shape[1], 1)
    slopes: Floats = np.median((values[:, last] - values[:, first]) / (last - first), axis=1)
    return slopes


def _candidate(
    frame: Frame,
    dims: tuple[str, ...],
    g: int,
    within: Mask,
    total: float,
    shares: Floats,
    certain: float,
) -> Candidate:
    level = frame.level(dims)
    scope = (level.group == g) & within
    part = scope & frame.failed
    requests = np.where(scope, frame.window.sum(1), 0.0)
    first = float(shares[:3].mean())
    excess = np.where(part, frame.window.sum(1), 0.0)
    excess *= max(0.0, 1 - first / max(float(shares[-1]), 1e-9))
    return Candidate(
        kind="trend",
        direction="up",
        key=dict(zip(dims, level.values[g], strict=True)),
        scope=scope,
        part=part,
        excess=excess,
        volume=requests,
        metric="error_share",
        window=float(shares[-1]),
        baseline=first,
        ratio=total,
        low=None,
        high=None,
        p=math.erfc(float(certain) / math.sqrt(2)),
        began=0,
        ended=frame.window.shape[1],
        noise=2.0,
    )

"""What a mere shift of the mix between fast and slow places would do to a group's durations.

A job of slow requests that falls into one block makes its host look slow, and a storm of calls
to a slow endpoint makes everything look slow; no single place is slower then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from queries.diff.stats import Floats, Mask, ratio

if TYPE_CHECKING:
    from queries.diff.durations import Durations
    from queries.diff.frame import Frame

_AT_ONCE = 8_000  # units whose histograms are in memory


def alike(durations: Durations, scope: Mask, began: int, ended: int) -> tuple[Floats, Floats]:
    """Histograms of the run as it was, and as it had been if each place had its usual durations.

    [buckets] each; both of the places that have durations in the baseline as well.
    """
    units = np.flatnonzero(scope[durations.unit.first])
    now = due = np.zeros(1)
    for start in range(0, units.size, _AT_ONCE):
        sides = durations.sides(units[start : start + _AT_ONCE], began, ended)
        run, usual = sides[:, 0], sides[:, 1]
        known = usual.sum(1) > 0
        weight = ratio(run.sum(1), usual.sum(1))
        now = now + run[known].sum(0)
        due = due + (usual * weight[:, None])[known].sum(0)
    return now, due


def slowed(
    frame: Frame, durations: Durations, scope: Mask, q: float, began: int, ended: int
) -> tuple[Floats, Floats]:
    """Per key: requests of the run slower than usual beyond the usual part, and all requests.

    A unit's requests are told of its first key.
    """
    first = durations.unit.first
    units = np.flatnonzero(scope[first])
    above, counts = durations.above(q, units)[units], durations.counts[units]
    w, base = slice(began, ended), slice(durations.blocks_w, None)
    usual = ratio(above[:, base].sum(1), counts[:, base].sum(1))
    excess, volume = np.zeros(frame.size), np.zeros(frame.size)
    run = np.where(counts[:, base].sum(1) > 0, counts[:, w].sum(1), 0.0)
    volume[first[units]] = run
    excess[first[units]] = np.where(run > 0, above[:, w].sum(1) - usual * run, 0.0)
    return excess, volume

"""What a mere shift of the mix between fast and slow places would do to a group's durations.

A job of slow requests that falls into one block makes its host look slow, and a storm of calls
to a slow endpoint makes everything look slow; no single place is slower then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from queries.compare.stats import Floats, Ints, Mask, ratio

if TYPE_CHECKING:
    from queries.compare.latency import Durations


def alike(durations: Durations, scope: Mask, began: int, ended: int) -> tuple[Floats, Floats]:
    """Histograms of the run as it was, and as it had been if each place had its usual durations.

    [buckets] each; both of the places that have durations in the baseline as well.
    """
    inside = scope[durations.key]
    after = inside & (durations.block >= began) & (durations.block < ended)
    before = inside & (durations.block >= durations.blocks_w)
    key, requests = durations.key, durations.requests
    usual = _total(key[before], requests[before], durations.keys)
    after &= usual[key] > 0
    weight = ratio(_total(key[after], requests[after], durations.keys), usual)
    width = int(durations.bucket.max(initial=0)) + 1
    now = _total(durations.bucket[after], requests[after], width)
    return now, _total(durations.bucket[before], (requests * weight[key])[before], width)


def _total(place: Ints, weights: Floats, size: int) -> Floats:
    return np.bincount(place, weights=weights, minlength=size).astype(np.float64)


def slowed(
    durations: Durations, scope: Mask, q: float, began: int, ended: int
) -> tuple[Floats, Floats]:
    """Per key: requests of the run slower than usual beyond the usual part, and all requests."""
    above, counts = durations.above(q), durations.counts()
    w, base = slice(began, ended), slice(durations.blocks_w, None)
    usual = ratio(above[:, base].sum(1), counts[:, base].sum(1))
    volume = np.where(scope & (counts[:, base].sum(1) > 0), counts[:, w].sum(1), 0.0)
    return np.where(volume > 0, above[:, w].sum(1) - usual * volume, 0.0), volume

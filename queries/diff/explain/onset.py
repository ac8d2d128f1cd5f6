"""Since when: the minute at which a finding's own series changes its level."""

from __future__ import annotations

import numpy as np

from queries.diff.stats import Floats, ratio, xlogy

LEAST_GAIN = 6.0  # log-likelihood that a change point has to add: about three bits a parameter


def change_point(counted: Floats, requests: Floats, shares: bool) -> int | None:
    """Index of the first minute of the new level, by maximum likelihood of two levels.

    shares: counted of requests (binomial); otherwise counted alone (Poisson). None where the
    series shows no step that is worth the name. Lengths are equal; minutes without coverage
    have no requests and count for nothing.
    """
    n = requests if shares else np.ones_like(counted)
    heap_c, heap_n = np.cumsum(counted), np.cumsum(n)
    at = np.arange(1, counted.size)
    first_c, first_n = heap_c[at - 1], heap_n[at - 1]
    last_c, last_n = heap_c[-1] - first_c, heap_n[-1] - first_n
    level = _likelihood(first_c, first_n, shares) + _likelihood(last_c, last_n, shares)
    gain = level - _likelihood(heap_c[-1:], heap_n[-1:], shares)
    gain[(first_n <= 0) | (last_n <= 0)] = -np.inf
    if gain.size == 0 or not np.isfinite(gain).any() or gain.max() < LEAST_GAIN:
        return None
    return int(at[int(np.argmax(gain))])


def step(total: Floats, requests: Floats) -> int | None:
    """Index of the first minute of the new level of total / requests, by least squares of logs."""
    seen = np.flatnonzero((requests > 0) & (total > 0))
    if seen.size < 4:
        return None
    value = np.log(total[seen] / requests[seen])
    weight = np.minimum(requests[seen], 20.0)
    heap, count = np.cumsum(weight * value), np.cumsum(weight)
    at = np.arange(1, seen.size)
    left, right = heap[at - 1], heap[-1] - heap[at - 1]
    gain = left**2 / count[at - 1] + right**2 / (count[-1] - count[at - 1])
    return int(seen[at[int(np.argmax(gain))]])


def _likelihood(counted: Floats, n: Floats, shares: bool) -> Floats:
    share = ratio(counted, n)
    value = xlogy(counted, share)
    return value + xlogy(n - counted, 1 - share) if shares else value - counted

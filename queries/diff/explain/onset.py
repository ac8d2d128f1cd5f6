"""When a change began and when it was over: the slots that differ most from the rest."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from queries.diff.detect.shares import before_of
from queries.diff.durations import BASE
from queries.diff.stats import Floats, Ints, add_up, ratio, xlogy
from store.hours import from_us
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.candidate import Candidate
    from queries.diff.durations import Durations
    from queries.diff.frame import Frame

LEAST_GAIN = 6.0  # log-likelihood that an edge has to add: about three bits a parameter
_OVER = 0.05  # of the window has to have passed since, at least, for a change to be over


@dataclass(frozen=True)
class Series:
    """counted, of [slots of the spans, then of the past]: what a finding counts, and of how much.

    of: requests, or seconds where requests themselves are counted, or those that call for them.
    """

    counted: Floats
    of: Floats


@dataclass(frozen=True)
class Lasted:
    """first, last (exclusive): slots of the window in which the change shows; None: not known."""

    first: int
    last: int
    since: datetime | None
    until: datetime | None


def series(frame: Frame, durations: Durations, c: Candidate) -> Series:
    size = frame.axis.size + len(frame.axis.past)
    if c.lasts and c.window and c.baseline:
        course = durations.of(c.scope)
        slot, requests = course.slot, course.requests
        cut = float(np.log((c.window * c.baseline) ** 0.5) / BASE)
        far = course.bucket > cut
        return Series(add_up(slot[far], requests[far], size), add_up(slot, requests, size))
    cells = frame.cells
    mine = np.flatnonzero(c.scope[cells.key])
    slot, requests = cells.slot[mine], cells.requests[mine]
    whole = add_up(slot, requests, size)
    if c.kind == "size":
        return Series(add_up(slot, cells.value[mine].astype(np.float64), size), whole)
    if c.demand is not None:
        asked = np.flatnonzero(c.demand[cells.key])
        return Series(whole, add_up(cells.slot[asked], cells.requests[asked], size))
    if not c.metric.endswith("_share"):
        return Series(whole, np.concatenate([frame.seconds, frame.seconds_p]))
    counted = c.part[cells.key[mine]]
    return Series(add_up(slot[counted], requests[counted], size), whole)


def lasted(frame: Frame, c: Candidate, s: Series) -> Lasted:
    """When the change began and ended, as far as the slots of its spans tell."""
    axis = frame.axis
    size = axis.slots[0].size
    edges = axis.edges
    fresh = not before_of(frame, c.against, c.newer)[c.scope].any()
    if c.direction in ("new", "moved") or fresh:
        active = np.flatnonzero(s.counted[:size])
        first = int(active[0]) if active.size else 0
        return Lasted(first, size, from_us(int(edges[first, 0])), None)
    order = np.arange(size)
    if axis.adjacent and axis.slots[1].step == axis.slots[0].step:
        order = np.concatenate([np.arange(size, axis.size), order])
    if c.direction == "gone":
        active = np.flatnonzero(s.counted[order])
        last = int(order[active[-1]]) if active.size else 0
        since = from_us(int(edges[last, 1])) if active.size and order.size > size else None
        return Lasted(0, size, since, None)
    rest = np.setdiff1d(np.arange(axis.size), order, assume_unique=True)
    if c.against == "usual":
        rest = np.arange(axis.size + c.newer, len(edges))
    outside = float(s.counted[rest].sum()), float(s.of[rest].sum())
    found = segment(s.counted[order], s.of[order], outside, c)
    if found is None:
        return Lasted(0, size, None, None)
    begin, end = found
    before = order.size - size
    since = from_us(int(edges[order[begin], 0]))
    if c.against == "usual" and begin == 0:
        since = _long_ago(frame, s, since, c.newer)
    over = end < order.size and order.size - end >= max(2, _OVER * size)
    until = from_us(int(edges[order[end - 1], 1])) if over else None
    first = max(begin - before, 0)
    last = max(end - before, first + 1) if over else size
    if until is not None and end <= before:  # over before the window: told is something else
        return Lasted(0, size, since, None)
    return Lasted(first, last, since, until)


def _long_ago(frame: Frame, s: Series, since: datetime, newer: int) -> datetime:
    """Back over the stretches of the past, newest first, that are like the window."""
    axis, size = frame.axis, frame.axis.slots[0].size
    now = float(s.counted[:size].sum()) / max(float(s.of[:size].sum()), 1e-9)
    old = slice(axis.size + newer, None)
    usual = float(s.counted[old].sum()) / max(float(s.of[old].sum()), 1e-9)
    for slot in range(axis.size, len(axis.edges)):
        level = float(ratio(s.counted[slot], s.of[slot]))
        if s.of[slot] <= 0 or abs(level - now) > abs(level - usual):
            break
        since = from_us(int(axis.edges[slot, 0]))
    return since


def segment(
    counted: Floats, of: Floats, outside: tuple[float, float], c: Candidate
) -> tuple[int, int] | None:
    """The slots (from, to) that differ most from all others and `outside`, by likelihood.

    It ends with the last slot unless an earlier end is clearly better.
    """
    upto_c, upto_n = (np.concatenate([[0.0], np.cumsum(x)]) for x in (counted, of))
    begin, end = np.triu_indices(counted.size + 1, 1)
    inside_c, inside_n = upto_c[end] - upto_c[begin], upto_n[end] - upto_n[begin]
    total_c, total_n = upto_c[-1] + outside[0], upto_n[-1] + outside[1]
    rest_c, rest_n = total_c - inside_c, total_n - inside_n
    if c.kind == "size":
        gain = _means(counted, of, begin, end)
    else:
        shares = not c.metric.startswith(("per_s", "requests"))
        gain = (
            _likelihood(inside_c, inside_n, shares)
            + _likelihood(rest_c, rest_n, shares)
            - _likelihood(np.array([total_c]), np.array([total_n]), shares)
        ) / c.noise
    higher = ratio(inside_c, inside_n) > ratio(rest_c, rest_n)
    wrong = (inside_n <= 0) | (rest_n <= 0) | (higher != (c.direction == "up"))
    gain = np.where(wrong, -np.inf, gain)
    if not gain.size or gain.max() < LEAST_GAIN / 2:
        return None
    open_ended = np.flatnonzero(end == counted.size)
    best = int(gain.argmax())
    goes_on = int(open_ended[gain[open_ended].argmax()])
    chosen = goes_on if gain[goes_on] >= gain[best] - LEAST_GAIN else best
    return int(begin[chosen]), int(end[chosen])


def _likelihood(counted: Floats, n: Floats, shares: bool) -> Floats:
    share = ratio(counted, n)
    value = xlogy(counted, share)
    return value + xlogy(n - counted, 1 - share) if shares else value - counted


def _means(total: Floats, requests: Floats, begin: Ints, end: Ints) -> Floats:
    """Two levels of the log of total / requests against one, by squares."""
    there = (requests > 0).astype(np.float64)
    value = np.log(ratio(total, requests) + 1) * there
    n, v, v2 = (np.concatenate([[0.0], np.cumsum(x)]) for x in (there, value, value * value))
    inside_n, inside = n[end] - n[begin], v[end] - v[begin]
    rest_n, rest = n[-1] - inside_n, v[-1] - inside
    explained = ratio(inside**2, inside_n) + ratio(rest**2, rest_n)
    left = np.maximum(v2[-1] - explained, 0.02 * n[-1])
    base = max(float(v2[-1] - v[-1] ** 2 / max(n[-1], 1)), 0.02 * float(n[-1]))
    gain: Floats = n[-1] / 2 * np.log(base / left)
    return gain

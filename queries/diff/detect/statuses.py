"""Which statuses answer: a larger part of a group's requests gets one status than before.

The same test as for failures, one status at a time. It sees what the share of failures hides: a
rare 429 among many usual 404s, or 304 where it was 200. Only the status that comes up more often
is told; something else is always less frequent then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.detect import shares
from queries.diff.frame import Frame, tally
from queries.diff.limits import Limits
from queries.diff.stats import Mask
from queries.diff.tested import Tested, tested

LEVELS: tuple[tuple[str, ...], ...] = (("host",), ENDPOINT)


def find(frame: Frame, dims: tuple[str, ...], limits: Limits, within: Mask, once: Frame) -> Tested:
    """Every status of every group of `dims`; of whole hosts only those that are failures.

    once: the frame in which a call that was recorded at both ends counts once.
    """
    level, child = frame.level(dims), frame.level((*dims, "status"))
    above = np.zeros(child.size, dtype=np.int64)
    above[child.group] = level.group
    n, e = tally(once, level, within).of(above), tally(once, child, within)
    status = np.array([value[-1] for value in child.values], dtype=np.int64)
    able = np.flatnonzero(
        (e.window.sum(1) >= limits.min_errors)
        & (n.baseline.sum(1) > 0)
        & (status > 0)
        & ((status >= 400) | (dims == ENDPOINT))
    )
    if able.size == 0:
        return Tested()
    runs = shares.scan(n.of(able), e.of(able), limits.share_drift, limits)

    def build(i: int) -> Candidate:
        g = int(able[i])
        part = (child.group == g) & within
        found = shares.candidate(
            frame, level, int(above[g]), i, runs, part, within, "statuses", "status_share"
        )
        return replace(found, key={**found.key, "status": int(status[g])})

    return tested(runs.p, limits.q, build)


def matters(c: Candidate, limits: Limits) -> bool:
    """More of it; of a good status much more, since which of those comes depends on the asker."""
    if c.direction != "up" or c.ratio is None:
        return False
    if c.key["status"] >= 400:
        return shares.matters(c, limits)
    points = c.in_run / max(c.run_volume, 1.0)
    return points >= limits.mix_points and c.ratio >= 1.5 and c.in_run >= 2 * limits.min_errors

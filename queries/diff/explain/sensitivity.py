"""The same tests turned round: the smallest change that this comparison would have shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from queries.core.answer import Sensitivity
from queries.diff import limits
from queries.diff.candidate import ENDPOINT
from queries.diff.stats import Floats, dispersion, median, odds_z, rate_dispersion, rate_z

if TYPE_CHECKING:
    from queries.diff.frame import Frame


def sensitivity(frame: Frame) -> Sensitivity | None:
    """For the typical one of the endpoints that have requests enough on both sides."""
    level = frame.level(ENDPOINT)
    own = frame.own
    n, nb = (level.sums(x, own) for x in (frame.once.window, frame.once.baseline))
    smaller = np.minimum(n.sum(1), level.sum(frame.once.due * own))
    seen = smaller > 0
    judged = np.flatnonzero(smaller >= limits.SEVERAL)
    if not judged.size:
        return None
    typical = judged[np.argsort(smaller[judged], kind="stable")[judged.size // 2]]
    now = due = float(smaller[typical])  # one that stays as busy as it was
    before = now * float(nb[typical].sum()) / float(level.sum(frame.once.due * own)[typical])
    bar = limits.bar(level.size)
    nb, failed = nb[judged], level.sums(frame.once.baseline, own & frame.failed)[judged]
    clustered = median(dispersion(nb, failed, limits.CLUSTER, limits.MOST_CLUSTERED))
    bursts = median(rate_dispersion(nb, frame.seconds_b, limits.BURSTS, limits.MOST_BURSTS))

    def fails(share: float) -> bool:
        z = odds_z(*_arrays(share * now, now, 0.0, before), limits.WIDE)
        return float(z) / math.sqrt(clustered) >= bar and share * now >= limits.FEW

    def slow(ratio: float) -> bool:
        """With durations as wide as they often are: half of them within x2 of the median."""
        beyond = 0.5 * math.erfc((limits.NARROW - math.log(ratio)) / 1.03 / math.sqrt(2))
        z = odds_z(*_arrays(beyond * now, now, before / 2, before), 0.0)
        return float(z) / math.sqrt(clustered) >= bar

    def busy(ratio: float) -> bool:
        z = rate_z(*_arrays(ratio * due, before, due / before)[:3], limits.BAND)
        return float(z) / math.sqrt(bursts) >= bar

    seconds = float(frame.seconds_w.sum())
    other = float(frame.seconds_b.sum() + frame.seconds_p.sum())
    chance = math.log(1 / (1 + other / seconds)) if seconds else -1e-9
    new = math.ceil(-(bar**2 + math.log(2 * math.pi * bar**2)) / 2 / chance)
    return Sensitivity(
        error_share=_least(fails, 0.001, 1.0), latency_ratio=_least(slow, 1.3, 100.0),
        rate_ratio=_least(busy, 1.6, 100.0), new_requests=max(new, limits.FEW),
        seen_by=f"endpoints with {_round(now)} requests or more",
        too_few=int(seen.sum()) - int((smaller >= smaller[typical]).sum()),
    )  # fmt: skip


def _arrays(a: float, b: float, c: float, d: float = 0.0) -> tuple[Floats, Floats, Floats, Floats]:
    return np.array(a), np.array(b), np.array(c), np.array(d)


def _least(shows: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least value that shows, to two digits; None if not even the highest does."""
    if not shows(high):
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if shows(middle) else (middle, high)
    return float(f"{high:.2g}")


def _round(requests: float) -> str:
    digits = max(len(str(int(requests))) - 2, 0)
    return f"{int(requests) // 10**digits * 10**digits:,}"

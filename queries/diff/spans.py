"""Stretches of time to compare, and what is asked of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queries.core.answer import BaselineKind, Note


@dataclass(frozen=True)
class Span:
    """From a moment to a moment, both aware; only whole minutes of it are compared."""

    from_ts: datetime
    to_ts: datetime

    @property
    def minutes(self) -> int:
        return int((self.to_ts - self.from_ts) / timedelta(minutes=1))

    def whole(self) -> Span:
        """The same at whole UTC minutes, both ends rounded down: neighbours stay neighbours."""
        return Span(_floor(self.from_ts), _floor(self.to_ts))

    def overlaps(self, other: Span) -> bool:
        return self.from_ts < other.to_ts and other.from_ts < self.to_ts


@dataclass(frozen=True)
class Options:
    """What is asked of the comparison.

    history: further stretches of the same length that tell how much quiet hours differ.
    notes: what the caller already knows and the answer shall say (unreadable files, filters).
    lossy: the source is known to have dropped events on a side, nobody knows which: "gone" and
        "fell" are then not reported.
    """

    kind: BaselineKind = "previous"
    limit: int = 50
    history: Sequence[Span] = ()
    notes: Sequence[Note] = ()
    lossy: bool = False


def replicates(window: Span, reach: timedelta, baseline: Sequence[Span] = ()) -> list[Span]:
    """The past stretches that show how much quiet hours differ, as far as the store reaches back.

    The 24 before the window, and of each earlier day the one at the same time with its two
    neighbours; those that overlap the baseline are left out. Pass them as `Options.history`.
    """
    length = window.to_ts - window.from_ts
    day = timedelta(days=1)
    steps = [i * length for i in range(1, 25)]
    if length <= timedelta(hours=4):
        steps += [n * day + j * length for n in range(2, 8) for j in (-1, 0, 1)]
    spans = [
        Span(window.from_ts - step, window.to_ts - step)
        for step in sorted(set(steps))
        if step <= reach
    ]
    return [s for s in spans if not any(s.overlaps(b) for b in baseline)]


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)

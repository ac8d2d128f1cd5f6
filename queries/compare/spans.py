"""Stretches of time to compare, and what is asked of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queries.answer import BaselineKind, Calibration, Note


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
    comparable: False when the caller found that the sides were recorded too differently.
    """

    kind: BaselineKind = "previous"
    limit: int = 50
    history: Sequence[Span] = ()
    calibration: Calibration | None = None
    notes: Sequence[Note] = ()
    comparable: bool = True


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)

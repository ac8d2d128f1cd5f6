"""What the recorders saw of a window, and what they did not: "quiet" told from "deaf"."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from queries.core import notes as seen
from queries.core.answer import Note
from queries.core.notes import Gap, Seen, Stretch
from queries.core.question import DEFAULT_LIMIT, VERSION
from queries.core.session import open_reader
from queries.core.window import Window
from store.hours import hour_start

if TYPE_CHECKING:
    from store import Store


@dataclass(frozen=True)
class RecorderRow:
    """One recorder in the window. `share` is of the window; counters of its stretches.

    Stretches and gaps are in order of time; where there are more than the limit, the latest.
    """

    recorder: str
    covered_s: float
    share: float
    events: int
    rejected: int
    dropped: int
    max_lag_ms: int
    filters: tuple[str, ...]
    gaps: tuple[Gap, ...]
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class CoverageWindow:
    """The window itself and how much of it the best covered recorder saw."""

    from_ts: datetime = field(metadata={"name": "from"})
    to_ts: datetime = field(metadata={"name": "to"})
    covered_s: float


@dataclass(frozen=True)
class Coverage:
    """Who saw what of a window."""

    window: CoverageWindow
    notes: tuple[Note, ...]
    recorders: tuple[RecorderRow, ...]
    truncated: bool
    version: int = field(default=VERSION)


def coverage(store: Store, window: Window, limit: int = DEFAULT_LIMIT) -> Coverage:
    """Stretches and gaps of each recorder in the window, at most `limit` of each."""
    with open_reader(store, [*_before(store, window), window], tables=()) as reader:
        recorders = seen.seen(reader, window)
        return Coverage(
            window=CoverageWindow(window.from_ts, window.to_ts, seen.covered_s(recorders)),
            notes=tuple(seen.notes(reader, window, recorders)),
            recorders=tuple(_row(recorder, limit) for recorder in recorders),
            truncated=any(max(len(r.stretches), len(r.gaps)) > limit for r in recorders),
        )


def _before(store: Store, window: Window) -> list[Window]:
    """The last hour with coverage before the window: a long stretch is kept where it began."""
    hours = [
        start for hour in store.hours("coverage") if (start := hour_start(hour)) < window.from_ts
    ]
    return [Window(hours[-1], hours[-1] + timedelta(hours=1))] if hours else []


def _row(recorder: Seen, limit: int) -> RecorderRow:
    stretches = recorder.stretches
    return RecorderRow(
        recorder=recorder.recorder,
        covered_s=recorder.covered_s,
        share=recorder.covered_s / recorder.window.seconds,
        events=sum(s.events for s in stretches),
        rejected=sum(s.rejected for s in stretches),
        dropped=sum(s.dropped + (s.dropped_estimate or 0) for s in stretches),
        max_lag_ms=max(s.max_lag_ms for s in stretches),
        filters=tuple(sorted({s.filter for s in stretches if s.filter})),
        gaps=tuple(recorder.gaps[-limit:]),
        stretches=stretches[-limit:],
    )

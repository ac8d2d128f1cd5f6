"""What a store holds, in a few words: from when to when, by whom, with which gaps and filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from queries.core import notes as seen
from queries.core.notes import Gap
from queries.core.session import open_reader
from queries.core.window import Window
from store.hours import hour_start
from store.marks import Mark, read_marks

if TYPE_CHECKING:
    from store import Store

_DAY = timedelta(days=1)
_GAP = timedelta(minutes=1)  # shorter ones are told with the answers that they touch


@dataclass(frozen=True)
class RecorderGap:
    recorder: str
    gap: Gap


@dataclass(frozen=True)
class Holdings:
    """first and last: when somebody received first (to the hour) and last; None: never.

    Gaps (of a minute and more) and filters are those of the day before `last`; marks: all, oldest
    first.
    """

    first: datetime | None
    last: datetime | None
    recorders: tuple[str, ...]
    gaps: tuple[RecorderGap, ...]
    filters: tuple[str, ...]
    marks: tuple[Mark, ...]


def holdings(store: Store) -> Holdings:
    """What the store holds now; reads coverage of a day and the newest mark, no traffic."""
    last = seen.newest(store)
    marks = tuple(read_marks(store))
    if last is None:
        return Holdings(None, None, (), (), (), marks)
    first = hour_start(store.hours("coverage")[0])
    day = Window(max(first, last - _DAY), last)
    with open_reader(store, [Window(day.from_ts - timedelta(hours=1), last)], tables=()) as reader:
        recorders = seen.seen(reader, day)
    return Holdings(
        first=first,
        last=last,
        recorders=tuple(one.recorder for one in recorders),
        gaps=tuple(_gaps(recorders)),
        filters=tuple(sorted({s.filter for one in recorders for s in one.stretches if s.filter})),
        marks=marks,
    )


def _gaps(recorders: Sequence[seen.Seen]) -> list[RecorderGap]:
    """The gaps of each recorder, but for the time before it began."""
    found = [
        RecorderGap(one.recorder, gap)
        for one in recorders
        for gap in one.gaps
        if gap.to_ts - gap.from_ts >= _GAP and any(start < gap.from_ts for start, _ in one.islands)
    ]
    return sorted(found, key=lambda one: one.gap.from_ts)

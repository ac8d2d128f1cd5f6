"""Which stretch of time a question is about, and what it is compared with.

A window is half open: from_ts belongs to it, to_ts does not. A baseline is one stretch or several
(the same hour of the last seven days). "The same time yesterday" is the user's clock, not 24 hours
earlier: the stretch starts at the same wall-clock time and is as long as the window, so that a
night on which the clocks change still compares the same hour of business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal

from queries.core.moments import days_earlier, parse_duration, parse_moment
from store.errors import UsageError

__all__ = ["Asked", "Baseline", "Window", "parse_duration", "parse_moment", "resolve_window",
           "resolve_windows"]  # fmt: skip

BaselineKind = Literal["previous", "same_hour", "explicit", "mark"]
DEFAULT_LAST = "1h"
MAX_DAYS = 31  # the same hour of more days says no more about this one, and opens their files
VS_HINT = "Write --vs yesterday, --vs 7d (the same time of the last 7 days) or --vs previous."


@dataclass(frozen=True, order=True)
class Window:
    """From from_ts up to, not including, to_ts; both aware, kept in UTC; never empty."""

    from_ts: datetime
    to_ts: datetime

    def __post_init__(self) -> None:
        if self.from_ts.tzinfo is None or self.to_ts.tzinfo is None:
            raise ValueError("a window needs times with a zone")
        object.__setattr__(self, "from_ts", self.from_ts.astimezone(UTC))
        object.__setattr__(self, "to_ts", self.to_ts.astimezone(UTC))
        if self.from_ts == self.to_ts:
            raise UsageError(
                f"the window is empty: it begins and ends at {_iso(self.from_ts)}",
                "Give --to a later time, or a length with --last 1h.",
            )
        if self.from_ts > self.to_ts:
            raise UsageError(
                f"the window is inverted: it begins at {_iso(self.from_ts)}, after its end at "
                f"{_iso(self.to_ts)}",
                "Swap --from and --to; a time without a date is today (write 'yesterday 23:00').",
            )

    @property
    def seconds(self) -> float:
        return (self.to_ts - self.from_ts).total_seconds()

    @property
    def length(self) -> timedelta:
        return self.to_ts - self.from_ts

    def overlaps(self, other: Window) -> bool:
        return self.from_ts < other.to_ts and other.from_ts < self.to_ts


@dataclass(frozen=True)
class Baseline:
    """What the window is compared with: its spans do not overlap it, nor one another."""

    kind: BaselineKind
    spans: tuple[Window, ...]

    @property
    def from_ts(self) -> datetime:
        return min(span.from_ts for span in self.spans)

    @property
    def to_ts(self) -> datetime:
        return max(span.to_ts for span in self.spans)


@dataclass(frozen=True)
class Asked:
    """The window as a person or an assistant wrote it: texts, None where nothing was said."""

    last: str | None = None
    from_: str | None = None
    to: str | None = None
    vs: str | None = None
    vs_from: str | None = None
    vs_to: str | None = None
    around: str | None = None
    since: str | None = None
    marks: Mapping[str, datetime] = field(default_factory=dict)


def resolve_window(asked: Asked, now: datetime, tz: tzinfo) -> Window:
    """The one window of a question that compares nothing. Raises UsageError."""
    _refuse_mixtures(asked)
    return _window(asked, now, tz)


def resolve_windows(asked: Asked, now: datetime, tz: tzinfo) -> tuple[Window, Baseline]:
    """The window and what it is compared with. `now` is aware; `tz` is the user's zone.

    Raises UsageError for texts that do not parse, flags that contradict one another, and windows
    that are empty, inverted or overlap their baseline.
    """
    window = resolve_window(asked, now, tz)
    baseline = _baseline(asked, window, now, tz)
    if any(window.overlaps(span) for span in baseline.spans):
        raise UsageError(
            "the window and its baseline overlap, so that a change would be compared with itself",
            "Take a shorter window, or give --vs-from and --vs-to that end before the window.",
        )
    return window, baseline


def _refuse_mixtures(asked: Asked) -> None:
    anchors = {"--around": asked.around, "--since": asked.since, "--from": asked.from_}
    given = [flag for flag, text in anchors.items() if text is not None]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} both say where the window is", "Keep one.")
    if asked.around is not None and asked.to is not None:
        raise UsageError(
            "--around and --to do not go together",
            "The length is said by --last, as in --last 30m.",
        )
    if asked.last is not None and asked.since is not None:
        raise UsageError(
            "--since and --last do not go together", "--since runs up to now, or up to --to."
        )
    if asked.last is not None and asked.from_ is not None and asked.to is not None:
        raise UsageError("--last, --from and --to together say too much", "Leave one of them out.")
    if asked.vs is not None and (asked.vs_from is not None or asked.vs_to is not None):
        raise UsageError("--vs and --vs-from/--vs-to both name a baseline", "Keep one.")


def _window(asked: Asked, now: datetime, tz: tzinfo) -> Window:
    last = parse_duration(asked.last or DEFAULT_LAST)
    if asked.around is not None:
        mark = _anchor(asked.around, asked.marks, now, tz)
        return Window(mark, _not_after(mark + last, now, mark))
    to_ts = now if asked.to is None else parse_moment(asked.to, now, tz)
    if asked.since is not None:
        mark = _anchor(asked.since, asked.marks, now, tz)
        return Window(mark, _not_after(to_ts, to_ts, mark))
    if asked.from_ is None:
        return Window(to_ts - last, to_ts)
    from_ts = parse_moment(asked.from_, now, tz)
    if asked.to is None and asked.last is not None:
        return Window(from_ts, from_ts + last)
    return Window(from_ts, to_ts)


def _not_after(end: datetime, latest: datetime, mark: datetime) -> datetime:
    """A window after a mark ends by now; before the mark came there is nothing to look at."""
    if mark >= latest:
        raise UsageError(
            f"nothing has happened since {_iso(mark)}: it is not over yet",
            "Name an earlier mark (see `qrec marks`) or a time in the past.",
        )
    return min(end, latest)


def _anchor(text: str, marks: Mapping[str, datetime], now: datetime, tz: tzinfo) -> datetime:
    """The moment of a mark; a time serves as well, since that is what a mark is."""
    if text in marks:
        return marks[text].astimezone(UTC)
    try:
        return parse_moment(text, now, tz)
    except UsageError:
        near = get_close_matches(text, marks, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"there is no mark {text[:60]!r}, and it is not a time",
            meant + "`qrec marks` lists the marks; `qrec mark NAME` sets one.",
        ) from None


def _baseline(asked: Asked, window: Window, now: datetime, tz: tzinfo) -> Baseline:
    if asked.vs_from is not None or asked.vs_to is not None:
        return Baseline("explicit", (_explicit(asked, window, now, tz),))
    vs = (asked.vs or "").strip().lower()
    days = re.fullmatch(r"([0-9]{1,3})\s*(?:d|days?)", vs, re.ASCII)
    if vs == "yesterday":
        return Baseline("same_hour", _same_time(window, [1], tz))
    if vs == "last-week":
        return Baseline("same_hour", _same_time(window, [7], tz))
    if days and 1 <= int(days[1]) <= MAX_DAYS:
        return Baseline("same_hour", _same_time(window, range(1, int(days[1]) + 1), tz))
    if vs not in ("", "previous"):
        near = get_close_matches(vs, ("yesterday", "previous", "last-week"), 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        many = f" (1 to {MAX_DAYS} days)" if days else ""
        raise UsageError(f"{asked.vs!r:.60} names no baseline{many}", meant + VS_HINT)
    before = window.length
    if asked.around is not None:  # a young mark still has its whole stretch before it
        before = parse_duration(asked.last or DEFAULT_LAST)
    kind: BaselineKind = "previous" if asked.around is None and asked.since is None else "mark"
    return Baseline(kind, (Window(window.from_ts - before, window.from_ts),))


def _explicit(asked: Asked, window: Window, now: datetime, tz: tzinfo) -> Window:
    """As given; where one end is missing, as long as the window."""
    from_ts = None if asked.vs_from is None else parse_moment(asked.vs_from, now, tz)
    to_ts = None if asked.vs_to is None else parse_moment(asked.vs_to, now, tz)
    if from_ts is None:
        assert to_ts is not None
        from_ts = to_ts - window.length
    return Window(from_ts, to_ts or from_ts + window.length)


def _same_time(window: Window, days: Sequence[int], tz: tzinfo) -> tuple[Window, ...]:
    starts = sorted(days_earlier(window.from_ts, day, tz) for day in days)
    spans = tuple(Window(start, start + window.length) for start in starts)
    if any(a.overlaps(b) for a, b in pairwise(spans)):
        raise UsageError(
            "a window longer than a day has no 'same time' of the day before",
            "Take a shorter window, or compare with --vs previous.",
        )
    return spans


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

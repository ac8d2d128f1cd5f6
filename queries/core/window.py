"""Which stretch of time a question is about, and what it is compared with.

A window is half open: from_ts belongs to it, to_ts does not. A baseline is one stretch or several
(the same hour of the last seven days). "The same time yesterday" is the user's clock, not 24 hours
earlier: the stretch starts at the same wall-clock time and is as long as the window, so that a
night on which the clocks change still compares the same hour of business.

Moments and durations are as people write them (`14:00`, `yesterday 14:00`, `10 minutes ago`,
ISO 8601); one without a zone is in the user's. A wall-clock time that the clocks skipped in spring
is read as if they had not (02:30 becomes 03:30), one that came twice in autumn is its first
occurrence (write the offset to mean the other). A fixed offset will not do as the user's zone,
since `yesterday 14:00` on a day when the clocks changed needs the zone's rules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from store.errors import UsageError, did_you_mean
from store.files import times_in
from store.hours import HOUR_US, hour_key, to_us
from store.values import dataclass

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

    @property
    def minutes(self) -> int:
        return self.length // timedelta(minutes=1)

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


def hours_of(spans: Iterable[Window]) -> list[str]:
    """The hour partitions that the spans touch, sorted, each once."""
    hours = set()
    for span in spans:
        first = to_us(span.from_ts) // HOUR_US
        last = (to_us(span.to_ts) - 1) // HOUR_US
        hours |= {hour_key(number * HOUR_US) for number in range(first, last + 1)}
    return sorted(hours)


def meeting(paths: Sequence[Path], spans: Iterable[Window]) -> list[Path]:
    """Without the segments that say that they have no rows of the spans: to open one takes as long
    as to count some hundred rows. The last, of the newest version, stays for its columns."""
    times = [(to_us(span.from_ts), to_us(span.to_ts)) for span in spans]
    return [
        path
        for path in paths
        if path is paths[-1]
        or path.parts[-2].startswith("hour=")
        or (told := times_in(path)) is None
        or any(begin <= told[1] and told[0] < end for begin, end in times)
    ]


def resolve_window(asked: Asked, now: datetime, tz: tzinfo) -> Window:
    """The one window of a question that compares nothing. Raises UsageError."""
    _refuse_mixtures(asked)
    window = _window(asked, now, tz)
    if window.from_ts >= now:
        raise UsageError(
            f"the window lies in the future: it begins at {_iso(window.from_ts)}, and now is "
            f"{_iso(now)}",
            "Give --from an earlier time; a time without a date is today.",
        )
    return window


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
        raise UsageError(
            f"there is no mark {text[:60]!r}, and it is not a time",
            did_you_mean(text, marks, "`qrec marks` lists the marks; `qrec mark NAME` sets one."),
        ) from None


def _baseline(asked: Asked, window: Window, now: datetime, tz: tzinfo) -> Baseline:
    if asked.vs_from is not None or asked.vs_to is not None:
        return Baseline("explicit", (explicit_baseline(asked, window.length, now, tz),))
    vs = (asked.vs or "").strip().lower()
    days = re.fullmatch(r"([0-9]{1,3})\s*(?:d|days?)", vs, re.ASCII)
    if vs == "yesterday":
        return Baseline("same_hour", _same_time(window, [1], tz))
    if vs == "last-week":
        return Baseline("same_hour", _same_time(window, [7], tz))
    if days and 1 <= int(days[1]) <= MAX_DAYS:
        return Baseline("same_hour", _same_time(window, range(1, int(days[1]) + 1), tz))
    if vs not in ("", "previous"):
        hint = did_you_mean(vs, ("yesterday", "previous", "last-week"), VS_HINT)
        many = f" (1 to {MAX_DAYS} days)" if days else ""
        raise UsageError(f"{asked.vs!r:.60} names no baseline{many}", hint)
    before = window.length
    if asked.around is not None:  # a young mark still has its whole stretch before it
        before = parse_duration(asked.last or DEFAULT_LAST)
    kind: BaselineKind = "previous" if asked.around is None and asked.since is None else "mark"
    return Baseline(kind, (Window(window.from_ts - before, window.from_ts),))


def explicit_baseline(asked: Asked, length: timedelta, now: datetime, tz: tzinfo) -> Window:
    """From --vs-from to --vs-to, one of which is there; where the other is missing, so long."""
    from_ts = None if asked.vs_from is None else parse_moment(asked.vs_from, now, tz)
    to_ts = None if asked.vs_to is None else parse_moment(asked.vs_to, now, tz)
    if from_ts is None:
        assert to_ts is not None
        from_ts = to_ts - length
    return Window(from_ts, to_ts or from_ts + length)


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


MOMENT_HINT = (
    "Write a time such as 14:00, 'yesterday 14:00', '10 minutes ago', "
    "2026-11-22T13:00Z or now (times without a zone are in yours)."
)
DURATION_HINT = "Write a duration such as 90s, 15m, 1h, 2d or 1h30m."

_UNITS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
    "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([a-z]{1,8})\s*", re.ASCII)
_AGO = re.compile(r"(.+?)\s+ago", re.ASCII)
_CLOCK = re.compile(
    r"(?:(today|yesterday)(?:\s+at)?\s*)?"
    r"([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?"
    r"\s*(z|utc|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_LONGEST = timedelta(days=3660)  # ten years: beyond it somebody mistyped
_FIRST_YEAR, _LAST_YEAR = 1970, 2999


def parse_duration(text: str) -> timedelta:
    """A positive length of time. A day is 24 hours here, whatever the clocks do."""
    rest = text.strip().lower()
    seconds, at = 0.0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        unit = _UNITS.get(part[2]) if part else None
        if part is None or unit is None:
            raise UsageError(f"{_quoted(text)} is not a duration", DURATION_HINT)
        seconds += float(part[1]) * unit
        at = part.end()
    if not rest:
        raise UsageError("the duration is empty", DURATION_HINT)
    if seconds <= 0:
        raise UsageError(f"the duration {_quoted(text)} is zero", DURATION_HINT)
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"the duration {_quoted(text)} is longer than ten years", DURATION_HINT)
    return timedelta(seconds=seconds)


def parse_moment(text: str, now: datetime, tz: tzinfo) -> datetime:
    """The moment that `text` names, in UTC. `now` is aware; `tz` is the user's zone."""
    word = text.strip().lower()
    if word == "now":
        return now.astimezone(UTC)
    try:
        moment = _ago(word, now) or _clock(word, now, tz) or _iso_moment(word, tz)
    except (OverflowError, ValueError):  # what the calendar refuses: 25:00, 30 February, year 0
        moment = None
    if moment is None:
        hint = did_you_mean(word, ("now", "today", "yesterday"), MOMENT_HINT)
        raise UsageError(f"{_quoted(text)} is not a time", hint)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise UsageError(f"{_quoted(text)} lies outside the years that qrec keeps", MOMENT_HINT)
    return moment


def days_earlier(moment: datetime, days: int, tz: tzinfo) -> datetime:
    """The same time by the user's clock some days earlier, in UTC (see the module's note)."""
    local = moment.astimezone(tz)
    wall = datetime.combine(local.date() - timedelta(days=days), local.timetz().replace(fold=0))
    return wall.astimezone(UTC)


def _ago(word: str, now: datetime) -> datetime | None:
    match = _AGO.fullmatch(word)
    if match is None:
        return None
    length = re.sub(r"^an?\s+", "1 ", match[1])
    return (now - parse_duration(length)).astimezone(UTC)


def _clock(word: str, now: datetime, tz: tzinfo) -> datetime | None:
    """`14:00`, `yesterday`, `yesterday 14:00`, `14:00Z`: a day of the clock that it is read by."""
    match = _CLOCK.fullmatch(word)
    if match is None or not (match[1] or match[2]):
        return None
    if match[3]:
        offset = "+00:00" if match[3] in ("z", "utc") else match[3]
        tz = datetime.strptime(offset, "%z").tzinfo or tz
    digits = match[2] or "00:00"
    clock = time.fromisoformat(digits if digits[2] == ":" else "0" + digits)
    day = now.astimezone(tz).date() - timedelta(days=match[1] == "yesterday")
    return datetime.combine(day, clock, tz).astimezone(UTC)


def _iso_moment(word: str, tz: tzinfo) -> datetime | None:
    moment = datetime.fromisoformat(word.upper().removesuffix(" UTC") + "Z" * word.endswith(" utc"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=tz)).astimezone(UTC)


def _quoted(text: str) -> str:
    """What was typed, on one line and short enough to repeat."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


LOCALTIME = Path("/etc/localtime")


def named_zone(name: str) -> tzinfo:
    """The zone of an IANA name (`Europe/Berlin`) or `UTC`. UsageError for anything else."""
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a bad key, a folder of zones, no such zone
        raise UsageError(
            f"there is no time zone {name!r} on this machine",
            "Give an IANA name such as Europe/Berlin, or UTC (without the system's zone data, "
            "`pip install tzdata` brings it).",
        ) from None


def local_zone() -> tzinfo:
    """The system's zone: `TZ`, else /etc/localtime, else UTC. Never fails."""
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return named_zone(name)
        target = LOCALTIME.resolve()
        if "zoneinfo" in target.parts:
            at = target.parts.index("zoneinfo")
            return named_zone("/".join(target.parts[at + 1 :]))
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (UsageError, ValueError, OSError):
        return UTC


def zone(name: str | None) -> tzinfo:
    """The zone that a user asked for, or the system's where nobody did (None, "", "local")."""
    return local_zone() if name in (None, "", "local") else named_zone(str(name))

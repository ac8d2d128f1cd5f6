"""Moments and durations as people write them: `14:00`, `yesterday 14:00`, `10 minutes ago`.

ISO 8601 is taken as it stands; a moment without a zone is in the user's. A wall-clock time that
the clocks skipped in spring is read as if they had not (02:30 becomes 03:30), one that came twice
in autumn is its first occurrence (write the offset to mean the other).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from difflib import get_close_matches

from store.errors import UsageError

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
            raise UsageError(f"{_short(text)} is not a duration", DURATION_HINT)
        seconds += float(part[1]) * unit
        at = part.end()
    if not rest:
        raise UsageError("the duration is empty", DURATION_HINT)
    if seconds <= 0:
        raise UsageError(f"the duration {_short(text)} is zero", DURATION_HINT)
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"the duration {_short(text)} is longer than ten years", DURATION_HINT)
    return timedelta(seconds=seconds)


def parse_moment(text: str, now: datetime, tz: tzinfo) -> datetime:
    """The moment that `text` names, in UTC. `now` is aware; `tz` is the user's zone."""
    word = text.strip().lower()
    if word == "now":
        return now.astimezone(UTC)
    try:
        moment = _ago(word, now) or _clock(word, now, tz) or _iso(word, tz)
    except (OverflowError, ValueError):  # what the calendar refuses: 25:00, 30 February, year 0
        moment = None
    if moment is None:
        near = get_close_matches(word, ("now", "today", "yesterday"), 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"{_short(text)} is not a time", meant + MOMENT_HINT)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise UsageError(f"{_short(text)} lies outside the years that qrec keeps", MOMENT_HINT)
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


def _iso(word: str, tz: tzinfo) -> datetime | None:
    moment = datetime.fromisoformat(word.upper().removesuffix(" UTC") + "Z" * word.endswith(" utc"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=tz)).astimezone(UTC)


def _short(text: str) -> str:
    """What was typed, on one line and short enough to repeat."""
    return repr(text if len(text) <= 60 else text[:57] + "…")

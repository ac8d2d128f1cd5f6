"""Whatever is typed, a window comes out whole or the project's own error does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from queries.core.window import Asked, parse_duration, parse_moment, resolve_windows
from store.errors import UsageError

T = TypeVar("T")
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu",
                                 "Australia/Lord_Howe", "UTC", "Pacific/Apia")]
)  # fmt: skip
NOWS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
MARKS = st.dictionaries(st.text(max_size=8), NOWS, max_size=3)
WORDS = ["now", "today", "yesterday", " ", "12:30", "02:30", "1", "90", "h", "m", "d", "s", "ago",
         "Z", "+01:00", "-", ":", "T", "2026-11-22", "2026-W47-7", "minutes", "an"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map("".join) | st.text(max_size=30)
MAYBE = st.none() | TEXTS


def known(call: Callable[[], T]) -> T | None:
    """What the call gives, or None where it refuses with a hint. Anything else escapes."""
    try:
        return call()
    except UsageError as error:
        if not error.hint:
            raise
        return None


@given(TEXTS, NOWS, ZONES)
@example("٣٣:٣٣", datetime(2026, 11, 22, tzinfo=UTC), ZoneInfo("UTC"))
def test_a_moment_is_utc_or_a_usage_error(text: str, now: datetime, tz: ZoneInfo) -> None:
    moment = known(lambda: parse_moment(text, now, tz))
    assert moment is None or moment.utcoffset() == timedelta(0)


@given(TEXTS)
def test_a_duration_is_positive_or_a_usage_error(text: str) -> None:
    duration = known(lambda: parse_duration(text))
    assert duration is None or timedelta(0) < duration <= timedelta(days=3660)


@given(
    st.builds(Asked, last=MAYBE, from_=MAYBE, to=MAYBE, vs=MAYBE, vs_from=MAYBE, vs_to=MAYBE,
              around=MAYBE, since=MAYBE, marks=MARKS),
    NOWS,
    ZONES,
)  # fmt: skip
def test_windows_never_overlap_their_baseline(asked: Asked, now: datetime, tz: ZoneInfo) -> None:
    resolved = known(lambda: resolve_windows(asked, now, tz))
    if resolved is not None:
        window, baseline = resolved
        spans = sorted([window, *baseline.spans])
        assert all(a.to_ts <= b.from_ts for a, b in pairwise(spans))


@given(NOWS, ZONES, st.integers(1, 31), st.integers(60, 86_400))
def test_the_same_time_of_other_days_is_as_long_and_as_late(
    now: datetime, tz: ZoneInfo, days: int, length: int
) -> None:
    """Every span starts at the window's clock time, but for the times that the clocks skip."""
    resolved = known(lambda: resolve_windows(Asked(last=f"{length}s", vs=f"{days}d"), now, tz))
    if resolved is None:  # a day that lost an hour is shorter than a window of 24 hours
        assert length > 86_400 - 7200
        return
    window, baseline = resolved
    assert len(baseline.spans) == days
    wall = window.from_ts.astimezone(tz).time()
    for span in baseline.spans:
        assert span.length == window.length
        start = span.from_ts.astimezone(tz)
        skipped = start.replace(tzinfo=None) - datetime.combine(start.date(), wall)
        assert skipped in (timedelta(0), timedelta(hours=1), timedelta(minutes=30)) or (
            abs(skipped) >= timedelta(hours=22)  # a whole day or midnight was skipped
        )

"""Windows and baselines: what a person types at two in the morning, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from queries.core.window import Asked, Window, parse_duration, parse_moment, resolve_window
from queries.core.window import resolve_windows as resolve
from store.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)  # 14:00 in Berlin


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("now", "2026-11-22T13:00"),
        ("2026-11-22T12:30Z", "2026-11-22T12:30"),
        ("2026-11-22T12:30+02:00", "2026-11-22T10:30"),
        ("2026-11-22T12:30", "2026-11-22T11:30"),
        ("2026-11-22 12:30 UTC", "2026-11-22T12:30"),
        ("2026-11-22 12:30:15.25", "2026-11-22T11:30:15.25"),
        ("2026-11-22", "2026-11-21T23:00"),
        ("09:15", "2026-11-22T08:15"),
        ("9:15", "2026-11-22T08:15"),
        ("09:15:30", "2026-11-22T08:15:30"),
        ("09:15Z", "2026-11-22T09:15"),
        ("09:15 utc", "2026-11-22T09:15"),
        ("09:15-05:00", "2026-11-22T14:15"),
        ("today 00:30", "2026-11-21T23:30"),
        ("yesterday 14:00", "2026-11-21T13:00"),
        ("Yesterday at 14:00", "2026-11-21T13:00"),
        ("yesterday", "2026-11-20T23:00"),
        ("10 minutes ago", "2026-11-22T12:50"),
        ("1h30m ago", "2026-11-22T11:30"),
        ("an hour ago", "2026-11-22T12:00"),
        ("2 days ago", "2026-11-20T13:00"),
    ],
)
def test_a_moment_is_read_by_the_users_clock(text: str, utc: str) -> None:
    assert parse_moment(text, NOW, BERLIN) == at(utc)
    assert parse_moment(f"  {text} ", NOW, BERLIN).tzinfo is UTC


def test_a_clock_time_in_another_zone_is_of_that_zones_day() -> None:
    just_past_midnight = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)  # the 23rd in Berlin
    assert parse_moment("22:00Z", just_past_midnight, BERLIN) == at("2026-11-22T22:00")
    assert parse_moment("22:00", just_past_midnight, BERLIN) == at("2026-11-23T21:00")


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "12:60", "2026-02-30", "2026-13-01", "14", "1400-0", "ago", "5 ago",
     "-1h ago", "0s ago", "yesterdy 14:00", "0001-01-01", "9999-12-31T23:59:59-14:00",
     "12:30+99:00", "14:00 14:00", "99999999999 days ago", "x" * 10_000],
)  # fmt: skip
def test_what_is_no_moment_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_moment(text, NOW, BERLIN)
    assert caught.value.hint
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h", 3600), ("2d", 172_800), ("1h30m", 5400), ("1w", 604_800),
     ("1.5h", 5400), ("10 minutes", 600), (" 1 Hour 30 Min ", 5400)],
)  # fmt: skip
def test_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "10", "-1h", "0s", "1x", "1h 5", "11y", "9999d", "1²h"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        parse_duration(text)


def test_without_flags_it_is_the_last_hour_against_the_one_before() -> None:
    window, baseline = resolve(Asked(), NOW, BERLIN)
    assert window == Window(at("2026-11-22T12:00"), NOW)
    assert baseline.kind == "previous"
    assert baseline.spans == (Window(at("2026-11-22T11:00"), at("2026-11-22T12:00")),)


@pytest.mark.parametrize(
    ("asked", "window", "kind", "spans"),
    [
        (Asked(last="30m"), ("12:30", "13:00"), "previous", [("12:00", "12:30")]),
        (Asked(to="12:00Z"), ("11:00", "12:00"), "previous", [("10:00", "11:00")]),
        (Asked(from_="12:15Z"), ("12:15", "13:00"), "previous", [("11:30", "12:15")]),
        (Asked(from_="11:00Z", last="15m"), ("11:00", "11:15"), "previous", [("10:45", "11:00")]),
        (
            Asked(from_="11:00Z", to="12:00Z", vs_from="08:00Z", vs_to="10:00Z"),
            ("11:00", "12:00"),
            "explicit",
            [("08:00", "10:00")],
        ),
        (Asked(vs_from="03:00Z"), ("12:00", "13:00"), "explicit", [("03:00", "04:00")]),
        (Asked(vs_to="04:00Z"), ("12:00", "13:00"), "explicit", [("03:00", "04:00")]),
    ],
)
def test_windows_of_one_day(
    asked: Asked, window: tuple[str, str], kind: str, spans: list[tuple[str, str]]
) -> None:
    got, baseline = resolve(asked, NOW, BERLIN)
    assert got == _today(*window)
    assert (baseline.kind, list(baseline.spans)) == (kind, [_today(*span) for span in spans])


def _today(start: str, end: str) -> Window:
    return Window(at(f"2026-11-22T{start}"), at(f"2026-11-22T{end}"))


def test_yesterday_and_the_last_days_are_the_same_time_of_the_clock() -> None:
    _, baseline = resolve(Asked(vs="yesterday"), NOW, BERLIN)
    assert baseline.kind == "same_hour"
    assert baseline.spans == (Window(at("2026-11-21T12:00"), at("2026-11-21T13:00")),)
    _, week = resolve(Asked(vs="7d"), NOW, BERLIN)
    assert [span.from_ts.day for span in week.spans] == [15, 16, 17, 18, 19, 20, 21]
    assert (week.from_ts, week.to_ts) == (at("2026-11-15T12:00"), at("2026-11-21T13:00"))
    _, last_week = resolve(Asked(vs="last-week"), NOW, BERLIN)
    assert [span.from_ts.day for span in last_week.spans] == [15]


def test_when_the_clocks_change_the_hour_of_business_is_kept() -> None:
    """On 25 October 2026 Berlin's clocks went back: 14:00 was 12:00Z before, 13:00Z after."""
    after = datetime(2026, 10, 25, 13, 0, tzinfo=UTC)  # 14:00 in Berlin
    window, baseline = resolve(Asked(vs="yesterday"), after, BERLIN)
    assert baseline.spans == (Window(at("2026-10-24T11:00"), at("2026-10-24T12:00")),)
    assert baseline.spans[0].length == window.length


def test_a_time_that_the_clocks_skipped_is_taken_an_hour_later() -> None:
    """On 29 March 2026 there was no 02:30 in Berlin."""
    now = datetime(2026, 3, 30, 1, 30, tzinfo=UTC)  # 03:30
    _, baseline = resolve(Asked(vs="yesterday"), now, BERLIN)  # 02:30 to 03:30, the day before
    assert baseline.spans == (Window(at("2026-03-29T01:30"), at("2026-03-29T02:30")),)


def test_a_time_that_came_twice_is_its_first_occurrence() -> None:
    now = datetime(2026, 10, 26, 2, 30, tzinfo=UTC)  # 03:30; the window began at 02:30
    _, baseline = resolve(Asked(vs="yesterday"), now, BERLIN)
    assert baseline.spans == (Window(at("2026-10-25T00:30"), at("2026-10-25T01:30")),)


MARKS = {"deploy 1234": at("2026-11-22T10:00"), "hotfix": at("2026-11-22T12:40")}


def test_around_a_mark_is_the_hour_after_against_the_hour_before() -> None:
    window, baseline = resolve(Asked(around="deploy 1234", marks=MARKS), NOW, BERLIN)
    assert (window, baseline.kind) == (_today("10:00", "11:00"), "mark")
    assert baseline.spans == (_today("09:00", "10:00"),)
    window, baseline = resolve(Asked(around="deploy 1234", last="15m", marks=MARKS), NOW, BERLIN)
    assert (window, baseline.spans) == (_today("10:00", "10:15"), (_today("09:45", "10:00"),))


def test_a_young_mark_has_what_there_is_after_it_and_all_of_the_hour_before() -> None:
    window, baseline = resolve(Asked(around="hotfix", marks=MARKS), NOW, BERLIN)
    assert (window, baseline.spans) == (_today("12:40", "13:00"), (_today("11:40", "12:40"),))


def test_since_a_mark_runs_up_to_now_against_as_long_before() -> None:
    window, baseline = resolve(Asked(since="hotfix", marks=MARKS), NOW, BERLIN)
    assert (window, baseline.kind) == (_today("12:40", "13:00"), "mark")
    assert baseline.spans == (_today("12:20", "12:40"),)


def test_a_time_serves_as_a_mark() -> None:
    assert resolve_window(Asked(since="13:30"), NOW, BERLIN) == _today("12:30", "13:00")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(from_="13:00", to="13:00"), "empty"),
        (Asked(from_="13:00", to="12:00"), "inverted"),
        (Asked(from_="23:00"), "inverted"),
        (Asked(vs_from="12:00Z", vs_to="11:00Z"), "inverted"),
        (Asked(vs_from="11:30Z"), "overlap"),
        (Asked(last="2d", vs="yesterday"), "overlap"),
        (Asked(last="2d", vs="7d"), "longer than a day"),
        (Asked(from_="12:00", since="deploy"), "Keep one"),
        (Asked(around="deploy 1234", to="13:00"), "--last"),
        (Asked(last="1h", from_="10:00", to="11:00"), "Leave one"),
        (Asked(last="1h", since="hotfix"), "--to"),
        (Asked(vs="yesterday", vs_from="10:00"), "Keep one"),
        (Asked(vs="yesteday"), "Did you mean 'yesterday'"),
        (Asked(vs="0d"), "1 to 31 days"),
        (Asked(vs="32d"), "1 to 31 days"),
        (Asked(around="deploy 123"), "Did you mean 'deploy 1234'"),
        (Asked(around="nothing like it"), "qrec marks"),
        (Asked(since="2026-11-22T13:00Z"), "not over yet"),
        (Asked(around="2027-01-01"), "not over yet"),
    ],
)
def test_a_window_held_wrong_says_what_to_do(asked: Asked, said: str) -> None:
    asked = Asked(**{**vars(asked), "marks": MARKS})
    with pytest.raises(UsageError) as caught:
        resolve(asked, NOW, BERLIN)
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint


def test_a_window_is_kept_in_utc_and_needs_a_zone() -> None:
    window = Window(
        datetime(2026, 11, 22, 13, tzinfo=BERLIN), datetime(2026, 11, 22, 14, tzinfo=UTC)
    )
    assert window.from_ts.isoformat() == "2026-11-22T12:00:00+00:00"
    assert window.seconds == 7200
    with pytest.raises(ValueError, match="zone"):
        Window(datetime(2026, 11, 22), datetime(2026, 11, 23))


@pytest.mark.parametrize("texts", [{"from_": "2026-11-23T10:00Z", "to": "2026-11-23T11:00Z"},
                                   {"from_": "2026-11-23T10:00Z", "last": "1h"}])  # fmt: skip
def test_a_window_in_the_future_is_called_that(texts: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="lies in the future: it begins at 2026-11-23T10:00:00Z"):
        resolve_window(Asked(**texts), datetime(2026, 11, 22, 14, tzinfo=UTC), UTC)

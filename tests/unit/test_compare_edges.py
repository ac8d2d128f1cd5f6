"""Questions that cannot be answered get their own words, and past hours sharpen the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from queries.core.watch import StoppedError, Watch, watched
from queries.core.window import Window
from queries.diff.axis import past_of
from store.hours import from_us
from tests.cells import BEFORE, HOUR, NOON, WINDOW, answer, hour


def codes(changes: object) -> set[str]:
    return {note.code for note in getattr(changes, "notes", ())}


def test_overlapping_windows_are_refused() -> None:
    late = Window(NOON - timedelta(minutes=30), NOON + timedelta(minutes=30))
    changes = answer([], [WINDOW, late])
    assert changes.verdict == "not_comparable"
    assert "overlap" in codes(changes)


def test_a_window_that_nobody_recorded_is_no_data() -> None:
    rows = hour(np.random.default_rng(1), NOON - HOUR, 5_000, False)
    changes = answer(rows, [WINDOW, BEFORE], {NOON: range(60)})
    assert changes.verdict == "no_data"
    assert "no_data" in codes(changes)
    assert changes.findings == ()


def test_other_halves_of_an_hour_are_compared_by_the_time_that_was_seen() -> None:
    gaps = {NOON: range(30), NOON - HOUR: range(30, 60)}
    rng = np.random.default_rng(8)
    rows = hour(rng, NOON - HOUR, 5_000, False, range(30, 60))
    rows += hour(rng, NOON, 5_000, False, range(30))
    changes = answer(rows, [WINDOW, BEFORE], gaps)
    assert changes.verdict == "nothing_changed"
    assert "gap" in codes(changes)


def test_the_course_has_every_request_and_the_gaps_across_edges_that_cut_minutes() -> None:
    cut = timedelta(seconds=20)
    spans = [Window(one.from_ts + cut, one.to_ts - cut) for one in (WINDOW, BEFORE)]
    spans[1] = Window(spans[1].from_ts, spans[0].from_ts)
    rng = np.random.default_rng(3)
    rows = [row for side in (NOON - HOUR, NOON) for row in hour(rng, side, 3_000, False)]
    changes = answer(rows, spans, {spans[0].from_ts: range(10, 15)})
    course = changes.course
    assert course is not None
    assert (course.start, course.step_s, len(course.requests)) == (BEFORE.from_ts, 60, 120)
    shown = [n for n in course.requests if n is not None]
    assert sum(shown) >= changes.window.requests + changes.baseline.requests > 5_000
    assert (course.covered_s[0], course.covered_s[1]) == (40, 60)
    dark = [at for at, seconds in enumerate(course.covered_s) if not seconds]
    assert dark == [71, 72, 73, 74]  # of 12:10:20 to 12:15:20 the minutes that are dark all through


def test_nobody_has_to_wait_for_what_is_not_wanted_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where it counts in memory, between two queries."""
    watch, looked = Watch(), []

    def stopping(frame: Any, dims: Any) -> list[Any]:
        looked.append(dims)
        watch.stop()
        return []

    monkeypatch.setattr("queries.diff.detect.shares.failures", stopping)
    with watched(watch), pytest.raises(StoppedError):
        answer(hour(np.random.default_rng(1), NOON, 500, False), [WINDOW, BEFORE])
    assert len(looked) == 1


def test_no_traffic_at_all_is_nothing_changed_when_somebody_listened() -> None:
    changes = answer([], [WINDOW, BEFORE])
    assert changes.verdict == "nothing_changed"
    assert "low_volume" in codes(changes)


def test_one_baseline_hour_is_called_uncalibrated_and_a_day_is_not() -> None:
    rng = np.random.default_rng(2)
    spans = [Window(NOON - k * HOUR, NOON - (k - 1) * HOUR) for k in range(10)]
    rows = [row for span in spans for row in hour(rng, span.from_ts, 3_000, False)]
    assert "uncalibrated" in codes(answer(rows, spans[:2]))
    assert "uncalibrated" not in codes(answer(rows, spans))


def test_a_host_known_from_last_night_is_not_new() -> None:
    rng = np.random.default_rng(4)
    spans = [Window(NOON - k * HOUR, NOON - (k - 1) * HOUR) for k in range(10)]
    rows = hour(rng, NOON, 5_000, True)
    for span in spans[1:]:
        rows += hour(rng, span.from_ts, 5_000, False)
    known = [r for r in hour(rng, spans[6].from_ts, 5_000, True) if "telemetry" in r["host"]]
    fresh = {f.key.get("host") for f in answer(rows, spans).findings if f.kind == "new"}
    seen = {f.key.get("host") for f in answer(rows + known, spans).findings if f.kind == "new"}
    assert "telemetry.example.net" in fresh
    assert "telemetry.example.net" not in seen


def test_the_past_is_the_last_day_and_the_same_hours_of_the_week() -> None:
    spans = [Window(from_us(begin), from_us(end)) for begin, end in past_of((WINDOW, BEFORE))]
    assert all(not s.overlaps(BEFORE) and not s.overlaps(WINDOW) for s in spans)
    assert Window(NOON - timedelta(days=6), NOON - timedelta(days=6) + HOUR) in spans
    assert len([s for s in spans if s.from_ts >= NOON - timedelta(hours=24)]) == 23


def test_a_host_that_was_away_for_an_hour_is_back_not_new() -> None:
    rng = np.random.default_rng(6)
    spans = [Window(NOON - k * HOUR, NOON - (k - 1) * HOUR) for k in range(10)]
    rows = [row for span in spans for row in hour(rng, span.from_ts, 20_000, False)]
    away = [r for r in rows if not (r["host"] == "legacy.example.com" and _in(r, spans[1]))]
    found = answer(away, spans).findings
    assert [(f.kind, f.key.get("host")) for f in found] == [("back", "legacy.example.com")]


def _in(row: dict[str, Any], span: Window) -> bool:
    return bool(span.from_ts <= row["minute"] < span.to_ts)

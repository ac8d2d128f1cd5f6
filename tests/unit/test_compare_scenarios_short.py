"""What a person on call must read of short windows, little traffic and odd edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queries.core.window import Window
from queries.summary import summary
from recorder.options import RecordOptions
from recorder.replay import replay
from store.hours import to_us
from store.layout import Store
from store.marks import add_mark
from tests.kit import Cli, connected, frame, transaction
from tests.world.scenes import (
    CHARGE,
    Record,
    charges,
    codes,
    first,
    quiet,
    says,
    step,
)
from tests.world.steady import RECORDER, at, traffic


def test_a_window_counts_to_the_second(record: Record) -> None:
    recording = record()
    asked: dict[str, Any] = {"from_": "12:07:23", "to": "12:41:48"}
    document = recording.diff(**asked, vs_from="11:07:23", vs_to="11:41:48")
    assert document["window"]["requests"] == recording.count(7 + 23 / 60, 41.8)
    counted = summary(recording.store, Window(at(7 + 23 / 60), at(41.8)))
    assert document["window"]["requests"] == counted.window.requests
    assert document["window"]["errors"] == counted.window.errors


def test_ninety_seconds_against_the_ninety_before(record: Record) -> None:
    now = 12 + 37 / 60
    recording = record(charges(2_400, 0.01, 0.5, since=now - 1.5))
    document = recording.diff(now, last="90s")
    sides = document["window"], document["baseline"]
    assert [side["covered_s"] for side in sides] == [pytest.approx(90), pytest.approx(90)]
    assert document["window"]["requests"] == recording.count(now - 1.5, now)
    says(first(document), key=CHARGE, direction="up", severity="high")


def test_ninety_seconds_around_a_mark(record: Record) -> None:
    mark = 9 + 40 / 60
    recording = record(charges(2_400, 0.01, 0.5, since=mark))
    add_mark(recording.store, "deploy", at(mark))
    document = recording.diff(around="deploy", last="90s", marks={"deploy": at(mark)})
    assert document["window"]["requests"] == recording.count(mark, mark + 1.5)
    says(first(document), key=CHARGE, direction="up")


def test_thirty_seconds_are_too_short_and_that_is_said(record: Record) -> None:
    recording = record()
    document = recording.diff(20.2, last="30s")
    assert document["window"]["requests"] == recording.count(19.7, 20.2)
    assert document["verdict"] == "not_comparable"
    assert "empty_window" in codes(document)


def test_a_median_that_goes_from_5_to_249_ms_in_two_minutes(record: Record) -> None:
    line = traffic(**CHARGE, per_hour=23_000, ms=step(30, 5, 249), spread=0.3)
    document = record(line).diff(32, last="2m", vs_from="12:29", vs_to="12:30")
    says(first(document), ("latency",), CHARGE, direction="up", severity="high")


def test_three_minutes_of_a_fault_are_enough(record: Record, cli: Cli, tmp_path: Path) -> None:
    recording = record(charges(1_200, 0.01, 0.5, since=57))
    says(first(recording.diff(last="3m")), key=CHARGE, direction="up", since=57)
    words = ["--last", "3m", "--now", at(60).isoformat(), "--store", str(tmp_path / "store")]
    code, out, _ = cli("diff", *words)
    assert code == 0
    assert "POST pay.example /charge" in next(
        line for line in out.splitlines() if line.strip().startswith("1 ")
    )


def test_a_median_that_rises_by_half(record: Record) -> None:
    line = traffic(**CHARGE, per_hour=458, ms=step(0, 369, 567), spread=0.25, from_=-240)
    finding = first(record(line, from_=-240).diff())
    says(finding, ("latency",), CHARGE, direction="up")


def test_answers_that_become_empty(record: Record) -> None:
    before = traffic(**CHARGE, per_hour=600, size=3_000, to=10)
    empty = traffic(**CHARGE, per_hour=600, size=2, from_=10)
    says(first(record(before, empty).diff()), ("size",), CHARGE, direction="down", since=10)


def test_one_request_a_minute_that_takes_two_seconds_now(record: Record) -> None:
    line = traffic(**CHARGE, per_hour=60, ms=step(15, 80, 2_000))
    says(first(record(line).diff()), ("latency",), CHARGE, direction="up", since=15)


def test_five_minutes_beside_half_an_hour_know_little(record: Record) -> None:
    document = record(from_=25).diff(last="5m")
    quiet(document)
    assert "uncalibrated" in codes(document)


def test_quiet_says_how_small_a_change_it_would_have_shown(record: Record) -> None:
    document = record().diff()
    quiet(document)
    sensitivity = document["sensitivity"]
    assert 0 < sensitivity["error_share"] < 0.2
    assert 1 < sensitivity["latency_ratio"] < 2


def test_what_it_says_that_it_would_have_shown_it_shows(record: Record) -> None:
    """An endpoint that became busier is no measure of those that are as busy as it was."""
    shop = [
        traffic("shop.example", f"/{name}{n}", per_hour, container="shop")
        for name, per_hour in (("rare", 30), ("busy", 200)) for n in range(4)
    ]  # fmt: skip
    sale = traffic("shop.example", "/sale", step(0, 60, 600), container="shop")
    failing = traffic(**CHARGE, per_hour=60, failing=step(0, 0.0, 0.4))
    document = record(*shop, sale, failing, beside=0).diff()
    small = document["sensitivity"]
    assert small["seen_by"] in {f"endpoints with {n} requests or more" for n in range(45, 75)}
    assert 0.2 < small["error_share"] < 0.4
    says(document["findings"][1], key=CHARGE, direction="up")


def test_what_was_recorded_before_the_time_jumps_is_covered(tmp_path: Path) -> None:
    """A replayed file whose second half is of the next day."""
    begin, hour = to_us(at(0)), to_us(at(60)) - to_us(at(0))
    times = [begin + n * hour // 120 for n in range(120)]
    times += [moment + 23 * hour for moment in times]
    events = [transaction(f"id-{n}", moment) for n, moment in enumerate(times)]
    file = tmp_path / "jump.sse"
    file.write_bytes(b"".join(frame(event) for event in [connected(begin), *events]))
    replay([file], RecordOptions(store=tmp_path / "store", recorder=RECORDER))
    side = summary(Store.open(tmp_path / "store"), Window(at(0), at(59))).window
    assert side.requests == 118
    assert side.covered_s > 58 * 60

"""What a person on call must not read: quiet recordings, and what comes and goes in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.world.rows import Batch, joined
from tests.world.scenes import (
    CHARGE,
    DAY,
    HOURS_9,
    Record,
    charges,
    first,
    quiet,
    says,
    slugs,
    step,
)
from tests.world.steady import traffic

# Nothing happens


def test_nothing_happens(record: Record) -> None:
    quiet(record().diff())


@pytest.mark.parametrize("last", ["1m", "3m", "10m"])
def test_nothing_happens_in_minutes(record: Record, last: str) -> None:
    recording = record(beside=12_000)
    for now in (23.5, 41.2, 60.0):
        quiet(recording.diff(now, last=last))


def rising(minutes: Any) -> Any:
    """Three times as much at minute 60 as at minute -60."""
    return 1_500 * 3.0 ** ((minutes + 60) / 120)


def test_a_morning_in_which_people_come_and_machines_go_on(record: Record) -> None:
    people = [
        traffic("shop.example", route, rising, failing=0.005, direction="ingress")
        for route in ("/", "/search", "/cart")
    ]
    quiet(record(*people, traffic("sync.internal", "/pull", 1_200), beside=0).diff())


def test_a_saturday_beside_the_friday_before_it(record: Record) -> None:
    def week(minutes: Any) -> Any:
        return np.where(minutes >= -1440 + 60, 0.35, 1.0) * 1_200

    people = [
        traffic("shop.example", route, week, direction="ingress", from_=2 * DAY)
        for route in ("/", "/search")
    ]
    machines = traffic("sync.internal", "/pull", 600, from_=2 * DAY)
    quiet(record(*people, machines, from_=2 * DAY, beside=0).diff(vs="yesterday"))


def test_long_polls_that_return_early_are_no_slowness(record: Record) -> None:
    line = traffic("push.example", "/poll", 600, ms=step(20, 30_000, 9_000), spread=1.2)
    document = record(line).diff()
    assert [f for f in document["findings"] if f["severity"] == "high"] == []


def test_a_job_that_runs_every_second_hour(record: Record) -> None:
    def rate(minutes: Any) -> Any:
        return np.where((minutes // 60 % 2 == 0) & (minutes % 60 < 8), 900.0, 0.0)

    job = traffic("ledger.internal", "/jobs/run", rate, container="worker", from_=DAY)
    quiet(record(job, from_=DAY, beside=600).diff())


def test_a_share_that_was_low_for_an_hour_long_ago(record: Record) -> None:
    """It fails at four in a hundred, but for one quiet hour among the oldest."""
    share = lambda m: np.where((m >= -240) & (m < -180), 0.004, 0.04)  # noqa: E731
    line = traffic(**CHARGE, per_hour=2_400, failing=share, from_=-240)
    quiet(record(line, from_=-240).diff())


@pytest.mark.parametrize("seed", range(4))
def test_a_worker_that_runs_at_random(record: Record, seed: int) -> None:
    """An import every two hours or so, whenever somebody asks for one."""
    rng = np.random.default_rng(seed)
    begins = np.cumsum(rng.exponential(110, 40)) + 2 * DAY

    def rate(minutes: Any) -> Any:
        running = (minutes[:, None] >= begins) & (minutes[:, None] < begins + 6)
        return np.where(running.any(1), 600.0, 0.0)

    job = traffic("imports.example", "/rows", rate, container="worker", from_=DAY)
    quiet(record(job, from_=DAY, beside=600).diff())


@pytest.mark.parametrize("past", [-60.0, -420.0])
def test_new_articles_are_no_news(record: Record, past: float) -> None:
    quiet(record(*slugs(past), from_=past).diff())


@pytest.mark.parametrize("past", [-60.0, -420.0])
def test_a_scanner_is_noted_and_not_told(record: Record, past: float) -> None:
    lines = [
        traffic(
            "shop.example", f"/wp-{n}/{'abcdefghij'[n % 10]}.php", 60, ok=404, direction="ingress",
            from_=20 + n % 7, to=23 + n % 7,
        )
        for n in range(90)
    ]  # fmt: skip
    document = record(*lines, from_=past).diff()
    quiet(document)
    assert any("left out" in note["text"] for note in document["notes"]), document["notes"]


def test_bursts_in_three_minutes(record: Record) -> None:
    """Requests that come a dozen at a time, and one time in twenty fail together."""
    burst = traffic("queue.internal", "/take", 400, container="worker", from_=-180, failing=0.05)
    lines = [replace(burst, ts=burst.ts + 20_000 * n) for n in range(12)]
    recording = record(joined(lines), from_=-180)
    for now in (17.0, 29.0, 58.0):
        quiet(recording.diff(now, last="3m"))


def clumps(failures: float) -> Batch:
    """Every 130 minutes one client's calls fail for half a minute; the last time at minute 40."""
    return traffic(
        **CHARGE, per_hour=120 * failures, from_=HOURS_9, status=400,
        failing=lambda m: np.where((m % 130 >= 40) & (m % 130 < 40.5), 0.98, 0.001),
    )  # fmt: skip


@pytest.mark.parametrize("last", ["1h", "30m"])
def test_a_client_that_fails_for_half_a_minute_every_other_hour(record: Record, last: str) -> None:
    quiet(record(clumps(10), from_=HOURS_9).diff(last=last))


def test_more_failures_than_such_a_client_ever_makes_are_told(record: Record) -> None:
    more = traffic(**CHARGE, per_hour=600, failing=step(30, 0.0, 0.5), from_=HOURS_9, method="PUT")
    joint = replace(more, names=clumps(10).names)
    says(first(record(clumps(10), joint, from_=HOURS_9).diff()), key=CHARGE, direction="up")


def test_good_answers_that_come_more_often_because_fewer_fail_are_no_other_answers(
    record: Record,
) -> None:
    document = record(charges(900, 0.4, 0.02, since=0, status=401)).diff()
    assert [f for f in document["findings"] if f["kind"] == "statuses"] == []

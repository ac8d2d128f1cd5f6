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
    codes,
    first,
    quiet,
    says,
    slugs,
    step,
)
from tests.world.steady import calls, traffic

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


def test_ten_minutes_of_a_saturday_beside_those_of_the_friday(record: Record) -> None:
    def week(minutes: Any) -> Any:  # as many at six in the evening as a third of those at noon
        day = 1 + 0.5 * np.cos(2 * np.pi * (minutes - 30) / 1440)
        return np.where(minutes >= -720, 0.4, 1.0) * 4_000 * day

    people = [traffic("shop.example", f"/{n}", week, direction="ingress", from_=DAY - 60)
              for n in range(3)]  # fmt: skip
    document = record(*people, from_=DAY - 60, beside=0).diff(last="10m", vs="yesterday")
    quiet(document)


def test_a_lull_that_goes_on(record: Record) -> None:
    """What was far below the usual for as long as both sides is no news for being a little less."""
    lull = lambda m: np.where(m < 30, 1_200, np.where(m < 50, 90, 45))  # noqa: E731
    line = traffic("shop.example", "/", lull, direction="ingress", from_=DAY)
    quiet(record(line, from_=DAY, beside=0).diff(last="10m"))


def test_a_bunch_of_readers_of_a_new_story(record: Record) -> None:
    """Stories come every hour; that five read one at once makes it no busier than others."""
    stories = [
        traffic("news.example", f"/stories/of-{h}", 12, from_=60 * h, to=60 * h + 180)
        for h in range(-24, 0)
    ]
    at_once = traffic("news.example", "/stories/of-now", 1_800, from_=58, to=58.06)
    quiet(record(*stories, at_once, from_=DAY).diff(last="3m"))


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


@pytest.mark.parametrize("times", [1, 8])
def test_ten_minutes_in_which_a_job_runs_that_runs_for_minutes(record: Record, times: int) -> None:
    """Every other hour, for eight minutes: ten of which seven are its own are as ever, unless it
    makes more calls than in any hour."""

    def rate(minutes: Any) -> Any:
        runs = (minutes % 120 >= 51) & (minutes % 120 < 59)
        return np.where(runs, np.where(minutes >= 50, 300.0 * times, 300.0), 0.0)

    job = traffic("stock.internal", "/sync", rate, container="worker", from_=DAY)
    now_and_then = traffic("stock.internal", "/sync", 40, container="clerk", from_=40, to=50)
    document = record(job, now_and_then, from_=DAY, beside=600).diff(last="10m")
    assert bool(document["findings"]) == (times > 1)


# A job that had slept for longer than was recorded


def run(host: str, begin: float = 20, end: float = 26, **more: Any) -> Batch:
    more = {"container": "worker", "per_hour": 600.0, "from_": begin, "to": end, **more}
    return traffic(host, "/v1/rows", **more)


def beside_it(from_: float = -60.0) -> Batch:
    """What the worker does all along."""
    return traffic("ledger.internal", "/rows", 300, container="worker", from_=from_)


def slept(document: dict[str, Any]) -> str:
    [text] = [note["text"] for note in document["notes"] if note["code"] == "slept"]
    return str(text)


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_a_nightly_backup_with_hosts_of_its_own_is_one_note(record: Record, past: float) -> None:
    hosts = [f"{name}.example" for name in ("archive", "kms", "audit", "vault", "mirror")]
    lines = [run(host, container="backup-29391040-x7k2p") for host in hosts]
    document = record(*lines, from_=past).diff()
    quiet(document)
    assert "backup called" in slept(document)
    assert sum(host in slept(document) for host in hosts) == 3
    assert "and 2 more" in slept(document)


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_a_job_of_a_known_container_at_a_minute_of_its_own(record: Record, past: float) -> None:
    document = record(beside_it(past), run("imports.example", 34, 38), from_=past).diff()
    quiet(document)
    assert "worker called imports.example" in slept(document)


@pytest.mark.parametrize("past", [-60.0, -240.0])
def test_a_job_that_goes_on_of_who_works_in_runs(record: Record, past: float) -> None:
    hourly = traffic("ledger.internal", "/close", 900, container="worker", only=(7, 60), from_=past)
    document = record(hourly, run("imports.example", 55, 60), from_=past).diff()
    quiet(document)
    assert "worker called imports.example" in slept(document)


def test_a_job_that_goes_on_of_who_did_one_short_thing_before(record: Record) -> None:
    """A few calls in one minute do not say that somebody works in runs; all its calls do."""
    hourly = traffic("ledger.internal", "/close", 120, container="worker", only=(7, 60))
    sync = calls("stock.internal", "/sync", 400, "worker", "stock", from_=48)
    stock = traffic("stock.internal", "/stock", 600, direction="ingress", container="stock")
    document = record(hourly, sync, stock).diff()
    quiet(document)
    assert "worker called GET stock.internal /sync (" in slept(document)


def test_a_job_that_goes_on_of_who_has_many_jobs(record: Record) -> None:
    """Each runs for some minutes of an hour; together they leave out few."""

    def turn(begin: int) -> Any:
        return lambda minutes: np.where(minutes % 60 // 11 == begin, 1_200, 0)

    jobs = [
        traffic("ledger.internal", f"/jobs/{name}", turn(place), container="worker")
        for place, name in enumerate(("close", "open", "sync", "mail", "sums"))
    ]
    document = record(*jobs, run("imports.example", 55, 60)).diff()
    quiet(document)
    assert "worker called imports.example" in slept(document)


def test_such_a_job_that_fails_is_told(record: Record) -> None:
    document = record(beside_it(), run("imports.example", failing=0.9, status=503)).diff()
    finding = first(document)
    assert finding["key"]["host"] == "imports.example"
    assert "failing" in finding["summary"]


def test_a_known_container_that_goes_on_calling_a_new_host_is_told(record: Record) -> None:
    document = record(beside_it(), run("imports.example", to=60, per_hour=120)).diff()
    says(first(document), ("new",), {"host": "imports.example"}, "new")
    assert "slept" not in codes(document)


def test_a_container_that_comes_and_stays_is_one_finding_with_its_hosts(record: Record) -> None:
    lines = [run(f"{name}.example", to=60, container="exporter") for name in ("a", "b", "c")]
    [finding] = record(beside_it(), *lines).diff()["findings"]
    says(finding, ("new",), {"container": "exporter"}, "new")
    assert {f"{name}.example" for name in "abc"} <= {s["key"].get("host") for s in finding["also"]}


def test_a_new_program_that_sends_for_minutes_is_told_beside_a_day(record: Record) -> None:
    line = run("exfil.example", process_exe="/tmp/.x", method="POST")
    document = record(beside_it(DAY), line, from_=DAY).diff()
    says(first(document), ("new",), {"host": "exfil.example"}, "new")
    assert "slept" not in codes(document)


@pytest.mark.parametrize("past", [-60.0, -420.0])
def test_new_articles_are_no_news(record: Record, past: float) -> None:
    quiet(record(*slugs(past), from_=past).diff())


@pytest.mark.parametrize(("late", "rows"), [((4, 19, 38), 0), ((20, 20, 20), 3)])
def test_articles_of_which_each_is_read_now_and_then(
    record: Record, late: tuple[int, ...], rows: int
) -> None:
    """Some twenty-five times in its first hour, and less and less: one that came before is no proof
    that they do all the time, three of different moments are. Three at once are a release."""

    def read(born: float) -> Any:
        return lambda minutes: 40 * np.exp((born - minutes) / 60.0)

    articles = [
        traffic("news.example", f"/stories/{'abcdefgh'[n] * 6}-{'mnopqrst'[n] * 5}", read(born),
                direction="ingress", container="news", from_=max(born, -60))
        for n, born in enumerate((-130, -110, -95, -70, -20, *late))
    ]  # fmt: skip
    findings = record(*articles).diff()["findings"]
    assert [f["kind"] for f in findings] == ["new"] * rows


def test_new_articles_that_more_people_read_are_no_news(record: Record) -> None:
    articles = [
        traffic(
            "news.example", f"/2026/{'abcde'[n % 5] * 7}-vote-{chr(107 + n // 5)}{chr(97 + n % 5)}",
            step(0, 50, 200), direction="ingress", from_=10 * n - 60, to=10 * n + 30,
        )
        for n in range(-9, 12)
    ]  # fmt: skip
    people = traffic("shop.example", "/", step(0, 600, 2_400), direction="ingress")
    [finding] = record(people, *articles, beside=0).diff()["findings"]
    says(finding, ("broad",), {}, direction="up")


@pytest.mark.parametrize("past", [-60.0, -420.0])
def test_a_scanner_is_noted_and_not_told(record: Record, past: float) -> None:
    """Though a few of its requests get no answer."""
    lines = [
        traffic(
            "shop.example", f"/wp-{n}/{'abcdefghij'[n % 10]}.php", 60, ok=404, direction="ingress",
            from_=20 + n % 7, to=23 + n % 7, failing=0.08, status=None,
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


def at_one_moment(rows: Batch, minute: float) -> Batch:
    """The same requests, all within two seconds."""
    place = rows.ts.min() // 3_600_000_000 * 3_600_000_000 + round(minute * 60_000_000)
    return replace(rows, ts=place + np.arange(len(rows)) * (2_000_000 // len(rows)))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("last", ["1h", "30m"])
def test_calls_that_fail_within_two_seconds_are_one_fate(
    record: Record, last: str, at_once: bool
) -> None:
    """Sixteen that fail together, once; or one a minute."""
    usual, client = charges(240, 0.006, 0.006, from_=HOURS_9), charges(800, 1, 1, from_=45, to=46)
    assert len(client) == 16
    apart = replace(client, ts=client.ts + 60_000_000 * np.arange(len(client)))
    rows = at_one_moment(client, 45) if at_once else apart
    document = record(usual, rows, from_=HOURS_9).diff(last=last)
    if at_once:
        quiet(document)
    else:
        says(first(document), key=CHARGE, direction="up")


def test_failing_as_usual_after_an_hour_without_a_failure_is_no_news(record: Record) -> None:
    def share(minutes: Any) -> Any:
        return np.where((minutes >= -60) & (minutes < 0), 0.0, 0.02)

    quiet(record(traffic(**CHARGE, per_hour=1_500, failing=share, from_=HOURS_9),
                 from_=HOURS_9).diff())  # fmt: skip


def test_good_answers_that_come_more_often_because_fewer_fail_are_no_other_answers(
    record: Record,
) -> None:
    document = record(charges(900, 0.4, 0.02, since=0, status=401)).diff()
    assert [f for f in document["findings"] if f["kind"] == "statuses"] == []

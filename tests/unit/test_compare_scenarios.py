"""What a person on call must read, case by case: a steady recording each, asked from outside.

Times are minutes after noon; the hour asked about is 0 to 60, the one before it -60 to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import filters
from queries.core.window import Asked, Window, resolve_windows
from queries.diff.what_changed import what_changed
from queries.summary import summary
from recorder.options import RecordOptions
from recorder.replay import replay
from store.hours import to_us
from store.layout import Store
from store.marks import add_mark
from tests.kit import Cli, connected, frame, transaction
from tests.world.rows import Batch, cover, joined
from tests.world.steady import RECORDER, Recording, at, calls, traffic

Record = Callable[..., Recording]
FAILING: Final = ("errors", "statuses", "no_response")
CHARGE: Final[dict[str, Any]] = {"host": "pay.example", "route": "/charge"}
HOURS_9: Final = -600.0  # nine hours before the baseline
DAY: Final = -1440.0


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Make a recording of lines of traffic; `beside`: requests an hour of a healthy shop."""

    def make(
        *lines: Batch, from_: float = -60.0, to: float = 60.0, beside: float = 5_000.0
    ) -> Recording:
        around = shop(beside, from_, to) if beside else []
        return Recording(tmp_path / "store", [*around, *lines], from_, to)

    return make


def shop(per_hour: float, from_: float = -60.0, to: float = 60.0) -> list[Batch]:
    """Three containers and four hosts that do well: half a percent fails."""
    lines = [
        ("shop.example", "/", "ingress", "web", 0.3),
        ("shop.example", "/search", "ingress", "web", 0.2),
        ("cart.internal", "/carts/{id}", "egress-internal", "web", 0.2),
        ("stock.internal", "/stock/{id}", "egress-internal", "cart", 0.2),
        ("mail.example", "/send", "egress-external", "mailer", 0.1),
    ]
    return [
        traffic(
            host, route, share * per_hour, failing=0.005, direction=direction,
            container=container, from_=from_, to=to,
        )
        for host, route, direction, container, share in lines
    ]  # fmt: skip


def probe(from_: float = -60.0) -> Batch:
    return traffic("status.internal", "/ping", 60, direction="ingress", from_=from_)


def step(minute: float, before: float, after: float) -> Callable[[Any], Any]:
    return lambda minutes: np.where(minutes >= minute, after, before)


def charges(per_hour: float, before: float, after: float, since: float = 15, **more: Any) -> Batch:
    """Calls to a payment provider that fail otherwise from a minute on."""
    more = {"container": "pay", "method": "POST", "status": 503, **more}
    return traffic(**CHARGE, per_hour=per_hour, failing=step(since, before, after), **more)


def first(document: dict[str, Any]) -> dict[str, Any]:
    assert document["verdict"] == "changed", document["notes"]
    finding: dict[str, Any] = document["findings"][0]
    return finding


def says(
    finding: dict[str, Any],
    kinds: Sequence[str] = FAILING,
    key: dict[str, Any] | None = None,
    direction: str | None = None,
    severity: str | None = None,
    since: float | None = None,
) -> None:
    """A finding of one of the kinds, under this key at least, since that minute or so."""
    assert finding["kind"] in kinds, finding["summary"]
    assert (key or {}).items() <= finding["key"].items(), finding["summary"]
    assert direction in (None, finding["direction"]), finding["summary"]
    assert severity in (None, finding["severity"]), finding["summary"]
    if since is not None:
        assert abs(minute(finding["since"]) - since) <= 2, finding["summary"]


def minute(moment: str) -> float:
    return (datetime.fromisoformat(moment) - at(0)) / timedelta(minutes=1)


def quiet(document: dict[str, Any]) -> None:
    assert [f["summary"] for f in document["findings"]] == []
    assert document["verdict"] == "nothing_changed"


def codes(document: dict[str, Any]) -> set[str]:
    return {note["code"] for note in document["notes"]}


# All of it: stops, falls, fails


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_all_traffic_stops_but_a_probe(record: Record, past: float) -> None:
    document = record(probe(past), *shop(2_000, past, 0), from_=past, beside=0).diff()
    says(first(document), ("broad",), direction="down", severity="high")
    assert not [f for f in document["findings"] if f["direction"] == "up"]


@pytest.mark.parametrize(("part", "past"), [(0.1, -60.0), (0.13, HOURS_9)])
def test_all_traffic_falls_in_the_middle_of_the_hour(
    record: Record, part: float, past: float
) -> None:
    thin = shop(part * 3_000, 10, 60)
    document = record(*shop(3_000, past, 10), *thin, from_=past, beside=0).diff()
    says(first(document), ("broad",), direction="down", severity="high", since=10)
    assert len(document["findings"]) == 1


def test_everything_answers_503(record: Record) -> None:
    lines = [replace_status(line, 40, 503) for line in shop(4_000)]
    document = record(*lines, beside=0).diff()
    says(first(document), ("broad",), direction="up", severity="high", since=40)
    assert document["findings"][0]["effect"]["affected"] > 0.3 * document["window"]["requests"]


def replace_status(line: Batch, since: float, status: int) -> Batch:
    """The same requests; from a minute on each ends as `status`."""
    name = {**line.names[0], "status": status}
    late = line.ts >= to_us(at(since))
    return replace(line, names=(*line.names, name), name=np.where(late, 2, line.name))


# One endpoint fails more, from whatever share to whatever share


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
@pytest.mark.parametrize(
    ("before", "after"), [(0.36, 1.0), (0.51, 1.0), (0.1, 0.4), (0.2, 0.6), (0.01, 0.2)]
)
def test_a_share_that_rises(record: Record, before: float, after: float, past: float) -> None:
    line = charges(1_200, before, after, from_=past)
    finding = first(record(line, from_=past, beside=3_000).diff())
    says(finding, key=CHARGE, direction="up", severity="high", since=15)


@pytest.mark.parametrize("per_hour", [300, 30_000])
def test_a_share_that_rises_at_any_volume(record: Record, per_hour: float) -> None:
    finding = first(record(charges(per_hour, 0.1, 0.4), beside=per_hour).diff())
    says(finding, key=CHARGE, direction="up", severity="high")


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.4), (0.05, 0.2), (0.2, 0.6)])
def test_one_endpoint_that_is_most_of_the_traffic_is_not_everywhere(
    record: Record, before: float, after: float
) -> None:
    document = record(charges(10_000, before, after)).diff()
    says(first(document), key=CHARGE, direction="up")
    assert "everywhere" not in document["findings"][0]["summary"]
    assert not [f for f in document["findings"] if f["kind"] == "broad"]


def test_a_smaller_rise_is_found_beside_nine_quiet_hours(record: Record) -> None:
    document = record(charges(900, 0.1, 0.25, from_=HOURS_9), from_=HOURS_9).diff()
    says(first(document), key=CHARGE, direction="up")


def test_the_second_half_of_an_authentication_dance_is_lost(record: Record) -> None:
    """Each call is refused once and then let in; from minute 15 on nobody is let in."""
    line = traffic(**CHARGE, per_hour=900, failing=step(15, 0.5, 1.0), status=401)
    says(first(record(line).diff()), key=CHARGE, direction="up", severity="high", since=15)


def test_answers_that_were_cached_are_not_any_more(record: Record) -> None:
    line = traffic(**CHARGE, per_hour=900, failing=step(10, 0.2, 0.9), status=200, ok=304, size=150)
    says(first(record(line).diff()), ("statuses",), CHARGE, since=10)


def test_twelve_of_twelve_after_none_of_twelve(record: Record) -> None:
    line = charges(12, 0, 1, since=0)
    says(first(record(line).diff()), key=CHARGE, direction="up")


@pytest.mark.parametrize("status", [400, 402, 404, 409, 422, None])
def test_what_fails_every_time_is_high_whatever_its_status(
    record: Record, status: int | None
) -> None:
    finding = first(record(charges(600, 0.01, 1.0, status=status)).diff())
    says(finding, key=CHARGE, direction="up", severity="high")


def test_sixty_extra_404_are_told_for_their_endpoint(record: Record) -> None:
    place: dict[str, Any] = {"host": "shop.example", "route": "/products/{id}"}
    share: dict[str, Any] = {
        "failing": step(10, 0.001, 0.035),
        "status": 404,
        "direction": "ingress",
    }
    document = record(traffic(**place, per_hour=1_900, **share)).diff()
    says(first(document), key=place, direction="up")


def test_a_public_endpoint_whose_frontend_came_before_its_backend(record: Record) -> None:
    place: dict[str, Any] = {"host": "shop.example", "route": "/api/v2/profile"}
    line = traffic(
        **place, per_hour=1_050, failing=1, status=404, direction="ingress", from_=10
    )  # fmt: skip
    finding = first(record(line).diff())
    says(finding, (*FAILING, "new"), place, severity="high")
    assert "404" in finding["summary"]


@pytest.mark.parametrize("usual", [12, 30])
def test_a_webhook_that_is_refused_and_tried_again(record: Record, usual: float) -> None:
    place: dict[str, Any] = {"host": "hooks.example", "route": "/stripe"}
    rate = step(5, usual, 850)
    line = traffic(
        **place, per_hour=rate, failing=step(5, 0.0, 1.0), status=403, direction="ingress"
    )  # fmt: skip
    finding = first(record(line).diff())
    says(finding, key=place, direction="up", severity="high")


def test_a_new_endpoint_that_always_fails(record: Record) -> None:
    place: dict[str, Any] = {"host": "shop.example", "route": "/v2/pay"}
    line = traffic(**place, per_hour=480, failing=1, direction="ingress", method="POST", from_=12)
    finding = first(record(line).diff())
    says(finding, (*FAILING, "new"), place, severity="high")
    assert "failing" in finding["summary"]
    assert "500" in finding["summary"]


def test_a_new_endpoint_that_works_is_no_alarm(record: Record) -> None:
    place: dict[str, Any] = {"host": "shop.example", "route": "/v2/pay"}
    line = traffic(**place, per_hour=480, direction="ingress", method="POST", from_=12)
    says(first(record(line).diff()), ("new",), place, direction="new", severity="medium")


# gRPC, in the three ways in which it is recorded


@pytest.mark.parametrize(
    ("before", "protocol", "host"),
    [(0.01, "grpc", None), (0.0, "grpc", None), (0.01, "http2", "reco.internal:9090")],
)
def test_grpc_calls_that_end_as_unavailable(
    record: Record, before: float, protocol: str, host: str | None
) -> None:
    grpc: dict[str, Any] = {"protocol": protocol, "grpc_status": "14", "host": host}
    line = traffic(
        route="/acme.Reco/List", per_hour=600, failing=step(20, before, 0.6), method="POST", **grpc
    )  # fmt: skip
    recording = record(line)
    document = recording.diff()
    says(first(document), key={"route": "/acme.Reco/List"}, severity="high", since=20)
    counted = summary(recording.store, Window(at(0), at(60)))
    assert document["window"]["errors"] == counted.window.errors > 200


# Since when, and whether it goes on


@pytest.mark.parametrize("last", ["1h", "15m"])
def test_an_incident_of_the_hour_before_is_found_beside_the_usual(
    record: Record, last: str
) -> None:
    line = charges(1_200, 0.01, 0.95, since=-40, from_=HOURS_9)
    finding = first(record(line, from_=HOURS_9).diff(last=last))
    says(finding, key=CHARGE, direction="up", severity="high", since=-40)
    assert finding["effect"]["against"] == "usual"
    assert "usually" in finding["summary"]


def test_an_incident_that_fills_both_windows_of_a_young_store_is_noted(record: Record) -> None:
    document = record(charges(1_200, 0.9, 0.9)).diff()
    text = " ".join([n["text"] for n in document["notes"]] + [
        f["summary"] for f in document["findings"]
    ])  # fmt: skip
    assert "/charge" in text
    assert "failing_before" in codes(document)


def test_three_minutes_that_are_over_have_an_end(record: Record) -> None:
    line = traffic(
        **CHARGE, per_hour=1_200, status=503,
        failing=lambda m: np.where((m >= 10) & (m < 13), 0.95, 0.002),
    )  # fmt: skip
    finding = first(record(line).diff())
    says(finding, key=CHARGE, direction="up", since=10)
    assert abs(minute(finding["until"]) - 13) <= 1


def test_what_goes_on_stands_before_what_is_over(record: Record) -> None:
    over = traffic(
        "over.example", "/a", 3_000, failing=lambda m: np.where((m >= 10) & (m < 25), 0.9, 0.002)
    )
    document = record(over, charges(600, 0.002, 0.5, since=40)).diff()
    hosts = [f["key"].get("host") for f in document["findings"]]
    assert hosts == ["pay.example", "over.example"]
    assert document["findings"][0]["until"] is None


def test_a_store_of_forty_minutes_answers_with_what_it_has(record: Record) -> None:
    recording = record(charges(600, 0.01, 0.6, since=45, from_=20), from_=20)
    document = recording.diff()
    assert document["window"]["requests"] + document["baseline"]["requests"] == recording.count(
        20, 60
    )
    says(first(document), key=CHARGE, direction="up", since=45)
    assert "young" in codes(document)


@pytest.mark.parametrize("asked", [{"vs": "yesterday"}, {"vs": "7d"}, {"last": "24h"}])
def test_a_young_store_counts_what_was_recorded(record: Record, asked: dict[str, Any]) -> None:
    recording = record()
    document = recording.diff(**asked)
    assert document["window"]["requests"] >= recording.count(0, 60)
    assert document["window"]["covered_s"] >= 3_600
    assert document["notes"]


# What the line says


def test_the_numbers_are_of_the_key_that_is_named(record: Record) -> None:
    """Thirty tenants, each with a host; one route breaks everywhere."""
    lines = [
        traffic(
            f"t{tenant}.saas.example", route, 24, direction="ingress", container="app",
            failing=step(15, 0.0, 1.0) if route == "/invoices" else 0.0, method="POST",
        )
        for tenant in range(30)
        for route in ("/invoices", "/orders", "/users")
    ]  # fmt: skip
    document = record(*lines, beside=0).diff()
    finding = first(document)
    says(finding, key={"route": "/invoices"}, direction="up", severity="high", since=15)
    effect, window = finding["effect"], finding["window"]
    assert window["requests"] == pytest.approx(720, rel=0.15)
    assert effect["window"] in (
        pytest.approx(window["errors"] / window["requests"], abs=0.01),
        pytest.approx(1.0, abs=0.01),  # since the onset
    )
    blame = finding["blame"] or {"service": "app"}
    assert blame["service"] == "app"
    assert len(document["findings"]) == 1


def test_the_line_has_the_level_since_the_onset(record: Record) -> None:
    finding = first(record(charges(900, 0.0, 1.0, since=40)).diff())
    assert "100 %" in finding["summary"]
    assert finding["effect"]["ratio"] is None  # against nothing there is no "times"


@pytest.mark.parametrize(("before", "after", "since"), [(0.1, 0.4, 0), (0.02, 0.3, 30)])
def test_a_ratio_is_what_is_shown_over_what_is_shown(
    record: Record, before: float, after: float, since: float
) -> None:
    effect = first(record(charges(3_000, before, after, since=since)).diff())["effect"]
    assert effect["ratio"] == pytest.approx(effect["window"] / effect["baseline"], rel=0.02)
    assert effect["low"] <= effect["ratio"] <= effect["high"]


def test_a_ratio_of_rates_is_what_is_shown_over_what_is_shown(record: Record) -> None:
    line = traffic(**CHARGE, per_hour=step(20, 400, 2_400))
    effect = first(record(line).diff())["effect"]
    assert effect["ratio"] == pytest.approx(effect["window"] / effect["baseline"], rel=0.02)


def test_examples_pass_the_filter_of_the_comparison(record: Record) -> None:
    """Two programs of one container make the same calls and fail; one of them is asked about."""
    lines = [charges(900, 0.01, 0.6, since=20, process_exe=f"/app/{name}") for name in ("a", "b")]
    recording = record(*lines)
    window, baseline = resolve_windows(Asked(), at(60), UTC)
    where = filters.parse('process.path == "/app/a"')
    [finding] = what_changed(recording.store, window, baseline, where=where).findings
    programs = recording.rows.of("process_exe")
    shown = [*finding.evidence.window, *finding.evidence.baseline]
    assert len(shown) == 6
    assert {programs[int(one.rpartition(":")[2]) - 1] for one in shown} == {"/app/a"}


def test_examples_of_what_is_slow_are_slow_and_late(record: Record) -> None:
    """From minute 20 on one request of thirteen takes twenty times as long."""
    slow = traffic(**CHARGE, per_hour=200, ms=900, from_=20)
    recording = record(traffic(**CHARGE, per_hour=2_400, ms=40), slow)
    finding = first(recording.diff())
    says(finding, ("latency",), CHARGE, direction="up")
    examples = [recording.row(id) for id in finding["evidence"]["window"]]
    assert examples
    assert all(when >= 19 and ms > 300 for when, ms in examples), examples


def test_other_names_of_the_same_requests_are_no_symptoms(record: Record) -> None:
    finding = first(record(charges(600, 0.005, 0.6, signature="card_declined")).diff())
    assert finding["also"] == []


def test_a_container_is_not_those_whose_names_begin_like_it(
    record: Record, cli: Cli, tmp_path: Path
) -> None:
    lines = [traffic("own.example", "/y", 600, container=f"api-{name}") for name in ("edge", "v2")]
    lines += [
        traffic(host, "/x", 600, failing=step(20, 0.002, 0.6), container="api")
        for host in ("one.example", "two.example", "three.example")
    ]
    says(first(record(*lines).diff()), key={"container": "api"}, direction="up")
    words = ["diff", "--explain", "1", "--now", at(60).isoformat()]
    code, out, _ = cli(*words, "--store", str(tmp_path / "store"))
    assert code == 0
    assert "api calls it" in out
    assert "api-edge" not in out
    assert "own.example" not in out


def test_a_caller_that_fails_alone_is_at_fault_itself(record: Record) -> None:
    lines = [
        traffic("ext.example", "/x", 900, failing=0.002, container=name)
        for name in ("billing", "search", "mailer")
    ]
    bad = traffic("ext.example", "/x", 900, failing=step(20, 0.002, 0.6), container="api")
    finding = first(record(*lines, bad).diff())
    says(finding, key={"container": "api"}, direction="up", since=20)
    assert (finding["blame"] or {}).get("service") in (None, "api")


# Places: pods, services, hosts


def pods(failing: Sequence[Any], **more: Any) -> list[Batch]:
    return [
        traffic(
            "cart.internal", "/carts", 250, failing=share, direction="ingress", container="cart",
            pod=f"cart-5d9c7b6f4-{'bcdfgh'[n]}x{n}k2", **more,
        )
        for n, share in enumerate(failing)
    ]  # fmt: skip


def test_one_pod_of_six_is_named(record: Record) -> None:
    lines = pods([0.005] * 5 + [step(20, 0.005, 0.9)])
    finding = first(record(*lines, beside=1_000).diff())
    says(finding, direction="up", since=20)
    pod = "cart-5d9c7b6f4-hx5k2"
    assert finding["key"]["instance"] == pod
    assert pod in finding["summary"]


def test_a_roll_out_is_one_row_at_most(record: Record) -> None:
    """Four pods are replaced, and the probes and scrapes that call them by address with them."""
    lines = []
    for old, (begin, end) in ((True, (-60, 20)), (False, (20, 60))):
        for n in range(4):
            pod = f"api-{'7d9f8b6c5d' if old else '66f5c98d7b'}-{'bcdf'[n]}{n}x2k"
            address = f"10.42.{n + 3}.{10 * n + (7 if old else 40)}:8080"
            here: dict[str, Any] = {"direction": "ingress", "container": "api", "pod": pod}
            span: dict[str, Any] = {"from_": begin, "to": end}
            lines += [
                traffic("api.internal", "/v1/orders", 600, **here, **span),
                traffic(address, "/healthz", 360, **here, **span),
                traffic(address, "/metrics", 120, **here, **span),
                traffic(
                    address, "/metrics", 120, container="prometheus",
                    direction="egress-internal", **span,
                ),
            ]  # fmt: skip
    document = record(*lines, beside=1_000).diff()
    assert len(document["findings"]) <= 1, [f["summary"] for f in document["findings"]]


def test_services_with_numbers_in_their_names_are_services(record: Record) -> None:
    lines = [
        traffic("ext.example", "/x", 600, container="api-east1", to=0),
        traffic("ext.example", "/x", 600, container="api-west2", from_=0),
        traffic("ext.example", "/x", 600, container="billing"),
    ]
    document = record(*lines).diff()
    texts = " ".join(f["summary"] for f in document["findings"])
    assert "api-east1" in texts
    assert "api-west2" in texts


def test_one_of_two_services_of_like_names_fails(record: Record) -> None:
    lines = [
        traffic("ext.example", "/x", 600, failing=share, container=f"payments-{name}")
        for name, share in (("prod1", step(20, 0.005, 0.7)), ("beta2", 0.005))
    ]
    finding = first(record(*lines).diff())
    says(finding, key={"container": "payments-prod1"}, direction="up", since=20)


def test_a_new_host_within_a_day(record: Record) -> None:
    line = traffic("telemetry.example", "/collect", 720, method="POST", from_=-400, to=-350)
    document = record(line, from_=2 * DAY, beside=200).diff(last="24h")
    says(first(document), ("new",), {"host": "telemetry.example"}, "new")


def test_a_new_host_with_three_requests_after_a_day_without(record: Record) -> None:
    line = traffic("exfil.example", "/up", 30, method="POST", from_=20, to=26)
    document = record(line, from_=DAY, beside=300).diff()
    says(first(document), ("new",), {"host": "exfil.example"}, "new")


def test_a_host_that_is_not_called_any_more(record: Record) -> None:
    line = traffic("rates.example", "/latest", 180, from_=HOURS_9, to=2)
    finding = first(record(line, from_=HOURS_9, beside=1_000).diff())
    says(finding, ("gone",), {"host": "rates.example"}, "gone")


def test_a_host_that_fell_silent_while_the_recorder_lagged_is_told_or_withheld_aloud(
    record: Record,
) -> None:
    recording = record(traffic("rates.example", "/latest", 600, to=0))
    late = to_us(at(30)), to_us(at(30)) + 6_000_000
    cover(recording.store, "web-2", [late], "lagging", max_lag_ms=6_000)
    document = recording.diff()
    told = [f for f in document["findings"] if f["key"].get("host") == "rates.example"]
    assert told or any("gone" in note["text"] for note in document["notes"]), document["notes"]


# Short windows and odd edges


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


def test_three_minutes_of_a_fault_are_enough(record: Record) -> None:
    recording = record(charges(1_200, 0.01, 0.5, since=57))
    says(first(recording.diff(last="3m")), key=CHARGE, direction="up", since=57)


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


# More than one thing at once


def test_two_incidents_are_two_rows(record: Record) -> None:
    slow = traffic("geo.example", "/ip", 900, ms=step(30, 40, 400), container="web")
    document = record(charges(900, 0.01, 0.6, since=20), slow).diff()
    hosts = [f["key"].get("host") for f in document["findings"]]
    assert hosts == ["pay.example", "geo.example"]


def test_a_service_is_named_before_its_callers(record: Record) -> None:
    def fails(share: float) -> dict[str, Any]:
        return {"failing": step(20, 0.002, share), "status": 500}

    lines = [
        calls("stock:80", "/stock", 1_200, "cart", "stock", **fails(0.5)),
        calls("cart:80", "/carts", 1_200, "web", "cart", **fails(0.3)),
        traffic("shop.example", "/", 1_200, direction="ingress", container="web", **fails(0.1)),
    ]
    document = record(*lines).diff()
    finding = first(document)
    says(finding, direction="up", severity="high", since=20)
    assert "stock" in str(finding["key"])
    assert finding["blame"]["service"] == "stock"
    assert len(document["findings"]) == 1


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


def slugs(from_: float) -> list[Batch]:
    """Six new articles an hour, each read for an hour and a half."""
    titles = ("school-reform-vote", "harbour-bridge-opens", "late-frost-in-may")
    return [
        traffic(
            "news.example", f"/2026/11/{titles[n % 3]}-{chr(107 + n // 5)}{chr(97 + n % 5)}",
            200, direction="ingress", from_=from_ + 10 * n, to=from_ + 10 * n + 90,
        )
        for n in range(-9, int((60 - from_) // 10))
    ]  # fmt: skip


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

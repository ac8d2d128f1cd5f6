"""What a person on call must read, case by case: what fails, and since when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from queries.core.window import Window
from queries.summary import summary
from store.hours import to_us
from tests.world.rows import Batch
from tests.world.scenes import (
    CHARGE,
    FAILING,
    HOURS_9,
    Record,
    charges,
    codes,
    first,
    minute,
    probe,
    says,
    shop,
    step,
)
from tests.world.steady import at, calls, traffic

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


def behind(front: str, level: Any, past: float) -> list[Batch]:
    """What a service asks three others for, as it was recorded at both ends."""
    return [
        traffic(
            f"{name}.internal", "/rpc", level, direction=direction, container=container, from_=past
        )
        for name in ("orders", "stock", "payment")
        for direction, container in (("egress-internal", front), ("ingress", name))
    ]


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_a_front_that_refuses_what_writes(record: Record, past: float) -> None:
    """Behind it nearly all falls silent, which is what comes of it."""
    front: dict[str, Any] = {"direction": "ingress", "container": "front", "from_": past}
    orders: dict[str, Any] = {"method": "POST", "status": 503, "failing": step(10, 0.002, 1.0)}
    lines = [
        traffic("shop.example", "/", 300, **front),
        traffic("shop.example", "/orders", 300, **orders, **front),
        *behind("front", step(10, 1_500, 0), past),
    ]
    document = record(*lines, from_=past, beside=0).diff()
    says(first(document), key={"host": "shop.example"}, direction="up", severity="high", since=10)
    assert len(document["findings"]) == 1


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_nobody_comes_any_more_and_who_comes_fails(record: Record, past: float) -> None:
    """That some of what is left fails is not why so much less is asked: both are told."""
    front: dict[str, Any] = {"direction": "ingress", "container": "front", "from_": past}
    refused = step(10, 0.002, 0.9)
    lines = [
        traffic("shop.example", "/", step(10, 900, 30), **front),
        traffic("shop.example", "/orders", step(10, 900, 90), failing=refused, **front),
        *behind("front", step(10, 1_500, 0), past),
    ]  # fmt: skip
    document = record(*lines, from_=past, beside=0).diff()
    kinds = {(f["kind"], f["direction"]) for f in document["findings"]}
    assert ("broad", "down") in kinds
    assert any(kind in FAILING and direction == "up" for kind, direction in kinds)


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_what_falls_silent_behind_a_service_that_is_asked_no_more(
    record: Record, past: float
) -> None:
    asked = [
        traffic(
            "cart.internal", "/add", step(10, 300, 0), direction=direction, container=container,
            from_=past,
        )
        for direction, container in (("egress-internal", "front"), ("ingress", "cart"))
    ]  # fmt: skip
    lines = [*asked, *behind("cart", step(10, 300, 0), past)]
    document = record(*lines, from_=past, beside=3_000).diff()
    says(first(document), ("gone",), {"host": "cart.internal"}, since=10)
    assert len(document["findings"]) == 1


@pytest.mark.parametrize("past", [-60.0, HOURS_9])
def test_one_page_asked_for_without_end(record: Record, past: float) -> None:
    """All that it asks for in turn is more, too, but comes in through one door."""
    front: dict[str, Any] = {"direction": "ingress", "container": "front", "from_": past}
    lines = [
        *(traffic("shop.example", f"/{name}", 100, **front) for name in ("a", "b", "c", "d")),
        traffic("shop.example", "/list", step(10, 100, 3_000), **front),
        *behind("front", step(10, 500, 3_400), past),
    ]
    document = record(*lines, from_=past, beside=0).diff()
    says(first(document), ("rate",), {"route": "/list"}, direction="up", since=10)
    assert len(document["findings"]) == 1


def test_everything_answers_503(record: Record) -> None:
    lines = [replace_status(line, 40, 503) for line in shop(4_000)]
    document = record(*lines, beside=0).diff()
    says(first(document), ("broad",), direction="up", severity="high", since=40)
    assert document["findings"][0]["effect"]["affected"] > 0.3 * document["window"]["requests"]


@pytest.mark.parametrize("status", [401, None])
def test_a_key_expires_two_calls_behind_a_service_that_nobody_records(
    record: Record, status: int | None
) -> None:
    """Of web, user, auth and a host outside, one calling the next, user is not recorded: nearly
    all that is recorded fails more, and the cause is what the last one of them calls."""

    def failing(share: float) -> Any:
        return step(20, 0.01, share)

    lines = [
        traffic("login.example", "/token", 90, container="auth", failing=failing(0.95),
                status=status),
        traffic("auth:80", "/me", 200, direction="ingress", container="auth", failing=failing(0.4)),
        traffic("user:80", "/orders", 200, direction="egress-internal", container="web",
                failing=failing(0.4)),
        traffic("shop.example", "/orders", 250, direction="ingress", container="web",
                failing=failing(0.3), status=502),
    ]  # fmt: skip
    document = record(*lines, beside=400).diff()
    says(first(document), key={"host": "login.example"}, direction="up", since=20)
    assert len(document["findings"]) == 1


def test_a_service_fails_behind_one_that_nobody_records(record: Record) -> None:
    """Of web, cart and stock, one calling the next, cart is not recorded."""
    lines = [
        traffic("stock:80", "/stock", 120, direction="ingress", container="stock",
                failing=step(20, 0.01, 0.8)),
        traffic("cart:80", "/carts", 200, direction="egress-internal", container="web",
                failing=step(20, 0.01, 0.5)),
        traffic("shop.example", "/orders", 250, direction="ingress", container="web",
                failing=step(20, 0.01, 0.4), status=502),
    ]  # fmt: skip
    document = record(*lines, beside=500).diff()
    says(first(document), key={"host": "stock:80"}, direction="up", since=20)


def test_a_place_is_named_where_nothing_lies_outside_what_waits_for_it(record: Record) -> None:
    """All that is recorded calls a host outside, in the end, and that fails nearly always."""
    lines = [
        traffic("login.example", "/token", 60, container="auth", failing=step(20, 0.01, 0.95),
                status=401),
        calls("auth:80", "/me", 120, "web", "auth", failing=step(20, 0.01, 0.4)),
        traffic("shop.example", "/orders", 1_500, direction="ingress", container="web",
                failing=step(20, 0.015, 0.08), status=502),
    ]  # fmt: skip
    document = record(*lines, beside=0).diff()
    says(first(document), key={"host": "login.example"}, direction="up")
    assert len(document["findings"]) == 1


def test_everything_slows_down(record: Record) -> None:
    """Told with when it began and what it came to since, and shown by slow answers."""
    lines = [
        replace(line, ms=np.where(is_late(line), 3 * line.ms, line.ms)) for line in shop(4_000)
    ]
    document = record(*lines, beside=0).diff()
    finding = document["findings"][0]
    says(finding, ("broad",), direction="up", severity="high", since=40)
    assert 2.5 < finding["effect"]["ratio"] < 3.5
    assert f": {finding['effect']['metric'][:3]} " in finding["summary"]


def test_everything_is_faster_than_before(record: Record) -> None:
    """Good news reads as such, and comes last."""
    lines = [
        replace(line, ms=np.where(is_late(line), line.ms, 3 * line.ms)) for line in shop(4_000)
    ]
    finding = record(*lines, beside=0).diff()["findings"][-1]
    says(finding, ("broad",), direction="down", severity="low")
    assert "all traffic faster everywhere, no single key: p50 " in finding["summary"]


def is_late(line: Batch) -> Any:
    return line.ts >= to_us(at(40))


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


def test_a_new_status_of_a_known_endpoint_is_no_new_endpoint(record: Record) -> None:
    declined = charges(60, 0.06, 0.06, status=402)
    unavailable = charges(15, 0.0, 1.0, since=0, from_=0)
    finding = first(record(declined, unavailable, beside=0).diff())
    says(finding, ("new", "statuses"), key=CHARGE | {"status": 503})
    assert "new and failing" not in finding["summary"]


def test_an_endpoint_that_never_answered_so_is_without_a_response(record: Record) -> None:
    silent = charges(20, 0.0, 1.0, since=0, from_=0, status=None)
    finding = first(record(charges(60, 0.06, 0.06, status=402), silent, beside=0).diff())
    assert "without a response" in finding["summary"]


def test_what_was_mended_before_the_baseline_is_no_news(record: Record) -> None:
    mended = charges(900, 0.4, 0.01, since=-120, from_=HOURS_9)
    assert record(mended, from_=HOURS_9).diff()["findings"] == []


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


@pytest.mark.parametrize(("last", "since"), [("1h", -110), ("10m", -70)])
def test_an_incident_that_fills_most_of_a_short_past_is_found_beside_what_is_older(
    record: Record, last: str, since: int
) -> None:
    """A store of five hours; what is older than the incident is less than half of the past."""
    line = charges(1_200, 0.01, 0.6, since=since, from_=-240)
    finding = first(record(line, from_=-240).diff(last=last))
    says(finding, key=CHARGE, direction="up", severity="high", since=since)
    assert finding["effect"]["against"] == "usual"
    assert finding["effect"]["baseline"] < 0.03


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


def test_a_few_seconds_before_the_window_are_no_baseline(record: Record) -> None:
    document = record(charges(600, 0.01, 0.6, since=45, from_=-0.5), from_=-0.5).diff()
    says(first(document), key=CHARGE, direction="up", since=45)
    assert "young" in codes(document)


@pytest.mark.parametrize("asked", [{"vs": "yesterday"}, {"vs": "7d"}, {"last": "24h"}])
def test_a_young_store_counts_what_was_recorded(record: Record, asked: dict[str, Any]) -> None:
    recording = record()
    document = recording.diff(**asked)
    assert document["window"]["requests"] >= recording.count(0, 60)
    assert document["window"]["covered_s"] >= 3_600
    assert document["notes"]

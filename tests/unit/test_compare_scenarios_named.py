"""What a person on call must read, case by case: the line, and its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

import filters
from queries.core.window import Asked, resolve_windows
from queries.diff.what_changed import what_changed
from store.hours import to_us
from tests.kit import Cli
from tests.world.rows import Batch, cover
from tests.world.scenes import (
    CHARGE,
    DAY,
    HOURS_9,
    Record,
    charges,
    first,
    says,
    step,
)
from tests.world.steady import at, calls, traffic

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


def test_examples_are_the_first_also_where_the_first_minutes_have_none(record: Record) -> None:
    """Many requests, so that they are looked for in the first minutes alone."""
    fine = traffic(**CHARGE, per_hour=6_000, from_=-20, to=15)
    recording = record(fine, traffic(**CHARGE, per_hour=6_000, from_=15, failing=1.0))
    finding = first(recording.diff())
    for side, begin in (("window", 15), ("baseline", -20)):
        whens = [recording.row(one)[0] for one in finding["evidence"][side]]
        assert len(whens) == 3
        assert all(begin <= when < begin + 1 for when in whens), whens


def test_examples_are_found_where_calls_have_no_host(record: Record) -> None:
    """As gRPC calls may; those of a host that break at the same time are not mixed with them."""
    line = traffic(None, "/Cart/Add", 900, failing=step(20, 0.0, 1.0))  # type: ignore[arg-type]
    recording = record(line, charges(900, 0.0, 1.0, since=40))
    hosts = recording.rows.of("host")
    findings = recording.diff()["findings"]
    assert {finding["key"].get("host") for finding in findings} == {None, CHARGE["host"]}
    for finding in findings:
        shown = finding["evidence"]["window"]
        assert len(shown) == 3
        named = {hosts[int(one.rpartition(":")[2]) - 1] for one in shown}
        assert named == {finding["key"].get("host")}


def test_examples_of_what_is_slow_are_slow_and_late(record: Record) -> None:
    """From minute 20 on one request of thirteen takes twenty times as long."""
    slow = traffic(**CHARGE, per_hour=200, ms=900, from_=20)
    recording = record(traffic(**CHARGE, per_hour=2_400, ms=40), slow)
    finding = first(recording.diff())
    says(finding, ("latency",), CHARGE, direction="up")
    examples = [recording.row(id) for id in finding["evidence"]["window"]]
    assert examples
    assert all(when >= 19 and ms > 300 for when, ms in examples), examples


def test_examples_of_what_is_empty_are_empty(record: Record) -> None:
    """Also of the minute in which it began, of which the first answers are whole."""
    whole = traffic(**CHARGE, per_hour=600, size=3_000, to=10.6)
    recording = record(whole, traffic(**CHARGE, per_hour=600, size=2, from_=10.6))
    finding = first(recording.diff())
    assert finding["kind"] == "size"
    sizes = recording.rows.size
    shown = [sizes[int(one.rpartition(":")[2]) - 1] for one in finding["evidence"]["window"]]
    assert len(shown) == 3
    assert max(shown) < 100


def test_an_answer_that_is_handed_on_smaller_is_one_finding(record: Record) -> None:
    """The front of the shop passes on what the catalogue gives it, with some words around it."""
    lines = [
        batch
        for size, from_, to in ((3_000, -60, 10), (2, 10, 60))
        for batch in (
            calls("catalogue:80", "/items/{id}", 600, "front", "catalogue", size=size,
                  from_=from_, to=to),
            traffic("shop.example", "/items/{id}", 600, container="front", direction="ingress",
                    size=size + 400, from_=from_, to=to),
        )
    ]  # fmt: skip
    document = record(*lines).diff()
    finding = first(document)
    says(finding, ("size",), {"host": "catalogue:80"}, direction="down", since=10)
    assert finding["blame"]["service"] == "catalogue"
    assert [one["key"]["host"] for one in finding["also"]] == ["shop.example"]
    effect = finding["also"][0]["effect"]
    assert effect["baseline"] > 2 * effect["window"]
    assert len(document["findings"]) == 1


def test_what_stopped_is_shown_by_its_last_requests_and_who_sent_them(record: Record) -> None:
    recording = record(traffic("rates.example", "/latest", 180, container="billing", to=20))
    finding = first(recording.diff())
    assert (finding["kind"], finding["evidence"]["window"]) == ("gone", [])
    assert "billing" in finding["summary"]
    minutes = [recording.row(one)[0] for one in finding["evidence"]["baseline"]]
    assert len(minutes) == 3
    assert min(minutes) > 17


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


def test_a_caller_that_asks_badly_for_one_of_several_things_is_named(record: Record) -> None:
    """Its client is of an old version; others ask the same service for the same and fare well."""
    bad = {"failing": step(20, 0.01, 0.4), "status": 400}
    lines = [
        calls("stock:80", "/labels", 400, "cart", "stock", **bad),
        calls("stock:80", "/labels", 1_200, "reco", "stock", failing=0.01, status=400),
        *(calls("stock:80", f"/{name}", 600, "cart", "stock", failing=0.01, status=400)
          for name in ("prices", "items", "orders")),
    ]  # fmt: skip
    [finding] = record(*lines).diff()["findings"]
    says(finding, key={"host": "stock:80", "route": "/labels", "container": "cart"}, since=20)
    assert finding["blame"] == {"service": "cart", "edge": None, "why": "itself"}


def test_a_caller_is_named_where_the_others_are_not_recorded(record: Record) -> None:
    """Two of three that call a service run on another machine; only `cart` gets failures."""
    mine = calls("stock", "/items", 300, "cart", "stock", failing=step(10, 0.0, 0.5), status=400)
    others = traffic("stock", "/items", 400, container="stock", direction="ingress", ok=200)
    finding = first(record(mine, others).diff())
    says(finding, key={"host": "stock", "container": "cart"}, direction="up", since=10)
    assert finding["effect"]["window"] == pytest.approx(0.5, abs=0.06)  # of its own calls


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


def test_a_few_failures_below_do_not_explain_many_above(record: Record) -> None:
    """The gateway refuses what it had refused half of the time; a service behind it coughs."""
    lines = [
        *(calls("front:80", "/orders", 900, "gate", "front", from_=begin, to=end, failing=share)
          for begin, end, share in ((-60, 40, 0.005), (40, 44, 0.6), (44, 60, 0.005))),
        traffic("shop.example", "/items", 400, direction="ingress", container="gate",
                method="POST", failing=step(0, 0.5, 0.96), status=401),
        traffic("shop.example", "/orders", 900, direction="ingress", container="gate",
                failing=0.005),
    ]  # fmt: skip
    finding, other = record(*lines).diff()["findings"]
    says(finding, key={"host": "shop.example", "route": "/items"}, direction="up")
    says(other, key={"host": "front:80"}, direction="up")


@pytest.mark.parametrize(("status", "rows"), [(502, 1), (500, 2)])
def test_a_service_that_is_gone_is_named_before_what_its_caller_answers(
    record: Record, status: int, rows: int
) -> None:
    """It gives no answer, so no call is seen. A caller that says so (502) is company; one that
    fails of itself (500) may be why nobody calls."""
    failing = step(20, 0.002, 0.9)
    lines = [
        calls("stock:80", "/stock", step(20, 1_200, 0), "front", "stock"),
        traffic("front.example", "/", 1_300, direction="ingress", container="front",
                failing=failing, status=status),
    ]  # fmt: skip
    document = record(*lines).diff()
    gone = [f for f in document["findings"] if f["kind"] == "gone"]
    assert gone[0]["key"] == {"host": "stock:80"}
    assert len(document["findings"]) == rows
    assert rows == 2 or "front.example / failing: 8" in gone[0]["summary"]  # of 90 %


def test_a_service_is_named_before_its_callers_where_one_between_is_not_recorded(
    record: Record,
) -> None:
    """Of web, front and stock, one calling the next, front runs where nobody records."""
    lines = [
        traffic("stock:80", "/stock", 1_200, direction="ingress", container="stock",
                ms=step(20, 40, 1_500)),
        traffic("front:80", "/page", 1_200, direction="egress-internal", container="web",
                ms=step(20, 60, 900)),
        traffic("shop.example", "/", 1_200, direction="ingress", container="web",
                ms=step(20, 70, 900)),
    ]  # fmt: skip
    document = record(*lines, beside=6_000).diff()
    says(first(document), ("latency",), {"host": "stock:80"}, direction="up", since=20)
    assert len(document["findings"]) == 1


def test_hosts_that_one_service_asks_no_more_are_one_finding(record: Record) -> None:
    """And that it answers sooner, for that."""
    lines = [
        calls("pay:80", "/charge", step(20, 600, 0), "checkout", "pay"),
        calls("ship:80", "/labels", step(20, 400, 0), "checkout", "ship"),
        calls("checkout:80", "/orders", 900, "web", "checkout", ms=step(20, 90, 30)),
    ]
    document = record(*lines).diff()
    says(first(document), ("gone",), {"host": "pay:80"}, since=20)
    assert {"host": "ship:80"} in [symptom["key"] for symptom in first(document)["also"]]
    assert len(document["findings"]) == 1


def test_a_host_is_named_of_which_a_part_alone_is_surely_failing(record: Record) -> None:
    """Few requests: of one route none failed in a day, of the other ones some always do."""
    lines = [
        traffic("api.example", "/a", 6, failing=step(0, 0.0, 1.0), status=401, from_=DAY),
        traffic("api.example", "/b", 4, failing=step(0, 0.6, 1.0), status=401, from_=DAY),
        traffic("api.example", "/c", 4, failing=step(0, 0.6, 1.0), status=401, from_=DAY),
    ]
    document = record(*lines, from_=DAY).diff()
    says(first(document), ("errors",), {"host": "api.example"}, "up")
    assert "route" not in first(document)["key"]
    assert len(document["findings"]) == 1


def test_the_route_is_named_that_makes_a_host_busier(record: Record) -> None:
    """Probes of one path, twenty times as often: nearly all of what comes to it now."""
    host: dict[str, Any] = {"host": "10.1.0.7:8080", "direction": "ingress", "container": "search"}
    lines = [
        traffic(**host, route="/healthz", per_hour=step(0, 6, 120)),
        traffic(**host, route="/metrics", per_hour=4),
        traffic(**{**host, "container": "cart"}, route="/healthz", per_hour=400),
    ]
    document = record(*lines).diff()
    says(first(document), ("rate",), {"route": "/healthz"}, direction="up")
    assert len(document["findings"]) == 1


def test_what_is_read_of_a_host_is_named_where_no_path_alone_stands_out(record: Record) -> None:
    """Each of many paths is read six times as often, and what is written goes on as ever."""
    host: dict[str, Any] = {"host": "books.example", "direction": "ingress", "container": "front"}
    reads = [traffic(**host, route=f"/{name}", per_hour=step(0, 3, 18)) for name in "abcdefghijkl"]
    writes = [
        traffic(**host, route=f"/{name}", method="POST", per_hour=150) for name in ("x", "y", "z")
    ]
    document = record(*reads, *writes).diff()
    says(first(document), ("rate",), direction="up")
    assert first(document)["key"] == {"host": "books.example", "method": "GET"}

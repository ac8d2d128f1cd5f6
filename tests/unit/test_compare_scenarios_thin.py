"""What a person on call must read of little traffic: minutes, a few requests, bursts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from store.hours import to_us
from tests.world.rows import Batch, cover
from tests.world.scenes import CHARGE, DAY, HOURS_9, Record, first, says, slugs, step
from tests.world.steady import at, calls, traffic


def people(rate: float, to: float = 60.0, from_: float = -240.0) -> list[Batch]:
    """Requests from outside, `rate` an hour, of which one in ten causes a hundred calls inside."""
    front = traffic("shop.example", "/", rate, direction="ingress", from_=from_, to=to, spread=0)
    line = traffic("stock:80", "/stock", rate, direction="egress-internal", spread=0)
    heavy = np.repeat(front.ts[::10], 100)
    first, *_ = np.flatnonzero(line.name == 0)
    inside = line.where(np.full(heavy.size, first))
    return [front, replace(inside, ts=heavy + np.tile(np.arange(100) * 9_000, heavy.size // 100))]


def probes(from_: float = -240.0) -> Batch:
    return traffic("status.internal", "/ping", 60, direction="ingress", from_=from_)


def test_one_pod_of_few_requests_is_named(record: Record) -> None:
    """Who calls it does not record which pod answers, and its probes come under its address."""
    lines: list[Batch] = []
    caller = {"direction": "egress-internal", "container_name": "web", "pod_name": None}
    for n in range(4):
        here: dict[str, Any] = {"direction": "ingress", "container": "cart"}
        here["pod"] = f"cart-5d9c7b6f4-{'bcdf'[n]}x{n}k2"
        lines.append(traffic(f"10.42.1.{n}:8080", "/healthz", 60, **here, from_=HOURS_9))
        for route in ("/carts", "/items", "/sums", "/taxes"):
            share = step(10, 0.0, 0.7) if n == 2 else 0.0
            served = traffic("cart.internal", route, 7, failing=share, **here, from_=HOURS_9)
            sent = replace(served, names=tuple({**name, **caller} for name in served.names))
            lines += [served, sent]
    finding = first(record(*lines, from_=HOURS_9).diff())
    says(finding, key={"instance": "cart-5d9c7b6f4-dx2k2"}, direction="up")


def test_what_fails_everywhere_is_one_question(record: Record) -> None:
    """Of so few requests no place is sure, and all of them together are less so than one of a
    hundred names would have to be."""
    names = ("ads", "bank", "cart", "desk", "exam", "farm", "golf", "host")
    share = step(50, 0.01, 0.13)
    lines = [traffic(f"{n}.example", f"/{n}", 45, failing=share, container=n) for n in names]
    [finding] = record(*lines, beside=0).diff(last="10m")["findings"]
    says(finding, ("broad",), {}, direction="up")


def test_how_many_come_is_one_question(record: Record) -> None:
    """No name has requests enough to be busier by itself."""
    names = ("ads", "bank", "cart", "desk", "exam", "farm", "golf", "host")
    rate = step(50, 30, 105)
    lines = [traffic(f"{n}.example", f"/{n}", rate, container=n) for n in names]
    [finding] = record(*lines, beside=0).diff(last="10m")["findings"]
    says(finding, ("broad",), {}, direction="up")


def test_all_stops_of_which_some_requests_cause_a_hundred_calls(record: Record) -> None:
    document = record(*people(300, to=50), probes(), from_=-240, beside=0).diff(last="10m")
    says(first(document), ("broad",), direction="down", severity="high")


def test_three_times_as_many_people_who_come_in_bunches(record: Record) -> None:
    """Few, so that chance makes half as many more of them: but no hour of the day had that."""
    rate = lambda m: np.where(m >= 0, 3.4, 1.0) * (60 + 30 * np.sin(m / 1440 * 2 * np.pi))  # noqa: E731
    line = traffic("shop.example", "/", rate, direction="ingress", from_=DAY)
    lines = [replace(line, ts=line.ts + 300_000 * n) for n in range(3)]
    job = traffic("sync.internal", "/pull", 30, from_=DAY)
    says(first(record(*lines, job, from_=DAY, beside=0).diff()), ("broad",), direction="up")


def test_ten_requests_of_which_all_are_much_slower(record: Record) -> None:
    """They tell of a quantile next to nothing; their mean is ten times what it was."""
    line = traffic(**CHARGE, per_hour=50, ms=step(50, 25, 250), spread=0.5)
    finding = first(record(line, beside=1_000).diff(last="10m"))
    says(finding, ("latency",), CHARGE, direction="up")


def test_a_release_that_is_slower_is_held_to_its_endpoint(record: Record) -> None:
    """All pods are new: none of them has a past of its own."""
    lines = [
        traffic(
            "cart.internal", "/carts", 300, ms=took, direction="ingress", container="cart",
            pod=f"cart-{release}-{'bcd'[n]}x{n}k2", from_=begin, to=end,
        )
        for release, took, begin, end in (("5d9c7b6f4", 40, -60, 15), ("66f5c98d7b", 120, 15, 60))
        for n in range(3)
    ]  # fmt: skip
    finding = first(record(*lines).diff())
    says(finding, ("latency",), {"host": "cart.internal"}, direction="up", since=15)


def test_a_retry_storm_where_few_other_places_are_busy(record: Record) -> None:
    """Its own endpoint and what that calls are most of the traffic: not the common change."""
    storm = step(50, 60, 600)
    lines = [
        calls("stock:80", "/stock", storm, "cart", "stock", from_=-240),
        calls("base:80", "/rows", storm, "stock", "base", from_=-240),
        traffic("shop.example", "/", 120, direction="ingress", container="cart", from_=-240),
    ]
    finding = first(record(*lines, from_=-240, beside=100).diff(last="10m"))
    says(finding, ("retries", "rate"), {"host": "stock:80"}, direction="up")


def test_a_host_of_which_another_one_takes_over_a_few_requests(record: Record) -> None:
    """The new one begins late: two requests of the old one were due since, but four in all."""
    lines = [
        traffic("cdn.example", "/v1/labels", 80, from_=DAY, to=56.5),
        traffic("eu.cdn.example", "/v1/labels", 240, from_=58.3),
    ]
    document = record(*lines, from_=DAY, beside=300).diff(last="3m")
    says(first(document), ("moved",), {"host": "eu.cdn.example"}, "moved")


def test_a_host_that_one_of_its_callers_leaves_for_another_one(record: Record) -> None:
    """That the caller no longer calls the one host says the same as that it calls the other."""
    lines = [
        traffic("api.pay.example", "/v1/charges", 43, container="payment", to=0),
        traffic("api.pay.example", "/v1/charges", 5, container="batch"),
        traffic("eu.api.pay.example", "/v1/charges", 43, container="payment", from_=0),
    ]
    document = record(*lines, from_=-60, beside=300).diff()
    says(first(document), ("moved",), {"host": "eu.api.pay.example"}, "moved")
    assert len(document["findings"]) == 1


@pytest.mark.parametrize(("rate", "others"), [(120, 0), (240, 20)])
def test_a_caller_that_takes_another_host_where_new_hosts_are_no_news(
    record: Record, rate: float, others: float
) -> None:
    """Somebody else calls a new host every few hours; this one took over from one that is silent,
    or that others still call."""
    routes = [f"/v1/{name}" for name in ("labels", "sizes", "colours", "prices", "images", "texts")]
    lines = [traffic("cdn.example", "/v1/labels", others, container="batch", from_=DAY)]
    for route in routes:
        shop = {"route": route, "per_hour": rate / len(routes), "container": "shop"}
        lines.append(traffic("cdn.example", from_=DAY, to=51, **shop))  # type: ignore[arg-type]
        lines.append(traffic("eu.cdn.example", from_=51, **shop))  # type: ignore[arg-type]
    for begin in (-600, -470):
        host = f"m{-begin}.example"
        lines.append(traffic(host, "/push", 200, container="ops", from_=begin, to=begin + 100))
    document = record(*lines, from_=DAY, beside=300).diff(last="10m")
    says(first(document), ("moved",), {"host": "eu.cdn.example"}, "moved")
    assert len(document["findings"]) == 1


def test_a_host_that_moved_and_fails_stands_before_who_fails_with_it(record: Record) -> None:
    """Who called it calls a name at which nothing answers, and says 500 itself."""
    line: dict[str, Any] = {"route": "/charge", "per_hour": 600, "container": "shop"}
    old = traffic("pay.example", **line, to=20)
    new = traffic("localhost:8081", **line, from_=20, failing=1.0, status=None)
    said = traffic("shop.example", "/buy", 900, direction="ingress", container="shop",
                   failing=step(20, 0.01, 0.6))  # fmt: skip
    found = record(old, new, said).diff()["findings"]
    says(found[0], ("moved",), {"host": "localhost:8081"}, "moved")
    assert "took over from pay.example, failing: 100 % of" in found[0]["summary"]
    assert found[0]["severity"] == "high"
    assert len(found) == 1, [f["summary"] for f in found]


def test_a_host_that_was_silent_for_an_hour_yesterday_is_gone_today(record: Record) -> None:
    """Once was an incident, and no habit."""
    line = traffic("rates.example", "/v1/latest", 400, container="fx", from_=DAY, to=0)
    silent = (line.ts >= to_us(at(-660))) & (line.ts < to_us(at(-595)))
    document = record(line.where(~silent), from_=DAY, beside=300).diff()
    says(first(document), ("gone",), {"host": "rates.example"}, "gone")


def test_hours_in_which_events_were_lost_do_not_say_what_is_usual(record: Record) -> None:
    """Nothing came of two past hours in which the recorder lagged: that is no habit."""
    line = traffic("rates.example", "/v1/latest", 400, container="fx", from_=DAY, to=0)
    lagging = [(-720, -655), (-480, -415)]
    for begin, end in lagging:
        line = line.where((line.ts < to_us(at(begin))) | (line.ts >= to_us(at(end))))
    recording = record(line, from_=DAY, beside=300)
    late = [(to_us(at(begin)), to_us(at(end))) for begin, end in lagging]
    cover(recording.store, "web-2", late, "lagging", max_lag_ms=6_000)
    says(first(recording.diff()), ("gone",), {"host": "rates.example"}, "gone")


def test_twenty_evenly_spread_requests_are_enough_for_a_host_to_be_missed(record: Record) -> None:
    """How far its requests come in bursts is seen in how they came, not assumed."""
    line = traffic("rates.example", "/v1/latest", 150, to=50, from_=-240)
    document = record(line, from_=-240, beside=300).diff(last="10m")
    says(first(document), ("gone",), {"host": "rates.example"}, "gone")


def test_a_route_that_came_with_yesterdays_release_does_not_hide_the_next_one(
    record: Record,
) -> None:
    place = {"host": "shop.example", "direction": "ingress"}
    lines = [
        traffic(route=route, per_hour=200, from_=from_, **place)  # type: ignore[arg-type]
        for route, from_ in (("/v1/cart", DAY), ("/v1/gifts", -600), ("/v1/debug", 20))
    ]
    document = record(*lines, from_=DAY, beside=300).diff()
    says(first(document), ("new",), {"route": "/v1/debug"}, "new")


def test_calls_that_multiply_explain_those_below_them_and_who_waits_for_them(
    record: Record,
) -> None:
    storm = step(20, 200, 2_000)
    lines = [
        calls("stock:80", "/stock", storm, "cart", "stock", from_=-240),
        calls("base:80", "/rows", storm, "stock", "base", from_=-240),
        traffic("shop.example", "/", 600, direction="ingress", container="cart", from_=-240,
                ms=step(20, 40, 400)),
    ]  # fmt: skip
    document = record(*lines, from_=-240, beside=1_000).diff()
    says(first(document), ("retries", "rate"), {"host": "stock:80"}, direction="up")
    assert len(document["findings"]) == 1


def test_a_new_route_that_fails_is_named_where_new_routes_come_every_hour(record: Record) -> None:
    """That it is new is no news; that a new one fails every time is."""
    place: dict[str, Any] = {"host": "shop.example", "direction": "ingress"}
    lines = [
        traffic(route=f"/story-{'abcdefghijklmnopqrstuvwx'[n]}", per_hour=60, from_=-60 * n,
                to=120 - 60 * n, **place)
        for n in range(24)
    ]  # fmt: skip
    lines += [
        traffic(route="/graphql", per_hour=60, from_=DAY, method="POST", **place),
        traffic(route="/v2/pay", per_hour=60, from_=50, method="POST", failing=1.0, **place),
    ]
    finding = first(record(*lines, from_=DAY, beside=300).diff(last="10m"))
    says(finding, ("new",), {"route": "/v2/pay"}, since=50)
    assert "new and failing: 100 % of" in finding["summary"]


def test_a_new_route_that_fails_is_no_news_where_every_new_one_does(record: Record) -> None:
    """Links to articles that are not there (any more), every hour another one."""
    place: dict[str, Any] = {"host": "shop.example", "direction": "ingress", "ok": 404}
    lines = [
        traffic(route=f"/story-{'abcdefghijklmnopqrstuvwx'[n]}", per_hour=60, from_=-60 * n,
                to=60 - 60 * n, **place)
        for n in range(24)
    ]  # fmt: skip
    assert record(*lines, from_=DAY, beside=300).diff()["findings"] == []


def test_what_goes_on_comes_before_a_worse_one_that_is_over(record: Record) -> None:
    """Somebody on call asks what is wrong now."""
    for_a_while = lambda minutes: np.where((minutes >= 5) & (minutes < 15), 1.0, 0.0)  # noqa: E731
    over = traffic(**CHARGE, per_hour=900, failing=for_a_while, status=503, container="pay")
    slow = traffic("stock.example", "/items", 900, ms=step(30, 40, 90), container="web")
    found = record(over, slow).diff()["findings"]
    assert [(f["key"]["host"], f["severity"]) for f in found] == [
        ("stock.example", "medium"), ("pay.example", "high"),
    ]  # fmt: skip
    assert [bool(f["until"]) for f in found] == [False, True]


def test_a_route_that_is_renamed_where_names_come_all_the_time(record: Record) -> None:
    """A new article is no news, and a label may be one: but for the old one that went."""
    lines = [
        *slugs(HOURS_9),
        traffic("news.example", "/v1/labels", 200, method="POST", from_=HOURS_9, to=0),
        traffic("news.example", "/v2/labels", 200, method="POST", from_=0),
    ]
    document = record(*lines, from_=HOURS_9).diff()
    says(first(document), ("moved",), {"route": "/v2/labels"}, "moved")


def test_one_slow_service_of_a_few_requests_is_not_everything(record: Record) -> None:
    """Each place seems to have its part of so few; all of them but this one are as they were."""
    ms = step(50, 14, 90)
    lines = [
        calls("stock:80", "/stock", 300, "front", "stock", from_=HOURS_9, ms=ms, spread=0.5),
        traffic("shop.example", "/cart", 300, direction="ingress", container="front",
                from_=HOURS_9, ms=ms, spread=0.5),
    ]  # fmt: skip
    document = record(*lines, from_=HOURS_9, beside=300).diff(last="10m")
    says(first(document), ("latency",), {"host": "stock:80"}, "up")


def test_a_service_that_stands_still_holds_up_more_calls_than_come_to_it(record: Record) -> None:
    """What waited for it goes on at once, and has others wait a little."""
    lines = [
        traffic(host, route, per_hour, direction="egress-internal", container="gateway",
                ms=ms, from_=from_, spread=0.2)
        for host, route, before, late, slow in (
            ("recommend:80", "/for", 1_500, 600, 1_200),
            ("auth:80", "/session", 4_000, 600, 15),
            ("cart:80", "/carts", 1_000, 200, 50),
        )
        for per_hour, ms, from_ in ((before, 3, -60), (late, slow, 50))
    ]  # fmt: skip
    finding = first(record(*lines, beside=300).diff(last="10m"))
    says(finding, ("latency",), {"host": "recommend:80"}, "up")


def waits(ms: float, longest: float) -> Any:
    """From minute 50 on who works waits for the processor now and then, however short the work."""
    rng = np.random.default_rng(round(10 * ms))
    return lambda at: ms + np.where(at >= 50, longest * rng.random(at.size) ** 3, 0.0)


@pytest.mark.parametrize("starved", ["auth cart catalog recommend", "recommend"])
def test_what_has_no_processor_is_everything_and_no_single_service(
    record: Record, starved: str
) -> None:
    """Other programs want all cores: each service waits, and the gateway most, which calls all.
    What a bank takes its time for is as it was."""
    own = {"auth": (4_000, 1.0), "cart": (1_100, 1.2), "catalog": (2_500, 1.2),
           "recommend": (1_500, 4.0)}  # fmt: skip
    many = len(starved.split())
    lines = [
        traffic(f"{name}:80", "/v1", rate, container=who, direction=direction, spread=0.3,
                ms=waits(ms, longest) if name in starved.split() else ms)
        for name, (rate, ms) in own.items()
        for who, direction, longest in (
            (name, "ingress", 12.0), ("gateway", "egress-internal", 12.0 + 6 * many),
        )
    ]  # fmt: skip
    front = traffic("shop.example", "/", 4_000, direction="ingress", container="gateway",
                    ms=waits(8.0, 40.0 * many), spread=0.3)  # fmt: skip
    bank = traffic("bank.example", "/charges", 300, container="payment", ms=33, spread=0.1)
    lines += [calls("payment:80", "/pay", 300, "gateway", "payment", ms=36, spread=0.1), bank]
    [finding] = record(*lines, front, beside=0).diff(last="10m")["findings"]
    kind, key = ("broad", {}) if many > 1 else ("latency", {"host": "recommend:80"})
    says(finding, (kind,), key, "up", since=50)
    assert (finding["blame"] is None) == (many > 1)


def test_nothing_is_back_after_an_hour_without_much_of_anything(record: Record) -> None:
    def night(minutes: Any) -> Any:
        return np.where((minutes >= -60) & (minutes < 0), 20, 320)

    lines = [
        traffic(f"{name}.example", "/v1/items", night, from_=HOURS_9)
        for name in ("cart", "stock", "mail", "pay", "user", "auth")
    ]
    notify = [
        traffic("notify.example", "/v1/send", 40, from_=from_, to=to)
        for from_, to in ((HOURS_9, -60), (0, 60))
    ]
    found = record(*lines, *notify, from_=HOURS_9, beside=0).diff()["findings"]
    assert "back" not in {f["kind"] for f in found}


def test_a_route_that_both_ends_record_is_renamed(record: Record) -> None:
    """What came is counted as what was due is: a call of which there are two records, once."""
    lines = [
        calls("stock:80", "/v1/labels", 80, "cart", "stock", from_=DAY, to=57),
        calls("stock:80", "/v2/labels", 180, "cart", "stock", from_=57),
    ]
    document = record(*lines, from_=DAY, beside=300).diff(last="3m")
    says(first(document), ("moved",), {"route": "/v2/labels"}, "moved")


def test_a_route_of_which_there_was_nothing_in_the_baseline_is_renamed(record: Record) -> None:
    """It was due by the past alone."""
    lines = [
        traffic("stock", "/v1/labels", 180, from_=DAY, to=53),
        traffic("stock", "/v2/labels", 180, from_=57),
    ]
    document = record(*lines, from_=DAY, beside=300).diff(last="3m")
    says(first(document), ("moved",), {"route": "/v2/labels"}, "moved")


@pytest.mark.parametrize(("names", "told"), [("old new", ["moved"]), ("old", []), ("new", [])])
def test_a_route_of_a_few_requests_is_renamed(record: Record, names: str, told: list[str]) -> None:
    """Alone, that one of ten requests went, or one of nine came, may be chance."""
    lines = {
        "old": traffic("stock", "/v1/labels", 8, from_=-60, to=0),
        "new": traffic("stock", "/v2/labels", 8, from_=0),
    }
    document = record(*(lines[name] for name in names.split()), from_=-60, beside=300).diff()
    assert [finding["kind"] for finding in document["findings"]] == told


def bunches(times: int) -> list[Batch]:
    """People who come in bunches, and a call for each, of which each comes `times` from the
    twelfth minute on."""
    front = traffic(
        "shop.example", "/cart", 20, direction="ingress", container="cart", from_=-60, spread=0
    )
    bunch = np.resize([2, 21, 1, 14, 5, 0, 18, 3, 9, 27], front.ts.size)
    front = front.where(np.repeat(np.arange(front.ts.size), bunch))
    line = traffic("stock:80", "/stock", 20, direction="egress-internal", container="cart")
    each = np.where(front.ts >= to_us(at(12)), times, 1)
    moments = np.repeat(front.ts, each)
    line = line.where(np.zeros(moments.size, dtype=np.int64))
    return [front, replace(line, ts=moments + np.arange(moments.size) % 10 * 9_000)]


def test_calls_that_are_tried_again_where_people_come_in_bunches(record: Record) -> None:
    """How many there are says nothing, in such bunches; how many for each that asks, all."""
    document = record(*bunches(5), beside=0).diff()
    says(first(document), ("retries",), {"host": "stock:80"}, direction="up")


def test_people_who_come_in_bunches_are_no_news(record: Record) -> None:
    assert record(*bunches(1), beside=0).diff()["verdict"] == "nothing_changed"


def test_a_route_is_surer_than_the_host_of_which_it_is_most(record: Record) -> None:
    """A few failures more elsewhere, which are chance, do not make it the host's."""
    lines = [
        traffic("stock:80", "/search", 90, failing=step(50, 0, 0.6), from_=DAY),
        traffic("stock:80", "/items", 200, failing=step(50, 0.03, 0.08), from_=DAY),
    ]
    document = record(*lines, from_=DAY, beside=300).diff(last="10m")
    says(first(document), key={"host": "stock:80", "route": "/search"}, direction="up")

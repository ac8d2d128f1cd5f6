"""The traffic questions, counted by hand: who failed how, who talks to whom, and when."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

import filters
from queries.connections import connections
from queries.containers import CONTAINERS, containers
from queries.core.window import Window
from queries.database import database
from queries.dependencies import dependencies
from queries.endpoints import endpoints
from queries.errors import errors, errors_by_container
from queries.hosts import HOSTS, hosts
from queries.processes import processes
from queries.routes import routes
from queries.schema import schema
from queries.search import search
from queries.sensitive import sensitive
from queries.slow import slow
from queries.statuses import statuses
from queries.summary import summary
from queries.timeline import TIMELINE, timeline
from store.errors import UsageError
from store.layout import Store
from tests.contract.stored import NOW, build, call, connection, minute, row, stretch

HOUR = Window(minute(0), NOW)
DECLINED = b'{"error": {"code": "declined", "text": "\x1b[2Jno"}}'
STRIPE: dict[str, Any] = {
    "method": "POST", "host": "api.stripe.com", "path": "/v1/charges", "route": "/v1/charges",
}  # fmt: skip


def charge(at: float, status: int | None, **columns: Any) -> dict[str, Any]:
    body = DECLINED if status == 402 else None
    return row(
        minute(at), status=status, duration_ms=None if status is None else 100, **STRIPE,
        res_body=body, res_body_bytes=None if body is None else len(body),
        res_content_type="application/json", container_name="payments", **columns,
        error_signature="declined" if status == 402 else None,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = [charge(n, 402) for n in (10, 20, 30)] + [charge(11, None), charge(12, 200)]
    rows += [
        row(minute(5), status=200, grpc_status="14", error_signature="grpc: UNAVAILABLE",
            host=None, path="/shop.Cart/Add", route="/shop.Cart/Add", protocol="grpc"),
        row(minute(6), path="/v1/things/8", duration_ms=900),
        row(minute(7), path="/v1/things/9", process_exe="/usr/bin/curl", container_name=None),
    ]  # fmt: skip
    inside = {"host": "stock:80", "route": "/take", "path": "/take"}
    for n in range(4):
        rows.append(row(minute(40 + n), direction="egress-internal", **inside, process_id="7"))
        rows.append(row(minute(40 + n), direction="ingress", **inside, container_name="stock"))
    rows += [row(minute(50), direction="ingress", host="shop.example", container_name="shop")]
    return build(
        tmp_path / "store",
        rows,
        [stretch(minute(0), minute(45)), stretch(minute(55), NOW)],
        database=[
            *(call(minute(n), statement=f"GET cart:{'abcdefgh'[n]}x", duration_ms=n)
              for n in range(8)),
            *(call(minute(n), statement="SELECT ?", database_type="mysql", is_error=n == 1,
                   error_message="deadlock") for n in range(3)),
        ],
        connections=[
            connection(minute(1), connection_id="a", event="opened", bytes_sent=None,
                       opened_ts=minute(1)),
            connection(minute(2), connection_id="a", event="updated", bytes_sent=None,
                       opened_ts=minute(1)),
            connection(minute(3), connection_id="a", opened_ts=minute(1), closed_ts=minute(3)),
            connection(minute(4), connection_id="b", event="opened", bytes_sent=None),
            connection(minute(5), connection_id="c", endpoint_id="old", tls_version="TLS 1.0"),
        ],
    )  # fmt: skip


def test_errors_are_kinds_with_one_answer_each(store: Store) -> None:
    found = errors(store, HOUR)
    assert [(e.host, e.status, e.grpc_status, e.errors) for e in found.errors] == [
        ("api.stripe.com", 402, None, 3),
        ("api.stripe.com", None, None, 1),
        (None, 200, "14", 1),
    ]
    declined = found.errors[0]
    assert (declined.first_seen, declined.last_seen) == (minute(10), minute(30))
    assert (declined.signature, declined.share, declined.containers) == (
        "declined", 0.6, ("payments",),
    )  # fmt: skip
    assert declined.example.ts == minute(30)
    assert "declined" in declined.example.body.text
    assert "\x1b" not in declined.example.body.text
    assert found.errors[1].example.body.encoding == "none"
    assert (found.window.errors, found.window.requests) == (5, 17)
    assert "never instructions" in found.untrusted


def test_many_errors_get_shorter_bodies(tmp_path: Path) -> None:
    body = b"x" * 5000
    rows = [row(minute(n / 4), status=500, route=f"/{'abcdefghij'[n % 10]}/{'klmno'[n // 40]}",
                res_body=body, res_body_bytes=5000) for n in range(200)]  # fmt: skip
    found = errors(build(tmp_path / "store", rows), HOUR, limit=200).errors
    assert len(found) == 50
    assert {e.example.body.shown_chars for e in found} == {480}
    assert {e.example.body.cut for e in found} == {True}


def test_errors_of_one_container_and_of_none_such(store: Store) -> None:
    assert [e.errors for e in errors(store, HOUR, container="shop").errors] == [1]
    wrong = errors(store, HOUR, container="paymens")
    assert wrong.errors == ()
    assert [n.text for n in wrong.notes if n.code == "unknown_container"] == [
        "nothing called paymens was seen in this window. Did you mean 'payments'?"
    ]


def test_errors_by_container(store: Store) -> None:
    found = errors_by_container(store, HOUR).containers
    assert [(c.container, c.requests, c.errors, c.kinds) for c in found] == [
        ("payments", 5, 4, 2), ("shop", 7, 1, 1),
    ]  # fmt: skip
    assert [row.share for row in found[0].top] == [0.75, 0.25]


def test_processes_and_containers_tell_calls_from_services(store: Store) -> None:
    found = {(p.process, p.container): p for p in processes(store, HOUR).processes}
    assert found["/usr/bin/curl", None].called.requests == 1
    shop = found["/usr/bin/python3", "shop"]
    assert (shop.called.requests, shop.served.requests, shop.pids) == (6, 1, 1)
    assert shop.hosts == ("stock:80", "api.example.com")
    boxes = {c.container: c for c in containers(store, HOUR).containers}
    assert boxes["stock"].served.requests == 4
    assert boxes["stock"].called.requests == 0
    assert boxes[None].processes == ("/usr/bin/curl",)
    assert boxes["payments"].called.error_share == 0.8


def test_dependencies_know_both_ends_of_a_call(store: Store) -> None:
    edges = dependencies(store, HOUR).edges
    assert [(e.caller, e.callee, e.callee_kind, e.requests) for e in edges] == [
        ("shop", "redis", "database", 8),
        ("payments", "api.stripe.com", "host", 5),
        ("shop", "stock", "container", 4),
        ("shop", "mysql", "database", 3),
        ("/usr/bin/curl", "api.example.com", "host", 1),
        ("shop", "api.example.com", "host", 1),
        ("shop", "grpc shop.Cart", "host", 1),
        (None, "shop", "container", 1),
    ]
    assert next(e for e in edges if e.callee == "stock").hosts == ("stock:80",)
    assert next(e for e in edges if e.caller is None).caller_kind == "outside"


def test_dependencies_of_one(store: Store) -> None:
    around = dependencies(store, HOUR, container="stock")
    assert [(e.caller, e.callee) for e in around.edges] == [("shop", "stock")]
    assert around.window.requests == 4
    assert [e.caller for e in dependencies(store, HOUR, container="mysql").edges] == ["shop"]
    host = dependencies(store, HOUR, container="api.stripe.com")
    assert [e.caller for e in host.edges] == ["payments"]
    filtered = dependencies(store, HOUR, filters.parse("res.status == 402"))
    assert [e.callee for e in filtered.edges] == ["api.stripe.com"]
    assert "no_databases" in {n.code for n in filtered.notes}


def test_a_replicated_service_stays_a_host(tmp_path: Path) -> None:
    inside = {"host": "web:80"}
    rows = [row(minute(1), direction="egress-internal", **inside)]
    rows += [row(minute(1), direction="ingress", container_name=f"web-{n}", **inside)
             for n in (1, 2)]  # fmt: skip
    [edge] = dependencies(build(tmp_path / "store", rows), HOUR).edges
    assert (edge.callee, edge.callee_kind) == ("web:80", "host")


def test_a_timeline_tells_deaf_from_quiet(store: Store) -> None:
    found = timeline(store, HOUR, by="status", every="5m")
    assert found.every_s == 300
    assert found.starts[0] == minute(0)
    assert found.covered_s == (300.0,) * 9 + (0.0, 0.0, 300.0)
    assert found.total.counts == (0, 3, 3, 0, 1, 0, 1, 0, 8, None, 1, 0)
    assert [(s.value, s.requests) for s in found.series] == [
        ("200", 13), ("402", 3), ("none", 1),
    ]  # fmt: skip
    assert sum(count or 0 for count in found.series[1].counts) == 3


def test_buckets_lie_on_the_clock_and_fit_the_window(store: Store) -> None:
    odd = Window(minute(0) + timedelta(seconds=17), NOW)
    assert timeline(store, odd).starts[0] == minute(0)
    assert timeline(store, odd).every_s == 60
    assert timeline(store, Window(minute(0), minute(4))).every_s == 10
    assert timeline(store, Window(NOW - timedelta(days=7), NOW)).every_s == 6 * 3600
    with pytest.raises(UsageError, match="buckets of that length"):
        timeline(store, HOUR, every="1s")
    with pytest.raises(UsageError, match="--by cannot be 'hots'"):
        TIMELINE.ask(store, {"by": "hots"}, NOW, UTC)


def test_a_filter_and_a_dimension_may_name_the_same_column(store: Store) -> None:
    where = filters.parse('req.host == "api.stripe.com" AND route == "/v1/charges"')
    for by in ("host", "route", "endpoint", "process", "place", "method", "signature", "recorder"):
        assert timeline(store, HOUR, where, by=by).window.requests == 5


def test_slow_endpoints_need_a_few_requests(store: Store) -> None:
    found = slow(store, HOUR)
    assert found.no_response == 1
    assert found.endpoints[0].host == "api.stripe.com"  # the only one with five requests
    assert [t.duration_ms for t in found.transactions[:2]] == [900, 100]
    assert found.transactions[0].id == "web:s1:7"


def test_routes_have_real_paths(store: Store) -> None:
    found = {(r.host, r.place): r for r in routes(store, HOUR).routes}
    things = found["api.example.com", "outside"]
    assert things.examples == ("/v1/things/8", "/v1/things/9")
    charges = found["api.stripe.com", "outside"]
    assert [(s.status, s.requests) for s in charges.statuses] == [(402, 3), (200, 1), (None, 1)]
    assert [(m.method, m.requests) for m in charges.methods] == [("POST", 5)]


def test_keys_of_a_store_are_one_statement(store: Store) -> None:
    found = database(store, HOUR)
    assert [(s.statement, s.calls, s.errors) for s in found.statements] == [
        ("GET cart:{*}", 8, 0), ("SELECT ?", 3, 1),
    ]  # fmt: skip
    assert found.statements[1].last_error == "deadlock"
    assert found.statements[0].max_ms == 7
    assert (found.window.requests, found.window.errors) == (11, 1)
    assert database(store, HOUR, sort="errors").statements[0].errors == 1
    with pytest.raises(UsageError, match="database rows do not have it"):
        database(store, HOUR, filters.parse("res.status == 500"))


def test_a_connection_counts_once_however_often_it_is_told_of(store: Store) -> None:
    found = connections(store, HOUR)
    assert found.window.connections == 3
    both, old = found.connections
    assert (both.connections, both.open, both.bytes_sent) == (2, 1, 300)
    assert both.max_ms == 120_000
    assert (old.endpoint, old.tls) == ("old", "TLS 1.0")


def test_connections_that_were_not_recorded_are_not_none(tmp_path: Path) -> None:
    found = connections(build(tmp_path / "store", [row(minute(1))]), HOUR)
    assert [n.code for n in found.notes] == ["not_recorded"]


def test_a_summary_adds_up(store: Store) -> None:
    found = summary(store, HOUR, limit=1)
    assert (found.window.requests, found.window.errors) == (17, 5)  # one of gRPC
    assert found.counts.outside + found.counts.inside + found.counts.here == 17
    assert sum(vars(found.statuses).values()) == 17
    assert [(d.type, d.calls, d.errors) for d in found.databases] == [
        ("redis", 8, 0), ("mysql", 3, 1),
    ]  # fmt: skip
    assert len(found.hosts) == len(found.failures) == 1
    assert found.truncated


def test_an_empty_window_is_answered(store: Store) -> None:
    before = Window(minute(-300), minute(-240))
    for question in (summary, errors, errors_by_container, slow, timeline, routes, containers,
                     processes, dependencies, database, connections):  # fmt: skip
        answer = question(store, before)
        assert "no_data" in {n.code for n in answer.notes}, question
        assert not answer.truncated


def test_a_page_continues_the_answer_it_belongs_to(store: Store) -> None:
    first = HOSTS.ask(store, {"limit": 2}, NOW, UTC)
    page = {"limit": 2, "cursor": first.next_cursor}
    later = NOW + timedelta(minutes=30)  # the page is still of the first window
    second = HOSTS.ask(store, page, later, UTC)
    assert second.window.from_ts == minute(0)
    everything = hosts(store, HOUR).hosts
    assert (*first.hosts, *second.hosts) == everything[:4]
    for wrong in ("!", "e30=", "WzEsMl0=", "x" * 400):
        with pytest.raises(UsageError, match="is no cursor"):
            HOSTS.ask(store, {"cursor": wrong}, NOW, UTC)
    with pytest.raises(UsageError, match="another question"):
        HOSTS.ask(store, {**page, "where": "res.status == 200"}, NOW, UTC)
    with pytest.raises(UsageError, match="another question"):
        CONTAINERS.ask(store, page, NOW, UTC)


def test_questions_agree_about_failing_grpc(tmp_path: Path) -> None:
    """A gRPC call that fails answers HTTP 200: every list and every heading counts it."""
    grpc = {"protocol": "grpc", "method": "POST", "host": "cart:50051", "route": "/cart/Get"}
    rows = [row(minute(n), grpc_status="14" if n % 4 == 0 else "0", **grpc) for n in range(20)]
    store = build(tmp_path / "grpc", [*rows, row(minute(30), status=500)])
    failing = errors(store, HOUR)
    assert [(e.status, e.grpc_status, e.errors) for e in failing.errors] == [
        (200, "14", 5), (500, None, 1),
    ]  # fmt: skip
    answers = [ask(store, HOUR) for ask in (hosts, endpoints, statuses, summary, timeline,
                                            routes, containers, processes, dependencies, slow,
                                            schema, sensitive, search)]  # fmt: skip
    assert [answer.window.errors for answer in answers[:-3]] == [6] * 10
    assert {answer.window.errors for answer in answers} == {6}
    by_host = {h.host: (h.errors, h.error_share) for h in hosts(store, HOUR).hosts}
    assert by_host["cart:50051"] == (5, 0.25)
    assert {e.host: e.errors for e in endpoints(store, HOUR).endpoints}["cart:50051"] == 5
    assert {s.status: s.errors for s in statuses(store, HOUR).statuses} == {200: 5, 500: 1}
    assert sum(n or 0 for n in timeline(store, HOUR).total.failed) == 6
    assert {r.route: r.errors for r in routes(store, HOUR).routes}["/cart/Get"] == 5

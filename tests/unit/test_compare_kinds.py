"""What each sort of change is told as: one finding, under the key that a person would name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from queries.core.answer import Finding
from tests.cells import BEFORE, HOUR, NOON, WINDOW, answer, cell

Row = dict[str, Any]
Edit = Callable[[Row], Row | None]
ENDPOINTS = [
    (host, method, route)
    for host in ("api.pay.example", "catalog", "mail.example.com")
    for method, route in (("GET", "/a/{id}"), ("GET", "/b"), ("POST", "/c"), ("PUT", "/d/{id}"))
]
CONTAINERS = ("shop_web_1", "shop_web_2", "shop_web_3")


def hour(start: datetime, seed: int, edit: Edit | None = None, each: int = 8) -> list[Row]:
    """An hour in which three containers call twelve endpoints, all alike, changed by `edit`."""
    rng = np.random.default_rng(seed)
    rows = []
    for minute in range(60):
        for host, method, route in ENDPOINTS:
            for container in CONTAINERS:
                n = int(rng.poisson(each))
                bad = int(rng.binomial(n, 0.01))
                for status, count in ((200, n - bad), (500, bad)):
                    if count:
                        rows.append(
                            cell(start, minute, host, method, route, container, status, count, rng)
                        )
    edited = [edit(dict(row)) if edit else row for row in rows]
    return [row for row in edited if row is not None and row["requests"] > 0]


def findings(edit: Edit | None, before: Edit | None = None) -> tuple[Finding, ...]:
    rows = hour(NOON - HOUR, 1, before) + hour(NOON, 2, edit)
    return answer(rows, [WINDOW, BEFORE]).findings


def told(found: tuple[Finding, ...]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(f.kind, f.direction, dict(f.key)) for f in found]


def test_nothing_is_told_of_hours_that_differ_by_chance() -> None:
    assert findings(None) == ()


def test_one_container_of_three_that_stops_is_told_and_one_that_was_replaced_is_not() -> None:
    def stopped(row: Row) -> Row | None:
        return None if row["container"] == "shop_web_2" else row

    def replaced(row: Row) -> Row:
        name = row["container"].replace("shop_web_2", "shop_web_4")
        return {**row, "container": name}

    assert told(findings(stopped)) == [("gone", "gone", {"container": "shop_web_2"})]
    assert findings(replaced) == ()


def test_another_good_status_is_a_shift_of_the_statuses() -> None:
    def before(row: Row) -> Row:
        some = row["route"] == "/b" and row["minute"].minute % 10 == 3
        return {**row, "status": 304} if some and row["status"] == 200 else row

    def now(row: Row) -> Row:
        some = row["route"] == "/b" and row["host"] == "catalog" and row["minute"].minute % 10 > 3
        return {**row, "status": 304} if some and row["status"] == 200 else before(row)

    found = findings(now, before)
    key = {"host": "catalog", "method": "GET", "route": "/b", "status": 304}
    assert told(found) == [("statuses", "up", key)]
    assert "answering 304" in found[0].summary
    assert found[0].severity == "medium"


def test_a_method_that_a_host_refuses_is_named() -> None:
    def refused(row: Row) -> Row:
        mine = row["host"] == "catalog" and row["method"] == "GET" and row["status"] == 200
        return {**row, "status": 403} if mine else row

    (found,) = findings(refused)
    assert found.kind in ("errors", "statuses")
    assert {k: found.key[k] for k in ("host", "method")} == {"host": "catalog", "method": "GET"}
    assert "route" not in found.key


def test_another_program_in_the_same_containers_is_one_finding() -> None:
    found = findings(
        lambda row: {**row, "process": "/opt/web-ng"},
        lambda row: {**row, "process": "/app/web"},
    )
    key = {"container": "shop_web", "process": "/opt/web-ng"}
    assert told(found) == [("moved", "moved", key)]
    assert "/app/web" in found[0].summary


def test_calls_that_multiply_by_four_are_seen_beside_a_single_hour() -> None:
    def storm(row: Row) -> Row:
        mine = row["host"] == "catalog" and row["route"] == "/c"
        return {**row, "requests": 4 * row["requests"]} if mine else row

    (found,) = findings(storm)
    assert found.kind in ("rate", "retries")
    assert found.key["route"] == "/c"


def test_an_endpoint_that_falls_to_a_fifth_is_told() -> None:
    def fallen(row: Row) -> Row | None:
        mine = row["host"] == "catalog" and row["route"] == "/c"
        return None if mine and row["minute"].minute % 5 else row

    key = {"host": "catalog", "method": "POST", "route": "/c"}
    assert told(findings(fallen)) == [("rate", "down", key)]


def test_grpc_calls_that_fail_with_http_200_are_errors_under_the_name_of_their_status() -> None:
    def unavailable(share: int) -> Edit:
        """Of 100 minutes of one endpoint, in so many its calls are refused."""

        def edit(row: Row) -> Row:
            mine = (row["host"], row["route"]) == ("catalog", "/c")
            turn = (37 * row["minute"].minute + int(row["container"][-1])) % 100
            return {**row, "status": 200, "grpc_status": "14" if mine and turn < share else "0"}

        return edit

    [finding] = findings(unavailable(50), unavailable(1))
    assert (finding.kind, finding.direction, finding.severity) == ("errors", "up", "high")
    assert finding.key == {"host": "catalog", "method": "POST", "route": "/c"}
    assert finding.window.errors > 0.4 * finding.window.requests
    assert finding.summary.startswith("POST catalog /c failing: ")
    assert "gRPC 14 UNAVAILABLE, since 12:0" in finding.summary

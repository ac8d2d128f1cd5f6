"""Hosts, statuses, endpoints, coverage: counted by hand and by the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import filters
from qrec.commands.info import holdings
from queries.core.answer import document
from queries.core.notes import received
from queries.core.window import Window
from queries.coverage import coverage
from queries.endpoints import ENDPOINTS, endpoints
from queries.hosts import hosts
from queries.statuses import statuses
from store.errors import UsageError
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row, stretch

HOUR = Window(minute(0), NOW)
STRIPE = {"method": "POST", "host": "api.stripe.com", "route": "/v1/charges"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = [row(minute(number), duration_ms=number + 1) for number in range(60)]
    rows += [row(minute(10), status=status, **STRIPE) for status in (200, 402, 500)]
    rows += [row(minute(11), status=None, duration_ms=None, **STRIPE)]
    rows += [
        row(minute(20), direction="ingress", host="shop.example.com", container_name=name)
        for name in ("web-1", "web-1", "web-2")
    ]
    rows += [
        row(minute(30), direction="egress-internal", host="db.internal", container_name=None),
        row(minute(-1), host="before.example.com"),
        row(NOW, host="after.example.com"),
    ]
    return build(tmp_path / "store", rows)


def test_hosts_know_their_place_their_callers_and_their_failures(store: Store) -> None:
    answer = hosts(store, HOUR)
    by_host = {h.host: h for h in answer.hosts}
    assert [h.host for h in answer.hosts] == [
        "api.example.com", "api.stripe.com", "shop.example.com", "db.internal",
    ]  # fmt: skip
    stripe = by_host["api.stripe.com"]
    assert (stripe.place, stripe.requests, stripe.errors, stripe.error_share) == (
        "outside", 4, 3, 0.75,
    )  # fmt: skip
    assert vars(stripe.statuses) == {
        "s1xx": 0, "s2xx": 1, "s3xx": 0, "s4xx": 1, "s5xx": 1, "no_response": 1,
    }  # fmt: skip
    assert (stripe.first_seen, stripe.last_seen) == (minute(10), minute(11))
    assert by_host["api.example.com"].p50_ms == 30.5
    assert by_host["db.internal"].callers == ("/usr/bin/python3",)
    shop = by_host["shop.example.com"]
    assert (shop.place, shop.served_by, shop.callers) == ("here", ("web-1", "web-2"), ())
    assert (answer.window.requests, answer.window.errors) == (68, 3)
    assert answer.window.covered_s == 3600
    assert answer.notes == ()


def test_the_window_ends_before_its_end(store: Store) -> None:
    """What happens on the hour belongs to the hour that begins, and is counted once."""
    assert "after.example.com" not in {h.host for h in hosts(store, HOUR).hosts}
    after = hosts(store, Window(NOW, NOW + timedelta(minutes=1)))
    assert {h.host for h in after.hosts} == {"after.example.com"}


def test_statuses_are_counted_with_their_busiest_endpoints(store: Store) -> None:
    answer = statuses(store, HOUR)
    assert [(s.status, s.requests) for s in answer.statuses] == [
        (200, 65), (402, 1), (500, 1), (None, 1),
    ]  # fmt: skip
    first = answer.statuses[0]
    assert (first.hosts, first.endpoints) == (4, 4)
    assert first.share == pytest.approx(65 / 68)
    assert (first.top[0].host, first.top[0].requests) == ("api.example.com", 60)


def test_endpoints_in_the_order_asked_for(store: Store) -> None:
    busiest = endpoints(store, HOUR).endpoints[0]
    assert (busiest.host, busiest.requests, busiest.per_s) == ("api.example.com", 60, 60 / 3600)
    assert busiest.p99_ms == pytest.approx(59.41)
    failing = endpoints(store, HOUR, sort="errors").endpoints[0]
    assert (failing.method, failing.host, failing.route, failing.place) == (
        "POST", "api.stripe.com", "/v1/charges", "outside",
    )  # fmt: skip
    assert failing.error_share == 0.75
    with pytest.raises(UsageError, match="size"):
        ENDPOINTS.ask(store, {"sort": "size"}, NOW, UTC)


def test_endpoints_fold_a_level_with_too_many_values(tmp_path: Path) -> None:
    rows = [row(minute(1), route=f"/user/name{chr(97 + n // 26)}{chr(97 + n % 26)}/profile")
            for n in range(200)]  # fmt: skip
    store = build(tmp_path / "store", rows)
    found = endpoints(store, HOUR).endpoints
    assert len(found) == 1
    assert found[0].requests == 200
    assert statuses(store, HOUR).statuses[0].endpoints == 1


def test_truncation_is_known_and_totals_are_of_everything(store: Store) -> None:
    answer = hosts(store, HOUR, limit=2)
    assert (len(answer.hosts), answer.truncated, answer.window.requests) == (2, True, 68)
    assert not hosts(store, HOUR, limit=4).truncated


def test_a_filter_chooses_what_counts(store: Store) -> None:
    where = filters.parse('res.status >= 400 AND req.host == "api.stripe.com"')
    answer = statuses(store, HOUR, where)
    assert {s.status for s in answer.statuses} == {402, 500, None}  # 422 stands for no response
    assert answer.window.requests == 3


def test_how_a_filter_was_read_is_part_of_the_answer(store: Store) -> None:
    where = filters.parse('req.method == "GET" or res.status == 500 and req.host == "a"')
    codes = [note.code for note in hosts(store, HOUR, where).notes]
    assert codes == ["filter", "unknown_value"]  # there is no host a


def test_an_empty_window_is_an_answer_with_a_reason(store: Store) -> None:
    answer = hosts(store, Window(NOW + timedelta(hours=5), NOW + timedelta(hours=6)))
    assert (answer.hosts, answer.window.requests, answer.window.covered_s) == ((), 0, 0)
    assert [note.code for note in answer.notes] == ["no_data"]
    assert "2026-11-22T14:00:00Z" in answer.notes[0].text


def test_a_file_that_cannot_be_read_is_left_out_and_named(store: Store) -> None:
    broken = store.sealed_hour("transactions", "2026-11-22T13") / "other-000000000009.parquet"
    broken.write_bytes(b"PAR1 this is not the end")
    answer = hosts(store, HOUR)
    assert answer.window.requests == 68
    assert [note.code for note in answer.notes] == ["unreadable_file"]
    assert holdings(store)["notes"][0]["code"] == "unreadable_file"


def gapped(tmp_path: Path) -> Store:
    away = {"state": "disconnected", "reason": "connection refused", "events": 0}
    return build(
        tmp_path / "store",
        [],
        [
            stretch(minute(0), minute(20)),
            stretch(minute(20), minute(25), **away),
            stretch(minute(25), minute(40), state="lagging", max_lag_ms=2300, rejected=3),
            stretch(minute(40), minute(50), filter="res.status >= 400", dropped=7),
            stretch(minute(-90), minute(30), recorder="old", state="stopped", reason="by SIGTERM"),
        ],
    )


def test_coverage_tells_quiet_from_deaf(tmp_path: Path) -> None:
    answer = coverage(gapped(tmp_path), HOUR)
    old, web = answer.recorders
    assert (web.covered_s, web.share) == (45 * 60, 0.75)
    assert [(g.from_ts, g.to_ts, g.reason) for g in web.gaps] == [
        (minute(20), minute(25), "connection refused"),
        (minute(50), NOW, "not running"),
    ]
    assert (web.rejected, web.dropped, web.max_lag_ms) == (3, 7, 2300)
    assert web.filters == ("res.status >= 400",)
    # A stretch that began long before the window is known, and clipped to it.
    assert (old.stretches[0].from_ts, old.stretches[0].state) == (minute(0), "stopped")
    assert (old.covered_s, old.gaps[0].reason) == (0, "by SIGTERM")
    codes = sorted(note.code for note in answer.notes)
    assert codes == ["dropped", "filtered", "gap", "gap", "lagging", "rejected"]
    assert answer.window.covered_s == 45 * 60


@pytest.mark.parametrize("basis", ["firm", "weak"])
def test_what_the_source_seems_to_have_dropped_is_told_with_its_basis(
    basis: str, tmp_path: Path
) -> None:
    on = [stretch(minute(0), NOW, dropped_estimate=120, dropped_basis=basis)]
    store = build(tmp_path / "store", [], on)
    answer = coverage(store, HOUR)
    assert (answer.recorders[0].dropped, answer.recorders[0].stretches[0].dropped_basis) == (
        120, basis,
    )  # fmt: skip
    [note] = hosts(store, HOUR).notes
    assert note.code == "dropped_estimate"
    assert "about 120 events" in note.text
    assert ("weak guess" in note.text) == (basis == "weak")


def test_every_answer_carries_the_gaps_of_its_window(tmp_path: Path) -> None:
    store = gapped(tmp_path)
    for answer in (hosts(store, HOUR), statuses(store, HOUR), endpoints(store, HOUR)):
        assert [n.code for n in answer.notes].count("gap") == 2


def test_many_gaps_are_counted_not_told(tmp_path: Path) -> None:
    on = [stretch(minute(n), minute(n + 0.5)) for n in range(60)]
    answer = coverage(build(tmp_path / "store", [], on), HOUR, limit=10)
    assert len(answer.recorders[0].stretches) == 10
    assert len(answer.recorders[0].gaps) == 10
    assert answer.truncated
    assert [n.code for n in answer.notes].count("gap") == 6
    assert "55 more" in answer.notes[-1].text


def test_stretches_and_gaps_go_on_page_by_page(tmp_path: Path) -> None:
    on = [stretch(minute(n), minute(n + 0.5)) for n in range(60)]
    on.append(stretch(minute(0), minute(30), recorder="short"))
    store = build(tmp_path / "store", [], on)
    whole, cursor = coverage(store, HOUR, limit=200), None
    stretches: list[list[Any]] = [[], []]
    gaps: list[list[Any]] = [[], []]
    while True:
        later = Window(HOUR.from_ts + timedelta(minutes=5), HOUR.to_ts + timedelta(minutes=5))
        page = coverage(store, later if cursor else HOUR, limit=25, cursor=cursor)
        for at, one in enumerate(page.recorders):
            stretches[at].append(one.stretches)
            gaps[at].append(one.gaps)
        assert page.truncated == (page.next_cursor is not None)
        cursor = page.next_cursor
        if cursor is None:
            break
    for at, one in enumerate(whole.recorders):
        assert sum(reversed(stretches[at]), ()) == one.stretches
        assert sum(reversed(gaps[at]), ()) == one.gaps
    assert len(stretches[0]) == 3
    with pytest.raises(UsageError, match="no cursor"):
        coverage(store, HOUR, cursor="AAAA")


def test_the_last_seconds_of_a_live_recorder_are_no_gap(tmp_path: Path) -> None:
    on = [stretch(minute(0), NOW - timedelta(seconds=3))]
    assert coverage(build(tmp_path / "store", [], on), HOUR).recorders[0].gaps == ()


def test_stretches_that_overlap_count_once(tmp_path: Path) -> None:
    on = [stretch(minute(0), minute(30)), stretch(minute(20), NOW)]
    assert coverage(build(tmp_path / "store", [], on), HOUR).window.covered_s == 3600


def test_a_summary_of_the_store(store: Store, tmp_path: Path) -> None:
    info = holdings(store)
    table = next(t for t in info["tables"] if t["name"] == "transactions")
    assert (table["hours"], table["first_hour"], table["last_hour"], table["rows"]) == (
        3, "2026-11-22T12", "2026-11-22T14", 70,
    )  # fmt: skip
    assert info["recorders"] == [{"name": "web", "pid": None}]
    whole = received(store)
    assert whole is not None
    assert whole.to_ts == NOW
    empty = Store.create(tmp_path / "empty")
    assert received(empty) is None
    assert holdings(empty)["recorders"] == []


def test_a_document_names_things_as_json_does_and_has_no_odd_numbers(store: Store) -> None:
    plain = document(hosts(store, HOUR))
    assert list(plain) == ["version", "window", "notes", "hosts", "next_cursor", "truncated"]
    assert list(plain["hosts"][0]["statuses"])[:2] == ["1xx", "2xx"]
    assert plain["window"]["from"] == "2026-11-22T13:00:00Z"
    assert not _odd(plain)


def _odd(value: object) -> list[object]:
    """Values that JSON has no word for."""
    if isinstance(value, dict):
        return [odd for item in value.values() for odd in _odd(item)]
    if isinstance(value, list):
        return [odd for item in value for odd in _odd(item)]
    known = isinstance(value, str | int | float | None) and not isinstance(value, datetime)
    return [] if known and value == value else [value]

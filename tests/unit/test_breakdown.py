"""From a finding to its transactions: the filter that names them, and where they happened."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import filters
from queries.core.answer import Key
from queries.core.window import Baseline, Window
from queries.diff.explain.breakdown import Counted, by_container, filter_of, sides_of
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - HOUR, NOW)
BASELINE = Baseline("previous", (Window(NOW - 2 * HOUR, NOW - HOUR),))


def parts_of(store: Store, where: str) -> list[Counted]:
    [both] = sides_of(store, WINDOW, BASELINE.spans, None, [where])
    return by_container(both)


def test_a_key_as_a_filter_is_one_that_is_understood() -> None:
    key: Key = {
        "host": "a.example.com", "method": "POST", "route": "/v1/{id}", "status": 503,
        "container": "shop", "process": "/app/x", "signature": "card_declined: it's so",
    }  # fmt: skip
    text = filter_of(key)
    filters.check(filters.parse(text), where="where")
    assert text.startswith('req.host == "a.example.com" and req.method == "POST" and route ==')
    assert filter_of({"status": None}) == 'outcome == "no_response"'


def test_private_addresses_that_stand_together_are_found_together(tmp_path: Path) -> None:
    hosts = ["10.42.3.7:80", "172.20.0.9:80", "[fd00::12]:80"]
    others = ["10.42.3.7:81", "10.42.3.7", "8.8.8.8:80", "110.1.1.1:80", "[2001:db8::1]:80"]
    rows = [row(minute(1), host=host, container_name=host) for host in hosts + others]
    where = filter_of({"host": "{ip}:80"})
    parts = parts_of(build(tmp_path / "s", rows), where)
    assert {part.name for part in parts} == {f"calls {host}" for host in hosts}


def test_what_cannot_be_named_is_left_out() -> None:
    assert filter_of({}) == ""
    assert filter_of({"host": 'a"b', "route": "/users/{*}", "method": "G\\x"}) == ""


def test_parts_are_by_container_and_end_of_the_wire(tmp_path: Path) -> None:
    rows = [row(minute(at), host="api", container_name="web-7d9f8b6c5d-x2k4q",
                status=500 if at >= 0 else 200) for at in range(-30, 30)]  # fmt: skip
    rows += [row(minute(at), host="api", container_name="api", direction="ingress",
                 status=500 if at >= 0 else 200) for at in range(-30, 30)]  # fmt: skip
    rows += [row(minute(at), host="other") for at in range(-30, 30)]
    rows += [row(minute(1), host="api", container_name=None, process_exe="/bin/curl")]
    where = filter_of({"host": "api"})
    parts = parts_of(build(tmp_path / "s", rows), where)
    assert [(p.name, p.requests, p.before, p.errors, p.errors_before) for p in parts] == [
        ("serves api", 30, 30, 30, 0),
        ("calls web-7d9f8b6c5d-x2k4q", 30, 30, 30, 0),
        ("calls /bin/curl", 1, 0, 0, 0),
    ]
    service = filter_of({"container": "web"})
    only = parts_of(build(tmp_path / "t", rows), service)
    assert [p.name for p in only] == ["calls web-7d9f8b6c5d-x2k4q"]


def test_who_fails_is_told_among_many_who_ask_more(tmp_path: Path) -> None:
    rows = [row(minute(at), container_name=f"web-{n}x") for n in range(110) for at in (-5, 5, 6)]
    rows += [row(minute(5), container_name="batch", status=500)]
    first, *_ = parts_of(build(tmp_path / "s", rows), "")
    assert (first.name, first.errors) == ("calls batch", 1)

"""What search promises: the newest first, every match once over all pages, honest counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

import filters
from queries.core.window import Window
from queries.search import search
from store.errors import UsageError
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row

HOUR = Window(NOW - timedelta(hours=1), NOW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sixty transactions, two at each moment; every sixth failed, one has a body."""
    rows = [
        row(minute(number // 2), status=500 if number % 6 == 0 else 200, seq=number + 1)
        for number in range(60)
    ]
    rows[7] |= {"res_body": b'{"error":"card_declined"}', "res_body_bytes": 25}
    return build(tmp_path_factory.mktemp("search") / "store", rows)


def test_the_newest_come_first_and_all_are_counted(store: Store) -> None:
    answer = search(store, HOUR, filters.parse("res.status >= 500"), limit=3)
    assert [line.id for line in answer.transactions] == ["web:s1:55", "web:s1:49", "web:s1:43"]
    assert (answer.window.requests, answer.window.errors) == (10, 10)
    assert answer.truncated
    assert answer.next_cursor


@pytest.mark.parametrize("limit", [1, 7, 20, 59, 60])
def test_pages_hold_every_match_once(store: Store, limit: int) -> None:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        answer = search(store, HOUR, None, limit, cursor)
        found += [line.id for line in answer.transactions]
        cursor = answer.next_cursor
        assert answer.truncated == (cursor is not None)
        if cursor is None:
            break
    assert found == [f"web:s1:{seq}" for seq in range(60, 0, -1)]


def test_a_page_keeps_the_window_of_the_first(store: Store) -> None:
    first = search(store, HOUR, None, 5)
    later = Window(NOW + timedelta(minutes=5), NOW + timedelta(minutes=65))
    second = search(store, later, None, 5, first.next_cursor)
    assert second.window.from_ts == HOUR.from_ts
    assert len(second.transactions) == 5


def test_bodies_can_be_asked_about(store: Store) -> None:
    answer = search(store, HOUR, filters.parse('res.body contains "card_declined"'))
    assert [line.id for line in answer.transactions] == ["web:s1:8"]


def test_nothing_found_is_an_answer(store: Store) -> None:
    answer = search(store, HOUR, filters.parse("res.status == 404"))
    assert answer.transactions == ()
    assert answer.next_cursor is None
    assert not answer.truncated
    earlier = Window(NOW - timedelta(days=9), NOW - timedelta(days=8))
    assert search(store, earlier).notes[0].code == "no_data"


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10=", "WzEsMiwzLCJhIiwibiIsMV0=", "é"])
def test_a_cursor_that_is_none_is_told(store: Store, cursor: str) -> None:
    with pytest.raises(UsageError, match="no cursor"):
        search(store, HOUR, None, 5, cursor)


def test_a_cursor_of_another_filter_is_refused(store: Store) -> None:
    cursor = search(store, HOUR, None, 5).next_cursor
    with pytest.raises(UsageError, match="another question"):
        search(store, HOUR, filters.parse("res.status == 200"), 5, cursor)

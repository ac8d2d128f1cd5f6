"""Retention: whole hours, oldest first, never a pinned one, coverage before rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from recorder.write.retention import apply, plan, store_hours
from store import Store
from store.errors import UsageError
from store.files import make_folder
from store.pins import Pin, add_pin, read_pins, remove_pin

NOW = dt.datetime(2026, 11, 22, 18, 30, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "s")
    for hour in range(10, 19):
        for table in ("transactions", "coverage", "rollups"):
            folder = make_folder(store.sealed_hour(table, f"2026-11-22T{hour}"))
            (folder / "r-000000000001.parquet").write_bytes(b"x" * 100)
    return store


def planned(store: Store, **limits: object) -> list[str]:
    found = plan(store, NOW, **limits)  # type: ignore[arg-type]
    return [hour.hour[-2:] for hour in found.delete]


def test_hours_older_than_keep_go(store: Store) -> None:
    assert planned(store, keep=dt.timedelta(hours=5)) == ["10", "11", "12"]


def test_the_oldest_go_until_the_size_fits(store: Store) -> None:
    assert planned(store, max_size=2000) == ["10", "11", "12"]


def test_the_hours_still_written_to_stay_whatever_the_size(store: Store) -> None:
    assert planned(store, max_size=0)[-1] == "15"


def test_a_pinned_hour_stays_and_is_named(store: Store) -> None:
    begin = dt.datetime(2026, 11, 22, 11, 50, tzinfo=dt.UTC)
    add_pin(store, Pin("incident", begin, begin + dt.timedelta(minutes=20)))
    found = plan(store, NOW, keep=dt.timedelta(hours=5))
    assert [hour.hour[-2:] for hour in found.delete] == ["10"]
    assert [hour[-2:] for hour in found.pinned] == ["11", "12"]


def test_a_removed_pin_holds_nothing(store: Store) -> None:
    begin = dt.datetime(2026, 11, 22, 11, tzinfo=dt.UTC)
    add_pin(store, Pin("incident", begin, begin + dt.timedelta(hours=1)))
    remove_pin(store, "incident")
    assert read_pins(store) == []
    with pytest.raises(UsageError, match="no pin"):
        remove_pin(store, "incident")


def test_deleting_takes_every_table_of_the_hour(store: Store) -> None:
    apply(plan(store, NOW, keep=dt.timedelta(hours=5)).delete)
    assert [hour.hour[-2:] for hour in store_hours(store)] == [str(h) for h in range(13, 19)]
    assert store.hours("coverage")[0] == "2026-11-22T13"

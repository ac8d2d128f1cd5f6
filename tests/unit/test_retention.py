"""Retention: whole hours, oldest first, never a pinned one, coverage before rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from recorder.write.retention import Retention, apply, plan, store_hours
from store.errors import UsageError
from store.files import make_folder
from store.layout import Store
from store.marks import Pin, add_pin, read_pins, remove_pin

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


def rounds(store: Store, now: dt.datetime, times: int = 1) -> list[list[str]]:
    keeping = Retention(store, dt.timedelta(hours=5), None)
    return [list(keeping.round(now, mono=1000.0 + 61 * n)) for n in range(times)]


def test_a_clock_that_is_years_ahead_deletes_no_more_than_the_newest_hour_makes_old(
    store: Store,
) -> None:
    [notes] = rounds(store, NOW.replace(year=2046))
    assert [hour[-2:] for hour in store.hours("transactions")] == [str(h) for h in range(14, 19)]
    assert len(notes) == 4


def test_hours_of_broken_clocks_are_borne(store: Store) -> None:
    for hour in ("1970-01-01T00", "9999-12-31T23"):
        make_folder(store.sealed_hour("transactions", hour))
    begin = dt.datetime(2026, 11, 22, 11, 50, tzinfo=dt.UTC)
    add_pin(store, Pin("incident", begin, begin + dt.timedelta(minutes=20)))
    assert planned(store, keep=dt.timedelta(hours=5)) == ["00", "10"]
    assert planned(store, max_size=0)[-1] == "15"


def test_many_hours_go_a_few_at_a_time_and_are_told_of(store: Store) -> None:
    for day in range(1, 4):
        for hour in range(24):
            make_folder(store.sealed_hour("transactions", f"2026-10-{day:02d}T{hour:02d}"))
    first, second, third, fourth = rounds(store, NOW, 4)
    assert first[-1] == "51 more hours are due and go in the next minutes"
    assert len(first) == len(second) == 25
    assert len(third) == 25
    assert len(fourth) == 3
    assert store.hours("transactions")[0] == "2026-11-22T13"


def test_it_looks_once_a_minute(store: Store) -> None:
    keeping = Retention(store, dt.timedelta(hours=5), None)
    assert list(keeping.round(NOW, mono=1000.0))
    make_folder(store.sealed_hour("transactions", "2026-11-22T10"))
    assert not list(keeping.round(NOW, mono=1059.0))
    assert list(keeping.round(NOW, mono=1061.0))

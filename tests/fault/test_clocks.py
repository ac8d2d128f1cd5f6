"""Clocks that step, nights on which they change, and events that come late or early."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.write.seal import Housekeeper
from store.coverage import read_stretches
from store.hours import HOUR_US, hour_key
from store.layout import Store
from tests.kit import NOON, Desk, S, connected, stamp, transaction, visible_ids


def rows_by_hour(store: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    opened = Store.open(store)
    return {
        hour: sum(
            pq.read_metadata(path).num_rows for _, path in opened.visible("transactions", hour)
        )
        for hour in opened.hours("transactions")
    }


@pytest.mark.parametrize("late_h", [1, 5, 24])
def test_a_late_event_lands_in_its_own_hour_also_when_that_is_sealed(
    late_h: int, tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "s")
    keeper = Housekeeper(desk.store, "r", "p", grace_s=0)
    then = NOON - late_h * HOUR_US
    desk.take(connected(NOON))
    desk.take(transaction("in time", then, sent=NOON))
    desk.flush()
    keeper.round(NOON, everything=True)
    desk.take(transaction("late", then + S, sent=NOON))
    desk.flush()
    assert rows_by_hour(tmp_path / "s") == {hour_key(then): 2}
    keeper.round(NOON, everything=True)
    keeper.round(NOON, everything=True)
    assert rows_by_hour(tmp_path / "s") == {hour_key(then): 2}
    files = list(desk.store.visible("transactions", hour_key(then)))
    assert len(files) == 1
    assert files[0][1].parent.name.startswith("hour=")


def test_an_event_five_minutes_early_lands_in_the_hour_it_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    at = NOON + HOUR_US - 60 * S
    desk.take(connected(at))
    desk.take(transaction("early", at + 300 * S, sent=at))
    desk.flush()
    assert rows_by_hour(tmp_path / "s") == {hour_key(NOON + HOUR_US): 1}


@pytest.mark.parametrize("step_h", [-1, 1])
def test_a_step_of_the_clock_loses_no_row_and_covers_no_time_twice(
    step_h: int, tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON))
    for n in range(10):
        desk.take(transaction(f"before{n}", NOON + n * S), mono=n * S)
    for n in range(10, 20):
        desk.take(transaction(f"after{n}", NOON + step_h * HOUR_US + n * S), mono=n * S)
    desk.flush(20 * S)
    assert len(visible_ids(tmp_path / "s")) == 20
    seen = 0
    for hour in desk.store.hours("coverage"):
        path = desk.store.sealed_hour("coverage", hour) / "r.parquet"
        seen += sum(row.to_ts - row.from_ts for row in read_stretches(path))
    assert seen <= 20 * S


def test_the_night_on_which_clocks_change_has_all_its_hours(tmp_path: Path) -> None:
    """Qtap writes the host's offset; 02:30 comes twice in Berlin on 2026-10-25, an hour apart."""
    from recorder.decode.events import decode

    first = decode("process.started", '{"data":{},"ts":"2026-10-25T02:30:00+02:00"}').ts
    second = decode("process.started", '{"data":{},"ts":"2026-10-25T02:30:00+01:00"}').ts
    assert first is not None
    assert second is not None
    assert second - first == HOUR_US
    desk = Desk(tmp_path / "s")
    desk.take(connected(first))
    desk.take(transaction("a", first, sent=first), transaction("b", second, sent=second))
    desk.flush()
    assert rows_by_hour(tmp_path / "s") == {hour_key(first): 1, hour_key(second): 1}
    assert stamp(first) != stamp(second)

"""Clocks that step, nights on which they change, and events that come late or early."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.pipeline.frames import mono_us
from recorder.write.seal import Housekeeper
from store.coverage import SEEING, Stretch, read_stretches
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


def stretches(store: Store) -> list[Stretch]:
    files = [store.sealed_hour("coverage", hour) / "r.parquet" for hour in store.hours("coverage")]
    return [row for path in files for row in read_stretches(path)]


def ticking(path: Path, shift: Callable[[int], int], seconds: int = 120) -> Desk:
    """An event a second; `shift` is how much the source's clock is off in which second, in µs."""
    desk = Desk(path)
    desk.take(connected(NOON), mono=S)
    for n in range(1, seconds):
        ts = NOON + n * S + shift(n)
        desk.take(transaction(f"t{n:03d}", ts), mono=(n + 1) * S)
        if n % 10 == 9:
            desk.flush((n + 1) * S)
    desk.flush(seconds * S)
    return desk


YEARS = 20 * 365 * 24 * HOUR_US


@pytest.mark.parametrize("step", [-60 * S, -3 * HOUR_US, YEARS, -(NOON - 60 * S)])
def test_after_any_step_every_row_is_there_and_coverage_goes_on_in_the_new_time(
    step: int, tmp_path: Path
) -> None:
    """A minute by NTP, three hours of a restored machine, twenty years, 1970 without a battery."""
    desk = ticking(tmp_path / "s", lambda n: step if n >= 60 else 0)
    assert len(visible_ids(tmp_path / "s")) == 119
    rows = stretches(desk.store)
    assert len(rows) < 10
    assert len(desk.store.hours("coverage")) <= 3
    seen = [row for row in rows if row.state in SEEING]
    assert sum(row.to_ts - row.from_ts for row in seen) <= 120 * S
    last = NOON + 119 * S + step
    # A minute back is no step yet: coverage waits until the clock has caught up.
    assert 0 <= max(row.to_ts for row in seen if row.from_ts <= last) - last <= 2 * S
    assert desk.ledger.state() in SEEING  # late for ten minutes, where the step is no step
    assert sum(row.events for row in rows) == 119


def test_a_clock_that_is_set_right_after_1970_makes_no_file_an_hour(tmp_path: Path) -> None:
    """A host without a battery: 1970 until NTP answers, the connection stays."""
    desk = ticking(tmp_path / "s", lambda n: 0 if n >= 60 else -(NOON - 60 * S))
    assert len(visible_ids(tmp_path / "s")) == 119
    assert len(desk.store.hours("coverage")) <= 3
    assert desk.ledger.state() == "receiving"


def test_a_smeared_leap_second_is_neither_lag_nor_a_step(tmp_path: Path) -> None:
    """A second more, spread over a day: 11.6 µs a second; here all of it within two minutes."""
    desk = ticking(tmp_path / "s", lambda n: -n * S // 120)
    rows = stretches(desk.store)
    assert [row.state for row in rows] == ["receiving"]
    assert rows[0].reason is None


@pytest.mark.parametrize("connected_again", [False, True])
def test_the_time_in_which_a_machine_slept_is_a_gap(connected_again: bool, tmp_path: Path) -> None:
    """The recorder's clock goes on while the machine sleeps; nobody sends and nobody hears."""
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON), mono=S)
    for n in range(1, 30):
        desk.take(transaction(f"t{n}", NOON + n * S), mono=(n + 1) * S)
    woke = NOON + 2 * HOUR_US
    if connected_again:
        desk.ledger.lost("broken", 2 * HOUR_US + S)
        desk.take(connected(woke), mono=2 * HOUR_US + S)
    for n in range(1, 30):
        desk.take(transaction(f"u{n}", woke + n * S), mono=2 * HOUR_US + (n + 1) * S)
    desk.flush(3 * HOUR_US)
    assert len(visible_ids(tmp_path / "s")) == 58
    rows = stretches(desk.store)
    seen = sum(row.to_ts - row.from_ts for row in rows if row.state in SEEING)
    assert 50 * S <= seen <= 60 * S
    [gap] = [row for row in rows if row.state == "disconnected"]
    assert gap.to_ts - gap.from_ts > 2 * HOUR_US - 60 * S
    assert desk.ledger.gaps == 1


def test_a_quiet_link_that_answers_is_no_sleep(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON), mono=S)
    for n in range(1, 60):
        desk.ledger.alive(n * 15 * S)
    desk.flush(900 * S)
    assert [row.state for row in stretches(desk.store)] == ["receiving"]


def test_the_clock_of_coverage_goes_on_while_the_machine_sleeps() -> None:
    if sys.platform != "linux":
        pytest.skip("other systems' monotonic clocks are left to them")
    assert abs(mono_us() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000) < S


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

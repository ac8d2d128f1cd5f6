"""Housekeeping goes on, whatever one hour, one file, the disk or another recorder does."""

from __future__ import annotations

import base64
import datetime as dt
import os
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recorder.write import retention, rollup, seal, sort
from recorder.write.retention import Retention
from recorder.write.seal import Housekeeper
from recorder.write.segments import live_segments, merge
from store.cover import maximal_cover
from store.coverage import coverage_file, read_stretches
from store.derived import ROLLUPS
from store.errors import UnavailableError
from store.hours import HOUR_US, hour_key
from store.layout import SEALING, Store, recorder_lock
from tests.kit import NOON, Desk, S, connected, transaction, visible_ids, wait_for

Notes = list[str]
LATER = NOON + 9 * HOUR_US
HOURS = [hour_key(NOON + n * HOUR_US) for n in range(3)]


def recorded(path: Path, recorder: str = "r", flushes: int = 3) -> Desk:
    """Three hours of so many flushes each, long ended."""
    desk = Desk(path, recorder)
    for n in range(3):
        for flush in range(flushes):
            at = NOON + n * HOUR_US + flush * S
            desk.take(connected(at)) if not flush else None
            desk.take(transaction(f"{recorder}-{n}-{flush}", at))
            desk.flush()
    for path in desk.store.path.rglob("*.parquet"):
        os.utime(path, (0, 0))
    return desk


def keeper(store: Store, notes: list[str], recorder: str = "r") -> Housekeeper:
    return Housekeeper(store, recorder, "p", grace_s=0, note=notes.append)


def sealed(store: Store) -> list[str]:
    return [p.parent.name[5:] for p in sorted(store.path.glob("transactions/hour=*/*.parquet"))]


def segments(store: Store, hour: str) -> list[Path]:
    live = live_segments(store, "r", "transactions", hour)
    return [segment.path for segment in maximal_cover(live)]


def spoil(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"\0" * 92 + b"PAR1")
    os.utime(path, (0, 0))


def test_an_unreadable_segment_is_set_aside_and_told_of(tmp_path: Path) -> None:
    desk, notes = recorded(tmp_path / "s"), Notes()
    spoil(segments(desk.store, HOURS[0])[1])
    house = Housekeeper(desk.store, "r", "p", 0, ledger=desk.ledger, note=notes.append)
    assert house.round(LATER) == HOURS[1:]  # the other hours do not wait
    assert house.round(LATER) == HOURS[:1]
    assert sealed(desk.store) == HOURS
    assert visible_ids(tmp_path / "s") == sorted(
        f"r-{n}-{flush}" for n in range(3) for flush in range(3) if (n, flush) != (0, 1)
    )
    assert len(list(desk.store.path.rglob("*.unreadable"))) == 1
    assert ".unreadable" in notes[0]
    desk.flush()
    states = {r.state for r in read_stretches(coverage_file(desk.store, HOURS[0], "r"))}
    assert "lost" in states
    assert "receiving" not in states


def test_a_seal_that_does_not_fit_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, notes = recorded(tmp_path / "s"), Notes()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, (1 << 30) - 4096, 4096))
    house = keeper(desk.store, notes)
    for _ in range(3):
        assert house.round(LATER) == []
    assert len(notes) == 3  # once an hour of the store, not once a round
    assert "KiB are free" in notes[0]
    assert len(visible_ids(tmp_path / "s")) == 9
    monkeypatch.undo()
    assert house.round(LATER, everything=True) == HOURS


def test_a_seal_of_rows_that_packed_well_needs_room_for_what_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, notes = Desk(tmp_path / "s"), Notes()
    body = base64.b64encode(b"a body that comes again and again " * 1000).decode()
    for n in range(200):
        desk.take(transaction(f"t{n}", NOON + n * S, body=body))
    desk.flush()
    live = segments(desk.store, HOURS[0])
    free = 2 * sum(path.stat().st_size for path in live)
    assert free < 200 * len(body)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, (1 << 30) - free, free))
    for path in live:
        os.utime(path, (0, 0))
    assert keeper(desk.store, notes).round(LATER) == []
    assert "KiB are free" in notes[0]


def test_an_hour_that_fails_is_tried_again_after_a_pause_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, notes, now = recorded(tmp_path / "s"), Notes(), [1000.0]
    tried: list[float] = []

    def fail(*_: object) -> None:
        tried.append(now[0])
        raise RuntimeError("odd")

    monkeypatch.setattr(sort, "write_sorted", fail)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    house = keeper(desk.store, notes)
    for _ in range(400):
        house.round(LATER)
        now[0] += 5
    assert len(tried) / 3 == pytest.approx(9, abs=2)
    assert "odd" in notes[0]


def test_a_rollup_that_fails_keeps_no_hour_from_being_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too much")

    monkeypatch.setattr(rollup, "write_rollup", fail)
    desk, notes = recorded(tmp_path / "s"), Notes()
    assert keeper(desk.store, notes).round(LATER) == HOURS
    assert len(notes) == 3
    assert "qrec rollup" in notes[0]


def test_a_segment_of_before_a_column_was_there_is_merged(tmp_path: Path) -> None:
    desk = recorded(tmp_path / "s")
    run = maximal_cover(live_segments(desk.store, "r", "transactions", HOURS[0]))
    older = pq.ParquetFile(run[0].path).read().drop_columns(["trace_id", "pod_name"])
    pq.write_table(older, run[0].path)
    merge("transactions", run, desk.writer.footer)
    assert len(segments(desk.store, HOURS[0])) == 1
    assert len(visible_ids(tmp_path / "s")) == 9


def test_small_blocks_are_gathered_once_more_where_they_follow_one_another(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    for n in range(25):
        if n == 4:  # another worker has the block between
            desk.numbers.last += 1
        desk.take(transaction(f"t{n:02d}", NOON + n * S))
        desk.flush()
        desk.writer.gather()
    assert [(file.first, file.last) for file in maximal_cover(
        live_segments(desk.store, "r", "transactions", HOURS[0]))] == [
            (1, 1), (2, 2), (3, 3), (4, 4), (6, 15), (16, 25), (26, 26)]  # fmt: skip
    assert visible_ids(tmp_path / "s") == [f"t{n:02d}" for n in range(25)]


def test_blocks_that_are_merged_while_they_are_gathered_stay_visible(tmp_path: Path) -> None:
    desk = recorded(tmp_path / "s", flushes=8)
    old = maximal_cover(live_segments(desk.store, "r", "transactions", HOURS[2]))
    for n in range(10):
        desk.take(transaction(f"t{n}", NOON + 2 * HOUR_US + (10 + n) * S))
        desk.flush()
    listed = maximal_cover(live_segments(desk.store, "r", "transactions", HOURS[2]))
    desk.writer.gather()
    merge("transactions", listed[: len(old) + 3], desk.writer.footer)
    expected = sorted([*(f"r-{n}-{flush}" for n in range(3) for flush in range(8)),
                       *(f"t{n}" for n in range(10))])  # fmt: skip
    for _ in range(3):
        assert visible_ids(tmp_path / "s") == expected
        for path in desk.store.path.rglob("*.parquet"):
            os.utime(path, (0, 0))
        keeper(desk.store, []).round(NOON)


def test_what_a_later_seal_replaced_goes_with_its_rollup(tmp_path: Path) -> None:
    desk = recorded(tmp_path / "s")
    house = keeper(desk.store, [])
    house.round(LATER)
    desk.take(transaction("late", NOON))
    desk.flush()
    house.round(LATER, everything=True)
    house.round(LATER)
    names = [
        sorted(p.name for p in desk.store.sealed_hour(table, HOURS[0]).iterdir())
        for table in ("transactions", *ROLLUPS)
    ]
    assert len(names[0]) == 1
    assert all(name == names[0] for name in names)


def test_a_large_hour_is_sealed_into_several_files_and_a_late_row_only_changes_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "_ROWS", 4)
    desk = recorded(tmp_path / "s", flushes=10)
    house = keeper(desk.store, [])
    first = house.seal("transactions", HOURS[0])
    assert [pq.read_metadata(path).num_rows for path in first] == [4, 4, 2]
    before = [path.stat().st_ino for path in first]
    desk.take(transaction("late", NOON))
    desk.flush()
    [last] = house.seal("transactions", HOURS[0])
    house.round(LATER, everything=True)
    files = sorted(desk.store.sealed_hour("transactions", HOURS[0]).iterdir())
    assert sorted([*first[:2], last]) == files
    assert [path.stat().st_ino for path in first[:2]] == before[:2]
    assert pq.read_metadata(last).num_rows == 3
    names = [path.name for path in files]
    for table in ROLLUPS:
        folder = desk.store.sealed_hour(table, HOURS[0])
        assert sorted(path.name for path in folder.iterdir()) == names
    assert len(visible_ids(tmp_path / "s")) == 31


def test_a_large_hour_is_sealed_in_part_while_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "_ROWS", 4)
    desk = recorded(tmp_path / "s", flushes=10)
    before = NOON + HOUR_US // 2
    house, expected = keeper(desk.store, []), visible_ids(tmp_path / "s")
    monkeypatch.setattr(seal, "_ROW_S", 60.0)
    assert house.round(before) == []
    assert len(segments(desk.store, HOURS[0])) == 10  # they came faster than a row a minute
    monkeypatch.setattr(seal, "_ROW_S", 0.0)
    assert house.round(before) == []  # no hour is over

    def rows() -> list[int]:
        paths = sorted(desk.store.sealed_hour("transactions", HOURS[0]).iterdir())
        for path in paths:
            os.utime(path, (NOON / 1e6, NOON / 1e6))
            assert all(place.exists() for place in desk.store.rollup(path).values())
        return [pq.read_metadata(path).num_rows for path in paths]

    assert rows() == [4, 4]
    assert len(segments(desk.store, HOURS[0])) == 2 < len(expected)
    for n in range(3):  # one more than fills a file: the next begins with what was left
        desk.take(transaction(f"t{n}", NOON + 20 * S))
        desk.flush()
    expected = visible_ids(tmp_path / "s")
    assert house.round(before) == []
    assert rows() == [4, 4, 4]
    assert visible_ids(tmp_path / "s") == expected
    assert HOURS[0] not in house.round(LATER)  # a row came just now
    for path in segments(desk.store, HOURS[0]):
        os.utime(path, (time.time() - 60, time.time() - 60))
    assert HOURS[0] in house.round(LATER)
    assert rows() == [4, 4, 4, 1]
    assert visible_ids(tmp_path / "s") == expected


def test_what_a_crash_left_goes_at_the_next_start(tmp_path: Path) -> None:
    desk = recorded(tmp_path / "s")
    keeper(desk.store, []).round(LATER)
    folder = desk.store.sealed_hour("transactions", HOURS[0])
    [file] = folder.iterdir()
    mine = [folder / f".{file.name}.77.tmp", folder / "r-000000000001.parquet"]
    mine.append(desk.store.sealed_hour("coverage", HOURS[0]) / ".r.parquet.77.tmp")
    others = [folder / ".r-2-000000000009.parquet.77.tmp", folder / "r-2-000000000001.parquet"]
    for path in mine + others:
        path.touch()
    keeper(desk.store, []).tidy()
    assert not any(path.exists() for path in mine)
    assert all(path.exists() for path in others)
    assert file.exists()


def test_the_hours_of_a_recorder_that_has_ended_are_sealed_by_another(tmp_path: Path) -> None:
    recorded(tmp_path / "s", "gone")
    desk, notes = recorded(tmp_path / "s"), Notes()
    house = keeper(desk.store, notes)
    with recorder_lock(desk.store, "gone"):  # it runs
        assert house.seal_others(LATER) == []
    assert house.seal_others(LATER) == HOURS
    names = {p.name.rpartition("-")[0] for p in desk.store.path.glob("transactions/*/*.parquet")}
    assert names == {"gone"}
    about = pq.read_metadata(next(desk.store.path.glob("transactions/*/gone*"))).metadata
    assert about[b"qrec.recorder"] == b"gone"
    assert about[b"qrec.redaction"] == desk.writer.footer[b"qrec.redaction"]


def test_a_recorder_waits_for_who_seals_its_hours_and_not_for_who_records(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    with recorder_lock(store, "r"):
        for purpose in ("", SEALING):
            with pytest.raises(UnavailableError, match="already writing"):
                recorder_lock(store, "r", purpose).__enter__()
    sealing = recorder_lock(store, "r", SEALING)
    sealing.__enter__()
    timer = threading.Timer(1.0, sealing.__exit__, (None, None, None))
    timer.start()
    begun = time.monotonic()
    with recorder_lock(store, "r"):
        assert time.monotonic() - begun > 0.9
    timer.join()


def test_a_recorder_at_its_limit_seals_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_ROUND_S", 0.01)
    monkeypatch.setattr(retention, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    desk, notes, done = recorded(tmp_path / "s"), Notes(), threading.Event()
    old = Retention(desk.store, None, None)
    arguments = keeper(desk.store, []), old, notes.append, lambda: True, done
    keeping = threading.Thread(target=retention.keep_house, args=arguments)
    begun = time.monotonic()
    keeping.start()
    try:
        wait_for(lambda: len(notes) == 3)
        assert time.monotonic() - begun > 0.5
    finally:
        done.set()
        keeping.join()
    assert sealed(desk.store) == HOURS


def test_old_hours_are_deleted_whatever_fails_beside_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(retention, "_ROUND_S", 0.01)
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(Housekeeper, "round", fail)
    desk, notes, done = recorded(tmp_path / "s"), Notes(), threading.Event()
    old = Retention(desk.store, dt.timedelta(hours=1), None)
    arguments = keeper(desk.store, []), old, notes.append, lambda: False, done
    keeping = threading.Thread(target=retention.keep_house, args=arguments)
    keeping.start()
    try:
        wait_for(lambda: sum("housekeeping failed" in note for note in notes) >= 2)
    finally:
        done.set()
        keeping.join()
    # Age counts from the newest hour, which stays with the one that it is compared with.
    assert desk.store.hours("transactions") == HOURS[1:]


@pytest.mark.parametrize("harm", [OSError(28, "No space left on device"), RuntimeError("odd")])
def test_a_seal_that_fails_leaves_nothing_on_the_disk(
    harm: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: Path, table: str, sources: object, footer: object, spill: Path) -> None:
        target.write_bytes(b"half")
        (spill / "0").write_bytes(b"spilled")
        raise harm

    desk, notes = recorded(tmp_path / "s"), Notes()
    before = sorted(desk.store.path.rglob("*"))
    monkeypatch.setattr(sort, "write_sorted", fail)
    assert keeper(desk.store, notes).round(LATER) == []
    assert len(notes) == 3
    left = set(desk.store.path.rglob("*")) - set(before)
    assert not [path for path in left if path.is_file()]


def test_a_round_looks_at_nothing_but_what_is_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = recorded(tmp_path / "s")
    house = keeper(desk.store, [])
    house.round(LATER)
    house.round(LATER)

    def fail(*_: object) -> list[str]:
        raise AssertionError("every hour ever stored was listed")

    monkeypatch.setattr(Store, "hours", fail)
    assert house.round(LATER) == []

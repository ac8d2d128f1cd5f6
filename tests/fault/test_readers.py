"""Questions asked while everything moves: none fails, no count goes down, the last is right."""

from __future__ import annotations

import itertools
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from queries.core.session import Reader
from queries.core.window import Window
from recorder.write import segments as segment_files
from recorder.write.seal import Housekeeper
from recorder.write.segments import live_segments, merge, metadata
from store.cover import maximal_cover
from store.coverage import read_stretches, write_stretches
from store.hours import HOUR_US, from_us, hour_key
from store.layout import Store
from tests.kit import NOON, Desk, S, connected, transaction, visible_ids, wait_for

SPAN = Window(from_us(NOON), from_us(NOON + 3 * HOUR_US))


def count(store: Path) -> int:
    with Reader(Store.open(store), [SPAN]) as reader:
        assert reader.notes == []
        return int(reader.query("SELECT count(*) AS n FROM transactions")["n"][0].as_py())


@pytest.mark.parametrize("questions", [60, pytest.param(1000, marks=[pytest.mark.long])])
@pytest.mark.timeout(600)
def test_questions_in_parallel_with_writing_merging_and_sealing(
    questions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_files, "FAN_IN", 3)
    path = tmp_path / "s"
    desk = Desk(path)
    desk.take(connected(NOON))
    desk.take(transaction("first", NOON))
    desk.flush()
    done = threading.Event()
    written = [1]
    problems: list[BaseException] = []
    writing = threading.Thread(target=_write, args=(desk, written, done, problems))
    keeping = threading.Thread(target=_keep, args=(desk.store, done, problems))
    counts: list[int] = []
    writing.start()
    keeping.start()
    try:
        for _ in range(questions):
            counts.append(count(path))
    finally:
        done.set()
        writing.join()
        keeping.join()
    assert problems == []
    assert counts == sorted(counts), "a count went down"
    assert count(path) == written[0] == len(set(visible_ids(path)))


def _write(
    desk: Desk, written: list[int], done: threading.Event, problems: list[BaseException]
) -> None:
    try:
        while not done.is_set():
            n = written[0]
            desk.take(transaction(f"w{n}", NOON + (n % 3) * HOUR_US + (n % 3600) * S, sent=NOON))
            desk.flush()
            written[0] += 1
    except BaseException as error:
        problems.append(error)


def _keep(store: Store, done: threading.Event, problems: list[BaseException]) -> None:
    keeper = Housekeeper(store, "r", "p", grace_s=2.0)
    try:
        while not done.wait(0.01):
            keeper.round(NOON + 5 * HOUR_US, everything=time.time_ns() % 3 == 0)
    except BaseException as error:
        problems.append(error)


def merged_and_cleared(desk: Desk) -> None:
    run = maximal_cover(live_segments(desk.store, "r", "transactions", hour_key(NOON)))
    merge("transactions", run, desk.writer.footer)
    for segment in run:
        segment.path.unlink()


def sealed_and_cleared(desk: Desk) -> None:
    Housekeeper(desk.store, "r", "p").seal("transactions", hour_key(NOON))
    shutil.rmtree(desk.store.live_hour("r", "transactions", hour_key(NOON)))


@pytest.mark.parametrize("change", [merged_and_cleared, sealed_and_cleared])
def test_a_query_that_outlives_the_grace_counts_every_row(
    change: Callable[[Desk], None], tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "s")
    for n in range(10):
        desk.take(connected(NOON)) if not n else None
        desk.take(transaction(f"t{n}", NOON + n * S))
        desk.flush()
    with Reader(desk.store, [SPAN]) as reader:
        change(desk)
        rows = reader.query("SELECT count(*) AS n FROM transactions").to_pylist()
        assert rows == [{"n": 10}]
        assert reader.notes == []


@pytest.mark.parametrize("merged", [False, True])
def test_segments_that_tell_of_other_minutes_are_not_opened(merged: bool, tmp_path: Path) -> None:
    """Also where rows come late or say what would be a time; one that does not tell is opened."""
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON))
    lie = "qrec.times\x18\x211795355980000295 1795355999999444\x00"
    for n in range(10):
        desk.take(transaction(f"{n}", NOON + n * 60 * S, authority=lie) if n != 7 else
                  transaction("late", NOON + 2 * 60 * S, sent=NOON + 420 * S))  # fmt: skip
        desk.flush()
    listed = live_segments(desk.store, "r", "transactions", hour_key(NOON))
    pq.write_table(pq.read_table(listed[5].path, partitioning=None), listed[5].path)  # tells none
    about = metadata("r", "p")
    wide = [merge("transactions", listed[at : at + 2], about) for at in (0, 4) if merged]
    span = Window(from_us(NOON + 2 * 60 * S), from_us(NOON + 4 * 60 * S))
    rows = "SELECT request_id FROM transactions WHERE ts >= $begin AND ts < $end ORDER BY 1"
    limits = {"begin": span.from_ts, "end": span.to_ts}
    with Reader(desk.store, [span]) as reader:
        found = [row["request_id"] for row in reader.query(rows, limits).to_pylist()]
        assert found == ["2", "3", "late"]
        opened = [one.path for one in listed if one.path in reader.files["transactions"]]
        assert opened == [listed[n].path for n in ((2, 3, 7, 9) if merged else (2, 3, 5, 7, 9))]
        assert set(reader.files["transactions"]) - set(opened) == set(wide[1:])
    folder = desk.store.live_hour("r", "connections", hour_key(NOON))
    folder.mkdir(parents=True)
    for one in listed:  # a connection may have been opened before the window
        shutil.copy(one.path, folder)
    with Reader(desk.store, [span], ["connections"]) as reader:
        assert len(reader.files["connections"]) == len(listed)


def test_an_hour_that_is_deleted_under_a_query_is_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON))
    desk.take(transaction("a", NOON), transaction("b", NOON + HOUR_US, sent=NOON))
    desk.flush()
    with Reader(desk.store, [SPAN]) as reader:
        shutil.rmtree(desk.store.live_hour("r", "transactions", hour_key(NOON)))
        rows = reader.query("SELECT request_id FROM transactions").to_pylist()
        assert rows == [{"request_id": "b"}]
        assert [note.code for note in reader.notes] == ["deleted"]
        assert "2026-11-22T12" in reader.notes[0].text


def test_coverage_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """A recorder replaces it every few seconds, and DuckDB looks at a file more than once."""
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON))
    desk.take(transaction("a", NOON))
    desk.flush()
    [file] = (tmp_path / "s" / "coverage").glob("*/r.parquet")
    replacing = multiprocessing.get_context("spawn").Process(target=_replace, args=(file,))
    replacing.start()
    try:
        first = file.stat().st_mtime_ns
        wait_for(lambda: file.stat().st_mtime_ns != first)
        assert [count(tmp_path / "s") for _ in range(60)] == [1] * 60
    finally:
        replacing.kill()
        replacing.join()


def _replace(file: Path) -> None:
    rows = read_stretches(file)
    for times in itertools.cycle(range(1, 8)):
        write_stretches(file, rows * times)


def test_three_recorders_share_a_store_from_three_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_record_some, args=(tmp_path / "s", name)) for name in "abc"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert visible_ids(tmp_path / "s") == sorted(f"{name}{n}" for name in "abc" for n in range(20))
    assert count(tmp_path / "s") == 60


def _record_some(path: Path, name: str) -> None:
    desk = Desk(path, name)
    desk.take(connected(NOON))
    keeper = Housekeeper(desk.store, name, "p")
    for n in range(20):
        desk.take(transaction(f"{name}{n}", NOON + n * S))
        desk.flush(n * S)
        if n % 7 == 6:
            keeper.round(NOON + 5 * HOUR_US, everything=True)

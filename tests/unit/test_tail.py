"""What following promises: what is written after its start, once, in order, through the filter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import filters
from qrec.__main__ import main
from queries.tail import Follower
from recorder.write.seal import Housekeeper
from tests.kit import NOON, Desk, S, connected, transaction


def test_only_what_comes_after_its_start(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(), transaction("a"))
    desk.flush()
    follower = Follower(desk.store)
    assert follower.poll() == []
    desk.take(transaction("c", NOON + 2 * S), transaction("b", NOON + S))
    desk.flush()
    assert [line.id.rpartition(":")[2] for line in follower.poll()] == ["4", "3"]
    assert follower.poll() == []
    follower.close()


def test_late_ones_into_another_hour_and_merged_ones_come_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    follower = Follower(desk.store)
    desk.take(connected(), transaction("a", NOON))
    desk.flush()
    desk.take(transaction("b", NOON - 3600 * S, sent=NOON))
    desk.flush()
    assert len(follower.poll()) == 2
    for number in range(20):
        desk.take(transaction(f"x{number}", NOON + number * S))
        desk.flush()
    keeper = Housekeeper(desk.store, desk.recorder, "")
    keeper.footer = desk.writer.footer
    keeper.round(NOON + 60 * S)
    assert len(follower.poll()) == 20
    assert follower.poll() == []
    follower.close()


def test_a_block_that_is_written_after_a_later_one_is_told_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    follower = Follower(desk.store)
    desk.take(connected(), transaction("a"))
    desk.take(transaction("b"))
    (slow, quick) = desk.waiting
    desk.waiting = [quick]
    desk.flush()
    assert len(follower.poll()) == 1
    desk.waiting = [slow]
    desk.flush()
    assert len(follower.poll()) == 1
    follower.close()


def test_the_filter_counts(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    follower = Follower(desk.store, filters.parse("res.status >= 500"))
    desk.take(connected(), transaction("a"), transaction("b", status=503))
    desk.flush()
    assert [line.status for line in follower.poll()] == [503]
    follower.close()


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["--json"], "jsonl"), (["nope ="], "filter"), (["a", "--where", "b"], "not both")],
)
def test_held_wrong_it_says_what_to_write(
    tmp_path: Path, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Desk(tmp_path / "s")
    assert main(["tail", *argv, "--store", str(tmp_path / "s")]) == 2
    assert said in capsys.readouterr().err


def test_without_a_recorder_it_says_so_and_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Desk(tmp_path / "s")
    assert main(["tail", "--duration", "1s", "--store", str(tmp_path / "s")]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nobody is recording" in printed.err


def test_lines_are_those_of_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from queries.tail import line_document

    desk = Desk(tmp_path / "s")
    follower = Follower(desk.store)
    desk.take(connected(), transaction("a"))
    desk.flush()
    [line] = follower.poll()
    follower.close()
    place = ["--store", str(tmp_path / "s"), "--from", "2026-11-22T11:30Z", "--last", "1h"]
    assert main(["search", "--json", *place]) == 0
    assert json.loads(capsys.readouterr().out)["transactions"] == [line_document(line)]

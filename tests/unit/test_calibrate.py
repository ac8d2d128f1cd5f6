"""What is usual here: past pairs of the same comparison, kept, and found again while they hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

import filters
from mcp_tools.server import build as build_server
from qrec.__main__ import main
from queries.core.window import Baseline, Window
from queries.diff import calibrate as asking
from queries.diff.calibrate import calibration
from queries.diff.what_changed import what_changed
from store.layout import Store
from tests.contract.stored import NOW, build, row, stretch

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - HOUR, NOW)
BEFORE = Baseline("previous", (Window(NOW - 2 * HOUR, NOW - HOUR),))
HOURS = 14  # of which five give pairs with six hours before them
BAD = 5  # hours before NOW, in which everything failed


def recorded(
    path: Path, hours: int = HOURS, gaps: Sequence[int] = (), rows: int = 240
) -> Store:  # fmt: skip
    """Quiet hours up to NOW, but for one in which everything fails; `gaps` were not recorded."""
    found: list[dict[str, Any]] = []
    for ago in range(1, hours + 1):
        start = NOW - ago * HOUR
        found += [
            row(start + HOUR * part / rows, status=500 if ago == BAD else 200)
            for part in range(rows)
            if ago not in gaps
        ]
    seen = [
        stretch(NOW - ago * HOUR, NOW - (ago - 1) * HOUR)
        for ago in range(1, hours + 1)
        if ago not in gaps
    ]
    return build(path, found, seen)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same store without results, for those that only read it, or copy it."""
    return recorded(tmp_path_factory.mktemp("calibrate") / "store").path


@pytest.fixture
def store(shared: Path, tmp_path: Path) -> Store:
    import shutil

    return Store(Path(shutil.copytree(shared, tmp_path / "store")))


def ends(found: asking.Calibrated) -> list[datetime]:
    return [pair.window.to_ts for pair in found.pairs]


def test_the_comparison_then_shows_what_is_usual(store: Store) -> None:
    before = what_changed(store, WINDOW, BEFORE)
    assert before.calibration is None
    [note] = [note for note in before.notes if note.code == "calibrate"]
    assert "qrec calibrate" in note.text
    found = calibration(store, WINDOW, BEFORE, limit=50)
    assert found.calibration is not None
    assert found.calibration.median == 0
    after = what_changed(store, WINDOW, BEFORE)
    assert after.calibration == found.calibration
    assert after.notes == before.notes[:-1]
    assert replace(after, calibration=None, notes=before.notes) == before


def test_the_hours_asked_about_and_their_baseline_are_no_past(store: Store) -> None:
    found = calibration(store, WINDOW, BEFORE, limit=50)
    assert found.pairs
    for pair in found.pairs:
        assert pair.window.to_ts - pair.window.from_ts == HOUR
        assert pair.baseline.to_ts == pair.window.from_ts
        assert pair.window.to_ts <= NOW - 2 * HOUR
    assert ends(found) == sorted(ends(found), reverse=True)


def test_an_incident_of_the_past_is_a_large_number_among_small_ones(store: Store) -> None:
    found = calibration(store, WINDOW, BEFORE, limit=50)
    loud = [pair.window.to_ts for pair in found.pairs if pair.findings]
    assert NOW - (BAD - 1) * HOUR in loud
    assert len(loud) <= 2
    assert found.calibration is not None
    assert found.calibration.p95 >= found.calibration.median == 0


def test_pairs_have_as_much_of_a_past_as_the_comparison_asked_about(store: Store) -> None:
    """With six hours before them; those of the store's first hours would be judged otherwise."""
    assert min(ends(calibration(store, WINDOW, BEFORE, limit=50))) == NOW - (HOURS - 8) * HOUR


def test_kept_results_are_not_compared_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calibration(store, WINDOW, BEFORE)
    monkeypatch.setattr(asking, "compared", _refused)
    assert calibration(store, WINDOW, BEFORE) == first
    later = Window(WINDOW.from_ts + HOUR / 2, WINDOW.to_ts + HOUR / 2)
    baseline = Baseline("previous", (Window(NOW - 1.5 * HOUR, NOW - HOUR / 2),))
    found = asking.known(store, later, baseline, None)
    assert found[0] == first.calibration, "half an hour later the same past pairs are meant"


def _refused(*_: object, **__: object) -> object:
    raise AssertionError("compared again")


def test_an_hour_of_which_more_is_known_is_compared_again(store: Store) -> None:
    calibration(store, WINDOW, BEFORE)
    hour = (NOW - 10 * HOUR).strftime("%Y-%m-%dT%H")
    [path] = store.sealed_hour("transactions", hour).glob("*.parquet")
    path.rename(path.with_name("web-000000999999.parquet"))  # as sealing in what came late does
    _, waiting = asking.known(store, WINDOW, BEFORE, None)
    assert waiting > 1, "the pairs that looked at that hour"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 2, "pairs": {"a": {"to": 3}}}',
                                    '{"format": 1, "pairs": {}}', "\x00\xff"])  # fmt: skip
def test_a_file_of_results_that_makes_no_sense_is_as_good_as_none(
    store: Store, damage: str
) -> None:
    expected = calibration(store, WINDOW, BEFORE)
    store.calibration.write_text(damage, encoding="utf-8")
    assert what_changed(store, WINDOW, BEFORE).calibration is None
    assert calibration(store, WINDOW, BEFORE) == expected
    assert what_changed(store, WINDOW, BEFORE).calibration == expected.calibration


def test_a_store_that_cannot_be_written_to_is_answered_all_the_same(store: Store) -> None:
    store.calibration.mkdir()  # in the way of the file, for root as well
    found = calibration(store, WINDOW, BEFORE)
    assert found.calibration is not None
    assert calibration(store, WINDOW, BEFORE) == found


def test_the_comparison_makes_no_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "compared", _refused)
    assert what_changed(store, WINDOW, BEFORE).calibration is None


def test_without_a_past_nothing_is_usual(tmp_path: Path) -> None:
    new = recorded(tmp_path / "new", hours=3)
    found = calibration(new, WINDOW, BEFORE)
    assert (found.calibration, found.pairs) == (None, ())
    assert "few_pairs" in {note.code for note in found.notes}
    changes = what_changed(new, WINDOW, BEFORE)
    assert changes.calibration is None
    assert "calibrate" not in {note.code for note in changes.notes}, "it would not help"


def test_hours_that_nobody_recorded_make_no_pair(tmp_path: Path) -> None:
    gaps = (5, 6)
    found = calibration(recorded(tmp_path / "s", gaps=gaps), WINDOW, BEFORE, limit=50)
    hours = {int((NOW - end) / HOUR) + 1 for end in ends(found)}
    assert hours
    assert hours.isdisjoint({4, 5, 6}), "their window or their baseline was not recorded"


def test_a_filter_has_results_of_its_own(store: Store) -> None:
    calibration(store, WINDOW, BEFORE)
    where = filters.parse("res.status >= 500")
    asked = what_changed(store, WINDOW, BEFORE, where=where)
    assert asked.calibration is None
    assert "calibrate" in {note.code for note in asked.notes}
    calibration(store, WINDOW, BEFORE, where=where)
    assert what_changed(store, WINDOW, BEFORE, where=where).calibration is not None
    kept = json.loads(store.calibration.read_text(encoding="utf-8"))["pairs"]
    assert len(kept) == 2 * 5


def test_yesterday_is_compared_with_the_days_before(tmp_path: Path) -> None:
    store = recorded(tmp_path / "s", hours=29, rows=60)
    yesterday = Baseline("same_hour", (Window(NOW - 25 * HOUR, NOW - 24 * HOUR),))
    found = calibration(store, WINDOW, yesterday, limit=50)
    assert found.pairs
    for pair in found.pairs:
        assert pair.window.to_ts - pair.baseline.to_ts == 24 * HOUR


def test_a_person_and_an_assistant_are_told_the_same(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    async def asked() -> Any:
        async with Client(build_server(store.path, UTC, lambda: NOW, listed="all")) as client:
            return (await client.call_tool("get_calibration", {"limit": 4})).structured_content

    flags = ["--store", str(store.path), "--now", NOW.isoformat(), "--timezone", "UTC"]
    assert main(["calibrate", "--json", "--limit", "4", *flags]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["calibration"]["pairs"] == 5
    assert len(document["pairs"]) == 4
    assert document["truncated"]
    assert asyncio.run(asked()) == document
    assert main(["diff", *flags]) == 0
    assert "0 findings; your quiet hours: median 0, p95 1 (5 past pairs)" in capsys.readouterr().out
    assert main(["calibrate", *flags]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("usual here: median 0, 95 % at most 1 findings, in 5 past pairs")
    assert "2026-11-22 11:00 to 12:00 UTC 10:00 to 11:00 0" in out

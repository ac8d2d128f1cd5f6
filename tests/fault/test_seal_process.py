"""An hour is sealed by a process of its own: what it does, what ends it, and what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from recorder.write import seal
from recorder.write.seal import Housekeeper, Sealer
from store.derived import ROLLUPS
from store.layout import Store
from tests.fault.processes import child, has_rows, recording, wait_until
from tests.fault.scripted import source, staying
from tests.fault.test_housekeeping import HOURS, LATER, Notes, recorded, sealed, segments, spoil
from tests.fault.test_source import event, hello
from tests.kit import NOON, visible_ids, wait_for


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seals that begin and do not end; the file that says that one has begun."""
    begun = tmp_path / "begun"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'recorder.write.seal' in sys.orig_argv:\n"
        "    from recorder.write import sort\n"
        "    def write_sorted(target, *rest):\n"
        "        target.write_bytes(b'half')\n"
        f"        open({str(begun)!r}, 'w').close()\n"
        "        time.sleep(600)\n"
        "    sort.write_sorted = write_sorted\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(seal.__file__).parents[2]}")
    return begun


def keeper(store: Store, notes: list[str], sealer: Sealer) -> Housekeeper:
    return Housekeeper(store, "r", "p", grace_s=0, note=notes.append, seal=sealer.seal)


def half_written(store: Store) -> list[Path]:
    return list(store.path.glob("transactions/hour=*/.*"))


def test_it_seals_as_the_recorder_itself_would(tmp_path: Path) -> None:
    desk, notes = recorded(tmp_path / "s"), Notes()
    assert keeper(desk.store, notes, Sealer()).round(LATER) == HOURS
    assert sealed(desk.store) == HOURS
    assert all(list(desk.store.path.glob(f"{table}/hour=*/*.parquet")) for table in ROLLUPS)
    assert len(visible_ids(tmp_path / "s")) == 9
    assert notes == []


def test_of_an_hour_that_goes_on_it_seals_what_fills_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("from recorder.write import seal\nseal._ROWS = 2\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(seal.__file__).parents[2]}")
    monkeypatch.setattr(seal, "_ROWS", 2)
    monkeypatch.setattr(seal, "_ROW_S", 0.0)
    desk, notes = recorded(tmp_path / "s"), Notes()
    assert keeper(desk.store, notes, Sealer()).round(NOON) == []
    assert sealed(desk.store) == HOURS
    assert [len(segments(desk.store, hour)) for hour in HOURS] == [1, 1, 1]
    assert len(visible_ids(tmp_path / "s")) == 9
    assert notes == []


def test_what_goes_wrong_there_is_told_as_ever(tmp_path: Path) -> None:
    desk, notes = recorded(tmp_path / "s"), Notes()
    spoil(segments(desk.store, HOURS[0])[1])
    house = keeper(desk.store, notes, Sealer())
    assert house.round(LATER) == HOURS[1:]
    assert "cannot be read" in notes[0]
    assert house.round(LATER) == HOURS[:1]


def test_one_that_is_killed_leaves_nothing_and_the_hour_is_tried_again(
    tmp_path: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, notes = recorded(tmp_path / "s"), Notes()
    house = keeper(desk.store, notes, Sealer())
    rounds = threading.Thread(target=house._tend, args=("transactions", HOURS[0], LATER, True))
    harm: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda about: harm.append(about.exc_value))
    rounds.start()
    wait_for(slow.exists)
    child("recorder.write.seal").kill()
    rounds.join()
    assert "ended with -9" in str(harm[0])
    assert half_written(desk.store) == []
    monkeypatch.delenv("PYTHONPATH")
    assert house.round(LATER) == HOURS


def test_it_ends_when_it_is_told_to_and_says_nothing(tmp_path: Path, slow: Path) -> None:
    desk, notes, sealer = recorded(tmp_path / "s"), Notes(), Sealer()
    house = keeper(desk.store, notes, sealer)
    hours: list[str] = []
    rounds = threading.Thread(target=lambda: hours.extend(house.round(LATER)))
    rounds.start()
    wait_for(slow.exists)
    sealer.end()
    rounds.join()
    assert (hours, notes) == ([], [])
    assert half_written(desk.store) == []


def test_it_ends_with_the_recorder_that_holds_the_lock(tmp_path: Path, slow: Path) -> None:
    desk = recorded(tmp_path / "s")
    owner = subprocess.Popen(
        [sys.executable, "-c",
         "import sys; from pathlib import Path; from store.layout import Store\n"
         "from recorder.write.seal import Housekeeper, Sealer\n"
         "keeper = Housekeeper(Store(Path(sys.argv[1])), 'r', 'p')\n"
         "Sealer().seal(keeper, 'transactions', sys.argv[2])",
         str(desk.store.path), HOURS[0]],
    )  # fmt: skip
    wait_for(slow.exists)
    process = child("recorder.write.seal", owner.pid)
    owner.kill()
    owner.wait()
    process.wait(timeout=60)


def test_a_recorder_ends_in_time_beside_one(tmp_path: Path, slow: Path) -> None:
    for path in recorded(tmp_path / "s").store.path.rglob("*.parquet"):
        os.utime(path, (0, 0))
    with source(staying(hello(), event("a"))) as qtap:
        process = recording(qtap.url, tmp_path)
        wait_until(lambda: has_rows(tmp_path) and slow.exists())
        family = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    psutil.wait_procs(family, timeout=60)
    assert not any(child.is_running() for child in family)

"""A file that cannot be read is a gap, never a silence; a rollup that breaks costs nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fixtures import bundled_stream
from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from recorder.options import RecordOptions
from recorder.replay import replay
from store.derived import ROLLUPS
from store.hours import HOUR_US, from_us
from store.layout import Store
from tests.kit import NOON

WINDOW = Window(from_us(NOON + HOUR_US), from_us(NOON + 2 * HOUR_US))
BASELINE = Baseline("previous", (Window(from_us(NOON), from_us(NOON + HOUR_US)),))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "store"
    replay([bundled_stream("checkout-incident")], RecordOptions(store=path))
    return path


@pytest.fixture
def store(recorded: Path, tmp_path: Path) -> Store:
    shutil.copytree(recorded, tmp_path / "store")
    for live in (tmp_path / "store" / "_live").glob("*/transactions"):
        shutil.rmtree(live)  # what sealing left for readers that were under way
    return Store(tmp_path / "store")


def files(store: Store, table: str) -> list[Path]:
    return sorted((store.path / table).glob("*/*.parquet"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    """Both ends stay Parquet's, what lies between does not."""
    data = path.read_bytes()
    middle = bytes(255 - byte for byte in data[100:-5000])
    path.write_bytes(data[:100] + middle + data[-5000:])


@pytest.mark.parametrize("damage", [cut, scramble])
def test_an_unreadable_hour_is_no_data_and_nothing_is_called_gone(
    store: Store, damage: object
) -> None:
    for table in ("transactions", *ROLLUPS):
        assert callable(damage)
        damage(files(store, table)[-1])
    changes = what_changed(store, WINDOW, BASELINE)
    assert changes.verdict == "no_data"
    assert changes.findings == ()
    assert "unreadable_file" in {note.code for note in changes.notes}


@pytest.mark.parametrize("damage", [cut, scramble, Path.unlink])
def test_a_broken_rollup_changes_no_answer(store: Store, damage: object) -> None:
    expected = to_document(what_changed(store, WINDOW, BASELINE))
    assert expected["findings"]
    for path in [path for table in ROLLUPS for path in files(store, table)]:
        assert callable(damage)
        damage(path)
    document = to_document(what_changed(store, WINDOW, BASELINE))
    document["notes"] = [one for one in document["notes"] if one["code"] != "unreadable_file"]
    assert document == expected

"""An answer is the same whether it is counted from rollups or from the rows they were made of."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import recorder.write.seal
from fixtures.files import bundled_stream
from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from recorder.options import RecordOptions
from recorder.replay import replay
from store import Store
from store.hours import HOUR_US, from_us
from tests.kit import NOON

OLD_SHAPE = Path("fixtures/stores/1/rollups")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "store"
    replay([bundled_stream("checkout-incident")], RecordOptions(store=path))
    return path


@pytest.fixture
def store(recorded: Path, tmp_path: Path) -> Store:
    shutil.copytree(recorded, tmp_path / "store")
    return Store(tmp_path / "store")


def asked(store: Store, early: int) -> dict[str, Any]:
    """The window ends so many minutes before the stream does, and cuts hours in two."""
    end = from_us(NOON + 2 * HOUR_US) - dt.timedelta(minutes=early)
    length = dt.timedelta(minutes=60 - early)
    window = Window(end - length, end)
    before = Window(end - 2 * length, end - length)
    return to_document(what_changed(store, window, Baseline("previous", (before,))))


def rollups(store: Store) -> list[Path]:
    return sorted((store.path / "rollups").glob("*/*.parquet"))


def rebuilt(store: Store) -> None:
    for path in rollups(store):
        hour = path.parent.name.removeprefix("hour=")
        rows = store.sealed_hour("transactions", hour) / path.name
        owner = path.stem.rpartition("-")[0]
        recorder.write.seal.Housekeeper(store, owner, "none").roll_up(hour, rows, path.name)


@pytest.mark.parametrize("early", [0, 7, 25])
def test_rollups_and_rows_give_the_same_document(store: Store, early: int) -> None:
    expected = asked(store, early)
    assert expected["findings"]
    for path in rollups(store):
        path.unlink()
    assert asked(store, early) == expected


def test_a_key_may_be_told_in_several_rows_of_a_rollup(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asked(store, 7)
    rows = [pq.ParquetFile(path).metadata.num_rows for path in rollups(store)]
    monkeypatch.setattr(recorder.write.seal, "_AT_ONCE", 97)
    rebuilt(store)
    assert sum(pq.ParquetFile(p).metadata.num_rows for p in rollups(store)) > sum(rows)
    assert asked(store, 7) == expected


def test_a_rollup_of_an_older_shape_is_left_alone_and_rows_are_counted(store: Store) -> None:
    expected = asked(store, 0)
    old = next(OLD_SHAPE.glob("*/*.parquet"))
    for path in rollups(store):
        shutil.copyfile(old, path)
    assert asked(store, 0) == expected


@pytest.mark.parametrize("column", ["duration_codes", "minute_seq", "minutes"])
def test_a_rollup_that_breaks_where_it_is_read_late_costs_nothing(
    store: Store, column: str
) -> None:
    expected = asked(store, 0)
    for path in rollups(store):
        with pq.ParquetFile(path) as file:
            names = [file.metadata.row_group(0).column(i).path_in_schema for i in range(19)]
            place = next(i for i, name in enumerate(names) if name.split(".")[0] == column)
            pages = file.metadata.row_group(0).column(place)
            begin, size = pages.data_page_offset, pages.total_compressed_size // 2
        data = bytearray(path.read_bytes())
        data[begin : begin + size] = bytes(255 - byte for byte in data[begin : begin + size])
        path.write_bytes(data)
        with pytest.raises((OSError, pa.ArrowException)):
            pq.ParquetFile(path).read(columns=[column])
    assert asked(store, 0) == expected

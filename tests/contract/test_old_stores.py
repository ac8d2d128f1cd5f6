"""A store of any format version that ever was can be read, with every part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from queries.core.session import Reader
from queries.core.window import Window
from store import FORMAT_VERSION
from store.hours import HOUR_US, from_us
from store.layout import Store
from store.marks import read_marks, read_pins
from tests.contract.old_store import ROWS
from tests.kit import NOON

STORES = sorted((Path(__file__).parents[2] / "fixtures" / "stores").iterdir())


@pytest.mark.parametrize("path", STORES, ids=lambda path: f"format {path.name}")
def test_an_old_store_is_read_whole(path: Path) -> None:
    store = Store.open(path)
    span = Window(from_us(NOON), from_us(NOON + 2 * HOUR_US))
    with Reader(store, [span]) as reader:
        counts = reader.query(
            "SELECT count(*) AS rows, count(*) FILTER (WHERE status = 500) AS failed,"
            " (SELECT sum(epoch(to_ts - from_ts)) FROM coverage"
            " WHERE state = 'receiving') AS covered FROM transactions"
        ).to_pylist()[0]
        assert reader.notes == []
    assert counts["rows"] == ROWS + 1
    assert counts["failed"] == 3
    assert counts["covered"] > 3600
    assert [mark.name for mark in read_marks(store)] == ["deploy 1"]
    assert [pin.name for pin in read_pins(store)] == ["kept"]


def test_every_format_has_its_store() -> None:
    assert [int(path.name) for path in STORES] == list(range(1, FORMAT_VERSION + 1))

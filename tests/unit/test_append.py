"""Files that only grow: marks, pins and journals keep their lines whatever a crash cut short."""

from __future__ import annotations

import datetime as dt
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.errors import UnavailableError
from store.files import append_line, write_text
from store.layout import Store
from store.marks import Pin, add_mark, add_pin, read_marks, read_pins

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def test_a_line_that_was_cut_short_swallows_no_other(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    for path in (store.pins, store.marks):
        path.write_text('{"name": "torn", "fr', encoding="utf-8")
    add_pin(store, Pin("incident", NOON, NOON + dt.timedelta(hours=1)))
    add_mark(store, "deploy", NOON)
    assert [pin.name for pin in read_pins(store)] == ["incident"]
    assert [mark.name for mark in read_marks(store)] == ["deploy"]


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    append_line(tmp_path / "f", "a whole line")
    append_line(tmp_path / "f", "and another")
    assert (tmp_path / "f").read_text() == "a whole line\nand another\n"


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "s")
    add_mark(store, "before", NOON)
    write, calls = os.write, []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[:5])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UnavailableError, match="No space left"):
        add_mark(store, "after", NOON)
    monkeypatch.undo()
    assert store.marks.read_text().count("\n") == 1
    assert store.marks.read_text().endswith("\n")


def test_threads_that_replace_the_same_file_do_not_meet(tmp_path: Path) -> None:
    """As two questions of one page do that fetch the same marks."""
    path = tmp_path / "marks.jsonl"

    def write(number: int) -> None:
        for _ in range(50):
            write_text(path, f"{number}\n" * 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(set(path.read_text().splitlines())) == 1
    assert list(tmp_path.iterdir()) == [path]

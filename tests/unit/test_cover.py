"""Which files make up an hour: each row once, whatever has been merged, sealed or came late."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.cover import (
    maximal_cover,
    sealed_by_recorder,
    sealed_in,
    sealed_name,
    segment_name,
    segments_in,
    superseded,
)
from store.hours import is_hour
from store.layout import Store


def names(*ranges: tuple[int, int]) -> list[Path]:
    return [Path(segment_name(first, last)) for first, last in ranges]


def covered(*ranges: tuple[int, int], sealed: Sequence[tuple[int, int]] = ()) -> list[Path]:
    files = sealed_in([Path(sealed_name("r", last, first)) for first, last in sealed])
    return [file.path for file in maximal_cover([*segments_in(names(*ranges)), *files])]


def test_a_merged_segment_swallows_its_parts() -> None:
    assert covered((1, 10), (11, 20), (1, 20), (21, 30)) == names((1, 20), (21, 30))


def test_holes_between_flushes_of_other_hours_do_not_matter() -> None:
    assert covered((1, 10), (31, 40), (1, 40), (51, 60)) == names((1, 40), (51, 60))


def test_what_is_sealed_is_not_read_from_segments_and_late_rows_are() -> None:
    chosen = covered((1, 10), (11, 20), (21, 25), sealed=[(0, 20)])
    assert chosen == [Path("r-000000000020.parquet"), *names((21, 25))]


def test_a_large_hour_is_in_several_sealed_files() -> None:
    chosen = covered((1, 20), (21, 40), (41, 60), sealed=[(0, 20), (21, 40)])
    assert [str(path) for path in chosen] == [
        "r-000000000020.parquet", "r-000000000021_000000000040.parquet", str(names((41, 60))[0]),
    ]  # fmt: skip


def test_a_merge_over_the_edge_of_what_is_sealed_counts_for_nothing() -> None:
    ranges = (11, 20), (21, 30), (11, 30)
    assert covered(*ranges, sealed=[(0, 20)])[1:] == names((21, 30))


def test_the_widest_sealed_files_count() -> None:
    listed = ["web-1-000000000100", "web-1-000000000200", "web-000000000101_000000000200", "x"]
    files = sealed_by_recorder([Path(f"{name}.parquet") for name in listed])
    assert {name: [(f.first, f.last) for f in of] for name, of in files.items()} == {
        "web-1": [(0, 200)],
        "web": [(101, 200)],
    }


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9, unique=True))
def test_what_is_superseded_lies_in_what_replaced_it(pairs: list[tuple[int, int]]) -> None:
    nested = [(a, b) for a, b in pairs if a <= b]
    nested = [r for i, r in enumerate(nested) if all(apart_or_nested(r, s) for s in nested[:i])]
    files = segments_in(names(*nested))
    for old, by in superseded(files):
        assert by.first <= old.first <= old.last <= by.last
    assert len(superseded(files)) + len(maximal_cover(files)) == len(files)


def apart_or_nested(a: tuple[int, int], b: tuple[int, int]) -> bool:
    a, b = sorted((a, b), key=lambda r: (r[0], -r[1]))
    return b[0] > a[1] or b[1] <= a[1]


def test_temporary_and_foreign_files_are_no_segments(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    folder = store.live_hour("r", "transactions", "2026-11-22T13")
    folder.mkdir(parents=True)
    for name in (".000000000001-000000000002.parquet.77.tmp", "notes.txt", "1-2.parquet"):
        (folder / name).touch()
    assert list(store.visible("transactions", "2026-11-22T13")) == []


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.data())
def test_any_history_of_merges_covers_every_number_once(
    sizes: list[int], data: st.DataObject
) -> None:
    ranges, start = [], 1
    for size in sizes:
        ranges.append((start, start + size - 1))
        start += size
    everything = list(ranges)
    for _ in range(data.draw(st.integers(0, 4))):
        live = maximal_cover(segments_in(names(*everything)))
        i = data.draw(st.integers(0, len(live) - 1))
        j = data.draw(st.integers(i, len(live) - 1))
        everything.append((live[i].first, live[j].last))
    chosen = segments_in(covered(*everything))
    held = [n for file in chosen for n in range(file.first, file.last + 1)]
    assert held == list(range(1, start))


@pytest.mark.parametrize(
    "name", ["2026-W47-7T13", "20261122T1314", "2026-11-22 13", "2026-11-22T24"]
)
def test_an_hour_is_written_in_one_way(name: str) -> None:
    assert is_hour("2026-11-22T13")
    assert not is_hour(name)

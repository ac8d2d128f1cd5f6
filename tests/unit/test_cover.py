"""Which files make up an hour: each row once, whatever has been merged, sealed or came late."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from store.cover import maximal_cover, newest, sealed_in, segment_name, segments_in
from store.layout import Store


def names(*ranges: tuple[int, int]) -> list[Path]:
    return [Path(segment_name(first, last)) for first, last in ranges]


def covered(*ranges: tuple[int, int], beyond: int = -1) -> list[tuple[int, int]]:
    return [(s.first, s.last) for s in maximal_cover(segments_in(names(*ranges)), beyond)]


def test_a_merged_segment_swallows_its_parts() -> None:
    assert covered((1, 10), (11, 20), (1, 20), (21, 30)) == [(1, 20), (21, 30)]


def test_holes_between_flushes_of_other_hours_do_not_matter() -> None:
    assert covered((1, 10), (31, 40), (1, 40), (51, 60)) == [(1, 40), (51, 60)]


def test_what_is_sealed_is_not_read_from_segments_and_late_rows_are() -> None:
    assert covered((1, 10), (11, 20), (21, 25), beyond=20) == [(21, 25)]


def test_the_highest_generation_counts() -> None:
    files = sealed_in(
        [Path("web-1-000000000100.parquet"), Path("web-1-000000000200.parquet"), Path("x.parquet")]
    )
    assert {name: file.generation for name, file in newest(files).items()} == {"web-1": 200}


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
    chosen = covered(*everything)
    held = [n for first, last in chosen for n in range(first, last + 1)]
    assert held == list(range(1, start))

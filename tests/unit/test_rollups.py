"""An answer is the same whether it is counted from rollups or from the rows they were made of."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import queries.diff.compare
import queries.diff.counts
import recorder.write.rollup
from fixtures import bundled_stream
from queries.core.answer import to_document
from queries.core.session import Reader
from queries.core.window import Baseline, Window
from queries.diff.axis import Axis
from queries.diff.compare import affordable
from queries.diff.counts import counts_of
from queries.diff.durations import Entries
from queries.diff.what_changed import what_changed
from recorder.options import RecordOptions
from recorder.replay import replay
from recorder.write.rollup import write_rollup
from recorder.write.segments import metadata, write_segment
from store.cover import sealed_name, segment_name
from store.derived import DURATIONS, KEYS, MINUTES, ROLLUPS
from store.files import parquet
from store.hours import HOUR_US, from_us, hour_key
from store.layout import Store
from tests.kit import NOON, Event, S, connected, frame, transaction

MINUTE = 60_000_000


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


def asked_of_broken(store: Store, early: int) -> dict[str, Any]:
    """The same, but for the note that a rollup cannot be read, which has to be there."""
    document = asked(store, early)
    notes = [note for note in document["notes"] if note["code"] != "unreadable_file"]
    assert len(notes) < len(document["notes"])
    return {**document, "notes": notes}


def rollups(store: Store, table: str = KEYS) -> list[Path]:
    paths = sorted((store.path / table).glob("*/*.parquet"))
    assert paths
    return paths


def rebuilt(store: Store) -> None:
    for path in rollups(store):
        hour = path.parent.name.removeprefix("hour=")
        rebuilt_of(store, path.stem.rpartition("-")[0], hour, path.name)


def rebuilt_of(store: Store, owner: str, hour: str, name: str) -> None:
    rows = store.sealed_hour("transactions", hour) / name
    write_rollup(store, hour, rows, name, metadata(owner, "none"))


@pytest.mark.parametrize("early", [0, 7, 25])
def test_rollups_and_rows_give_the_same_document(store: Store, early: int) -> None:
    expected = asked(store, early)
    assert expected["findings"]
    for path in rollups(store):
        path.unlink()
    assert asked(store, early) == expected


@pytest.mark.parametrize("early", [0, 7, 25])
def test_large_rollups_read_one_by_one_give_the_same_document(
    store: Store, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asked(store, early)
    monkeypatch.setattr(queries.diff.counts, "_SMALL", -1)
    assert asked(store, early) == expected


@pytest.mark.parametrize("early", [0, 7, 25])
def test_no_row_is_read_where_there_are_rollups(
    store: Store, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count_rows(*_: object) -> None:
        raise AssertionError("rows were counted")

    monkeypatch.setattr(queries.diff.counts._Counting, "_count", count_rows)
    assert asked(store, early)["findings"]


def test_a_short_window_counts_its_seconds_from_rows_and_the_past_from_rollups(
    store: Store,
) -> None:
    def asked_of_minutes() -> dict[str, Any]:
        window, before = (
            Window(from_us(NOON + begin * MINUTE), from_us(NOON + end * MINUTE))
            for begin, end in ((80, 90), (50, 60))
        )
        return to_document(what_changed(store, window, Baseline("explicit", (before,))))

    expected = asked_of_minutes()
    assert expected["findings"]
    for path in rollups(store):
        path.unlink()
    assert asked_of_minutes() == expected


def test_of_an_hour_that_goes_on_a_part_is_told_by_its_rollup_and_the_rest_by_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few of its minutes all by rows."""
    end, hour = NOON + 2 * HOUR_US, "2026-11-22T13"
    monkeypatch.setattr(queries.diff.compare, "_MOST_ROWS", 100)  # two minutes of the past are left
    short = Window(from_us(end - 3 * MINUTE), from_us(end))
    before = Window(from_us(end - 6 * MINUTE), from_us(end - 3 * MINUTE))

    def minutes() -> dict[str, Any]:
        return to_document(what_changed(store, short, Baseline("previous", (before,))))

    [sealed] = store.sealed_hour("transactions", hour).iterdir()
    owner, live = sealed.stem.rpartition("-")[0], store.live(sealed.stem.rpartition("-")[0])
    for path in rollups(store):
        path.unlink() if path.name == sealed.name and hour in path.parts[-2] else None
    rows, whole = pq.read_table(sealed, partitioning=None), sealed.rename(live / "whole")
    for place, part in (
        (sealed.with_name(sealed_name(owner, 49_999, 1)), rows[: len(rows) // 2]),
        (store.live_hour(owner, "transactions", hour) / segment_name(50_000, 99_999),
         rows[len(rows) // 2 :]),
    ):  # fmt: skip
        place.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(part, place)
    by_rows = asked(store, 0), minutes()
    rebuilt_of(store, owner, hour, sealed_name(owner, 49_999, 1))
    counted, count = list[int](), queries.diff.counts._Counting._count

    def counts(self: Any, paths: Any, *of: Any) -> None:
        counted.append(len(paths))
        count(self, paths, *of)

    monkeypatch.setattr(queries.diff.counts._Counting, "_count", counts)
    assert (asked(store, 0), minutes()) == by_rows
    assert by_rows[0]["findings"]
    assert counted == [1, 2]
    whole.unlink()


@pytest.mark.parametrize("lacking", [[], ["pod_name"]])
def test_segments_of_a_live_hour_that_tell_of_other_minutes_are_not_opened(
    store: Store, lacking: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a row counts wherever it stands: one that came late is in a later segment. lacking:
    columns that only the first segment has, as after an older version."""
    end, hour = NOON + 2 * HOUR_US, "2026-11-22T13"
    monkeypatch.setattr(queries.diff.compare, "_MOST_ROWS", 100)  # two minutes of the past are left
    window = Window(from_us(end - 6 * MINUTE), from_us(end - 3 * MINUTE))
    before = Window(from_us(end - 9 * MINUTE), window.from_ts)

    def minutes() -> dict[str, Any]:
        return to_document(what_changed(store, window, Baseline("previous", (before,))))

    [sealed] = store.sealed_hour("transactions", hour).iterdir()
    owner = sealed.stem.rpartition("-")[0]
    for path in rollups(store):
        path.unlink() if path.name == sealed.name and hour in path.parts[-2] else None
    expected = minutes()
    rows = pq.read_table(sealed, partitioning=None).sort_by("ts")
    sealed.unlink()
    times = rows["ts"].to_pylist()
    late = next(at for at, ts in enumerate(times) if ts >= window.from_ts)
    edges = [0, *(sum(ts < from_us(end - ago * MINUTE) for ts in times) for ago in (30, 15, 5, 2))]
    folder = store.live_hour(owner, "transactions", hour)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (first, last) in enumerate(pairwise([*edges, len(rows)])):
        part = [at for at in range(first, last) if at != late] + [late] * (number == 4)
        segment = rows.take(part).drop_columns(lacking if number else [])
        write_segment(folder, segment, 1_000 * number, 1_000 * number + 999, {})
    opened, result = list[str](), Reader._result

    def read(self: Reader, text: str, *of: Any) -> Any:
        opened.extend(re.findall(r"(\d+)000-", text))
        return result(self, text, *of)

    monkeypatch.setattr(Reader, "_result", read)
    assert minutes() == expected
    assert expected["window"]["requests"]
    assert set(opened) == {f"{number:09d}" for number in range(0 if lacking else 2, 5)}


def test_of_a_busy_hour_that_still_grows_the_newest_minutes_are_past(store: Store) -> None:
    half = (NOON + HOUR_US, NOON + HOUR_US + 30 * MINUTE)
    hour = (NOON, NOON + HOUR_US)
    window = Window(from_us(half[1]), from_us(half[1] + 3 * MINUTE))
    folder = store.live_hour("busy", "transactions", "2026-11-22T13")
    folder.mkdir(parents=True)
    for rows, minutes in ((queries.diff.compare._MOST_ROWS, 30), (3_300_000, 2), (900_000, 7)):
        sealed = store.sealed_hour("transactions", "2026-11-22T13")
        shutil.copy(next(sealed.glob("*.parquet")), folder / segment_name(1, rows))
        with Reader(store, [window, Window(*map(from_us, hour))], views=False) as reader:
            past = affordable(reader, [window], [half, hour])
        assert past == ((half[1] - minutes * MINUTE, half[1]), hour)
        (folder / segment_name(1, rows)).unlink()
    # the same rows, of which a part is sealed already
    part = sealed / sealed_name("busy", 3_000_000, 1)
    for path in (part, folder / segment_name(3_000_001, 3_300_000)):
        shutil.copy(next(sealed.glob("*.parquet")), path)
    with Reader(store, [window, Window(*map(from_us, hour))], views=False) as reader:
        assert affordable(reader, [window], [half, hour])[0] == (half[1] - 2 * MINUTE, half[1])


@pytest.mark.parametrize(("enough", "hours"), [(10**9, [1, 2, 3, 4, 6, 8]), (1, [1, 2, 3])])
def test_durations_are_read_of_near_and_far_past_hours_and_of_busy_ones_the_newest(
    store: Store, enough: int, hours: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    past = tuple((NOON - ago * HOUR_US, NOON - (ago - 1) * HOUR_US) for ago in range(1, 10))
    for table in ("transactions", *ROLLUPS):
        noon = store.sealed_hour(table, "2026-11-22T12")
        for begin, _ in past:
            shutil.copytree(noon, store.sealed_hour(table, hour_key(begin)))
    monkeypatch.setattr(queries.diff.counts, "_ENOUGH", enough)
    window = Window(from_us(NOON), from_us(NOON + HOUR_US))
    axis = Axis((window,), past)
    with Reader(store, [Window(from_us(past[-1][0]), window.to_ts)], views=False) as reader:
        counts = counts_of(reader, axis)
        cells = list(counts.spread(np.arange(counts.keys.size)))
    slots = {int(slot) for one in cells for slot in one.slot[:1]}
    assert sorted(slot - axis.size + 1 for slot in slots if slot >= axis.size) == hours


def test_more_requests_than_an_entry_holds_are_several_entries() -> None:
    room = Entries.room(1 << 20, 50, 1 << 20)
    most = (1 << room.counts) - 1
    columns = [np.array(x) for x in ([5, 3], [9, 7], [200, 100], [4, 2 * most + 5])]
    entries = room.holding([room.packed(*columns)])
    assert [entries.unit(entries.codes).tolist(), entries.slot(entries.codes).tolist()] == [
        [3, 3, 3, 5], [100, 100, 100, 200],
    ]  # fmt: skip
    assert entries.bucket(entries.codes).tolist() == [7, 7, 7, 9]
    assert sorted(entries.requests(entries.codes).tolist()) == [4, 5, most, most]
    assert entries.histogram(6).total.tolist() == [0, 0, 0, 2 * most + 5, 0, 4]


def test_slots_blocks_and_past_hours_hold_what_the_rows_hold(store: Store) -> None:
    window, before = (
        Window(from_us(NOON + begin * MINUTE), from_us(NOON + end * MINUTE))
        for begin, end in ((65, 120), (60, 65))
    )
    axis = Axis((window, before), ((NOON, NOON + HOUR_US),))
    with Reader(store, [Window(from_us(NOON), window.to_ts)], views=False) as reader:
        sums = []
        for rollups_too in (True, False):
            counts = counts_of(reader, axis, rollups=rollups_too)
            sums.append([
                np.sum([np.bincount(c.slot, c.requests, axis.size + 1) for c in cells], 0).tolist()
                for cells in ([counts.traffic], counts.spread(np.arange(counts.keys.size)))
            ])  # fmt: skip
        assert sums[0] == sums[1]
        rows = reader.con.execute(f"SELECT count(*) FROM {parquet(reader.files['transactions'])}")
        assert sum(sums[0][0]) == rows.fetchall()[0][0]


def test_a_key_may_be_told_in_several_rows_of_a_rollup(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asked(store, 7)
    rows = [pq.ParquetFile(path).metadata.num_rows for path in rollups(store)]
    monkeypatch.setattr(recorder.write.rollup, "_AT_ONCE", 1)
    for path in store.path.glob("transactions/*/*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=97)
    rebuilt(store)
    assert sum(pq.ParquetFile(p).metadata.num_rows for p in rollups(store)) > sum(rows)
    assert asked(store, 7) == expected


def test_a_rollup_that_lacks_a_column_is_left_alone_and_rows_are_counted(store: Store) -> None:
    expected = asked(store, 0)
    for path in rollups(store):
        pq.write_table(pq.read_table(path).drop_columns(["grpc_status"]), path)
    assert asked_of_broken(store, 0) == expected


@pytest.mark.parametrize("table", ROLLUPS)
def test_a_rollup_that_is_not_there_in_full_does_not_count(store: Store, table: str) -> None:
    expected = asked(store, 7)
    rollups(store, table)[0].unlink()
    assert asked(store, 7) == expected


def test_durations_in_a_thread_of_their_own_answer_the_same_and_break_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asked(store, 7)
    monkeypatch.setattr(queries.diff.compare, "_BUSY", 0)
    assert asked(store, 7) == expected
    for path in rollups(store, DURATIONS):
        pq.write_table(pq.read_table(path).drop_columns(["bucket"]), path)
    assert asked_of_broken(store, 7) == expected


@pytest.mark.parametrize(
    ("table", "column"),
    [(KEYS, "host"), (MINUTES, "seq"), (MINUTES, "minute"), (DURATIONS, "bucket")],
)
def test_a_rollup_that_breaks_where_it_is_read_late_costs_nothing(
    store: Store, table: str, column: str
) -> None:
    expected = asked(store, 0)
    for path in rollups(store, table):
        with pq.ParquetFile(path) as file:
            place = file.schema_arrow.get_field_index(column)
            pages = file.metadata.row_group(0).column(place)
            begin, size = pages.data_page_offset, pages.total_compressed_size // 2
        data = bytearray(path.read_bytes())
        data[begin : begin + size] = bytes(255 - byte for byte in data[begin : begin + size])
        path.write_bytes(data)
        with pytest.raises((OSError, pa.ArrowException)):
            pq.ParquetFile(path).read(columns=[column])
    of_broken = asked if column == "seq" else asked_of_broken  # numbers of rows are not read
    assert of_broken(store, 0) == expected


def call(number: int, minute: int, refused: bool) -> Event:
    """A unary gRPC call; a server that is not there answers in the headers alone."""
    headers = {":status": "200", "content-type": "application/grpc"}
    headers |= {"grpc-status": "14"} if refused else {}
    response = {"status": 200, "content_type": "application/grpc", "headers": headers}
    kind, data = transaction(
        f"c{number}", NOON + minute * 60 * S + number % 100 * S, method="POST",
        url="https://cart.example.com/shop.Cart/Get", path="/shop.Cart/Get",
        authority="cart.example.com", headers={":authority": "cart.example.com"},
    )  # fmt: skip
    outer = json.loads(data)
    inner = json.loads(base64.b64decode(outer["data"]["data"]["data"]))
    inner["response"] = response
    outer["data"]["data"]["data"] = base64.b64encode(json.dumps(inner).encode()).decode()
    return kind, json.dumps(outer)


def test_a_grpc_service_that_is_not_there_is_told_from_a_trailers_only_answer(
    tmp_path: Path,
) -> None:
    stream = tmp_path / "grpc.sse"
    events = [connected()]
    for minute in range(120):
        events += [
            call(100 * minute + i, minute, i % (2 if minute >= 60 else 97) == 1) for i in range(40)
        ]
    events.append(transaction("last", NOON + 121 * 60 * S))
    stream.write_bytes(b"".join(map(frame, events)))
    path = tmp_path / "store"
    replay([stream], RecordOptions(store=path))
    document = asked(Store(path), 0)
    [failing] = [f for f in document["findings"] if f["kind"] == "errors"]
    assert failing["severity"] == "high"
    assert failing["key"]["host"] == "cart.example.com"
    assert "failing: 50 %" in failing["summary"]
    assert "gRPC 14 UNAVAILABLE" in failing["summary"]
    assert document["window"]["errors"] == failing["window"]["errors"] == 1200
    for rollup in rollups(Store(path)):
        rollup.unlink()
    assert asked(Store(path), 0) == document


def test_rollups_are_plain_tables_for_others(store: Store) -> None:
    for table in ROLLUPS:
        for path in rollups(store, table):
            with pq.ParquetFile(path) as file:
                assert b"ARROW:schema" not in (file.metadata.metadata or {})
                assert {str(t) for t in file.schema_arrow.types} <= {
                    "string", "bool", "int16", "int32", "int64"
                }  # fmt: skip
                assert file.metadata.metadata[b"qrec.recorder"]
    with duckdb.connect() as con:
        by_key, by_minute, timed, by_duration = con.execute(
            f"SELECT (SELECT sum(requests) FROM '{store.path}/{KEYS}/**/*.parquet'),"
            f" (SELECT sum(requests) FROM '{store.path}/{MINUTES}/**/*.parquet'),"
            f" (SELECT count(duration_ms) FROM '{store.path}/transactions/**/*.parquet'),"
            f" (SELECT sum(requests) FROM '{store.path}/{DURATIONS}/**/*.parquet')"
        ).fetchall()[0]
    assert by_key == by_minute > 0
    assert timed == by_duration > 0

"""A sealed hour is sorted as a whole and holds every row once, whatever memory there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder.write import sort as sorting
from recorder.write.segments import gathered
from recorder.write.sort import write_sorted
from store.schema import CONNECTIONS, TRANSACTIONS, plain

HOSTS = ["b.example", None, "a.example", "", "c.example"]
ROUTES = ["/y", "/x", None]


def source(path: Path, first: int, count: int) -> Path:
    rows = [
        {
            "ts": (n * 7919) % 1000,
            "method": "GET",
            "host": HOSTS[n % 5],
            "route": ROUTES[n % 3],
            "path": f"/{n}",
            "user_agent": [None, f"agent {n % 90}"][n % 2],
            "req_headers": [("A", str(n)), (f"B-{n % 70}", "")][: n % 3],
            "res_headers": [],
            "findings": [],
            "res_body": bytes([n % 256]) * 50,
            "res_body_bytes": 50,
            "recorder": "r",
            "session": "s",
            "seq": n,
        }
        for n in range(first, first + count)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSACTIONS), path, row_group_size=40)
    return path


def key(row: dict[str, object]) -> tuple[object, ...]:
    host, route = row["host"], row["route"]
    return host is not None, host or "", route is not None, route or "", row["ts"]


@pytest.mark.parametrize("few", [4 << 10, 0])
@pytest.mark.parametrize("many", [256 << 10, 600, 0])
@pytest.mark.parametrize("run_bytes", [64 << 20, 30_000, 3_000, 400])
def test_all_rows_come_out_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bytes: int, many: int, few: int
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(sorting, "_LARGEST", many)
    monkeypatch.setattr(sorting, "_LARGE", few)
    sources = [source(tmp_path / f"{i}.parquet", i * 150, 150) for i in range(4)]
    (tmp_path / "spill").mkdir()
    target = tmp_path / "sealed"
    write_sorted(target, "transactions", sources, {b"about": b"us"}, tmp_path / "spill")
    table = pq.read_table(target)
    assert table.schema.equals(plain(TRANSACTIONS))
    rows = table.to_pylist()
    assert sorted(rows, key=itemgetter("seq")) == pq.read_table(sources).to_pylist()
    assert all(key(a) <= key(b) for a, b in itertools.pairwise(rows))
    assert not list((tmp_path / "spill").iterdir())


def test_a_column_that_an_older_file_lacks_is_null(tmp_path: Path) -> None:
    old = source(tmp_path / "old.parquet", 0, 10)
    pq.write_table(pq.read_table(old).drop_columns(["trace_id", "req_headers"]), old)
    new = source(tmp_path / "new.parquet", 10, 10)
    write_sorted(tmp_path / "out", "transactions", [old, new], {}, tmp_path)
    table = pq.read_table(tmp_path / "out")
    assert table.num_rows == 20
    assert table.column("trace_id").null_count == 20
    assert table.column("req_headers").null_count == 10


@pytest.mark.parametrize("count", [0, 3])
def test_other_tables_are_sorted_by_time(tmp_path: Path, count: int) -> None:
    rows = [{"ts": count - n, "seq": n} for n in range(count)]
    pq.write_table(pa.Table.from_pylist(rows, schema=CONNECTIONS), tmp_path / "in.parquet")
    write_sorted(tmp_path / "out", "connections", [tmp_path / "in.parquet"], {}, tmp_path)
    table = pq.read_table(tmp_path / "out")
    assert table.column("seq").to_pylist() == list(reversed(range(count)))


def test_one_body_over_and_over_weighs_what_it_takes_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 1 << 20)
    rows = [
        {"ts": n, "host": "a", "req_headers": [], "res_headers": [], "findings": [], "seq": n,
         "res_body": b"x" * 4096, "res_body_bytes": 4096}
        for n in range(1_000)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSACTIONS), tmp_path / "in.parquet")
    (tmp_path / "spill").mkdir()
    target = tmp_path / "out"
    write_sorted(target, "transactions", [tmp_path / "in.parquet"], {}, tmp_path / "spill")
    about = pq.read_metadata(target)
    assert about.num_rows == 1_000
    assert all(about.row_group(i).num_rows <= 200 for i in range(about.num_row_groups))


def test_a_run_is_filled_and_nothing_is_read_ahead_of_it() -> None:
    read: list[int] = []

    def pieces() -> Iterator[pa.Table]:
        for n in range(5):
            read.append(n)
            yield pa.table({"n": pa.array([n] * 75, pa.int64())})

    runs = gathered(pieces(), 1_000)
    assert next(runs).num_rows == 150
    assert read == [0, 1]
    assert [run.num_rows for run in runs] == [150, 75]

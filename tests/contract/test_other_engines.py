"""What is on disk is plain Parquet: other engines read rows, rollups and coverage as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures import bundled_stream
from recorder.options import RecordOptions
from recorder.replay import replay
from tests.kit import NOON, Desk, connected, transaction


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with sealed hours, and one that is still live."""
    path = tmp_path_factory.mktemp("engines") / "store"
    replay([bundled_stream("checkout-incident")], RecordOptions(store=path))
    desk = Desk(path, "live")
    desk.take(connected(NOON), transaction("one", NOON))
    desk.flush()
    return path


def kinds(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    for number in range(kind.num_fields):
        yield from kinds(kind.field(number).type)


def test_no_file_has_types_that_others_refuse(store: Path) -> None:
    files = list(store.rglob("*.parquet"))
    assert {path.relative_to(store).parts[0] for path in files} == {
        "transactions", "database", "rollups", "coverage", "_live",
    }  # fmt: skip
    for path in files:
        for field in pq.read_schema(path):
            for kind in kinds(field.type):
                assert not pa.types.is_dictionary(kind), (path, field)
                assert not pa.types.is_unsigned_integer(kind), (path, field)


@pytest.mark.parametrize(
    ("table", "group", "total"),
    [
        ("transactions", "status", "bytes_received"),
        ("rollups/keys", "host", "requests"),
        ("rollups/minutes", "minute", "requests"),
        ("rollups/durations", "bucket", "requests"),
        ("coverage", "state", "events"),
    ],
)
def test_daft_reads_the_same(store: Path, table: str, group: str, total: str) -> None:
    daft = pytest.importorskip("daft", reason="comes with the dev extra")
    files = f"{store}/{table}/**/*.parquet"
    rows = daft.read_parquet(files).to_pydict()
    with duckdb.connect() as con:
        sums = con.execute(f"SELECT {group}, sum({total}) FROM '{files}' GROUP BY ALL").fetchall()
        names = [column[0] for column in con.execute(f"DESCRIBE FROM '{files}'").fetchall()]
    assert set(rows) >= set(names) - {"hour"}
    found: dict[object, int | None] = {}
    for key, amount in zip(rows[group], rows[total], strict=True):
        if amount is not None:
            found[key] = (found.get(key) or 0) + amount
        else:
            found.setdefault(key)
    assert found == dict(sums)

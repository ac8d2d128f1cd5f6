"""What a batch of the compiled part keeps: bounded, freed with its last column, without a secret;
and which of its rows are repeats."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from recorder.native import Native
from recorder.options import RecordOptions
from recorder.pipeline import worker
from recorder.pipeline.worker import Worker
from recorder.write.intake import Connected
from tests.kit import frame, transaction


def test_a_secret_stays_in_no_dictionary(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are left to the other path leave nothing behind in what the columns write."""
    monkeypatch.setattr(worker, "_SMALL", 0)
    from recorder.decode.columns import Who, numbered

    native = Worker(b"k" * 32, RecordOptions(store=Path()), Native(library))
    events = [
        transaction(f"r{n}", user_agent="AKIAIOSFODNN7EXAMPLE" if n == 3 else f"agent {n}",
                    headers={"X-Api-Key": f"Zq8#{n}-s3cretvalue"})
        for n in range(9)
    ]  # fmt: skip
    parts = native.process_block(b"".join(map(frame, events)))
    assert len(parts) == 2
    for part in parts:
        assert not isinstance(part, Connected)
        table = numbered("transactions", [part.transactions], 1, Who("r", "s"))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        written = sink.getvalue().to_pybytes()
        assert b"AKIAIOSFODNN7" not in written
        assert b"s3cretvalue" not in written
        assert b"agent" in written or table.num_rows == 1


def test_memory_goes_with_the_last_column(library: Path) -> None:
    block = frame(transaction("a")) * 50
    freed: list[int] = []
    batch = Native(library).read(block, 0, 100, 1 << 20, 1 << 16)
    memory = batch._memory
    free = memory._free

    def freeing(handle: int) -> None:
        freed.append(handle)
        free(handle)

    memory._free = freeing
    paths = batch.texts["path"]
    del memory, batch
    assert not freed
    assert paths.to_pylist() == ["/v1/things/1"] * 50
    del paths
    assert len(freed) == 1


@pytest.mark.parametrize("limits", [(1, 1 << 20), (100, 1), (7, 3000)])
def test_a_batch_is_bounded(library: Path, limits: tuple[int, int]) -> None:
    block = b"".join(frame(transaction(f"r{n}")) for n in range(20))
    at = events = 0
    while at < len(block):
        batch = Native(library).read(block, at, *limits, 1 << 16)
        assert 0 < batch.events <= limits[0]
        at, events = batch.at, events + batch.events
    assert events == 20

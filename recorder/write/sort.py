"""Sorting the rows of an hour within a bounded memory, whatever the hour holds.

Only the columns that order the rows are looked at first; they tell each row's place. What fits into
memory is then sorted at once; a larger hour is dealt out, run by run, to files on the disk, one for
each stretch of places, and each of those is sorted by itself. (DuckDB's sort of rows with their
bodies needed more than 256 MB for 3.6 million of them, and gave up.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.segments import conform, parquet_writer, row_group_rows
from store.schema import RECORDED, plain

RUN_BYTES = 64 << 20
_ROW_BYTES = 2 << 10  # about what a row takes without its bodies
_BODIES = ("req_body_bytes", "res_body_bytes")
_LARGEST_BODY = 1 << 20  # what was captured beyond is cut before it is written
_MOST_STRETCHES = 250  # files open at the same time
_ORDER = {"transactions": ("host", "route", "ts")}
_PLACE = "place"


def write_sorted(
    target: Path, table: str, sources: Sequence[Path], footer: dict[bytes, bytes], spill: Path
) -> None:
    """Write the rows of all `sources` (Parquet files of `table`) into one sorted file.

    spill: an empty folder on a disk with room for about half of what the rows take unpacked.
    """
    schema = RECORDED[table]
    places, stretch = _plan(sources, _ORDER.get(table, ("ts",)))
    pieces = _placed(_pieces(sources, schema), places)
    if stretch is None:
        whole = list(pieces)
        runs: Iterable[pa.Table] = [pa.concat_tables(whole)] if whole else []
    else:
        runs = _stretches(_runs(pieces), stretch, spill)
    with parquet_writer(target, schema, footer, is_sorted=True) as writer:
        for run in map(_sorted, runs):
            rows = _encoded(run.drop_columns([_PLACE]), schema)
            writer.write_table(rows, row_group_rows(rows.num_rows, rows.nbytes))
            del run, rows  # before the next one is read


def _plan(sources: Sequence[Path], names: Sequence[str]) -> tuple[Any, Any]:
    """(the place of each row in the order of `names`, by the files' order; the stretch of each
    place, None where all rows fit into memory), int32.

    What a row weighs is told by the sizes of its bodies as they were captured: packed columns
    would hide that the same body came a million times.
    """
    keys, weights = [], []
    for path in sources:
        rows = _read(path, names)
        keys.append(rows.select(names))
        weights.append(_weights(rows.drop_columns(list(names))))
    order = _order(pa.concat_tables(keys).unify_dictionaries())
    del keys  # what follows is as long as the hour has rows
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    heap = np.concatenate(weights)[order].cumsum(dtype=np.int64)
    total = int(heap[-1]) if heap.size else 0
    if total <= RUN_BYTES:
        return places, None
    size = max(RUN_BYTES * 3 // 4, -(-total // _MOST_STRETCHES))  # it is packed, too, in memory
    return places, (heap // size).astype(np.int32)


def _read(path: Path, names: Sequence[str]) -> pa.Table:
    """The columns that order rows, and those that tell what they weigh, where there are any."""
    texts = [name for name in names if name != "ts"]  # plain in files that DuckDB wrote
    with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
        wanted = [name for name in (*names, *_BODIES) if name in file.schema_arrow.names]
        return file.read(columns=wanted, use_threads=False)


def _weights(sizes: pa.Table) -> Any:
    weights = np.full(sizes.num_rows, _ROW_BYTES, np.int32)
    for column in sizes.columns:
        captured = column.cast(pa.int64()).fill_null(0).to_numpy()
        weights += np.minimum(captured, _LARGEST_BODY).astype(np.int32)
    return weights


def _order(keys: pa.Table) -> Any:
    return np.lexsort([_ranks(column) for column in reversed(keys.columns)])


def _ranks(column: pa.ChunkedArray) -> Any:
    """Numbers that order as the values of a column do; missing ones come first."""
    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.int64()).to_numpy()
    array = pa.chunked_array([pa.nulls(0, column.type), *column.chunks]).combine_chunks()
    values = array.dictionary.to_pylist()
    rank = np.empty(len(values) + 1, np.int32)
    rank[np.array(sorted(range(len(values)), key=values.__getitem__), np.int64)] = range(
        1, len(values) + 1
    )
    rank[-1] = 0
    return rank[array.indices.fill_null(len(values)).to_numpy()]


def _pieces(sources: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Row group by row group; text is plain, since each piece has its own dictionaries."""
    for path in sources:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for number in range(file.num_row_groups):
                yield conform(file.read_row_group(number, use_threads=False), plain(schema))


def _placed(pieces: Iterable[pa.Table], places: Any) -> Iterator[pa.Table]:
    at = 0

    def placed(piece: pa.Table) -> pa.Table:
        nonlocal at
        at += piece.num_rows
        return piece.append_column(_PLACE, pa.array(places[at - piece.num_rows : at]))

    return map(placed, pieces)


def _runs(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The pieces as runs of so many bytes or a little more."""
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(piece)
        del piece  # whoever takes a run is the only one to hold it
        if sum(table.nbytes for table in waiting) >= RUN_BYTES:
            yield _joined(waiting)
    if waiting:
        yield _joined(waiting)


def _joined(tables: list[pa.Table]) -> pa.Table:
    """The tables as one; the list is empty afterwards."""
    whole = pa.concat_tables(tables)
    tables.clear()
    return whole


def _stretches(runs: Iterable[pa.Table], stretch: Any, spill: Path) -> Iterator[pa.Table]:
    """The same rows dealt out, each to the stretch of its place, by way of the disk."""
    # Threads would do no more at a time here, cost an eighth and keep memory of their own.
    packed = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    unpacked = pa.ipc.IpcReadOptions(use_threads=False)
    files: dict[int, Path] = {}
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for run in map(_sorted, runs):
            numbers = stretch[run.column(_PLACE).to_numpy()]
            found, starts = np.unique(numbers, return_index=True)
            ends = [*starts[1:].tolist(), len(numbers)]
            for number, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
                if number not in writers:
                    files[number] = spill / str(number)
                    sink = stack.enter_context(pa.OSFile(str(files[number]), "wb"))
                    writer = pa.ipc.new_stream(sink, run.schema, options=packed)
                    writers[number] = stack.enter_context(writer)
                writers[number].write_table(run.slice(start, end - start))
            del run  # before the next one is read
    for _, path in sorted(files.items()):
        with pa.OSFile(str(path)) as source:
            yield pa.ipc.open_stream(source, options=unpacked).read_all()
        path.unlink()


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(np.argsort(rows.column(_PLACE).to_numpy())))


def _encoded(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        column.combine_chunks().dictionary_encode()
        if pa.types.is_dictionary(field.type)
        else column
        for field, column in zip(schema, rows.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)

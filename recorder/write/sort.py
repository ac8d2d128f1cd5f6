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

from recorder.write.segments import gathered, parquet_writer, row_group_rows, row_groups
from store.schema import RECORDED, plain

RUN_BYTES = 64 << 20  # what is sorted at once; half of it is dealt out at once
# Of a dictionary: from there on it is not carried from run to run, and it is freed of what does not
# occur in a row group.
_LARGEST, _LARGE = 256 << 10, 4 << 10
_ROW_BYTES = 2 << 10  # about what a row takes without its bodies
_BODIES = ("req_body_bytes", "res_body_bytes")
_LARGEST_BODY = 1 << 20  # what was captured beyond is cut before it is written
_FAST = -40  # negative: LZ4 takes a third less time, for files a quarter larger
_MOST_STRETCHES = 250  # files open at the same time
_BUFFER = 64 << 10  # of each: Arrow writes every column by itself, a call of the system for 1 KB
_ORDER = {"transactions": ("host", "route", "ts")}
_PLACE = "place"


def write_sorted(
    target: Path, table: str, sources: Sequence[Path], footer: dict[bytes, bytes], spill: Path
) -> None:
    """Write the rows of all `sources` (Parquet files of `table`) into one sorted file.

    spill: an empty folder on a disk with room for about half of what the rows take unpacked.
    """
    schema = _held(RECORDED[table])
    places, stretch = _plan(sources, schema, _ORDER.get(table, ("ts",)))
    pieces = _placed(row_groups(sources, schema), places)
    if stretch is None:
        whole = list(pieces)
        runs: Iterable[pa.Table] = [pa.concat_tables(whole)] if whole else []
    else:
        runs = _stretches(gathered(pieces, RUN_BYTES // 2), stretch, spill)
    with parquet_writer(target, schema, footer, is_sorted=True) as writer:
        for run in map(_sorted, runs):
            rows = _alone(run.drop_columns([_PLACE]), _larger(run, _LARGE))
            writer.write_table(rows, row_group_rows(rows.num_rows, rows.nbytes))
            del run, rows  # before the next one is read


def _held(schema: pa.Schema) -> pa.Schema:
    """A table's columns as they are held here: the names of headers, too, are dictionaries."""
    names = pa.map_(pa.dictionary(pa.int32(), pa.string()), pa.string())
    types = [names if pa.types.is_map(kind) else kind for kind in schema.types]
    return pa.schema(list(zip(schema.names, types, strict=True)))


def _larger(rows: pa.Table, size: int) -> list[str]:
    """The columns whose dictionaries take more bytes than `size`."""
    found = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        for array in column.chunks[:1]:
            values = array.keys if pa.types.is_map(array.type) else array
            if pa.types.is_dictionary(values.type) and values.dictionary.nbytes > size:
                found.append(name)
    return found


def _alone(rows: pa.Table, names: Iterable[str]) -> pa.Table:
    """The rows, with dictionaries of columns `names` that hold nothing else than they do."""
    for name in names:
        at, field = rows.column_names.index(name), rows.field(name)
        text = rows.column(at).cast(plain(pa.schema([field])).types[0])
        rows = rows.set_column(at, field, text.cast(field.type))
    return rows


def _plan(sources: Sequence[Path], schema: pa.Schema, names: Sequence[str]) -> tuple[Any, Any]:
    """(the place of each row in the order of `names`, by the files' order; the stretch of each
    place, None where all rows fit into memory), int32.

    What a row weighs is told by the sizes of its bodies as they were captured: packed columns
    would hide that the same body came a million times.
    """
    keys, weights = [], []
    wanted = pa.schema([schema.field(n) for n in (*names, *_BODIES) if n in schema.names])
    for rows in row_groups(sources, wanted):
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
    size = max(RUN_BYTES, -(-total // _MOST_STRETCHES))
    return places, (heap // size).astype(np.int32)


def _weights(sizes: pa.Table) -> Any:
    weights = np.full(sizes.num_rows, _ROW_BYTES, np.int32)
    for column in sizes.columns:
        captured = column.cast(pa.int64()).fill_null(0).to_numpy()
        weights += np.minimum(captured, _LARGEST_BODY).astype(np.int32)
    return weights


def _order(keys: pa.Table) -> Any:
    return np.lexsort([ranks(column) for column in reversed(keys.columns)])


def ranks(column: pa.ChunkedArray) -> Any:
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


def _placed(pieces: Iterable[pa.Table], places: Any) -> Iterator[pa.Table]:
    at = 0

    def placed(piece: pa.Table) -> pa.Table:
        nonlocal at
        at += piece.num_rows
        return piece.append_column(_PLACE, pa.array(places[at - piece.num_rows : at]))

    return map(placed, pieces)


def _stretches(runs: Iterable[pa.Table], stretch: Any, spill: Path) -> Iterator[pa.Table]:
    """The same rows dealt out, each to the stretch of its place, by way of the disk."""
    # Threads would do no more at a time here, cost an eighth and keep memory of their own.
    packed = pa.ipc.IpcWriteOptions(
        compression=pa.Codec("lz4", _FAST), use_threads=False, emit_dictionary_deltas=True
    )
    unpacked = pa.ipc.IpcReadOptions(use_threads=False)
    files: dict[int, Path] = {}
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        for run in _shared(runs):
            large = _larger(run, _LARGEST)
            numbers = stretch[run.column(_PLACE).to_numpy()]
            found, starts = np.unique(numbers, return_index=True)
            ends = [*starts[1:].tolist(), len(numbers)]
            for number, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
                if number not in writers:
                    files[number] = spill / str(number)
                    file = stack.enter_context(pa.OSFile(str(files[number]), "wb"))
                    sink = stack.enter_context(pa.BufferedOutputStream(file, _BUFFER))
                    writer = pa.ipc.new_stream(sink, run.schema, options=packed)
                    writers[number] = stack.enter_context(writer)
                writers[number].write_table(_alone(run.slice(start, end - start), large))
            del run  # before the next one is read
    for _, path in sorted(files.items()):
        with pa.OSFile(str(path)) as source:
            yield pa.ipc.open_stream(source, options=unpacked).read_all()
        path.unlink()


def _shared(runs: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The runs, sorted. Their dictionaries go on from run to run, so that a file holds them once;
    one that has grown too large begins anew."""
    before = None
    for run in runs:
        nothing = pa.table([pa.nulls(0, field.type) for field in run.schema], schema=run.schema)
        whole = pa.concat_tables([nothing if before is None else before, run]).unify_dictionaries()
        before = whole.slice(0, 0)
        for name in _larger(before, _LARGEST):
            at = before.column_names.index(name)
            before = before.set_column(at, before.field(at), nothing.column(at))
        del run
        yield _sorted(whole)
        del whole


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(np.argsort(rows.column(_PLACE).to_numpy())))

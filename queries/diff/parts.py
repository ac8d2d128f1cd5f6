"""Traffic of one hour out of one source, a row a key: what a comparison counts.

A part comes from a rollup, whose lists are read when they are asked for, or from rows. Both have
the columns KEY of store/rollup.py and lists of minutes and of durations; the lists of rows have an
entry a request, those of a rollup one a minute or duration. Whoever sums them gets the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from store.rollup import CODES, COLUMNS, KEY

Ints = NDArray[np.int64]
_TEXTS = frozenset(KEY) - {"status"}
_DETAILS = {"received": "minute_bytes_received", "seq": "minute_seq"}
NO_DURATION = CODES - 1  # the bucket of a request without one, in the lists of rows


class BrokenRollup(Exception):
    """A rollup that cannot be read; the rows that it was made of may still be there."""


@dataclass(frozen=True)
class Lists:
    """Values of each row, end to end: those of row r are at offsets[r]:offsets[r + 1]."""

    offsets: Ints
    values: Mapping[str, Any]

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)

    def of(self, rows: Any) -> tuple[Ints, dict[str, Any]]:
        """(row, values) of the entries of the chosen rows (their numbers)."""
        lengths = self.lengths[rows]
        before = np.cumsum(lengths) - lengths
        at = np.repeat(self.offsets[:-1][rows] - before, lengths) + np.arange(lengths.sum())
        return np.repeat(rows, lengths), {name: value[at] for name, value in self.values.items()}


def only(offsets: Ints, kept: Any, **values: Any) -> Lists:
    """Lists without the entries that are not kept."""
    if kept.all():
        return Lists(offsets, values)
    before = np.concatenate([[0], np.cumsum(kept)])
    return Lists(before[offsets], {name: value[kept] for name, value in values.items()})


@dataclass(frozen=True)
class Column:
    """One column of text or status: a code a row, and the values that the codes stand for."""

    codes: Any
    values: list[Any]


@dataclass(frozen=True)
class Part:
    """The keys of an hour (hours since the epoch), what they sum up to, and their lists.

    requests [rows]: of the whole hour. active [rows]: a bit for each minute with requests.
    """

    hour: int
    keys: Mapping[str, Column]
    requests: Ints
    active: Any

    @property
    def size(self) -> int:
        return int(self.requests.size)

    def minutes(self) -> Lists:
        """`minute` of the hour and `requests`."""
        raise NotImplementedError

    def details(self, *names: str) -> Lists:
        """The same with `received` (bytes) or `seq` (the first transaction of them) or both."""
        raise NotImplementedError

    def durations(self) -> Lists:
        """`code` (CODES * minute + bucket) and `requests`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Held(Part):
    """A part whose lists are in memory."""

    each: Lists
    spread: Lists

    def minutes(self) -> Lists:
        return self.each

    def details(self, *names: str) -> Lists:
        return self.each

    def durations(self) -> Lists:
        return self.spread


@dataclass(frozen=True)
class Rolled(Part):
    """A rollup on disk."""

    path: Path

    @cached_property
    def _minutes(self) -> Lists:
        table = _read(self.path, ["minutes", "minute_requests"])
        return lists(table, minute="minutes", requests="minute_requests")

    def minutes(self) -> Lists:
        return self._minutes

    def details(self, *names: str) -> Lists:
        columns = {name: _DETAILS[name] for name in names}
        more = lists(_read(self.path, list(columns.values())), **columns)
        return Lists(self._minutes.offsets, {**self._minutes.values, **more.values})

    def durations(self) -> Lists:
        table = _read(self.path, ["duration_codes", "duration_requests"])
        return lists(table, code="duration_codes", requests="duration_requests")


def rolled(path: Path, hour: int) -> Rolled | None:
    """The rollup at `path`; None where it is of an older shape. BrokenRollup: it cannot be read."""
    table = _read(path, [*KEY, "requests", "active"], COLUMNS)
    if table is None:
        return None
    keys = {name: _coded(table.column(name)) for name in KEY}
    active = numbers(table, "active").astype(np.uint64)  # signed on disk, for other engines
    return Rolled(hour, keys, numbers(table, "requests"), active, path)


def of_table(table: pa.Table, hour: int) -> Held:
    """A part of the columns of a rollup in memory; its sums are taken from its lists."""
    each = lists(
        table,
        minute="minutes",
        requests="minute_requests",
        received="minute_bytes_received",
        seq="minute_seq",
    )
    spread = lists(table, code="duration_codes", requests="duration_requests")
    keys = {name: _listed(table.column(name)) for name in KEY}
    requests = np.add.reduceat(each.values["requests"], each.offsets[:-1])
    return Held(hour, keys, requests, _active(each), each, spread)


def counted(table: pa.Table, hour: int) -> Held:
    """A part of rows, from the answer of cells_rows.sql (without `received` and `seqs` too)."""
    given = {"code": "codes", "received": "received", "seq": "seqs"}
    found = lists(table, **{n: c for n, c in given.items() if c in table.column_names})
    code = found.values["code"]
    ones = np.broadcast_to(np.uint32(1), code.shape)
    minute = (code // CODES).astype(np.uint8)
    each = Lists(found.offsets, {**found.values, "minute": minute, "requests": ones})
    spread = only(found.offsets, code % CODES != NO_DURATION, code=code, requests=ones)
    keys = {name: _listed(table.column(name)) for name in KEY}
    return Held(hour, keys, found.lengths, _active(each), each, spread)


def _active(each: Lists) -> Any:
    """[rows]: a bit for each minute listed. No row is without one."""
    bits = np.uint64(1) << each.values["minute"].astype(np.uint64)
    return np.bitwise_or.reduceat(bits, each.offsets[:-1])


def lists(table: pa.Table, **columns: str) -> Lists:
    """List columns of one length a row, under new names."""
    offsets: Ints = np.zeros(1, dtype=np.int64)
    values = {}
    for name, column in columns.items():
        array = table.column(column).combine_chunks()
        at = array.offsets.to_numpy()
        offsets = (at - at[0]).astype(np.int64)
        values[name] = array.values.to_numpy(zero_copy_only=False)[at[0] : at[-1]]
    return Lists(offsets, values)


def numbers(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy()


def _read(path: Path, columns: Sequence[str], required: Sequence[str] = ()) -> Any:
    """Columns of a rollup, text as dictionaries; None where it lacks some that are required."""
    try:
        # Not read_table: that imports pyarrow's dataset and compute parts, which nobody here needs.
        texts = [name for name in columns if name in _TEXTS]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            if not set(required) <= set(file.schema_arrow.names):
                return None
            return file.read(columns=list(columns))
    except KeyError:  # a column that is to be a dictionary is not there
        return None
    except (OSError, pa.ArrowException) as error:
        raise BrokenRollup(str(path)) from error


def _coded(column: pa.ChunkedArray) -> Column:
    if not pa.types.is_dictionary(column.type):
        values, codes = np.unique(column.to_numpy(), return_inverse=True)
        return Column(codes, values.tolist())
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no rows at all
        return Column(np.zeros(0, dtype=np.int32), [])
    return Column(array.indices.to_numpy(), array.dictionary.to_pylist())


def _listed(column: pa.ChunkedArray) -> Column:
    """The same by hand: pyarrow's own would import its compute part."""
    texts = column.to_pylist()
    place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return Column(np.fromiter(map(place.__getitem__, texts), np.int32, len(texts)), list(place))

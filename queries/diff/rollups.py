"""The rollups of a reader's files, and relations over their keys, one behind the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from queries.core.watch import duckdb
from store.derived import DURATIONS, KEYS, MINUTES, named_sql
from store.errors import TooMuchError
from store.files import file_list, looks_whole, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from store.layout import Store

NAMES = (
    "recorder", "direction", "host", "method", "route", "status", "grpc_status", "container",
    "pod", "process", "signature",
)  # fmt: skip
LISTED = ", ".join(NAMES)
KEY = "rowid::INTEGER AS key"  # of a table of names: a window function takes a fifth of its time
T = TypeVar("T")


class BrokenRollup(Exception):
    """A rollup that cannot be read; the rows that it was made of may still be there."""


def if_readable(read: Callable[[], T], otherwise: T) -> T:
    """What is read; `otherwise`, where a file cannot be read (any more) or may not be fetched."""
    try:
        return read()
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except (TooMuchError, duckdb.Error):
        return otherwise


def rollups_of(
    store: Store, files: Sequence[Path], groups: Mapping[str, Mapping[str, str]]
) -> dict[Path, Mapping[str, Path]]:
    """The rollup of each sealed file of transactions: its own, or the merged one of its hour; only
    those that are there in full. groups: as Reader.groups."""
    sealed: dict[str, list[Path]] = {}
    for path in files:
        if path.parts[-2].startswith("hour="):
            sealed.setdefault(path.parts[-2].removeprefix("hour="), []).append(path)
    places: dict[Path, dict[str, Path]] = {}
    for hour, paths in sealed.items():
        merged = store.merged_rollup(hour, paths, groups.get(hour, {}))
        if any(looks_whole(file) is False for file in merged.values()):
            merged = {}
        places |= {path: merged or store.rollup(path) for path in paths}
    each = {id(rollup): rollup for rollup in places.values()}  # a merged one is of many paths
    store.fetch(file for rollup in each.values() for file in rollup.values())
    whole = {of for of, rollup in each.items() if all(map(looks_whole, rollup.values()))}
    return {path: rollup for path, rollup in places.items() if id(rollup) in whole}


def fetched(con: Any, text: str) -> dict[str, Any]:
    """The columns of a statement about rollups, by name. Raises BrokenRollup."""
    try:
        columns: dict[str, Any] = con.execute(text).fetchnumpy()
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise BrokenRollup(str(error)) from error
    return columns


def is_sound(con: Any, rollup: Mapping[str, Path]) -> bool:
    """Whether the numbers of a rollup fit together: bytes that a disk has changed may be read as
    other numbers."""
    try:
        keys, *tables = (con.execute(f"FROM {whole_parquet([rollup[table]])}").fetchnumpy()
                         for table in (KEYS, MINUTES, DURATIONS))  # fmt: skip
    except duckdb.Error:
        return False
    ranges = {"key": keys["key"].size, "minute": 60, "bucket": 256}
    inside = (
        ((table[name] >= 0) & (table[name] < size)).all()
        for table in tables for name, size in ranges.items() if name in table
    )  # fmt: skip
    return all(inside) and bool(keys["requests"].sum() == tables[0]["requests"].sum())


def size_of(rollups: Iterable[Mapping[str, Path]]) -> float:
    """Bytes of all their tables; a table that has gone meanwhile is no small one."""
    try:
        return sum(table.stat().st_size for rollup in rollups for table in rollup.values())
    except OSError:
        return math.inf


def whole_parquet(paths: Iterable[Path]) -> str:
    """A relation over files that all have to have the same columns: an old rollup is none."""
    return f"read_parquet({file_list(paths)}, hive_partitioning = false)"


def rows_relation(rows: str, file: int = 0) -> str:
    """The same of a relation of transactions, a row a request."""
    sums = f"{file} AS file, 0 AS key, 1 AS requests, 0 AS bytes_received"
    return f"SELECT {sums}, {LISTED} FROM ({named_sql(rows)})"


def counting_sql(
    source: str, slot: str, within: str, where: str | None, table: str
) -> tuple[str, str]:
    """What makes `table` of the keys of a relation of transactions, and a SELECT of a cell a row.

    slot, within: as Axis.rows; where: a condition more."""
    condition = f"({within}) AND ({where})" if where else within
    rows = f"(FROM {source} WHERE {condition})"
    text = (
        f"SELECT hash({LISTED}) AS names, {LISTED}, ({slot})::SMALLINT AS slot,"
        f" bucket::UTINYINT AS bucket, received FROM ({named_sql(rows)})"
    )
    # by the hash of the names: to group ten texts takes twice as long
    keys = (
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT names, texts.* FROM ("
        f"SELECT names, any_value(struct_pack({LISTED})) AS texts FROM ({text}) GROUP BY names)"
    )
    return keys, f"SELECT {KEY}, slot, bucket, received FROM ({text}) JOIN {table} USING (names)"


def place_of(recorders: Sequence[str]) -> str:
    """The number of a row's recorder among these; the one after them for any other."""
    cases = [f"WHEN {quoted(name)} THEN {i}" for i, name in enumerate(recorders)]
    return f"CASE recorder {' '.join(cases)} ELSE {len(cases)} END" if cases else "0"


def keys_relation(paths: Iterable[Path]) -> str:
    """The rows of keys of all files, one behind the other."""
    return (
        f"SELECT file_index::INTEGER AS file, key, requests, bytes_received, {LISTED}"
        f" FROM {whole_parquet(paths)}"
    )

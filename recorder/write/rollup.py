"""Rollups of sealed hours: writing them, how they stand, and making them again from the rows.

A rollup only saves time: an hour without one is answered from its rows. A recorder may run
meanwhile, since each file is replaced as a whole and named after the rows that it was made of.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.segments import gathered, metadata, policy_of, row_groups, size_of
from recorder.write.sort import ranks
from store import cover
from store.derived import (
    BUCKET_BASE,
    COLUMNS,
    DURATIONS,
    KEYS,
    MINUTES,
    OLD_ROLLUPS,
    ROLLUPS,
    SOURCES,
    failed,
)
from store.errors import QrecError, unwritable
from store.files import make_folder, replacing
from store.layout import Store
from store.schema import TRANSACTIONS

State = Literal["ok", "missing", "unreadable", "old"]
_AT_ONCE = 20 << 20  # bytes of columns that are rolled up together, some 250,000 rows
# The names of a key by their columns, in the order of a sealed file first.
_NAMED = {
    "host": "host", "route": "route", "method": "method", "container_name": "container",
    "pod_name": "pod", "direction": "direction", "status": "status", "grpc_status": "grpc_status",
    "recorder": "recorder", "session": "session", "process_exe": "process",
    "error_signature": "signature",
}  # fmt: skip
_COLUMNS = pa.schema([TRANSACTIONS.field(name) for name in SOURCES])
_MOST = 1 << 62  # numbers of an int64
_GROUP = 20_000  # rows: a row group of `minutes` is a quarter of those, and no smaller


def write_rollup(
    store: Store, hour: str, rows: Path, name: str, footer: Mapping[bytes, bytes]
) -> None:
    """Write the three files of a rollup, or replace them.

    rows: a sealed file of transactions, maybe under a temporary name; name: what all files are
    called.
    """
    folders = {table: make_folder(store.sealed_hour(table, hour)) for table in ROLLUPS}
    with ExitStack() as stack:
        # the last to be opened is the first to get its name, when the old keys are away
        paths = {t: stack.enter_context(replacing(folders[t] / name)) for t in reversed(ROLLUPS)}
        stack.push(lambda error, *_: None if error else (folders[KEYS] / name).unlink(True))
        write_tables(paths, [rows], footer)


def write_tables(
    paths: Mapping[str, Path], files: Sequence[Path], footer: Mapping[bytes, bytes]
) -> None:
    """Write the tables of a rollup of some files of transactions, some rows at a time: a key may
    be there twice, under two numbers."""
    first = 0
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for rows in gathered(row_groups(files, _COLUMNS), _AT_ONCE):
            for table, part in _counted(rows, first).items():
                if table not in writers:
                    # without pyarrow's own schema in the footer any engine reads plain types; by
                    # zstd a file is a fifth smaller, and takes twice as long to decode
                    how = {"compression": "lz4", "store_schema": False}
                    writer = pq.ParquetWriter(paths[table], part.schema, **how)
                    writers[table] = stack.enter_context(writer)
                    writers[table].add_key_value_metadata(footer)
                size = max(part.num_rows // 4 + 1, _GROUP) if table == MINUTES else None
                writers[table].write_table(part, row_group_size=size)
                first += part.num_rows if table == KEYS else 0


def _counted(rows: pa.Table, first: int) -> dict[str, pa.Table]:
    """The tables of some rows. Keys are numbered from `first` on, in the order of their names."""
    one_of_each, keys = _numbered(rows)
    cells = keys * 60 + rows["ts"].cast(pa.int64()).to_numpy() // 60_000_000 % 60
    # bucket b of duration holds base^(b-1) < ms <= base^b, at most 5 % off its middle
    took = np.maximum(rows["duration_ms"].drop_null().to_numpy(), 1)
    buckets = np.ceil(np.log(took) / np.log(BUCKET_BASE)).clip(max=254).astype(np.int64)
    timed = cells[rows["duration_ms"].is_valid().to_numpy()]
    found, requests = np.unique(timed * 256 + buckets, return_counts=True)
    by_bucket = pa.table({
        **_key_and_minute(first, found // 256),
        "bucket": (found % 256).astype(np.int16), "requests": requests.astype(np.int32),
    })  # fmt: skip

    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    cells = cells[order[starts]]
    sums = {"requests": np.diff(starts, append=len(order))}
    for name in ("bytes_sent", "bytes_received"):
        sums[name] = np.add.reduceat(rows[name].fill_null(0).to_numpy()[order], starts)
    seqs = np.minimum.reduceat(rows["seq"].to_numpy()[order], starts)
    quarters = np.argsort(cells % 60 // 15, kind="stable")  # a part of the hour is read by itself
    by_minute = pa.table({
        **_key_and_minute(first, cells), **sums,
        "requests": sums["requests"].astype(np.int32), "seq": seqs,
    }).take(quarters)  # fmt: skip

    starts = np.flatnonzero(np.diff(cells // 60, prepend=-1))
    sums = {name: np.add.reduceat(values, starts) for name, values in sums.items()}
    named = rows.select(list(_NAMED)).take(one_of_each)
    names = {_NAMED[name]: named[name].cast(pa.string()).fill_null("") for name in _NAMED}
    names["status"] = named["status"].fill_null(0)  # no response
    ended = zip(named["status"].to_pylist(), named["grpc_status"].to_pylist(), strict=True)
    by_key = pa.table({
        "key": pa.array(first + np.arange(len(starts)), pa.int32()),
        **names,
        "failed": pa.array((failed(*how) for how in ended), pa.bool_()),
        **sums,
        "active": np.bitwise_or.reduceat(np.left_shift(1, cells % 60), starts),
    })  # fmt: skip
    return {DURATIONS: by_bucket, MINUTES: by_minute, KEYS: by_key}


def _key_and_minute(first: int, cells: Any) -> dict[str, Any]:
    return {"key": (first + cells // 60).astype(np.int32), "minute": (cells % 60).astype(np.int16)}


def _numbered(rows: pa.Table) -> tuple[Any, Any]:
    """(a row of each key, the key of each row), numbered in the order of the keys' names."""
    keys, span = np.zeros(rows.num_rows, np.int64), 1
    for name in _NAMED:
        places = ranks(rows[name].dictionary_encode())
        size = int(places.max(initial=0)) + 1
        if span * size > _MOST:
            keys, span = np.unique(keys, return_inverse=True)[1], len(keys)
        keys, span = keys * size + places, span * size
    return np.unique(keys, return_index=True, return_inverse=True)[1:]


@dataclass(frozen=True)
class Rollup:
    """A sealed file of transactions, and how its rollup stands; size: of the rollup, in bytes.

    old: of a qrec that counted fewer things.
    """

    hour: str
    recorder: str
    rows: Path
    paths: tuple[Path, ...]
    state: State
    size: int


class Failed(QrecError):
    """The rows of an hour cannot be read."""


def rollups(
    store: Store, hours: Sequence[str] | None = None, *, whole: bool = True
) -> Iterator[Rollup]:
    """Every sealed file of the hours (None: all), oldest first.

    whole: read the rollups to their end; else only what the files say about themselves.
    """
    for hour in store.hours("transactions") if hours is None else hours:
        files = cover.list_folder(store.sealed_hour("transactions", hour))
        for file in itertools.chain.from_iterable(cover.sealed_by_recorder(files).values()):
            name = file.path.name
            paths = tuple(store.sealed_hour(table, hour) / name for table in ROLLUPS)
            states = {_state(*one, whole) for one in zip(ROLLUPS, paths, strict=True)}
            old = (store.sealed_hour(OLD_ROLLUPS, hour) / name).exists()
            states |= {"old"} if old and states == {"missing"} else set()
            state = min(states, key=_WORST.index)
            yield Rollup(hour, file.recorder, file.path, paths, state, sum(map(size_of, paths)))


_WORST: tuple[State, ...] = ("unreadable", "old", "missing", "ok")


def _state(table: str, path: Path, whole: bool) -> State:
    try:
        with pq.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            for _ in file.iter_batches(batch_size=65_536) if whole else ():
                pass
        return "ok" if names.issuperset(COLUMNS[table]) else "old"
    except FileNotFoundError:
        return "missing"
    except (OSError, pa.ArrowException):
        return "unreadable"


def rebuild(store: Store, rollup: Rollup) -> bool:
    """Make one rollup again; False when retention or a late row took its rows away. Any number may
    do it at once: each makes the same of the same rows.

    Raises Failed when its rows cannot be read, and UnavailableError when the disk refuses.
    """
    try:
        footer = metadata(rollup.recorder, policy_of(rollup.rows))
        write_rollup(store, rollup.hour, rollup.rows, rollup.rows.name, footer)
        with contextlib.suppress(OSError):  # what an older qrec wrote of the same rows
            (store.sealed_hour(OLD_ROLLUPS, rollup.hour) / rollup.rows.name).unlink()
    except (OSError, pa.ArrowException) as error:
        if not rollup.rows.exists():
            return False
        why = " ".join(str(error).split())[:120]
        if isinstance(error, OSError) and error.errno is not None:
            raise unwritable(store.path, error) from None
        raise Failed(
            f"{rollup.rows.relative_to(store.path)} cannot be read: {why}",
            "Restore it from a copy, or move it away: `qrec doctor` names all such files.",
        ) from None
    return True

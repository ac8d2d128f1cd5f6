"""Rollups of sealed hours: writing them, how they stand, and making them again from the rows.

A rollup only saves time: an hour without one is answered from its rows. A recorder may run
meanwhile, since each file is replaced as a whole and named after the rows that it was made of.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.segments import gathered, metadata, row_groups, size_of
from store import cover
from store.errors import QrecError, UnavailableError, unwritable
from store.files import TEMPORARY_SUFFIX, make_folder, quoted, replacing
from store.layout import Store, holder, recorder_lock
from store.rollup import (
    COLUMNS,
    KEYS,
    MINUTES,
    OLD_ROLLUPS,
    ROLLUPS,
    SOURCES,
    rollup_sql,
)
from store.schema import TRANSACTIONS

State = Literal["ok", "missing", "unreadable", "old"]
_ERRORS = (OSError, pa.ArrowException, duckdb.Error)
_MEMORY = "256MB"
_AT_ONCE = 20 << 20  # bytes of columns that are rolled up together, some 250,000 rows: 100 MB
_COLUMNS = pa.schema([TRANSACTIONS.field(name) for name in SOURCES])
_GROUP = 20_000  # rows: a row group of `minutes` is a quarter of those, and no smaller


def write_rollup(
    store: Store, hour: str, rows: Path, name: str, footer: Mapping[bytes, bytes], spill: Path
) -> None:
    """Write the three files of a rollup, or replace them.

    rows: a sealed file of transactions, maybe under a temporary name; name: what all files are
    called. spill: an empty folder for what memory has no room for.
    """
    folders = {table: make_folder(store.sealed_hour(table, hour)) for table in ROLLUPS}
    with ExitStack() as stack:
        # the last to be opened is the first to get its name, when the old keys are away
        paths = {t: stack.enter_context(replacing(folders[t] / name)) for t in reversed(ROLLUPS)}
        stack.push(lambda error, *_: None if error else (folders[KEYS] / name).unlink(True))
        write_tables(paths, [rows], footer, spill)


def write_tables(
    paths: Mapping[str, Path], rows: Sequence[Path], footer: Mapping[bytes, bytes], spill: Path
) -> None:
    """Write the tables of a rollup of some files of transactions."""
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        con = stack.enter_context(scratch_duckdb(spill, _MEMORY, threads=1))
        for table, part in _rolled_up(con, rows):
            if table not in writers:
                # without pyarrow's own schema in the footer any engine reads plain types; by zstd
                # a file is a fifth smaller, and takes twice as long to decode
                writer = pq.ParquetWriter(
                    paths[table], part.schema, compression="lz4", store_schema=False
                )
                writer.add_key_value_metadata(footer)
                writers[table] = stack.enter_context(writer)
            size = max(part.num_rows // 4 + 1, _GROUP) if table == MINUTES else None
            writers[table].write_table(part, row_group_size=size)


def _rolled_up(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path]
) -> Iterator[tuple[str, pa.Table]]:
    """(table, its next rows) of files, some rows at a time: a key may be in two of them, under two
    numbers."""
    first = 0
    for rows in gathered(row_groups(files, _COLUMNS), _AT_ONCE):
        con.register("rows", rows)
        for step in ("requests", "numbered", "entries"):
            text = f"CREATE OR REPLACE TEMP TABLE rollup_{step} AS {rollup_sql(step)}"
            con.execute(text, {"first": first} if step == "numbered" else None)
        for table in ROLLUPS:
            part = con.sql(rollup_sql(table.removeprefix("rollups/"))).to_arrow_table()
            first += part.num_rows if table == KEYS else 0
            yield table, part


def scratch_duckdb(spill: Path, memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """A connection within a memory; spill: an empty folder for what that has no room for."""
    con = duckdb.connect(config={"threads": threads, "memory_limit": memory})
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET temp_directory = {quoted(spill)}")
    con.execute("SET preserve_insertion_order = false")
    return con


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
        sealed = cover.sealed_by_recorder(
            cover.list_folder(store.sealed_hour("transactions", hour))
        )
        for file in itertools.chain.from_iterable(sealed.values()):
            name = file.path.name
            paths = tuple(store.sealed_hour(table, hour) / name for table in ROLLUPS)
            states = {
                _state(table, path, whole) for table, path in zip(ROLLUPS, paths, strict=True)
            }
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


@dataclass(frozen=True)
class Rebuilding:
    """Whoever may make the rollups of a recorder's hours again; room: a folder for scratch."""

    store: Store
    recorder: str
    room: Path


@contextlib.contextmanager
def rebuilding(store: Store, recorder: str) -> Iterator[Rebuilding]:
    """The right to rebuild a recorder's rollups. UnavailableError while another one has it."""
    aside = _Aside(store.path)
    fresh = not store.live(recorder).exists()
    try:
        with recorder_lock(aside, recorder):
            try:
                yield Rebuilding(store, recorder, aside.live(recorder))
            finally:
                shutil.rmtree(aside.live(recorder), ignore_errors=True)
    except UnavailableError:
        pid = holder(aside, recorder)
        if pid is None:
            raise
        raise UnavailableError(
            f"the rollups of recorder {recorder} are being rebuilt already (pid {pid})",
            "Wait for it to end.",
        ) from None
    finally:
        if fresh:
            with contextlib.suppress(OSError):
                store.live(recorder).rmdir()


def rebuild(by: Rebuilding, rollup: Rollup) -> bool:
    """Make one rollup again. False when retention or a late row took its rows away.

    Raises Failed when its rows cannot be read, and UnavailableError when the disk refuses.
    """
    try:
        footer = metadata(by.recorder, _policy(rollup.rows))
        spill = make_folder(by.room / f"spill{TEMPORARY_SUFFIX}")
        write_rollup(by.store, rollup.hour, rollup.rows, rollup.rows.name, footer, spill)
        with contextlib.suppress(OSError):  # what an older qrec wrote of the same rows
            (by.store.sealed_hour(OLD_ROLLUPS, rollup.hour) / rollup.rows.name).unlink()
    except _ERRORS as error:
        if not rollup.rows.exists():
            return False
        why = " ".join(str(error).split())[:120]
        if isinstance(error, OSError) and error.errno is not None:
            raise unwritable(by.store.path, error) from None
        raise Failed(
            f"{rollup.rows.relative_to(by.store.path)} cannot be read: {why}",
            "Restore it from a copy, or move it away: `qrec doctor` names all such files.",
        ) from None
    return True


def _policy(rows: Path) -> str:
    """How the rows say that they were redacted, which holds for their rollup as well."""
    with pq.ParquetFile(rows) as file:
        own: dict[bytes, bytes] = file.schema_arrow.metadata or {}
    return own.get(b"qrec.redaction", b"").decode()


class _Aside(Store):
    """The same store, with scratch room and a lock apart from those of a recorder that runs."""

    def live(self, recorder: str) -> Path:
        return super().live(recorder) / "rollup"

"""Live segments: written at every flush, merged as they grow in number, cleared after a grace.

The rows of a block become a segment for each table and hour, named by the numbers of the whole
block, whatever part of it lies in its hour: so blocks are apart, and a block that is written again
takes the place of what was written of it before. A segment, once it has its name, never changes:
merging writes a wider one beside its parts and leaves them for a while, so that a query that has
listed them still finds them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.decode.columns import Who, by_hour, numbered
from recorder.write.intake import Part, Rejected, Rows
from store import FORMAT_VERSION, __version__, cover
from store.cover import Sealed, Segment, maximal_cover, segment_name, segments_in
from store.files import append_line, make_folder, replacing, times_in, times_told, write_text
from store.hours import from_us, hour_key
from store.layout import Store
from store.schema import RECORDED

GRACE_S = 60.0
FAN_IN = 20  # so many neighbours of about the same size become one
# Bytes: what is larger is merged with its like, and what is larger still waits for the seal, which
# must fit it into memory.
_LARGE, _LARGEST = 1 << 20, 8 << 20
_ROW_GROUP_BYTES = 32 << 20
_MERGED_BYTES = 3 << 20  # in a group of a merged segment: merging takes 19 MB so, 29 with 6
_ROW_GROUP_ROWS = 100_000
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_BATCH = 8 << 10  # values that Parquet encodes at once: by 1,024 it takes a twentieth more
_FEW_ROWS = 500  # of a segment: packing it well takes longer than all else, and not for long
_REJECTED_LIMIT = 16 << 20  # bytes of rejected samples an hour; beyond that they are counted only
_RESERVED = 1_000_000  # numbers
_AT_ONCE, _SMALL_BYTES = 10, 512 << 10  # small blocks that are gathered; in memory


def new_session() -> str:
    """One run of a recorder: when it began, and something that makes it its own."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


class Written(NamedTuple):
    """Rows by table, and the bytes of their files."""

    rows: Counter[str]
    size: int


class _Block(NamedTuple):
    last: int  # of its numbers
    tables: dict[tuple[str, str], pa.Table]  # by table and hour


class Writer:
    """Writes rows into the store, under one recorder and session.

    `still_ours` is called before a file gets its name: it must not return where it must not get it.
    """

    def __init__(
        self, store: Store, who: Who, policy: str, still_ours: Callable[[], None] = lambda: None
    ) -> None:
        self.store = store
        self.who = who
        self.policy = policy
        self.footer = metadata(who.recorder, policy)
        self._still_ours = still_ours
        self._first = 0  # of the numbers of the small blocks that were written last
        self._small: list[_Block] = []

    def write(self, parts: Iterable[Part], first: int, last: int) -> Written:
        """Write the rows of the block with the numbers `first` to `last`.

        OSError when the disk refuses; writing the same block again is no harm.
        """
        block = _Block(last, {
            (table, hour): numbered(table, pieces, first, self.who)
            for (table, hour), pieces in _by_table_and_hour(parts).items()
        })  # fmt: skip
        size = self._write(block.tables, first, last)
        if self._small and self._small[-1].last != first - 1:
            self._small.clear()
        # Not nbytes, which takes 0.2 ms for what a few rows are of their arrays.
        if sum(rows.get_total_buffer_size() for rows in block.tables.values()) > _SMALL_BYTES:
            self._small.clear()
        else:
            self._first = self._first if self._small else first
            self._small.append(block)
        rows = Counter[str]()
        for (table, _), arrow in block.tables.items():
            rows[table] += arrow.num_rows
        return Written(rows, size)

    def gather(self) -> None:
        """Write the rows of the last small blocks, if there are enough, once more as one segment.

        Their own stay for readers under way, and for whoever merged some of them this very moment.
        So housekeeping, which would have to read them, finds little to merge. OSError as `write`.
        """
        if len(self._small) < _AT_ONCE:
            return
        blocks, self._small = self._small, []
        pieces: dict[tuple[str, str], list[pa.Table]] = defaultdict(list)
        for block in blocks:
            for key, rows in block.tables.items():
                pieces[key].append(rows)
        tables = {
            # In one piece: Parquet's writer begins every column anew with each.
            key: pa.concat_tables(rows).unify_dictionaries().combine_chunks()
            for key, rows in pieces.items()
            if len(rows) > 1
        }
        self._write(tables, self._first, blocks[-1].last)
        del blocks, pieces, tables
        give_back()  # there is time, and what larger blocks took is not needed now

    def _write(self, tables: dict[tuple[str, str], pa.Table], first: int, last: int) -> int:
        """Write segments; the bytes of their files."""
        size = 0
        for (table, hour), rows in tables.items():
            folder = self.store.live_hour(self.who.recorder, table, hour)
            path = write_segment(folder, rows, first, last, self.footer, self._still_ours)
            size += path.stat().st_size
        return size


def _by_table_and_hour(parts: Iterable[Part]) -> dict[tuple[str, str], list[Any]]:
    pieces: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for part in parts:
        if not isinstance(part, Rows):
            continue
        if part.transactions is not None:
            for hour, rows in by_hour(part.transactions).items():
                pieces["transactions", hour].append(rows)
        for table in ("connections", "database"):
            for row in getattr(part, table):
                pieces[table, hour_key(row["ts"])].append(row)
    return pieces


class Numbers:
    """The sequence numbers of a recorder: none is given twice, whatever happened to its rows.

    They are reserved on the disk before they are used, so that a run which was killed cannot have
    written any that the next one gives.
    """

    def __init__(self, store: Store, recorder: str) -> None:
        self._path = store.live(recorder) / "seq"
        self.last = self._reserved = max(highest_seq(store, recorder), self._saved())

    def use(self, last: int) -> None:
        """Numbers up to `last` are given out."""
        self.last = max(self.last, last)
        if self.last + _RESERVED // 2 > self._reserved:
            with contextlib.suppress(OSError):  # then what is on the disk tells
                self._save(self.last + _RESERVED)

    def save(self) -> None:
        """The last number, at the end of a run. OSError when the disk refuses."""
        self._save(self.last)

    def _save(self, number: int) -> None:
        write_text(self._path, f"{number}\n")
        self._reserved = number

    def _saved(self) -> int:
        try:
            return int(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0


def write_rejected(store: Store, recorder: str, rejected: Sequence[Rejected]) -> None:
    """Keep samples of events that gave no row. They are a convenience: a full disk is no error."""
    if not rejected:
        return
    now = time.time_ns() // 1000
    folder = store.rejected / f"hour={hour_key(now)}"
    path = folder / f"{recorder}.jsonl"
    when = from_us(now).isoformat()
    with contextlib.suppress(OSError):
        make_folder(folder)
        if path.exists() and path.stat().st_size > _REJECTED_LIMIT:
            return
        lines = [
            json.dumps({"ts": when, "event": r.event, "reason": r.reason, "bytes": r.size,
                        "sample": r.sample})
            for r in rejected
        ]  # fmt: skip
        append_line(path, "\n".join(lines))


def metadata(recorder: str, policy: str) -> dict[bytes, bytes]:
    """What every file of ours says about itself."""
    return {
        b"qrec.format": str(FORMAT_VERSION).encode(),
        b"qrec.version": __version__.encode(),
        b"qrec.recorder": recorder.encode(),
        b"qrec.redaction": policy.encode(),
    }


def policy_of(path: Path) -> str:
    """How a file says that its rows were redacted; '' where it does not."""
    footer: dict[bytes, bytes] = pq.read_metadata(path).metadata or {}
    return footer.get(b"qrec.redaction", b"").decode()


def row_group_rows(rows: int, size: int) -> int:
    """Rows a group, so that one group is a bounded piece of memory whatever the bodies, and none of
    them a small rest."""
    most = max(1_000, min(_ROW_GROUP_ROWS, _ROW_GROUP_BYTES * rows // max(size, 1)))
    return -(-rows // max(1, round(rows / most))) or most


def write_segment(
    folder: Path,
    table: pa.Table,
    first: int,
    last: int,
    footer: dict[bytes, bytes],
    still_ours: Callable[[], None] = lambda: None,
) -> Path:
    """Write the rows of sequence range [first, last]; OSError when the disk refuses.

    `still_ours` is called just before the file gets its name.
    """
    name = segment_name(first, last)
    try:
        return _write(make_folder(folder) / name, table, footer, still_ours)
    except FileNotFoundError:  # housekeeping took the empty folder in the very moment
        return _write(make_folder(folder) / name, table, footer, still_ours)


def _write(
    path: Path, table: pa.Table, footer: dict[bytes, bytes], still_ours: Callable[[], None]
) -> Path:
    few = table.num_rows < _FEW_ROWS
    with replacing(path) as temporary:
        # Arrow writes each page by itself: of few rows, 140 calls of the system for 10 KB.
        gathered = pa.BufferOutputStream()
        sink = gathered if few else temporary
        times = [part.view(pa.int64()).to_pylist() for part in table.column("ts").chunks]
        about = footer | times_told(ts for part in times for ts in part)
        with parquet_writer(sink, table.schema, about, few=few) as writer:
            writer.write_table(table, None if few else row_group_rows(table.num_rows, table.nbytes))
        if few:
            temporary.write_bytes(gathered.getvalue())
        still_ours()
    return path


def _repeated(schema: pa.Schema) -> list[str]:
    """The columns (as Parquet has them) whose values come again: in the others, looking for that
    costs time, and makes a file no smaller."""
    maps = [field.name for field in schema if pa.types.is_map(field.type)]
    return [field.name for field in schema if pa.types.is_dictionary(field.type)] + [
        f"{name}.key_value.{part}" for name in maps for part in ("key", "value")
    ]


@contextlib.contextmanager
def parquet_writer(
    path: Path | pa.BufferOutputStream,
    schema: pa.Schema,
    footer: dict[bytes, bytes],
    *,
    is_sorted: bool = False,
    few: bool = False,
) -> Iterator[pq.ParquetWriter]:
    """A writer of a file that any engine reads: without Arrow's own schema in the footer, which
    would call text a dictionary. `footer` is what the file says about itself.

    is_sorted: rows that are alike stand together, so that bodies are worth a dictionary as well.
    few: it will be replaced soon, and is cheap to read as a whole: it may be larger. Nobody prunes
    by the smallest body or header, so there are no statistics of those; of few rows, by time alone.
    """
    compared = ["ts"] if few else [
        field.name
        for field in schema
        if not (pa.types.is_nested(field.type) or pa.types.is_binary(field.type))
    ]  # fmt: skip
    with pq.ParquetWriter(
        path, schema, compression="snappy" if few else "zstd", store_schema=False,
        write_statistics=compared,
        use_dictionary=is_sorted or _repeated(schema), write_batch_size=_BATCH,
    ) as writer:  # fmt: skip
        writer.add_key_value_metadata(footer)
        yield writer


def row_groups(paths: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of files of ours of any version, in the columns of `schema`, each group with
    dictionaries of its own. Little memory and no threads: for work beside a recording.

    Whole groups: a reader of batches keeps every column open (bench/README.md).
    """
    few = {field.name for field in schema if pa.types.is_dictionary(field.type)} | {
        f"{field.name}.key_value.key"
        for field in schema
        if pa.types.is_map(field.type) and pa.types.is_dictionary(field.type.key_type)
    }
    for path in paths:
        about = pq.read_metadata(path)
        there = few & {about.schema.column(at).path for at in range(about.num_columns)}
        with pq.ParquetFile(path, metadata=about, read_dictionary=there, pre_buffer=False) as file:
            for number in range(file.num_row_groups):
                yield conform(file.read_row_group(number, schema.names, use_threads=False), schema)


def gathered(pieces: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The pieces together, as many as are `size` bytes or a little more."""
    held: list[pa.Table] = []
    for piece in pieces:
        held = [pa.concat_tables([*held, piece])]
        del piece  # whoever takes them is the only one to hold them
        if held[0].nbytes >= size:
            yield held.pop()
    if held:
        yield held.pop()


def merge_candidates(files: Sequence[Segment]) -> list[Segment]:
    """The next run of neighbours of like size that is worth a merge; empty when there is none.

    files: of an hour, sealed and live. No run goes over a sealed one.
    """
    run: list[Segment] = []
    was_large = False
    for segment in maximal_cover(files):
        size = size_of(segment.path)
        is_large = size > _LARGE
        if isinstance(segment, Sealed) or size > _LARGEST:
            run = []
            continue
        run = [*run, segment] if is_large == was_large else [segment]
        was_large = is_large
        if len(run) == FAN_IN:
            return run
    return []


def merge(table: str, run: Sequence[Segment], footer: dict[bytes, bytes]) -> Path:
    """Write the rows of `run` as one segment, a row group at a time to bound the memory."""
    path = run[0].path.with_name(segment_name(run[0].first, run[-1].last))
    schema, times = RECORDED[table], [times_in(segment.path) for segment in run]
    about = footer | (times_told(ts for pair in times for ts in pair or ()) if all(times) else {})
    with replacing(path) as temporary, parquet_writer(temporary, schema, about) as writer:
        groups = row_groups([segment.path for segment in run], schema)
        for rows in gathered(groups, _MERGED_BYTES):
            writer.write_table(rows.unify_dictionaries())
    return path


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of any version of ours in the columns of `schema`; what they lack is null."""
    if rows.schema.equals(schema):
        return rows
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def clear(pairs: Sequence[tuple[Path, Path]], grace_s: float = GRACE_S) -> int:
    """Delete each file whose successor has stood for the grace period: no query reads it now."""
    deadline = time.time() - grace_s
    deleted = 0
    for old, successor in pairs:
        try:
            if successor.stat().st_mtime < deadline:
                old.unlink()
                deleted += 1
        except FileNotFoundError:
            continue
    return deleted


def live_segments(store: Store, recorder: str, table: str, hour: str) -> list[Segment]:
    return segments_in(cover.list_folder(store.live_hour(recorder, table, hour)))


def highest_seq(store: Store, recorder: str) -> int:
    """The last sequence number that any file of this recorder holds; 0 when there is none."""
    highest = 0
    for table in RECORDED:
        for hour in store.hours(table):
            for segment in live_segments(store, recorder, table, hour):
                highest = max(highest, segment.last)
            for file in cover.sealed_in(cover.list_folder(store.sealed_hour(table, hour))):
                if file.recorder == recorder:
                    highest = max(highest, file.last)
    return highest


def give_back() -> None:
    """Hand to the system what the C library keeps of freed memory: a merge takes some, seldom."""
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def keep() -> None:
    """Have the C library keep freed memory: for what takes as much again, and soon ends."""
    with contextlib.suppress(AttributeError, OSError):
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, 1 << 30)


def size_of(path: Path) -> int:
    """Bytes; 0 where it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

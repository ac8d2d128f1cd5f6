"""The writer: the rows of a block become live segments, one for each table and hour.

A file is named by the numbers of the whole block, whatever part of it lies in its hour: so blocks
are apart, and a block that is written again takes the place of what was written of it before.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from recorder.decode.columns import Who, by_hour, numbered
from recorder.write.intake import Part, Rejected, Rows
from recorder.write.segments import give_back, highest_seq, metadata, write_segment
from store.files import append_line, make_folder, write_text
from store.hours import from_us, hour_key
from store.layout import Store

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

"""Finding one transaction by its id: `<recorder>:<session>:<seq>`.

A sequence number is given once a recorder, over all its sessions, so `<recorder>:<seq>` is enough.
Names of files and the statistics of their footers say where a number may lie; no row is read that
need not be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries.core.answer import Note
from queries.core.session import Reader, open_reader
from queries.core.window import Window
from store.cover import sealed_in, segments_in
from store.errors import UsageError
from store.hours import hour_start

if TYPE_CHECKING:
    from store import Store

_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(?:([A-Za-z0-9._-]{0,80}):)?0*([0-9]{1,18})")
_FORM = "An id is RECORDER:SESSION:SEQ as `qrec search` gives it; RECORDER:SEQ is enough."


@dataclass(frozen=True)
class Id:
    """A transaction's id; `session` is empty where it was left out."""

    recorder: str
    session: str
    seq: int

    def __str__(self) -> str:
        return ":".join(part for part in (self.recorder, self.session, str(self.seq)) if part)


def parse_id(text: str) -> Id:
    """The id in `text`; the number may be padded with zeros. UsageError when it is none."""
    match = _ID.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text[:80]!r} is no transaction's id", _FORM)
    return Id(match[1], match[2] or "", int(match[3]))


def find_row(store: Store, wanted: Id) -> tuple[dict[str, Any], list[Note]]:
    """The row with every column, and what could not be read on the way.

    UsageError with the nearest id there is when the store does not hold it.
    """
    notes: list[Note] = []
    near: list[str] = []
    for hour in _candidates(store, wanted):
        start = hour_start(hour)
        with open_reader(store, [Window(start, start + timedelta(hours=1))]) as reader:
            params = {"recorder": wanted.recorder, "seq": wanted.seq}
            for row in reader.sql("show", params).to_pylist():
                if wanted.session in ("", row["session"]):
                    return row, list(reader.notes)
                near.append(_id(row))
            near += _neighbours(reader, params)
            notes += reader.notes
    raise _unknown(store, wanted, near, notes)


def _candidates(store: Store, wanted: Id) -> list[str]:
    """Hours that may hold the number: files are named after the numbers in them."""
    found: list[tuple[int, str]] = []
    for hour in store.hours("transactions"):
        for last, path in _files(store, hour, wanted.recorder):
            first = _first(path)
            if (first is None or first <= wanted.seq) and wanted.seq <= last:
                found.append((last, hour))
    return list(dict.fromkeys(hour for _, hour in sorted(found)))


def _files(store: Store, hour: str, recorder: str) -> Iterator[tuple[int, Path]]:
    """(highest number that a file can hold, file) of a recorder's files of an hour."""
    for owner, path in store.visible("transactions", hour):
        if owner == recorder:
            named = [s.last for s in segments_in([path])] or [
                s.generation for s in sealed_in([path])
            ]
            yield named[0], path


def _first(path: Path) -> int | None:
    """The lowest number in a file by its footer; None when that does not tell."""
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(path)
        at = next(i for i in range(about.num_columns) if about.schema.column(i).path == "seq")
        groups = [about.row_group(i).column(at).statistics for i in range(about.num_row_groups)]
        return min(int(s.min) for s in groups if s is not None and s.has_min_max)
    except (OSError, ValueError, StopIteration):  # what is unreadable, the reader tells
        return None


def _neighbours(reader: Reader, params: dict[str, Any]) -> list[str]:
    return [_id(row) for row in reader.sql("neighbours", params).to_pylist()]


def _id(row: dict[str, Any]) -> str:
    return f"{row['recorder']}:{row['session']}:{row['seq']}"


def _unknown(store: Store, wanted: Id, near: list[str], notes: list[Note]) -> UsageError:
    message = f"there is no transaction {wanted} in this store"
    if notes:
        return UsageError(message, f"It may be in a file that cannot be read: {notes[0].text}")
    if near:
        return UsageError(message, f"Did you mean {near[0]}?")
    highest: dict[str, int] = {}
    for hour in store.hours("transactions"):
        for owner, path in store.visible("transactions", hour):
            last = max([s.last for s in segments_in([path])]
                       + [s.generation for s in sealed_in([path])])  # fmt: skip
            highest[owner] = max(highest.get(owner, 0), last)
    if wanted.recorder in highest:
        top = highest[wanted.recorder]
        return UsageError(message, f"Numbers of {wanted.recorder} go up to {top}; old hours may be"
                          " gone (`qrec info` says what there is).")  # fmt: skip
    meant = get_close_matches(wanted.recorder, highest, 1)
    if meant:
        return UsageError(message, f"There is no recorder {wanted.recorder}. "
                          f"Did you mean {meant[0]}:{wanted.seq}?")  # fmt: skip
    known = ", ".join(sorted(highest)[:5]) or "none yet"
    return UsageError(message, f"Recorders in this store: {known}. `qrec search` lists ids.")

"""What a store holds: recorders, hours, rows and bytes of each table. Reads only file footers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from queries.core.answer import Note
from store.cover import list_folder
from store.layout import Store, holder
from store.manifest import unredacted
from store.marks import read_marks
from store.schema import RECORDED
from store.values import dataclass

_NAMED = 5  # unreadable files that are named one by one


@dataclass(frozen=True)
class TableInfo:
    """One recorded table; hours are UTC keys such as 2026-11-22T13."""

    name: str
    hours: int
    first_hour: str | None
    last_hour: str | None
    files: int
    rows: int | None  # null: files of a bucket are not fetched to be counted
    bytes: int


@dataclass(frozen=True)
class RecorderInfo:
    """Somebody who writes, or wrote, to the store. `pid` is None while nobody does."""

    name: str
    pid: int | None


@dataclass(frozen=True)
class StoreInfo:
    """A summary of a store. `rejected` counts files about events that could not be decoded."""

    format_version: int
    created: str | None
    recorders: tuple[RecorderInfo, ...]
    tables: tuple[TableInfo, ...]
    marks: int
    rejected_files: int
    notes: tuple[Note, ...]


def store_info(store: Store) -> StoreInfo:
    """The summary. Files that cannot be read are counted in notes, never raised."""
    manifest = json.loads(store.manifest.read_text(encoding="utf-8"))
    names: set[str] = set(store.live_recorders())
    notes: list[Note] = _unredacted(store)
    tables = []
    for table in RECORDED:
        info, seen, unreadable = _table(store, table)
        tables.append(info)
        names |= seen
        notes += _unreadable(unreadable)
    recorders = tuple(RecorderInfo(name, holder(store, name)) for name in sorted(names))
    return StoreInfo(
        format_version=int(manifest["format"]),
        created=manifest.get("created"),
        recorders=recorders,
        tables=tuple(tables),
        marks=len(read_marks(store)),
        rejected_files=len(list_folder(store.rejected)),
        notes=tuple(notes),
    )


def _table(store: Store, table: str) -> tuple[TableInfo, set[str], list[Path]]:
    hours = store.hours(table)
    files = size = 0
    rows: int | None = 0
    recorders: set[str] = set()
    unreadable = []
    for hour in hours:
        for recorder, path in store.visible(table, hour):
            counted = _rows_and_bytes(store, path)
            recorders.add(recorder)
            files += 1
            if counted is None:
                unreadable.append(path)
            else:
                size += counted[1]
                rows = None if rows is None or counted[0] is None else rows + counted[0]
    first, last = (hours[0], hours[-1]) if hours else (None, None)
    return TableInfo(table, len(hours), first, last, files, rows, size), recorders, unreadable


def _rows_and_bytes(store: Store, path: Path) -> tuple[int | None, int] | None:
    """None where the file cannot be read; no rows where it would have to be fetched for them."""
    import pyarrow.parquet as pq

    try:
        rows = pq.read_metadata(path).num_rows if store.is_local else None
        return rows, store.size(path)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return None


def _unredacted(store: Store) -> list[Note]:
    mark = unredacted(store)
    if mark is None:
        return []
    who = f"recorder {mark.recorder}, first {mark.since:%Y-%m-%d %H:%M} UTC"
    return [Note("unredacted", f"this store holds traffic recorded without redaction ({who})")]


def _unreadable(paths: Sequence[Path]) -> list[Note]:
    texts = [f"{path.parent.name}/{path.name} cannot be read and is left out" for path in paths]
    if len(texts) > _NAMED:
        texts[_NAMED:] = [f"{len(texts) - _NAMED} more files cannot be read and are left out"]
    return [Note("unreadable_file", text) for text in texts]

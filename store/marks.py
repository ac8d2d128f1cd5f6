"""Named moments ("deploy 1234") that windows can be laid around. Append-only, one JSON a line."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from store.errors import UsageError, unwritable
from store.files import append_line
from store.layout import Store


@dataclass(frozen=True)
class Mark:
    """A moment with a name; `ts` is aware UTC."""

    name: str
    ts: dt.datetime


def add_mark(store: Store, name: str, ts: dt.datetime) -> Mark:
    """Write a mark down. A name may come again: the latest one is meant."""
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise UsageError(
            "a mark needs a name of 1 to 200 printable characters",
            'For instance: qrec mark "deploy 1234"',
        )
    mark = Mark(name, ts.astimezone(dt.UTC))
    try:
        append_line(store.marks, json.dumps({"name": mark.name, "ts": mark.ts.isoformat()}))
    except OSError as error:
        raise unwritable(store.path, error) from None
    return mark


def read_marks(store: Store) -> list[Mark]:
    """All marks, oldest first. A line that is not whole (a crash) is passed over."""
    try:
        lines = store.marks.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    marks = []
    for line in lines:
        try:
            entry = json.loads(line)
            moment = dt.datetime.fromisoformat(entry["ts"]).astimezone(dt.UTC)
            marks.append(Mark(str(entry["name"]), moment))
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(marks, key=lambda mark: mark.ts)

"""`qrec info`: every setting with its origin, every path in use, and what the store holds."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from qrec.output import emit, to_json
from qrec.questions import laid_table
from qrec.recording import checked_table
from qrec.run import JSON, STORE, Run, takes
from qrec.settings import SETTINGS
from queries.core.format import plural
from queries.core.question import Column
from store import __version__
from store.cover import list_folder
from store.errors import QrecError
from store.layout import Store, holder
from store.marks import read_marks, unredacted
from store.remote import is_url
from store.schema import RECORDED

_SETTINGS = (
    Column("setting", itemgetter("name")), Column("value", lambda s: _plain(s["value"]), give=1),
    Column("from", itemgetter("origin"), give=1),
)  # fmt: skip
_TABLES = (
    Column("table", itemgetter("name")), Column("hours", itemgetter("hours"), "count"),
    Column("first (UTC)", itemgetter("first_hour")), Column("last (UTC)", itemgetter("last_hour")),
    Column("files", itemgetter("files"), "count"), Column("rows", itemgetter("rows"), "count"),
    Column("size", itemgetter("bytes"), "bytes"),
)  # fmt: skip


@takes(JSON, *STORE)
def info(run: Run) -> None:
    """Show the settings and where each comes from, the paths in use, and what the store holds.

    \b
    Examples:
      qrec info
      QREC_STORE=/var/lib/qrec qrec info --json
    """
    document = _document(run)
    emit(to_json(document) if run.format == "json" else _text(run, document))


def _document(run: Run) -> dict[str, Any]:
    existing = [str(path) for path, _ in run.settings.tables]
    store = run.settings.text("store")
    return {
        "version": 1,
        "qrec": __version__,
        "python": platform.python_version(),
        "settings": [*(_setting(run, setting.name) for setting in SETTINGS), _redact(run)],
        "paths": {
            "store": store if is_url(store) else str(Path(store).absolute()),
            "config_files": [
                {"path": str(path), "exists": str(path) in existing} for path in run.settings.files
            ],
        },
        "unknown_variables": run.settings.unknown_variables(),
        "store": _store(run),
    }


def _setting(run: Run, name: str) -> dict[str, Any]:
    value = run.settings.get(name)
    plain = list(value.value) if isinstance(value.value, tuple) else value.value
    if not isinstance(plain, int | list):
        plain = _without_password(str(plain))
    return {"name": name, "value": plain, "origin": value.origin}


def _redact(run: Run) -> dict[str, Any]:
    """The `[redact]` table, checked by redaction itself, as a recorder would when it starts."""
    value = run.settings.redact()
    checked_table(run.settings)
    return {"name": "redact", "value": sorted(value.value), "origin": value.origin}


def _without_password(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


def _store(run: Run) -> dict[str, Any]:
    """What the store holds, or why there is none: a missing store is worth showing, not failing."""
    try:
        return holdings(run.store)
    except QrecError as error:
        return {"problem": error.message, "hint": error.hint}


def _text(run: Run, document: dict[str, Any]) -> str:
    parts = [
        f"qrec {document['qrec']}, Python {document['python']}\n\n",
        laid_table(run, _SETTINGS, document["settings"]),
        "\n",
        *_paths(document),
    ]
    unknown = document["unknown_variables"]
    if unknown:
        parts.append(f"note: qrec knows nothing of {', '.join(unknown)}\n")
    return "".join([*parts, "\n", _store_text(run, document["store"])])


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _paths(document: dict[str, Any]) -> list[str]:
    paths = document["paths"]
    lines = [f"store   {paths['store']}\n"]
    for file in paths["config_files"]:
        lines.append(f"config  {file['path']}{'' if file['exists'] else '  (not there)'}\n")
    return lines


def _store_text(run: Run, store: dict[str, Any]) -> str:
    if "problem" in store:
        return f"{store['problem']}\n  {store['hint']}\n"
    writing = [
        f"{r['name']} ({'idle' if r['pid'] is None else 'recording, pid ' + str(r['pid'])})"
        for r in store["recorders"]
    ]
    lines = [
        f"format {store['format_version']}, since {store['created'] or 'unknown'}, "
        f"{plural(store['marks'], 'mark')}, {plural(store['rejected_files'], 'rejected file')}\n",
        f"recorders: {', '.join(writing) or 'none yet'}\n",
        laid_table(run, _TABLES, store["tables"]),
    ]
    return "".join(lines + [f"note: {note['text']}\n" for note in store["notes"]])


_NAMED = 5  # unreadable files that are named one by one


def holdings(store: Store) -> dict[str, Any]:
    """Recorders (pid: null while nobody writes), and of each table its hours (UTC keys such as
    2026-11-22T13), files, rows and bytes. Reads only the files' footers.

    Files that cannot be read are told in notes, never raised.
    """
    manifest = json.loads(store.manifest.read_text(encoding="utf-8"))
    recorders, unreadable = set(store.live_recorders()), list[Path]()
    tables = [_table(store, table, recorders, unreadable) for table in RECORDED]
    return {
        "format_version": int(manifest["format"]),
        "created": manifest.get("created"),
        "recorders": [{"name": name, "pid": holder(store, name)} for name in sorted(recorders)],
        "tables": tables,
        "marks": len(read_marks(store)),
        "rejected_files": len(list_folder(store.rejected)),
        "notes": [*_unredacted(store), *_unreadable(unreadable)],
    }


def _table(store: Store, table: str, recorders: set[str], unreadable: list[Path]) -> dict[str, Any]:
    """One recorded table; its recorders, and what of it cannot be read, are added to those.

    Rows are null where files of a bucket would have to be fetched to be counted.
    """
    hours = store.hours(table)
    files = [(name, path) for hour in hours for name, path in store.visible(table, hour)]
    rows: int | None = 0
    size = 0
    for recorder, path in files:
        recorders.add(recorder)
        counted = _rows_and_bytes(store, path)
        if counted is None:
            unreadable.append(path)
            continue
        size += counted[1]
        rows = None if rows is None or counted[0] is None else rows + counted[0]
    first, last = (hours[0], hours[-1]) if hours else (None, None)
    return {"name": table, "hours": len(hours), "first_hour": first, "last_hour": last,
            "files": len(files), "rows": rows, "bytes": size}  # fmt: skip


def _rows_and_bytes(store: Store, path: Path) -> tuple[int | None, int] | None:
    """None where the file cannot be read; no rows where it would have to be fetched for them."""
    import pyarrow.parquet as pq

    try:
        rows = pq.read_metadata(path).num_rows if store.is_local else None
        return rows, store.size(path)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return None


def _unredacted(store: Store) -> Iterator[dict[str, str]]:
    if mark := unredacted(store):
        who = f"recorder {mark.recorder}, first {mark.since:%Y-%m-%d %H:%M} UTC"
        text = f"this store holds traffic recorded without redaction ({who})"
        yield {"code": "unredacted", "text": text}


def _unreadable(paths: Sequence[Path]) -> Iterator[dict[str, str]]:
    for path in paths[:_NAMED]:
        text = f"{path.parent.name}/{path.name} cannot be read and is left out"
        yield {"code": "unreadable_file", "text": text}
    if more := len(paths[_NAMED:]):
        text = f"{more} more files cannot be read and are left out"
        yield {"code": "unreadable_file", "text": text}

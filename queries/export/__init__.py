"""A window's transactions as a file: HAR, a stream to replay, JSON lines, CSV, Parquet, curl.

What is written is what the store has: redacted, and with bodies as far as they were kept.
"""

from __future__ import annotations

from importlib import import_module
from typing import BinaryIO

from queries.core.answer import Note
from queries.core.notes import notes, seen
from queries.core.question import Where
from queries.core.selection import selection
from queries.core.window import Window
from queries.export.tables import source
from store.errors import UsageError, did_you_mean
from store.layout import Store
from store.values import dataclass

# Format -> its module here, whose function write_<format> makes it; endings of files that mean it.
FORMATS = {
    "har": ("har", ".har"),
    "sse": ("sse", ".sse"),
    "jsonl": ("tables", ".jsonl", ".ndjson"),
    "csv": ("tables", ".csv"),
    "parquet": ("tables", ".parquet"),
    "curl": ("tables", ".sh"),
}


@dataclass(frozen=True)
class Exported:
    """What was written: how many transactions, and whether `limit` left some out."""

    transactions: int
    notes: tuple[Note, ...]
    truncated: bool


def format_of(text: str | None, file: str | None) -> str:
    """The format by its name, or by the ending of the file; JSON lines by default."""
    if text is not None:
        if text in FORMATS:
            return text
        raise UsageError(
            f"nothing is exported as {text[:40]!r}",
            did_you_mean(text, FORMATS, f"Formats: {', '.join(FORMATS)}."),
        )
    for name, (_, *endings) in FORMATS.items():
        if file is not None and file.endswith(tuple(endings)):
            return name
    return "jsonl"


def export(
    store: Store, window: Window, where: Where, kind: str, out: BinaryIO, limit: int | None = None
) -> Exported:
    """Write the window's transactions that match, oldest first, to `out`; at most `limit`."""
    with selection(store, window, where) as chosen:
        rows = source(chosen, limit)
        recorders = seen(chosen.reader, window)
        module = import_module(f"queries.export.{FORMATS[kind][0]}")
        getattr(module, f"write_{kind}")(rows, out)
        qualified = (*chosen.remarks, *notes(chosen.reader, window, recorders))
        return Exported(rows.given, qualified, rows.given < rows.total)

"""A window's transactions as a file: HAR, a stream to replay, JSON lines, CSV, Parquet, curl.

What is written is what the store has: redacted, and with bodies as far as they were kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from queries.core.answer import Note
from queries.core.notes import notes, seen
from queries.core.selection import selection
from queries.core.window import Window
from queries.export.tables import Source, source
from store.errors import UsageError, did_you_mean
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store

# Format -> the endings of files that mean it.
FORMATS = {
    "har": (".har",),
    "sse": (".sse",),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "parquet": (".parquet",),
    "curl": (".sh",),
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
    for name, endings in FORMATS.items():
        if file is not None and file.endswith(endings):
            return name
    return "jsonl"


def export(
    store: Store,
    window: Window,
    where: Expr | None,
    kind: str,
    out: BinaryIO,
    limit: int | None = None,
) -> Exported:
    """Write the window's transactions that match, oldest first, to `out`; at most `limit`."""
    with selection(store, window, where) as chosen:
        rows = source(chosen, limit)
        recorders = seen(chosen.reader, window)
        _writer(kind)(rows, out)
        qualified = (*chosen.remarks, *notes(chosen.reader, window, recorders))
        return Exported(rows.given, qualified, rows.given < rows.total)


def _writer(kind: str) -> Callable[[Source, BinaryIO], None]:
    if kind == "har":
        from queries.export.har import write_har

        return write_har
    if kind == "sse":
        from queries.export.sse import write_sse

        return write_sse
    if kind == "curl":
        from queries.export.tables import write_curl

        return write_curl
    from queries.export import tables

    return {
        "jsonl": tables.write_jsonl, "csv": tables.write_csv, "parquet": tables.write_parquet,
    }[kind]  # fmt: skip


__all__ = ["FORMATS", "Exported", "export", "format_of"]

"""`qrec export`: a window's transactions in a file for other tools."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from qrec.output import ReaderGone, say
from qrec.questions import one_filter
from qrec.run import Run, StoreFlags, WindowFlags, flag, switch
from queries.core.format import note_text, plural
from queries.core.question import parsed
from queries.export import export as write_export
from queries.export import format_of
from store.errors import QrecError, UsageError
from store.files import replacing


def export(
    filter_: Annotated[
        str | None,
        typer.Argument(metavar="FILTER", help="As in 'res.status >= 500'. Default: everything."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="har (for browsers), sse (for replay and serve), jsonl, csv, parquet or curl. "
            "Default: by the file's ending, else jsonl.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file, 0600. Default: stdout."),
    ] = None,
    limit: Annotated[int | None, flag("N", "Transactions. Default: all.")] = None,
    force: Annotated[bool, switch("--force", "Replace a file that is there.")] = False,
    where: Annotated[str | None, flag("FILTER", "The same as FILTER.")] = None,
    *,
    window: WindowFlags,
    store: StoreFlags,
) -> None:
    """Write a window's transactions to a file, oldest first, redacted as they are in the store.

    \b
    Examples:
      qrec export --last 15m -o incident.har
      qrec export 'res.status >= 500' --format curl
      qrec export --from 14:00 --to 14:30 -o shop.sse && qrec serve shop.sse
    """
    run = Run(store)
    kind = format_of(format_, output)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit cannot be {limit}", "Give a number of transactions from 1 on.")
    expression = parsed(one_filter(filter_, where))
    asked = run.window(window)
    with target(output, kind, force, run) as out:
        done = write_export(run.store, asked, expression, kind, out, limit)
    for note in done.notes:
        say(f"note: {note_text(note, run.tz)}")
    more = "; there are more, --limit takes a larger number" if done.truncated else ""
    place = f" to {output}" if output else ""
    say(f"exported {plural(done.transactions, 'transaction')} as {kind}{place}{more}")


@contextlib.contextmanager
def target(output: str | None, kind: str, force: bool, run: Run) -> Iterator[BinaryIO]:
    """Where the export goes: a file that is there as a whole or not at all, or stdout."""
    _ = run.store  # a store that is missing leaves no file behind
    if output is None or output == "-":
        if sys.stdout is None or (kind in ("parquet", "html") and sys.stdout.isatty()):
            raise UsageError(f"{kind} is nothing for a terminal", "Name a file with --output.")
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return
    path = Path(output).expanduser()
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", "Choose another name, or add --force.")
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            yield file
    except OSError as error:
        raise QrecError(
            f"cannot write {path}: {error.strerror}", "Check the folder and the free space."
        ) from None

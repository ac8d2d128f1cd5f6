"""`qrec export` and `qrec import`: recordings to and from the files of other tools."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from qrec.commands.recording import recorded_when, shifted, told, write_options
from qrec.options import RecordFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import ReaderGone, say
from qrec.run import Run, parsed
from store.errors import QrecError, UsageError

_BAD_LINES = 5  # unreadable entries that are told one by one


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
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="Transactions. Default: all.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    *,
    window: WindowFlags,
    only: WhereFlags,
    store: StoreFlags,
) -> None:
    """Write a window's transactions to a file, oldest first, redacted as they are in the store.

    \b
    Examples:
      qrec export --last 15m -o incident.har
      qrec export 'res.status >= 500' --format curl
      qrec export --from 14:00 --to 14:30 -o shop.sse && qrec serve shop.sse
    """
    from qrec.format import plural
    from qrec.render import note_text
    from queries.export import export as start
    from queries.export import format_of

    run = Run(store)
    kind = format_of(format_, output)
    if filter_ is not None and only.where is not None:
        raise UsageError("the filter is given twice", "Keep FILTER or --where, not both.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit cannot be {limit}", "Give a number of transactions from 1 on.")
    where = parsed(WhereFlags(filter_ if filter_ is not None else only.where))
    asked = run.window(window)
    with _target(output, kind, force, run) as out:
        done = start(run.store, asked, where, kind, out, limit)
    for note in done.notes:
        said = {"text": note.text}
        if note.from_ts is not None and note.to_ts is not None:
            said |= {"from": note.from_ts.isoformat(), "to": note.to_ts.isoformat()}
        say(f"note: {note_text(run, said)}")
    more = "; there are more, --limit takes a larger number" if done.truncated else ""
    place = f" to {output}" if output else ""
    say(f"exported {plural(done.transactions, 'transaction')} as {kind}{place}{more}")


@contextlib.contextmanager
def _target(output: str | None, kind: str, force: bool, run: Run) -> Iterator[BinaryIO]:
    """Where the export goes: a file that is there as a whole or not at all, or stdout."""
    _ = run.store  # a store that is missing leaves no file behind
    if output is None or output == "-":
        if sys.stdout is None or (kind == "parquet" and sys.stdout.isatty()):
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
    from store.files import replacing

    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            yield file
    except OSError as error:
        raise QrecError(
            f"cannot write {path}: {error.strerror}", "Check the folder and the free space."
        ) from None


def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="HAR files (.har, .gz).")],
    shift_to: Annotated[
        str | None,
        typer.Option("--shift-to", metavar="TIME", help="Move the exchanges to end then."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read a file once more that was imported before.")
    ] = False,
    *,
    what: RecordFlags,
    store: StoreFlags,
) -> None:
    """Put HAR files of browsers and proxies into the store, redacted as live traffic is.

    \b
    Examples:
      qrec import session.har
      qrec import session.har --shift-to now --store ./try
      qrec endpoints --store ./try
    """
    from qrec.progress import FileProgress
    from recorder.replay import import_har

    run = Run(store, extra=vars(what))
    shift = shifted(run, shift_to)
    bad: list[str] = []
    progress = FileProgress()
    try:
        done = import_har(
            [Path(name).expanduser() for name in files],
            write_options(run),
            shift_to_us=shift,
            again=again,
            progress=progress,
            on_bad=bad.append,
        )
    finally:
        progress.line.clear()
    for line in bad[:_BAD_LINES]:
        say(f"note: {line}")
    if len(bad) > _BAD_LINES:
        say(f"note: {len(bad) - _BAD_LINES} more entries could not be read")
    for file in done:
        progress.line.note(told(file, "imported"))
    if shift is None:
        recorded_when(run, progress.line.note)

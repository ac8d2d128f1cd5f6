"""`qrec export`: a window's transactions in a file for other tools."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from qrec.output import able, answering, say
from qrec.questions import FILTER, one_filter
from qrec.run import STORE, Run, switch, takes
from queries.core.format import note_text, plural
from queries.core.question import WINDOW, Argument, parsed
from queries.export import export as write_export
from queries.export import format_of
from store.errors import UsageError
from store.files import replacing

FORCE: Final = switch("force", "Replace a file that is there.")


@takes(
    FILTER,
    Argument("kind", "har (for browsers), sse (for replay and serve), jsonl, csv, parquet or curl. "
             "Default: by the file's ending, else jsonl.", "FORMAT", flag="--format"),
    Argument("output", "The file, 0600. Default: stdout.", "FILE", short="-o"),
    Argument("most", "Transactions. Default: all.", "N", kind=int, flag="--limit"),
    FORCE,
    Argument("where", "The same as FILTER.", "FILTER"),
    *WINDOW, *STORE,
)  # fmt: skip
def export(
    run: Run,
    filter_: str | None,
    kind: str | None,
    output: str | None,
    most: int | None,
    force: bool,
    where: str | None,
) -> None:
    """Write a window's transactions to a file, oldest first, redacted as they are in the store.

    \b
    Examples:
      qrec export --last 15m -o incident.har
      qrec export 'res.status >= 500' --format curl
      qrec export --from 14:00 --to 14:30 -o shop.sse && qrec serve shop.sse
    """
    form = format_of(kind, output)
    if most is not None and most < 1:
        raise UsageError(f"--limit cannot be {most}", "Give a number of transactions from 1 on.")
    expression = parsed(one_filter(filter_, where))
    asked = run.window(run.values)
    with target(output, form, force, run) as out:
        done = write_export(run.store, asked, expression, form, out, most)
    for note in done.notes:
        say(f"note: {note_text(note, run.tz)}")
    more = "; there are more, --limit takes a larger number" if done.truncated else ""
    place = f" to {output}" if output else ""
    say(f"exported {plural(done.transactions, 'transaction')} as {form}{place}{more}")


@contextlib.contextmanager
def target(output: str | None, kind: str, force: bool, run: Run) -> Iterator[BinaryIO]:
    """Where the export goes: a file that is there as a whole or not at all, or stdout."""
    _ = run.store  # a store that is missing leaves no file behind
    if output is None or output == "-":
        if sys.stdout is None or (kind in ("parquet", "html") and sys.stdout.isatty()):
            raise UsageError(f"{kind} is nothing for a terminal", "Name a file with --output.")
        with answering():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    path = Path(output).expanduser()
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", "Choose another name, or add --force.")
    with (
        able(f"write {path}", "Check the folder and the free space."),
        replacing(path) as temporary,
        temporary.open("wb") as file,
    ):
        yield file

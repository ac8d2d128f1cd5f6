"""`qrec mark` and `qrec marks`: moments with a name, to lay windows around."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qrec.output import Answer, present, say
from qrec.questions import table
from qrec.run import RowFlags, Run, StoreFlags, flag
from queries.core.answer import iso
from queries.core.format import clock, zone_name
from queries.core.question import Column
from queries.core.window import parse_moment
from store.marks import add_mark, read_marks


def mark(
    name: Annotated[str, typer.Argument(help="What happened: 'deploy 1234'.")],
    at: Annotated[str | None, flag("TIME", "When. Default: now.")] = None,
    *,
    store: StoreFlags,
) -> None:
    """Give a moment a name, to ask later what changed around it.

    \b
    Examples:
      qrec mark "deploy 1234"
      qrec mark "config rolled out" --at 14:20
      qrec diff --around "deploy 1234"
    """
    run = Run(store)
    moment = parse_moment(at, run.now, run.tz) if at is not None else run.now
    made = add_mark(run.store, name, moment)
    local = made.ts.astimezone(run.tz)
    say(f"marked {made.name!r} at {clock(local, run.tz)} {zone_name(local)}")


def marks(*, store: StoreFlags, rows: RowFlags) -> None:
    """List the marks of the store, the newest last.

    \b
    Examples:
      qrec marks
      qrec marks --json
    """
    run = Run(store, rows)
    found = read_marks(run.store)
    kept = found[-run.limit :]
    entries: list[dict[str, Any]] = [{"name": m.name, "ts": iso(m.ts)} for m in kept]
    document = {"version": 1, "marks": entries, "truncated": len(kept) < len(found)}
    shown = table((Column("when", "ts", "moment"), Column("mark", "name", give=1)), kept, run.tz)
    present(run, Answer(document, "marks", *shown, empty="no marks yet: qrec mark NAME"))

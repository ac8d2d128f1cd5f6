"""`qrec import`: HAR files of browsers and proxies into the store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from qrec.commands.replay import read_in
from qrec.output import say
from qrec.run import RecordFlags, Run, StoreFlags, flag, switch

_BAD_LINES = 5  # unreadable entries that are told one by one


def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="HAR files (.har, .gz).")],
    shift_to: Annotated[str | None, flag("TIME", "Move the exchanges to end then.")] = None,
    again: Annotated[
        bool, switch("--again", "Read a file once more that was imported before.")
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
    from recorder.replay import import_har

    run = Run(store, extra=what)
    bad: list[str] = []
    paths = [Path(name).expanduser() for name in files]
    read_in(run, partial(import_har, paths, on_bad=bad.append), "imported", shift_to, again)
    for line in bad[:_BAD_LINES]:
        say(f"note: {line}")
    if len(bad) > _BAD_LINES:
        say(f"note: {len(bad) - _BAD_LINES} more entries could not be read")

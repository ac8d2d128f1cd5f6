"""`qrec diff`: what changed in a window against its baseline."""

from __future__ import annotations

from typing import Annotated

import typer

from qrec.options import BaselineFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.run import Run, parsed

CHANGED, NO_ANSWER = 10, 3


def diff(
    explain: Annotated[
        int | None,
        typer.Option("--explain", metavar="N", help="Everything about the finding of rank N."),
    ] = None,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit 10 when something changed, 3 when there is too little data to say.",
        ),
    ] = False,
    *,
    window: WindowFlags,
    baseline: BaselineFlags,
    only: WhereFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> int:
    """What changed? The last hour against the one before, or any window against any other.

    \b
    Examples:
      qrec diff
      qrec diff --last 15m --vs yesterday
      qrec diff --from 14:00 --to 15:00 --vs 7d
      qrec diff --around "deploy 1234" --explain 1
      qrec diff --where 'container.name == "shop"' --exit-code
    """
    from qrec.findings import Report
    from queries.changes import what_changed

    run = Run(store, rows)
    asked, against = run.windows(window, baseline)
    changes = what_changed(run.store, asked, against, where=parsed(only), limit=run.limit)
    report = Report(run, changes, against)
    if explain is None:
        report.show()
    else:
        report.explain(explain)
    return _code(changes.verdict) if exit_code else 0


def _code(verdict: str) -> int:
    """Quiet and deaf are not the same to a script either."""
    return {"changed": CHANGED, "nothing_changed": 0}.get(verdict, NO_ANSWER)

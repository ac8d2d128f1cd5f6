"""`qrec diff`: what changed in a window against its baseline."""

from __future__ import annotations

from typing import Annotated

import typer

from qrec.changes import Explanation, Report
from qrec.options import BaselineFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.run import Run
from queries.core.answer import DEFAULT_FINDINGS
from queries.core.question import parsed
from queries.core.window import Window
from queries.diff.explain.breakdown import by_container, filter_of
from queries.diff.what_changed import WHAT_CHANGED, what_changed

CHANGED, NO_ANSWER = 10, 3


def diff(
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain", metavar="N", help="Everything about one finding, by its rank or its id."
        ),
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
    run = Run(store, rows, defaults={"limit": DEFAULT_FINDINGS})
    this, before = run.windows(window, baseline)
    changes = what_changed(
        run.store, this, before, where=parsed(only.where), limit=run.limit, explain=explain
    )
    report = Report(run, changes, before)
    if explain is None or run.format != "table":
        report.show()
    else:
        _explained(report, this, only)
    return _code(changes.verdict) if exit_code else 0


diff.__doc__ = WHAT_CHANGED.help  # which the tool and the page have, too


def _explained(report: Report, window: Window, only: WhereFlags) -> None:
    """The one finding, with its parts by container."""
    import filters  # 50 ms that a comparison without a filter need not wait for

    [finding] = report.changes.findings
    texts = [text for text in (only.where, filter_of(finding.key)) if text]
    text = " and ".join(f"({text})" for text in texts) if len(texts) > 1 else "".join(texts)
    where = filters.parse(text) if text else None
    parts = by_container(report.run.store, window, report.baseline, where)
    Explanation(report, finding, parts, text).show()


def _code(verdict: str) -> int:
    """Quiet and deaf are not the same to a script either."""
    return {"changed": CHANGED, "nothing_changed": 0}.get(verdict, NO_ANSWER)

"""`qrec diff`: what changed in a window against its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrec.changes import Explanation, Report
from qrec.run import Run
from queries.core.question import Argument, Question
from queries.core.window import Window
from queries.diff.explain.breakdown import by_container, filter_of

CHANGED, NO_ANSWER = 10, 3
FLAGS = (
    Argument(
        "exit_code", "Exit 10 when something changed, 3 when there is too little data to say.",
        default=False, kind=bool,
    ),
)  # fmt: skip


def respond(run: Run, question: Question, values: Mapping[str, Any], exit_code: bool) -> int:
    """The findings as a list, or one of them in full. The exit code."""
    changes = question.ask(run.store, {**values, "limit": run.limit}, run.now, run.tz)
    window, baseline = run.windows(values)
    report = Report(run, changes, baseline)
    if values["explain"] is None or run.format != "table":
        report.show()
    else:
        _explained(report, window, values["where"])
    return _code(changes.verdict) if exit_code else 0


def _explained(report: Report, window: Window, only: str | None) -> None:
    """The one finding, with its parts by container."""
    import filters  # 50 ms that a comparison without a filter need not wait for

    [finding] = report.changes.findings
    texts = [text for text in (only, filter_of(finding.key)) if text]
    text = " and ".join(f"({text})" for text in texts) if len(texts) > 1 else "".join(texts)
    where = filters.parse(text) if text else None
    parts = by_container(report.run.store, window, report.baseline, where)
    Explanation(report, finding, parts, text).show()


def _code(verdict: str) -> int:
    """Quiet and deaf are not the same to a script either."""
    return {"changed": CHANGED, "nothing_changed": 0}.get(verdict, NO_ANSWER)

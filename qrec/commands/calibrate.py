"""`qrec calibrate`: how many findings the same comparison gives in the store's own past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrec.output import Answer, Column, present
from qrec.progress import Line
from qrec.run import Run
from queries.core.answer import document
from queries.core.format import number, plural, stretch
from queries.core.question import Question
from queries.diff.calibrate import Calibrated


def respond(run: Run, question: Question, values: Mapping[str, Any]) -> None:
    """Count, telling how far it is, and show the pairs."""
    line = Line()
    try:
        answer = question.ask(
            run.store, {**values, "limit": run.limit}, run.now, run.tz,
            tell=lambda done, pairs: line.show(f"comparing past hours: {done} of {pairs}"),
        )  # fmt: skip
    finally:
        line.clear()
    columns = [Column("window"), Column("against"), Column("findings", right=True)]
    cells = [
        [
            stretch(pair.window.from_ts, pair.window.to_ts, run.tz),
            stretch(pair.baseline.from_ts, pair.baseline.to_ts, run.tz, pair.window.from_ts),
            number(pair.findings),
        ]
        for pair in answer.pairs
    ]
    shown = Answer(document(answer), "pairs", columns, cells, _heading(answer), empty="")
    present(run, shown)


def _heading(answer: Calibrated) -> str:
    usual = answer.calibration
    if usual is None:
        return "too few past hours to say how many findings are usual"
    return (
        f"usual here: median {usual.median:g}, 95 % at most {usual.p95:g} findings, "
        f"in {plural(usual.pairs, 'past pair')}"
    )

"""`qrec calibrate`: how many findings the same comparison gives in the store's own past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrec.output import Line
from qrec.questions import Answer, present, table
from qrec.run import Run
from queries.core.answer import document
from queries.core.format import plural, stretch
from queries.core.question import Column, Question
from queries.diff.calibrate import Calibrated


def respond(run: Run, question: Question, values: Mapping[str, Any]) -> None:
    """Count, telling how far it is, and show the pairs."""
    with Line() as line:
        answer = question.ask(
            run.store, {**values, "limit": run.limit}, run.now, run.tz,
            tell=lambda done, pairs: line.show(f"comparing past hours: {done} of {pairs}"),
        )  # fmt: skip
    columns = (
        Column("window", lambda p: stretch(p.window.from_ts, p.window.to_ts, run.tz)),
        Column("against", lambda p: stretch(p.baseline.from_ts, p.baseline.to_ts, run.tz,
                                            p.window.from_ts)),
        Column("findings", kind="count"),
    )  # fmt: skip
    shown = table(columns, answer.pairs, run.tz)
    present(run, Answer(document(answer), "pairs", *shown, _heading(answer), empty=""))


def _heading(answer: Calibrated) -> str:
    usual = answer.calibration
    if usual is None:
        return "too few past hours to say how many findings are usual"
    return (
        f"usual here: median {usual.median:g}, 95 % at most {usual.p95:g} findings, "
        f"in {plural(usual.pairs, 'past pair')}"
    )

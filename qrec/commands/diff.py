"""`qrec diff`: what changed in a window against its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from qrec.changes import Explanation, Report
from qrec.format import clock
from qrec.output import emit, say, to_jsonl
from qrec.run import Run
from qrec.watch import Memory, News, every, looks
from queries.core.answer import document
from queries.core.escape import visible
from queries.core.question import Argument, Question
from queries.core.window import Window
from queries.diff.explain.breakdown import by_container, filter_of
from store.errors import QrecError, UsageError

CHANGED, NO_ANSWER = 10, 3
_MOST = 200  # findings of one look of --watch
FLAGS = (
    Argument(
        "exit_code", "Exit 10 when something changed, 3 when there is too little data to say.",
        default=False, kind=bool,
    ),
    Argument(
        "watch", "Ask again every so many seconds (30), and print what is new, gone or worse until"
        " Ctrl-C; --json: a line each.", "[SECONDS]", left_out="30",
    ),
)  # fmt: skip


def respond(
    run: Run, question: Question, values: Mapping[str, Any], exit_code: bool, watch: str | None
) -> int:
    """The findings as a list, or one of them in full. The exit code."""
    if watch is not None:
        _watched(run, question, values, every(watch))
    changes = question.ask(run.store, {**values, "limit": run.limit}, run.now, run.tz)
    window, baseline = run.windows(values)
    report = Report(run, changes, baseline)
    if values["explain"] is None or run.format != "table":
        report.show()
    else:
        _explained(report, window, values["where"])
    return _code(changes.verdict) if exit_code else 0


def _watched(run: Run, question: Question, values: Mapping[str, Any], every_s: float) -> NoReturn:
    """The list, then a line for each piece of news, until Ctrl-C."""
    if values["explain"] is not None or run.format not in ("table", "json", "jsonl"):
        raise UsageError(
            "--watch has no end, and goes with neither --explain nor a table's format",
            "Leave those out, or write --watch --json.",
        )
    memory, first = Memory(), run.format == "table"
    for at, answer in looks(run, question, {**values, "limit": _MOST}, every_s):
        when = clock(at, run.tz, day=False)
        if isinstance(answer, QrecError):
            say(f"note: {when} no answer: {answer.message}")
            continue
        report = Report(run, answer, run.windows(values)[1])
        news = memory.look(document(answer), at)
        if first:
            report.show()
        elif run.format == "table":
            for one in news:
                emit(_line(report, one, when) + "\n")
        else:
            emit(to_jsonl([one.document for one in news]))
        first = False
    raise AssertionError("the looks have no end")


def _line(report: Report, news: News, when: str) -> str:
    head = f"{when}  {news.event:<5}"
    for finding in report.changes.findings:
        if news.finding is not None and finding.id == news.finding["id"]:
            return report.entry(finding, first=head)
    return f"{head}  {visible(news.text)}"


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

"""`qrec diff`: what changed in a window against its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from qrec.changes import Explanation, Report
from qrec.output import emit, say, to_jsonl
from qrec.run import Run
from qrec.watch import Memory, News, every, looks
from queries.core.answer import document, iso
from queries.core.escape import visible
from queries.core.format import clock
from queries.core.question import BASELINE, WINDOW, Argument, Question, asked_window
from queries.core.window import Baseline, Window, explicit_baseline
from queries.diff.explain.breakdown import by_container, part_text, within
from store.errors import QrecError, UsageError
from store.layout import Store

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
    Argument(
        "vs_store", "Compare with the recordings of another store: this build's with yesterday's."
        " The whole of each, unless times are given.", "DIR",
    ),
)  # fmt: skip


def respond(
    run: Run,
    question: Question,
    values: Mapping[str, Any],
    exit_code: bool,
    watch: str | None,
    vs_store: str | None,
) -> int:
    """The findings as a list, or one of them in full. The exit code."""
    values = {**values, "limit": run.limit}
    if vs_store is not None:
        if watch is not None:
            raise UsageError("--watch and --vs-store do not go together", "Leave one of them out.")
        verdict = _two_stores(run, question, values, _named(run, vs_store))
    elif watch is not None:
        _watched(run, question, values, every(watch))
    else:
        changes = question.ask(run.store, values, run.now, run.tz)
        window, baseline = run.windows(values)
        verdict = _shown(Report(run, changes, baseline), run.store, window, values)
    return _code(verdict) if exit_code else 0


def _shown(report: Report, store: Store, window: Window, values: Mapping[str, Any]) -> str:
    """The verdict, after the list or the one finding was written."""
    if values["explain"] is None or report.run.format != "table":
        report.show()
    else:
        _explained(report, store, window, values["where"])
    return report.changes.verdict


def _two_stores(run: Run, question: Question, values: dict[str, Any], other: Store) -> str:
    """Compare with the recordings of another store. The verdict."""
    from queries.core.two_stores import joined  # not for every comparison: it takes 10 ms

    window, baseline = _spans(run, values, other)
    with joined(run.store, other, window, baseline) as both:
        times = {"from_time": both.window.from_ts, "to_time": both.window.to_ts,
                 "vs_from": both.baseline.from_ts, "vs_to": both.baseline.to_ts}  # fmt: skip
        none = dict.fromkeys(one.name for one in (*WINDOW, *BASELINE))
        asked = {**values, **none, **{name: iso(moment) for name, moment in times.items()}}
        changes = question.ask(both.store, asked, max(run.now, window.to_ts), run.tz)
        report = Report(run, both.in_place(changes), Baseline("explicit", (both.baseline,)))
        return _shown(report, both.store, window, values)


def _spans(run: Run, values: Mapping[str, Any], other: Store) -> tuple[Window, Window]:
    """The window of this store and the baseline of the other: all of it, unless times are given."""
    from queries.core.two_stores import recorded

    if values["vs"] is not None:
        raise UsageError(
            "--vs and --vs-store both say what to compare with",
            "Leave --vs out; --vs-from and --vs-to choose a part of the other store.",
        )
    named = any(values[one.name] for one in WINDOW)
    window = run.window(values) if named else recorded(run.store)
    if values["vs_from"] is None and values["vs_to"] is None:
        return window, recorded(other)
    asked = asked_window(lambda: run.store, values)
    return window, explicit_baseline(asked, recorded(other).length, run.now, run.tz)


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


def _explained(report: Report, store: Store, window: Window, only: str | None) -> None:
    """The one finding, with its parts by container."""
    import filters  # 50 ms that a comparison without a filter need not wait for

    [finding] = report.changes.findings
    text = within(only, finding.key)
    where = filters.parse(text) if text else None
    parts = [part_text(one) for one in by_container(store, window, report.baseline, where)]
    Explanation(report, finding, parts, text).show()


def _named(run: Run, store: str) -> Store:
    """Another store than the one asked, with the same settings otherwise."""
    return Run(replace(run.flags, store=store)).store


def _code(verdict: str) -> int:
    """Quiet and deaf are not the same to a script either."""
    return {"changed": CHANGED, "nothing_changed": 0}.get(verdict, NO_ANSWER)

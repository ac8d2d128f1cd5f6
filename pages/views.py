"""What each page shows: a question asked, its answer as the fields of a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from markupsafe import Markup

import filters
from pages import charts, graph
from pages.ask import Asked, MissingError, href, parameter, values_of
from pages.findings import details, drawn_course, quiet_text, slots, spark, time_ticks
from queries.core import format as words
from queries.core.answer import Changes, document
from queries.core.escape import visible
from queries.core.question import Argument, Column, Question, in_use, parsed, questions_of
from queries.core.selection import selection
from queries.core.window import Baseline, Window
from queries.dependencies import marked
from queries.diff.explain.breakdown import filter_of, quotable
from queries.search import SEARCH
from store.derived import failed
from store.errors import UsageError, did_you_mean
from store.values import dataclass

_KEYS: Final = {  # what a row may have -> the name that filters of a finding's key know it by
    "host": "host", "method": "method", "route": "route", "status": "status",
    "container": "container", "container_name": "container", "process_exe": "process",
    "signature": "signature", "error_signature": "signature",
}  # fmt: skip
_SHORT = 24  # characters of a cell that is not broken
_LONG: Final = ("req.body", "res.body")  # nobody picks one from a list
MOST_VALUES, _LONGEST = 50, 120  # values of a field to choose from; characters of one
_TRACE: Final = timedelta(minutes=10)  # rows within it are drawn as a waterfall


@dataclass(frozen=True)
class Page:
    """A template's name and what goes into it."""

    template: str
    context: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True)
class Cell:
    """A cell of a table. css: r to the right, n on one line, wide-bar; bar: a drawing beside it."""

    text: str
    href: str = ""
    css: str = ""
    bar: Markup = Markup("")


@dataclass(frozen=True)
class Table:
    """Titles, and for each row its cells and a link to its transactions (empty: none)."""

    titles: Sequence[tuple[str, bool]]
    rows: Sequence[tuple[Sequence[Cell], str]]
    linked: bool


def table(asked: Asked, columns: Sequence[Column], rows: Sequence[Any], bars: bool = True) -> Table:
    """Rows laid out by a question's columns, each with a link to the transactions behind it."""
    laid, columns = [], in_use(columns, rows)
    counted = next((c for c in columns if c.kind == "count"), None)
    most = max((counted.of(row) or 0 for row in rows), default=0) if counted and bars else 0
    for row in rows:
        cells = []
        for column in columns:
            value = column.of(row)
            part = (value or 0) / most if column is counted and most else None
            if column.kind == "share" and bars:
                part = value
            drawn = Markup("") if not part else charts.bar(
                part, css="failed" if column.kind == "share" else "requests")  # fmt: skip
            link = href(f"/transactions/{value}") if column.kind == "id" and value else ""
            text = words.cell(column.kind, value, asked.tz)
            short = not column.give and len(text) <= _SHORT
            css = "r" if column.kind in words.NUMERIC else "n" if short else ""
            cells.append(Cell(text, link, css, drawn))
        laid.append((cells, _behind(asked, row)))
    titles = [(column.title, column.kind in words.NUMERIC) for column in columns]
    return Table(titles, laid, any(link for _, link in laid))


def _behind(asked: Asked, row: Any) -> str:
    """A link to the transactions that a row counts; empty where no filter can name them."""
    key = {name: getattr(row, field) for field, name in _KEYS.items() if hasattr(row, field)}
    mine = filter_of({name: value for name, value in key.items()
                      if value is not None or name == "status"})  # fmt: skip
    if not mine or hasattr(row, "url"):
        return ""
    return asked.link("search", where=_both(asked.where, mine))


def _both(first: str | None, second: str) -> str:
    return f"({first}) and {second}" if first else second


def form(asked: Asked, arguments: Sequence[Argument]) -> list[tuple[str, str, Argument, bool]]:
    """Of each argument its name in a URL, what was written for it, itself, and: is it a number."""
    named = {parameter(one): one for one in arguments}
    return [(name, asked.texts.get(name, ""), one, one.kind is int)
            for name, one in named.items() if name != "cursor"]  # fmt: skip


def common(asked: Asked, question: Question, answer: Any, title: str = "") -> dict[str, Any]:
    """What every page of a question has."""
    window, heading = getattr(answer, "window", None), ""
    takes = any(one.name == "where" for one in question.every_argument)
    if hasattr(window, "covered_s"):
        heading = words.window_heading(window, asked.tz, question.noun, answer.notes)
    elif window is not None:
        heading = words.stretch(window.from_ts, window.to_ts, asked.tz)
    return {
        "asked": asked,
        "tz": asked.tz,
        "title": title or question.title,
        "name": question.name,
        "heading": heading,
        "notes": [words.note_text(note, asked.tz) for note in answer.notes],
        "form": form(asked, question.flags),
        "shifts": {} if window is None else asked.shifts(window),
        "json": href(f"{asked.path if asked.path != '/' else '/diff'}.json", asked.texts),
        "command": asked.command(question.name, asked.texts),
        "completions": completions(asked.where) if takes else [],
    }


def completions(where: str | None) -> list[tuple[str, str]]:
    """What may stand in a filter's box next: (text, what it is)."""
    before = f"{where} AND " if where else ""
    return [
        (f"{before}{one.name} " + ("== " if one.kind == "int" else '== "'), one.doc)
        for one in filters.FIELDS.values()
    ]


def values(asked: Asked) -> list[str]:
    """What a field has been in a window, as a filter writes it: the most frequent, MOST_VALUES.

    Parameters: field, and those of a window. MissingError: there is no such field to complete.
    """
    given = dict(asked.given)
    name = given.pop("field", "")
    spec = filters.FIELDS.get(name)
    if spec is None or spec.kind == "texts" or name in _LONG:
        known = did_you_mean(name, filters.FIELDS, "`qrec search --help` names the fields.")
        raise MissingError(f"no values are kept of a field {visible(name[:40])!r}", known)
    _, arguments = values_of(questions_of("search"), given.items())
    with selection(asked.store, asked.window(arguments)) as chosen:
        seen = [str(value) for value in chosen.values(name)]
    usable = [text for text in seen if quotable(text) and len(text) <= _LONGEST]
    return [text if spec.kind == "int" else f'"{text}"' for text in usable[:MOST_VALUES]]


def front(asked: Asked) -> Page:
    """What changed: the findings as cards, over the course of window and baseline."""
    question, values = asked.question("diff")
    if values["explain"] is not None:
        return _finding(asked, question, values)
    window, baseline, changes, shown = compared(asked, question, values)
    fixed = asked.fixed(window, baseline)
    return Page("front.html", {
        **common(asked, question, changes, "What changed"),
        **shown,
        "link": lambda one: href("/diff", {**fixed, "where": asked.where, "explain": one.id}),
        "more": asked.again(limit=min(200, len(changes.findings) + changes.more)),
    })  # fmt: skip


def _finding(asked: Asked, question: Question, values: Mapping[str, Any]) -> Page:
    """One finding in full."""
    window, baseline = asked.windows(values)
    parsed(asked.where)
    try:
        changes = asked.answer(question, values)
    except UsageError as error:  # the window and the filter are as they should be
        raise MissingError(error.message, error.hint) from None
    fixed = asked.fixed(window, baseline)
    [told] = details(asked.store, window, baseline, asked.tz, asked.where, changes)
    finding = told["finding"]
    times = {"from": fixed["from"], "to": fixed["to"]}
    more = href("/search", {**times, "where": told["where"]})
    return Page("finding.html", {
        **common(asked, question, changes, f"Finding {finding.rank}"),
        "detail": told,
        "against": words.against(baseline, window, asked.tz),
        "transactions": more,
        "all": href("/", {**fixed, "where": asked.where}),
        "commands": [
            asked.command("diff", {**fixed, "where": asked.where, "explain": finding.id}),
            asked.command("errors", {**times, "where": told["where"]}),
        ],
    })  # fmt: skip


def compared(
    asked: Asked, question: Question, values: Mapping[str, Any], links: bool = True
) -> tuple[Window, Baseline, Changes, dict[str, Any]]:
    """The comparison, and what page and report alike say of it. links: from parts of its course."""
    window, baseline = asked.windows(values)
    changes: Changes = asked.answer(question, values)
    seen = words.covered_spans(changes.baseline, len(baseline.spans), changes.notes)
    return window, baseline, changes, {
        "changes": changes,
        "spark": partial(spark, changes),
        "against": words.against(baseline, window, asked.tz),
        "before": f"{words.counts_text(changes.baseline)}, {seen}",
        "course": drawn_course(asked, "course", window, changes, links),
        "quiet": quiet_text(changes),
    }  # fmt: skip


def any_question(asked: Asked) -> Page:
    """A question as a table of its columns, with the whole document beneath it."""
    question, values = asked.question(asked.path[1:])
    answer = asked.answer(question, values)
    rows = question.rows_of(answer)
    return Page("question.html", {
        **common(asked, question, answer),
        **_paging(asked, answer, values),
        "table": table(asked, question.columns, rows) if question.columns else None,
        "chart": None,
        "empty": question.empty,
        "document": document(answer),
    })  # fmt: skip


def _paging(asked: Asked, answer: Any, values: Mapping[str, Any]) -> dict[str, str]:
    """Links to the next page and to more rows; empty: there is no more."""
    cursor = getattr(answer, "next_cursor", None)
    limit = values.get("limit") or 0
    more = answer.truncated and not cursor and 0 < limit < 200
    return {
        "next": asked.again(cursor=cursor) if cursor else "",
        "first": asked.again(cursor=None) if asked.texts.get("cursor") else "",
        "more": asked.again(limit=min(limit * 5, 200)) if more else "",
    }


def timeline(asked: Asked) -> Page:
    """How a window went: panels over time, and the values of a dimension as a table."""
    question, values = asked.question("timeline")
    answer = asked.answer(question, values)
    total = answer.total
    lines = [
        charts.Line("requests", total.counts),
        charts.Line("failed", total.failed, "failed"),
        charts.Line("p95", total.p95_ms, "slower", words.millis),
    ]
    lines += [charts.Line(one.value or "(none)", one.counts) for one in answer.series[:8]]
    step = timedelta(seconds=answer.every_s)
    spanned = Window(answer.starts[0], answer.starts[-1] + step)
    return Page("question.html", {
        **common(asked, question, answer),
        **_paging(asked, answer, values),
        "table": table(asked, question.columns, answer.series) if answer.series else None,
        "chart": charts.series("timeline", "Requests, failures and times over the window", lines,
                               time_ticks(spanned, asked.tz), seen=answer.covered_s,
                               slots=slots(asked, asked.path, spanned, step)),
        "buckets": (spanned.from_ts, answer.every_s, {
            "requests": total.counts, "failed": total.failed, "p95": total.p95_ms}),
        "empty": "",
        "document": document(answer),
    })  # fmt: skip


def search(asked: Asked) -> Page:
    """Transactions as lines; those of a short time as a waterfall."""
    question, values = asked.question(asked.path[1:])
    answer = asked.answer(question, values)
    columns = question.columns or SEARCH.columns
    laid = table(asked, columns, answer.transactions, bars=False)
    return Page("search.html", {
        **common(asked, question, answer, "Transactions"),
        **_paging(asked, answer, values),
        "table": _waterfall(laid, columns, answer.transactions),
        "sorts": {
            "newest": asked.link("search", where=asked.where),
            "slowest": href("/slow", {**asked.window_texts, "where": asked.where}),
            "only failed": asked.link("search", where=_both(asked.where, 'outcome != "ok"')),
        },
        "empty": question.empty,
    })  # fmt: skip


def _waterfall(laid: Table, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    """The table with a bar from begin to end of each row, where all lie within a short time."""
    spans = [(row.ts - timedelta(milliseconds=row.duration_ms or 0), row.ts) for row in rows]
    if len(spans) < 2:
        return laid
    start, end = min(a for a, _ in spans), max(b for _, b in spans)
    if not timedelta(0) < end - start <= _TRACE:
        return laid
    at = next(i for i, column in enumerate(columns) if column.kind == "ms")
    drawn = []
    for (cells, link), (a, b), row in zip(laid.rows, spans, rows, strict=True):
        css = "failed" if failed(row.status, row.grpc_status) else "requests"
        bar = charts.bar((b - start) / (end - start), (a - start) / (end - start), css)
        one = cells[at]
        drawn.append(
            ([*cells[:at], Cell(one.text, one.href, "n wide-bar", bar), *cells[at + 1 :]], link)
        )
    titles = [*laid.titles[:at], (laid.titles[at][0], False), *laid.titles[at + 1 :]]
    return Table(titles, drawn, laid.linked)


def dependencies(asked: Asked) -> Page:
    """Who calls whom, drawn and as a table; against the time before, where that was seen."""
    question, values = asked.question("dependencies")
    values |= {} if "limit" in asked.texts else {"limit": 200}
    answer = asked.answer(question, values)
    return Page("graph.html", {
        **common(asked, question, answer),
        **_paging(asked, answer, values),
        **who_calls_whom(asked, question, answer, asked.window(values), values["container"]),
        "empty": question.empty,
    })  # fmt: skip


def who_calls_whom(
    asked: Asked, question: Question, answer: Any, window: Window, container: str | None = None
) -> dict[str, Any]:
    """The graph and its table, marked against as long a time before, where that was seen."""
    before = question.function(
        asked.store, Window(window.from_ts - window.length, window.from_ts),
        where=parsed(asked.where), limit=200, container=container,
    )  # fmt: skip
    edges = marked(answer.edges, before.edges if before.window.covered_s else None)
    drawn = graph.draw("graph", "Who calls whom", [
        graph.Edge((visible(e.caller or "outside"), e.caller_kind),
                   (visible(e.callee or "outside"), e.callee_kind), e.requests, _edge_text(e), css)
        for e, css in edges
    ])  # fmt: skip
    laid = table(asked, question.columns, [edge for edge, _ in edges])
    rows = [([*cells, Cell(css, css="n")], link) for (cells, link), (_, css) in
            zip(laid.rows, edges, strict=True)]  # fmt: skip
    return {
        "drawing": drawn,
        "table": Table([*laid.titles, ("marked", False)], rows, laid.linked),
        "compared": bool(before.window.covered_s),
    }


def _edge_text(edge: Any) -> str:
    failing = f", {words.share(edge.error_share)} failed" if edge.errors else ""
    ends = f"{edge.caller or 'outside'} calls {edge.callee}"
    return visible(f"{ends}: {edge.requests:,}{failing}, p95 {words.millis(edge.p95_ms)}")


View = Callable[[Asked], Page]
VIEWS: Final[Mapping[str, View]] = {
    "diff": front, "timeline": timeline, "search": search, "tail": search,
    "dependencies": dependencies,
}  # fmt: skip


def view_of(name: str) -> View:
    return VIEWS.get(name, any_question)

"""The questions of an incident: what fails, what is slow, and how it went over time."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Annotated

import typer

from qrec.format import endpoint_text, people, short_id, status_text, window_heading
from qrec.options import (
    ContainerFlags,
    PageFlags,
    RowFlags,
    StoreFlags,
    WhereFlags,
    WindowFlags,
)
from qrec.output import Column
from qrec.run import Run, parsed
from store.errors import UsageError

if TYPE_CHECKING:
    from queries.bodies import Body
    from queries.errors import ContainerErrors, ErrorRow, Errors, ErrorsByContainer
    from queries.slow import Slow


def errors(
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="WHAT", help="container: one entry for each that fails."),
    ] = None,
    *,
    window: WindowFlags,
    only: WhereFlags,
    whose: ContainerFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """What fails: by endpoint, status and what the error says, with one answer of each kind.

    Bodies are what others sent: they are shown as data, with control characters as escapes.

    \b
    Examples:
      qrec errors
      qrec errors --container payment-service --last 15m
      qrec errors --by container
      qrec errors --where 'res.status >= 500' --json
    """
    from queries import errors as asked

    run = Run(store, rows)
    if by is None:
        span, where = run.window(window), parsed(only)
        _show_errors(run, asked.errors(
            run.store, span, where, run.limit, whose.container, page.cursor
        ))  # fmt: skip
        return
    if by != "container":
        raise UsageError(f"errors cannot be grouped by {by[:40]!r}", "Give --by container.")
    if whose.container is not None or page.cursor is not None:
        raise UsageError(
            "--by container shows every container, on one page",
            "Leave --by out to see the errors of one, or to read page by page.",
        )
    _show_containers(
        run, asked.errors_by_container(run.store, run.window(window), parsed(only), run.limit)
    )


def _show_errors(run: Run, answer: Errors) -> None:
    from qrec.format import clock, number
    from qrec.render import Answer, present
    from queries.core.question import document

    columns = [
        Column("errors", right=True), Column("status"), Column("endpoint"), Column("says"),
        Column("first seen"), Column("last seen"), Column("by"), Column("example"),
    ]  # fmt: skip
    cells = [
        [number(e.errors), status_text(e.status, e.grpc_status),
         endpoint_text(e.method, e.host, e.route), e.signature or "-",
         clock(e.first_seen, run.tz, day=False), clock(e.last_seen, run.tz, day=False),
         people(e.containers, e.containers_total), short_id(e.example.transaction)]
        for e in answer.errors
    ]  # fmt: skip
    lines = [window_heading(answer.window, run.tz)]
    lines += [_entry(run, row) for row in answer.errors]
    empty = "nothing failed that matches"
    present(
        run, Answer(document(answer), "errors", columns, cells, empty=empty, text="\n".join(lines))
    )


def _show_containers(run: Run, answer: ErrorsByContainer) -> None:
    from qrec.format import number, share
    from qrec.render import Answer, present
    from queries.core.question import document

    columns = [
        Column("container"), Column("requests", right=True), Column("failed", right=True),
        Column("share", right=True), Column("kinds", right=True),
    ]  # fmt: skip
    cells = [
        [c.container or "-", number(c.requests), number(c.errors), share(c.error_share),
         number(c.kinds)]
        for c in answer.containers
    ]  # fmt: skip
    lines = [window_heading(answer.window, run.tz)]
    for container in answer.containers:
        lines += ["", _container(run, container)]
        lines += [_entry(run, row, name=False) for row in container.top]
    text = "\n".join(lines)
    empty = "nothing failed that matches"
    present(run, Answer(document(answer), "containers", columns, cells, empty=empty, text=text))


def _container(run: Run, row: ContainerErrors) -> str:
    from qrec.format import number, plural, share
    from qrec.safe import visible

    name = run.paint(visible(row.container or "(unknown)"), "bold")
    shown = f", the first {len(row.top)} of" if row.kinds > len(row.top) else ","
    return (
        f"{name}: {number(row.errors)} of {plural(row.requests, 'request')} failed "
        f"({share(row.error_share)}){shown} {plural(row.kinds, 'kind')}"
    )


def _entry(run: Run, row: ErrorRow, name: bool = True) -> str:
    """Two to four lines: how often and where, what it says, when and for whom, an answer."""
    from qrec.format import clock
    from qrec.safe import cut, visible

    room = (run.width or 10_000) - 14
    status = status_text(row.status, row.grpc_status)
    where = endpoint_text(row.method, row.host, row.route)
    seen = clock(row.first_seen, run.tz, day=False)
    if row.errors > 1:
        seen += f" to {clock(row.last_seen, run.tz, day=False)}"
    who = f", {people(row.containers, row.containers_total)}" if name else ""
    body = _one_line(row.example.body)
    more = [
        row.signature or "",
        f"{seen}{who}: qrec show {short_id(row.example.transaction)}",
        f"> {body}" if body else "",
    ]
    head = f"{row.errors:>6,}  {run.paint(f'{status:<4}', 'red')}  {cut(visible(where), room)}"
    return "\n".join([head, *(" " * 14 + cut(visible(text), room) for text in more if text)])


def _one_line(body: Body) -> str:
    """The beginning of a body that is text, as it came rather than laid out."""
    if body.encoding == "base64":
        return ""
    with contextlib.suppress(ValueError):  # it was cut, or it is no JSON
        return json.dumps(json.loads(body.text), ensure_ascii=False)
    return " ".join(body.text.split())


def slow(*, window: WindowFlags, only: WhereFlags, rows: RowFlags, store: StoreFlags) -> None:
    """What is slow: endpoints by their 95th percentile, and the slowest single transactions.

    \b
    Examples:
      qrec slow
      qrec slow --last 15m --where 'direction == "egress-external"'
      qrec slow --limit 5 --json
    """
    from queries.slow import slow as ask

    run = Run(store, rows)
    _show_slow(run, ask(run.store, run.window(window), parsed(only), run.limit))


def _show_slow(run: Run, answer: Slow) -> None:
    from qrec.format import clock, millis, number, plural, share
    from qrec.output import to_table
    from qrec.render import Answer, present
    from queries.core.question import document

    ends = [
        Column("p95", right=True), Column("p50", right=True),
        Column("p99", right=True, optional=True), Column("requests", right=True),
        Column("failed", right=True), Column("place"), Column("endpoint", give=1),
    ]  # fmt: skip
    end_cells = [
        [millis(e.p95_ms), millis(e.p50_ms), millis(e.p99_ms), number(e.requests),
         share(e.error_share), e.place, endpoint_text(e.method, e.host, e.route)]
        for e in answer.endpoints
    ]  # fmt: skip
    single = [
        Column("took", right=True), Column("at"), Column("status"), Column("transaction"),
        Column("by", give=2, optional=True), Column("request", give=1),
    ]  # fmt: skip
    single_cells = [
        [millis(t.duration_ms), clock(t.ts, run.tz, day=False), status_text(t.status),
         short_id(t.id), t.container or "-", endpoint_text(t.method, t.host, t.path)]
        for t in answer.transactions
    ]  # fmt: skip
    parts = [window_heading(answer.window, run.tz)]
    if answer.endpoints:
        parts += ["", to_table(ends, end_cells, run.width, run.paint)]
        parts += [to_table(single, single_cells, run.width, run.paint)]
    if answer.no_response:
        waiting = plural(answer.no_response, "request")
        parts.append(f"{waiting} got no response at all, and so have no duration here\n")
    text = "\n".join(parts).rstrip("\n")
    found = document(answer)
    present(run, Answer(found, "transactions", single, single_cells, text=text))

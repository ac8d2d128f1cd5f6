"""The questions about one window: hosts, statuses, endpoints, coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qrec.format import endpoint_text, people, status_text, window_heading
from qrec.options import PageFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column
from qrec.run import Run, parsed

if TYPE_CHECKING:
    from datetime import tzinfo

    from queries.coverage import RecorderRow


def hosts(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which hosts were talked to: where they lie, how well and how fast they answered, and by whom.

    \b
    Examples:
      qrec hosts
      qrec hosts --last 15m --where 'direction == "egress-external"'
      qrec hosts --from 14:00 --to 14:30 --format csv > hosts.csv
    """
    from qrec.format import clock, millis, number, share
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.hosts import hosts as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, cursor=page.cursor)
    columns = [
        Column("host", give=1), Column("place"), Column("requests", right=True),
        Column("failed", right=True), Column("p50", right=True), Column("p95", right=True),
        Column("last seen", optional=True), Column("by", give=2),
    ]  # fmt: skip
    cells = [
        [h.host or "-", h.place, number(h.requests), share(h.error_share), millis(h.p50_ms),
         millis(h.p95_ms), clock(h.last_seen, run.tz, day=False),
         people(h.callers or h.served_by, h.callers_total)]
        for h in answer.hosts
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "hosts", columns, cells, heading))


def statuses(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which status codes were answered, how often, and where most of them come from.

    \b
    Examples:
      qrec statuses
      qrec statuses --since "deploy 1234"
      qrec statuses --where 'req.host == "api.stripe.com"'
    """
    from qrec.format import clock, number, share
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.statuses import statuses as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, cursor=page.cursor)
    columns = [
        Column("status"), Column("requests", right=True), Column("share", right=True),
        Column("endpoints", right=True), Column("last seen", optional=True),
        Column("most from", give=1),
    ]  # fmt: skip
    cells = [
        [status_text(s.status), number(s.requests), share(s.share), number(s.endpoints),
         clock(s.last_seen, run.tz, day=False),
         endpoint_text(s.top[0].method, s.top[0].host, s.top[0].route) if s.top else "-"]
        for s in answer.statuses
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "statuses", columns, cells, heading))


def endpoints(
    sort: Annotated[
        str, typer.Option("--sort", metavar="BY", help="requests, errors or p95, largest first.")
    ] = "requests",
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which endpoints (method, host, route) were used: how much, how well, how fast.

    \b
    Examples:
      qrec endpoints --sort errors
      qrec endpoints --sort p95 --last 15m
      qrec endpoints --where 'req.host == "api.stripe.com"' --json
    """
    from qrec.format import millis, number, share
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.endpoints import endpoints as ask
    from queries.endpoints import sort_order

    run = Run(store, rows)
    order = sort_order(sort)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, order, page.cursor)
    columns = [
        Column("method"), Column("host", give=1), Column("route", give=1),
        Column("requests", right=True), Column("failed", right=True), Column("p50", right=True),
        Column("p95", right=True), Column("p99", right=True, optional=True),
    ]  # fmt: skip
    cells = [
        [e.method or "-", e.host or "-", e.route or "-", number(e.requests), share(e.error_share),
         millis(e.p50_ms), millis(e.p95_ms), millis(e.p99_ms)]
        for e in answer.endpoints
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "endpoints", columns, cells, heading))


def coverage(*, window: WindowFlags, rows: RowFlags, store: StoreFlags) -> None:
    """What the recorders saw of a window, and what they did not.

    Quiet and deaf are not the same: a host that shows no traffic in a gap may have had plenty.

    \b
    Examples:
      qrec coverage --last 1d
      qrec coverage --from "yesterday 00:00" --to "today 00:00" --json
    """
    from qrec.format import span, stretch
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.coverage import coverage as ask

    run = Run(store, rows)
    asked = run.window(window)
    answer = ask(run.store, asked, run.limit)
    columns = [
        Column("recorder"), Column("from"), Column("to", optional=True),
        Column("length", right=True), Column("state"), Column("events", right=True),
        Column("reason", give=1),
    ]  # fmt: skip
    cells = [line for recorder in answer.recorders for line in _stretches(recorder, run.tz)]
    covered = f"covered {span(answer.window.covered_s)} of {span(asked.seconds)}"
    heading = f"{stretch(asked.from_ts, asked.to_ts, run.tz)}: {covered}"
    found = document(answer)
    records = [
        {"recorder": recorder["recorder"], **row}
        for recorder in found["recorders"]
        for row in recorder["stretches"]
    ]
    present(
        run, Answer(found, "recorders", columns, cells, heading, "no recorder was there", records)
    )


def _stretches(recorder: RecorderRow, tz: tzinfo) -> list[list[str]]:
    from qrec.format import clock, number, span

    return [
        [recorder.recorder, clock(s.from_ts, tz), clock(s.to_ts, tz, day=False),
         span((s.to_ts - s.from_ts).total_seconds()), s.state, number(s.events), s.reason or ""]
        for s in recorder.stretches
    ]  # fmt: skip

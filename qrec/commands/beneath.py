"""The questions beneath HTTP: databases and network connections."""

from __future__ import annotations

from typing import Annotated

import typer

from qrec.format import people, program, window_heading
from qrec.options import PageFlags, RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column
from qrec.run import Run, parsed


def database(
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="BY", help="calls, errors, p95 or time (all together)."),
    ] = "calls",
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """What databases are asked: which statements, without their values, how well, how fast.

    \b
    Examples:
      qrec database
      qrec database --sort time --last 15m
      qrec database --where 'container.name == "order-service"'
    """
    from qrec.format import millis, number, share
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.database import database as ask
    from queries.database import database_order

    run = Run(store, rows)
    order = database_order(sort)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, order, page.cursor)
    columns = [
        Column("type"), Column("statement", give=1), Column("calls", right=True),
        Column("failed", right=True), Column("p50", right=True), Column("p95", right=True),
        Column("max", right=True, optional=True), Column("by", give=2),
    ]  # fmt: skip
    cells = [
        [s.type or "-", s.statement or "-", number(s.calls), share(s.error_share),
         millis(s.p50_ms), millis(s.p95_ms), millis(s.max_ms),
         people(s.containers, s.containers_total)]
        for s in answer.statements
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz, "call")
    present(run, Answer(document(answer), "statements", columns, cells, heading))


def connections(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Network connections, HTTP or not: where they go, by which protocol, who holds them.

    They are recorded only where `qrec record --connections` asks for them.

    \b
    Examples:
      qrec connections
      qrec connections --where 'direction == "egress-external"' --limit 100
    """
    from qrec.format import number, plural, size, stretch
    from qrec.render import Answer, present
    from queries.connections import connections as ask
    from queries.core.question import document

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, page.cursor)
    columns = [
        Column("with", give=1), Column("place"), Column("protocol"), Column("tls", optional=True),
        Column("number", right=True), Column("open", right=True), Column("bytes", right=True),
        Column("by", give=2),
    ]  # fmt: skip
    cells = [
        [f"{c.endpoint or '-'}:{c.port}" if c.port else c.endpoint or "-", c.place,
         c.protocol or "-", c.tls or "-", number(c.connections), number(c.open),
         size(c.bytes_sent + c.bytes_received), program(c.container)]
        for c in answer.connections
    ]  # fmt: skip
    side = answer.window
    heading = f"{stretch(side.from_ts, side.to_ts, run.tz)}: "
    heading += plural(side.connections, "connection")
    present(run, Answer(document(answer), "connections", columns, cells, heading))

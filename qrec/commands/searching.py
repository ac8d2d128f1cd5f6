"""`qrec search`: the transactions that match a filter."""

from __future__ import annotations

from typing import Annotated

import typer

from qrec.options import RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column
from qrec.run import Run, parsed
from store.errors import UsageError


def search(
    filter_: Annotated[
        str | None,
        typer.Argument(metavar="FILTER", help="As in 'res.status >= 500'. Default: everything."),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="TEXT", help="The next_cursor of the page before."),
    ] = None,
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> None:
    """Transactions that match a filter, newest first, one line each. `qrec show ID` has the rest.

    \b
    Examples:
      qrec search 'res.status >= 500' --last 15m
      qrec search 'req.host == "api.stripe.com" AND duration_ms > 2000'
      qrec search 'res.body contains "card_declined"' --limit 100 --json
    """
    from qrec.format import clock, millis, short_id, status_text, window_heading
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.search import search as ask

    run = Run(store, rows)
    if filter_ is not None and only.where is not None:
        raise UsageError("the filter is given twice", "Keep FILTER or --where, not both.")
    where = parsed(WhereFlags(filter_ if filter_ is not None else only.where))
    answer = ask(run.store, run.window(window), where, run.limit, cursor)
    columns = [
        Column("time"), Column("status"), Column("method"), Column("url", give=1),
        Column("took", right=True), Column("by", give=2, optional=True), Column("id"),
    ]  # fmt: skip
    cells = [
        [clock(t.ts, run.tz, day=False), status_text(t.status, t.grpc_status), t.method or "-",
         t.url, millis(t.duration_ms), t.container_name or t.process_exe or "-", short_id(t.id)]
        for t in answer.transactions
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "transactions", columns, cells, heading))

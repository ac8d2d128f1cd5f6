"""The questions that draw the picture: which routes there are, who talks, and to whom."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from qrec.format import people, program, status_text, window_heading
from qrec.options import (
    ContainerFlags,
    PageFlags,
    RowFlags,
    StoreFlags,
    WhereFlags,
    WindowFlags,
)
from qrec.output import Column, emit
from qrec.run import Run, parsed
from qrec.safe import visible
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queries.processes import Part
    from queries.routes import RouteRow, Routes


def routes(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which routes each host has: how they are used, what they answer, with real paths.

    \b
    Examples:
      qrec routes --where 'req.host == "api.stripe.com"'
      qrec routes --last 1d --limit 100 --format md
    """
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.routes import routes as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, page.cursor)
    columns = [Column("host"), Column("place"), *_route_columns("route")]
    cells = [[r.host or "-", r.place, *_route(r)] for r in answer.routes]
    text = "\n".join([window_heading(answer.window, run.tz), *_by_host(run, answer)])
    present(run, Answer(document(answer), "routes", columns, cells, text=text))


def _by_host(run: Run, answer: Routes) -> Iterator[str]:
    """A table for each host, in the order of the answer."""
    from qrec.output import to_table

    for (host, place), rows in groupby(answer.routes, lambda row: (row.host, row.place)):
        columns = _route_columns(f"{host or '(no host)'} ({place})")
        yield ""
        yield to_table(columns, [_route(r) for r in rows], run.width, run.paint).rstrip("\n")


def _route_columns(title: str) -> list[Column]:
    return [
        Column(visible(title), give=1), Column("requests", right=True), Column("methods", give=3),
        Column("statuses", give=3), Column("such as", give=2),
    ]  # fmt: skip


def _route(row: RouteRow) -> list[str]:
    methods = " ".join(m.method or "-" for m in row.methods)
    statuses = " ".join(status_text(s.status) for s in row.statuses)
    return [row.route or "-", f"{row.requests:,}", methods, statuses, " ".join(row.examples[:1])]


def processes(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which programs sent or served requests, in which container, and whom they called.

    \b
    Examples:
      qrec processes
      qrec processes --where 'req.host == "api.stripe.com"'
    """
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.processes import processes as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, page.cursor)
    columns = [
        Column("program", give=1), Column("container", give=1), Column("pids", right=True),
        *_PARTS, Column("talks to", give=2),
    ]  # fmt: skip
    cells = [
        [program(p.process), p.container or "-", str(p.pids), *_part(p.called), *_part(p.served),
         people(p.hosts, p.hosts_total)]
        for p in answer.processes
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "processes", columns, cells, heading))


def containers(
    *,
    window: WindowFlags,
    only: WhereFlags,
    rows: RowFlags,
    page: PageFlags,
    store: StoreFlags,
) -> None:
    """Which containers sent or served requests: how many, how well, and whom they called.

    \b
    Examples:
      qrec containers
      qrec containers --where 'direction == "egress-external"'
    """
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.processes import containers as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit, page.cursor)
    columns = [
        Column("container", give=1), Column("image", give=3, optional=True),
        *_PARTS, Column("talks to", give=2),
    ]  # fmt: skip
    cells = [
        [c.container or "(on the host)", " ".join(c.images) or "-", *_part(c.called),
         *_part(c.served), people(c.hosts, c.hosts_total)]
        for c in answer.containers
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(document(answer), "containers", columns, cells, heading))


_PARTS = tuple(
    Column(title, right=True, optional=title == "p95")
    for title in ("calls", "failed", "p95", "serves", "failed", "p95")
)


def _part(part: Part) -> list[str]:
    from qrec.format import millis, number, share

    if not part.requests:
        return ["-", "-", "-"]
    return [number(part.requests), share(part.error_share), millis(part.p95_ms)]


def dependencies(
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="FORM", help="A graph to draw: dot (Graphviz) or mermaid."),
    ] = None,
    *,
    window: WindowFlags,
    only: WhereFlags,
    whose: ContainerFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> None:
    """Who talks to whom: what each container calls, and who calls it, databases included.

    \b
    Examples:
      qrec dependencies --container payment-service
      qrec dependencies --as mermaid --limit 200
      qrec dependencies --as dot | dot -Tsvg > map.svg
    """
    from qrec.format import millis, number, share
    from qrec.graphs import GRAPHS
    from qrec.render import Answer, narrate, present
    from queries.core.question import document
    from queries.dependencies import dependencies as ask

    run = Run(store, rows)
    if as_ is not None and as_ not in GRAPHS:
        known = ", ".join(GRAPHS)
        raise UsageError(f"--as cannot be {as_[:40]!r}", f"It is one of {known}.")
    if as_ is not None and run.format != "table":
        raise UsageError(f"--as {as_} and --format {run.format} contradict", "Keep one.")
    answer = ask(run.store, run.window(window), parsed(only), run.limit, whose.container)
    found = document(answer)
    if as_ is not None:
        emit(GRAPHS[as_](answer.edges))
        narrate(run, found, len(answer.edges))
        return
    columns = [
        Column("from", give=1), Column("to", give=1), Column("place"),
        Column("requests", right=True), Column("failed", right=True),
        Column("p50", right=True, optional=True), Column("p95", right=True),
        Column("as", give=2, optional=True),
    ]  # fmt: skip
    cells = [
        [_end(e.caller, e.caller_kind), _end(e.callee, e.callee_kind), e.place,
         number(e.requests), share(e.error_share), millis(e.p50_ms), millis(e.p95_ms),
         " ".join(h for h in e.hosts if h != e.callee)]
        for e in answer.edges
    ]  # fmt: skip
    heading = window_heading(answer.window, run.tz)
    present(run, Answer(found, "edges", columns, cells, heading))


def _end(name: str | None, kind: str) -> str:
    if name is None:
        return "(outside)" if kind == "outside" else "-"
    return program(name) if kind == "process" else name

"""Who talks to whom: what each container calls, and who calls it, databases included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from queries.core.answer import Note, PagedAnswer
from queries.core.question import CONTAINER, CURSOR, LIMIT, WHERE, Column, Question, Where
from queries.core.selection import selection
from queries.core.window import Window
from store.derived import Place
from store.errors import UsageError
from store.layout import Store
from store.values import dataclass

NodeKind = Literal["container", "process", "host", "database", "outside"]
_HOSTS = 5
FAILING: Final = 0.05  # of its requests: such an edge is drawn in red
_SLOWER, _ENOUGH = 2.0, 20  # times the p95 of before; requests, of both where it was there before
_NO_DATABASES = "databases are left out: the filter asks for what only HTTP has"


@dataclass(frozen=True)
class Edge:
    """One talks to another. Times in ms; an error as in HostRow.

    caller null: something outside this machine. callee: the container (or program) of this machine
    that serves the host that was called; else the host itself, or the kind of database.
    hosts: the names under which it was called, five at most.
    """

    caller: str | None
    caller_kind: NodeKind
    callee: str | None
    callee_kind: NodeKind
    place: Place
    hosts: tuple[str, ...]
    requests: int
    errors: int
    error_share: float
    p50_ms: float | None
    p95_ms: float | None
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Dependencies(PagedAnswer):
    """The edges of a window, the busiest first. A database's `requests` are its calls.

    container: whose edges were asked for; `window` then counts their requests alone. A call
    within this machine is one edge, though both of its ends were recorded.
    """

    container: str | None
    edges: tuple[Edge, ...]


def dependencies(
    store: Store,
    window: Window,
    where: Where = None,
    limit: int = LIMIT.default,
    container: str | None = None,
) -> Dependencies:
    """Who calls whom among the window's transactions that match `where`; at most `limit` edges.

    container: only edges from or to this container (or program, host, kind of database).
    """
    tables = ("transactions", "database")
    with selection(store, window, where, tables, counts=True) as chosen:
        name = {"name": container}
        rows = chosen.rows("edges", name)
        counts = (sum(row["requests"] for row in rows), sum(row["errors"] for row in rows))
        notes = []
        try:
            chosen.select(where, "database", "matching_database")
            rows = sorted(
                rows + chosen.rows("database_edges", name), key=lambda row: -row["requests"]
            )
        except UsageError:
            notes = [Note("no_databases", _NO_DATABASES)]
        if container is None:
            [all_of] = chosen.rows("error_totals", side="NULL") or [{"requests": 0, "errors": 0}]
            counts = all_of["requests"], all_of["errors"]
        elif not rows:
            notes += chosen.unknown_container(container)
        found = chosen.result(rows, limit, counts, notes)
    return found.answer(Dependencies, container=container, edges=tuple(map(_edge, found.rows)))


def _edge(row: dict[str, Any]) -> Edge:
    return Edge(hosts=tuple(row.pop("hosts")[:_HOSTS]), **row)


def marked(edges: Sequence[Edge], before: Sequence[Edge] | None) -> list[tuple[Edge, str]]:
    """Each edge with what is to be seen of it: failing, slower, new; those that are gone follow.

    before: the edges of as long a time before; None: nobody was recording then.
    """
    known = {_ends(edge): edge for edge in before or ()}
    found = []
    for edge in edges:
        was = known.pop(_ends(edge), None)
        marks = ["failing"] if edge.error_share >= FAILING else []
        if was is None:
            marks += ["new"] if before is not None and edge.requests >= _ENOUGH else []
        elif _slower(edge, was):
            marks.append("slower")
        found.append((edge, " ".join(marks)))
    gone = [edge for edge in known.values() if edge.requests >= _ENOUGH]
    return [*found, *((edge, "gone") for edge in gone)]


def _slower(edge: Edge, was: Edge) -> bool:
    enough = min(edge.requests, was.requests) >= _ENOUGH
    return bool(enough and edge.p95_ms and was.p95_ms and edge.p95_ms >= _SLOWER * was.p95_ms)


def _ends(edge: Edge) -> tuple[Any, ...]:
    return edge.caller, edge.caller_kind, edge.callee, edge.callee_kind


def _end(name: str | None, kind: str) -> str:
    if name is None:
        return "(outside)" if kind == "outside" else "-"
    return name.rpartition("/")[2] if kind == "process" else name


_CONTAINER = replace(
    CONTAINER,
    help="Only what this container (or program, host, kind of database) calls, and who calls it.",
)
DEPENDENCIES = Question(
    name="dependencies",
    tool="get_dependencies",
    title="Who talks to whom",
    summary="who calls whom",
    group="traffic",
    function=dependencies,
    answer=Dependencies,
    rows="edges",
    arguments=(WHERE, LIMIT, _CONTAINER, CURSOR),
    columns=(
        Column("from", lambda e: _end(e.caller, e.caller_kind), give=1),
        Column("to", lambda e: _end(e.callee, e.callee_kind), give=1),
        Column("place"),
        Column("requests", kind="count"),
        Column("failed", "error_share", "share"),
        Column("p50", "p50_ms", "ms", optional=True),
        Column("p95", "p95_ms", "ms"),
        Column(
            "as", lambda e: " ".join(h for h in e.hosts if h != e.callee), give=2, optional=True
        ),
    ),
    core=True,
    help="""
    \b
    Examples:
      qrec dependencies --container payment-service
      qrec dependencies --as mermaid --limit 200
      qrec dependencies --as dot | dot -Tsvg > map.svg
    """,
    guide="""
    Who talks to whom in a window: edges from caller to callee with counts, failures and times.

    A callee is a container of this machine where one serves the host that was called, else the
    host; databases are callees, too. Caller null: somebody outside this machine. A call within the
    machine is one edge, though both ends were recorded. Use it with `container` for "what does X
    depend on?" and "who is affected when X fails?". Next: get_errors with `container` on the
    callee that fails, get_endpoints with a `where` on its host.
    """,
)

"""Who talks to whom: each container with the hosts, containers and databases that it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from queries.core.answer import Note, Side
from queries.core.question import (
    DEFAULT_LIMIT,
    VERSION,
    Asking,
    Place,
    asking,
    condition,
    share,
    totals,
    unknown_container,
)
from queries.core.window import Window
from store.errors import UsageError

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

NodeKind = Literal["container", "process", "host", "database", "outside"]
_HOSTS = 5
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
class Dependencies:
    """The edges of a window, the busiest first. A database's `requests` are its calls.

    container: whose edges were asked for; `window` then counts their requests alone. A call
    within this machine is one edge, though both of its ends were recorded.
    """

    window: Side
    notes: tuple[Note, ...]
    container: str | None
    edges: tuple[Edge, ...]
    truncated: bool
    version: int = field(default=VERSION)


def dependencies(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    container: str | None = None,
) -> Dependencies:
    """Who calls whom among the window's transactions that match `where`; at most `limit` edges.

    container: only edges from or to this container (or program, host, kind of database).
    """
    with asking(store, window, where, ("transactions", "database")) as asked:
        name = {"name": container}
        rows = asked.rows("edges", name)
        counts = (sum(row["requests"] for row in rows), sum(row["errors"] for row in rows))
        databases, notes = _databases(asked, where, name)
        rows = sorted(rows + databases, key=lambda row: -row["requests"])
        if container is None:
            counts = totals(asked.rows("window_totals"))
        elif not rows:
            notes += unknown_container(asked, container)
        found = asked.found(rows, limit, counts, notes)
    return Dependencies(
        window=found.window,
        notes=found.notes,
        container=container,
        edges=tuple(_edge(row) for row in found.rows),
        truncated=found.truncated,
    )


def _databases(
    asked: Asking, where: Expr | None, name: dict[str, Any]
) -> tuple[list[Any], list[Note]]:
    try:
        text, params = condition(where, asked.reader.con, "database")
    except UsageError:
        return [], [Note("no_databases", _NO_DATABASES)]
    given = {**asked.params, **params, **name}
    return asked.reader.sql("database_edges", given, where=text).to_pylist(), []


def _edge(row: dict[str, Any]) -> Edge:
    hosts = row.pop("hosts")[:_HOSTS]
    return Edge(hosts=tuple(hosts), error_share=share(row["errors"], row["requests"]), **row)

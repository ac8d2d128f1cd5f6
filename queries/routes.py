"""The routes of each host: which paths there are, how they are used and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queries.core.answer import Note, Side
from queries.core.question import DEFAULT_LIMIT, VERSION, Place, ask, share
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store


@dataclass(frozen=True)
class MethodCount:
    method: str | None
    requests: int


@dataclass(frozen=True)
class StatusCount:
    """status null: no response."""

    status: int | None
    requests: int


@dataclass(frozen=True)
class RouteRow:
    """A route of a host in one place (see HostRow). paths: about how many different ones.

    methods and statuses: the ten most frequent; examples: up to three paths as they were asked
    for, at most 300 characters each.
    """

    place: Place
    host: str | None
    route: str | None
    requests: int
    errors: int
    error_share: float
    methods: tuple[MethodCount, ...]
    statuses: tuple[StatusCount, ...]
    paths: int
    examples: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Routes:
    """The routes of a window by host: the busiest host first, and its busiest route."""

    window: Side
    notes: tuple[Note, ...]
    routes: tuple[RouteRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def routes(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Routes:
    """The routes of the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "route_table", cursor=cursor)
    rows = tuple(_row(row) for row in found.rows)
    return Routes(found.window, found.notes, rows, found.next_cursor, found.truncated)


def _row(row: dict[str, Any]) -> RouteRow:
    examples = tuple(path for path in row.pop("examples") if path is not None)
    return RouteRow(
        error_share=share(row["errors"], row["requests"]),
        methods=tuple(MethodCount(**one) for one in row.pop("methods")),
        statuses=tuple(StatusCount(**one) for one in row.pop("statuses")),
        examples=examples,
        **row,
    )

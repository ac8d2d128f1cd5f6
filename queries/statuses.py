"""Which status codes were answered, how often, and where most of them come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queries.core.answer import Note, Side
from queries.core.question import DEFAULT_LIMIT, VERSION, ask, share
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store


@dataclass(frozen=True)
class Place:
    """An endpoint with its number of requests."""

    method: str | None
    host: str | None
    route: str | None
    requests: int


@dataclass(frozen=True)
class StatusRow:
    """A status code; null stands for requests that got no response. `top`: its busiest three."""

    status: int | None
    requests: int
    share: float
    hosts: int
    endpoints: int
    first_seen: datetime
    last_seen: datetime
    top: tuple[Place, ...]


@dataclass(frozen=True)
class Statuses:
    """The status codes of a window, the most frequent first."""

    window: Side
    notes: tuple[Note, ...]
    statuses: tuple[StatusRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def statuses(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Statuses:
    """The statuses of the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "statuses", cursor=cursor)
    return Statuses(
        window=found.window,
        notes=found.notes,
        statuses=tuple(_row(row, found.window.requests) for row in found.rows),
        next_cursor=found.next_cursor,
        truncated=found.truncated,
    )


def _row(row: dict[str, Any], whole: int) -> StatusRow:
    top = tuple(Place(**place) for place in row.pop("top"))
    return StatusRow(share=share(row["requests"], whole), top=top, **row)

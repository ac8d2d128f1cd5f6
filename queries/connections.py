"""Network connections, HTTP or not: where they go, by which protocol, who holds them, how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from queries.core.answer import Note
from queries.core.paging import page_of
from queries.core.question import DEFAULT_LIMIT, VERSION, Place, asking, totals
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_NOT_RECORDED = (
    "no connections were recorded in this window: they are kept only where"
    " `qrec record --connections` asks for them"
)


@dataclass(frozen=True)
class ConnectionRow:
    """Connections of one sort. open: no end was seen by the window's end. Sizes in bytes, as far as
    they are known: Qtap tells them at the end of a connection.

    endpoint: the name of the other side, or its address; port: of the side that was connected to,
    which for place `here` is this machine; remotes: how many addresses are on the other
    side; protocol: http1, dns, mysql, other …; tls null: none was seen. container: or executable.
    p50_ms and max_ms: how long they lasted, as far as it was seen. example: a connection's id.
    """

    place: Place
    endpoint: str | None
    port: int | None
    protocol: str | None
    tls: str | None
    container: str | None
    connections: int
    open: int
    remotes: int
    bytes_sent: int
    bytes_received: int
    p50_ms: float | None
    max_ms: int | None
    first_seen: datetime
    last_seen: datetime
    example: str | None


@dataclass(frozen=True)
class ConnectionSide:
    """The window, how much of it was seen, and how many connections were."""

    from_ts: datetime = field(metadata={"name": "from"})
    to_ts: datetime = field(metadata={"name": "to"})
    covered_s: float
    connections: int


@dataclass(frozen=True)
class Connections:
    """The connections of a window, the most frequent sort first."""

    window: ConnectionSide
    notes: tuple[Note, ...]
    connections: tuple[ConnectionRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def connections(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Connections:
    """The window's connections that match `where`; at most `limit` rows.

    FilterError: `where` asks for what only HTTP has.
    """
    page = page_of(cursor, window, limit, "connections", where and where.text)
    with asking(store, page.window, where, ("connections",)) as asked:
        rows = asked.rows("connections", {"rows": page.rows})
        counts = totals(rows)
        more = [] if asked.reader.files["connections"] else [Note("not_recorded", _NOT_RECORDED)]
        found = asked.found(rows[page.offset :], limit, counts, more, page)
    side = found.window
    return Connections(
        window=ConnectionSide(side.from_ts, side.to_ts, side.covered_s, side.requests),
        notes=found.notes,
        connections=tuple(ConnectionRow(**row) for row in found.rows),
        next_cursor=found.next_cursor,
        truncated=found.truncated,
    )

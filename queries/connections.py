"""Network connections, HTTP or not: where they go, by which protocol, who holds them."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from queries.core.answer import VERSION, Between, Note
from queries.core.question import CURSOR, DEFAULT_LIMIT, LIMIT, WHERE, Column, Question, Where
from queries.core.selection import selection, totals
from queries.core.window import Window
from store.derived import Place
from store.layout import Store
from store.values import dataclass

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
class ConnectionSide(Between):
    """The window, how much of it was seen, and how many connections were."""

    covered_s: float
    connections: int


@dataclass(frozen=True)
class Connections:
    """The connections of a window, the most frequent sort first."""

    window: ConnectionSide
    notes: tuple[Note, ...]
    connections: tuple[ConnectionRow, ...]
    truncated: bool
    next_cursor: str | None = None
    version: int = field(default=VERSION)


def connections(
    store: Store, window: Window, where: Where = None, limit: int = DEFAULT_LIMIT
) -> Connections:
    """The window's connections that match `where`; at most `limit` rows.

    FilterError: `where` asks for what only HTTP has.
    """
    with selection(store, window, where, ("connections",)) as chosen:
        rows = chosen.rows("connections", {"rows": limit + 1})
        counts = totals(rows)
        more = [] if chosen.reader.files["connections"] else [Note("not_recorded", _NOT_RECORDED)]
        found = chosen.result(rows, limit, counts, more)
    side = found.window
    return found.answer(
        Connections,
        window=ConnectionSide(side.from_ts, side.to_ts, side.covered_s, side.requests),
        connections=tuple(ConnectionRow(**row) for row in found.rows),
    )


CONNECTIONS = Question(
    name="connections",
    tool="get_connections",
    title="Connections",
    summary="network connections",
    group="traffic",
    function=connections,
    answer=Connections,
    rows="connections",
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("with", lambda c: (c.endpoint or "-") + (f":{c.port}" if c.port else ""), give=1),
        Column("place"),
        Column("protocol"),
        Column("tls", optional=True),
        Column("number", "connections", "count"),
        Column("open", kind="count"),
        Column("bytes", lambda c: c.bytes_sent + c.bytes_received, "bytes"),
        Column("by", "container", "program", give=2),
    ),
    noun="connection",
    help="""
    They are recorded only where `qrec record --connections` asks for them.

    \b
    Examples:
      qrec connections
      qrec connections --where 'direction == "egress-external"' --limit 100
    """,
    guide="""
    Network connections in a window, HTTP or not, grouped by where they go and who holds them.

    For each group: protocol (other: not understood, DNS, databases), TLS version, how many, how
    many still open, bytes, how long. Connections are kept only where the recorder was asked to; a
    note says when they were not, which is not the same as none. Use it for traffic that is not
    HTTP, and for old TLS versions. Next: get_hosts for the HTTP part, get_processes for who runs.
    """,
)

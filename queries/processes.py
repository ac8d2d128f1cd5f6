"""Which programs and containers sent or served requests: how many, how well, and to whom."""

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

_NAMES = 5  # pods, images, programs of one row


@dataclass(frozen=True)
class Part:
    """What was called, or what was served: times in ms; an error as in HostRow."""

    requests: int
    errors: int
    error_share: float
    p95_ms: float | None


@dataclass(frozen=True)
class ProcessRow:
    """A program, in one container or on the host. pids: how many processes ran it.

    hosts: the busiest five of those that it called.
    """

    process: str | None
    container: str | None
    pods: tuple[str, ...]
    pids: int
    called: Part
    served: Part
    first_seen: datetime
    last_seen: datetime
    hosts: tuple[str, ...]
    hosts_total: int


@dataclass(frozen=True)
class Processes:
    """The programs of a window, the busiest first."""

    window: Side
    notes: tuple[Note, ...]
    processes: tuple[ProcessRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


@dataclass(frozen=True)
class ContainerRow:
    """A container; null: the programs that run on the host itself. Sizes in bytes.

    Bytes are those of requests (sent) and responses (received), whichever side it was on. More
    than one image: it was replaced within the window. Lists hold five at most.
    """

    container: str | None
    images: tuple[str, ...]
    pods: tuple[str, ...]
    namespaces: tuple[str, ...]
    processes: tuple[str, ...]
    called: Part
    served: Part
    bytes_sent: int
    bytes_received: int
    first_seen: datetime
    last_seen: datetime
    hosts: tuple[str, ...]
    hosts_total: int


@dataclass(frozen=True)
class Containers:
    """The containers of a window, the busiest first."""

    window: Side
    notes: tuple[Note, ...]
    containers: tuple[ContainerRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def processes(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Processes:
    """The programs behind the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "processes", cursor=cursor)
    rows = tuple(ProcessRow(**_parts(row)) for row in found.rows)
    return Processes(found.window, found.notes, rows, found.next_cursor, found.truncated)


def containers(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Containers:
    """The containers behind the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "containers", cursor=cursor)
    rows = tuple(ContainerRow(**_parts(row)) for row in found.rows)
    return Containers(found.window, found.notes, rows, found.next_cursor, found.truncated)


def _parts(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its calls and its services as parts, and short lists."""
    for part in ("called", "served"):
        requests, errors = row[part], row.pop(f"{part}_errors")
        p95 = row.pop(f"{part}_p95_ms")
        row[part] = Part(requests, errors, share(errors, requests), p95)
    lists = {name: tuple(value[:_NAMES]) for name, value in row.items() if isinstance(value, list)}
    return {**row, **lists}

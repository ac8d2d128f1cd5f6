"""Which hosts were talked to: inside or outside, how much, how well, how fast, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from queries.core.answer import Note, Side
from queries.core.question import (
    DEFAULT_LIMIT,
    VERSION,
    Place,
    StatusClasses,
    ask,
    share,
    status_classes,
)
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store


@dataclass(frozen=True)
class HostRow:
    """A host in one place. Times in ms; an error is a status of 400 or more, or no response.

    place: outside (calls that leave this machine's network), inside (calls within it), here
    (requests that a process of this machine serves). callers: containers, or executables where
    there is no container, that call it, the busiest five; served_by: those that answer, for here.
    """

    host: str | None
    place: Place
    requests: int
    errors: int
    error_share: float
    statuses: StatusClasses
    p50_ms: float | None
    p95_ms: float | None
    first_seen: datetime
    last_seen: datetime
    callers: tuple[str, ...]
    callers_total: int
    served_by: tuple[str, ...]


@dataclass(frozen=True)
class Hosts:
    """The hosts of a window, the busiest first."""

    window: Side
    notes: tuple[Note, ...]
    hosts: tuple[HostRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def hosts(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Hosts:
    """The hosts of the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "hosts", cursor=cursor)
    return Hosts(
        window=found.window,
        notes=found.notes,
        hosts=tuple(_row(row) for row in found.rows),
        next_cursor=found.next_cursor,
        truncated=found.truncated,
    )


def _row(row: dict[str, Any]) -> HostRow:
    who, total = tuple(row.pop("who")), row.pop("who_total")
    here = row["place"] == "here"
    return HostRow(
        statuses=status_classes(row),
        error_share=share(row["errors"], row["requests"]),
        callers=() if here else who,
        callers_total=0 if here else total,
        served_by=who if here else (),
        **row,
    )

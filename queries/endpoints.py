"""Which endpoints (method, host, route) were used: how much, how well, how fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

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
from store.errors import UsageError

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

Sort = Literal["requests", "errors", "p95"]
_ORDER: dict[Sort, str] = {"requests": "requests", "errors": "errors", "p95": "p95_ms"}


def sort_order(text: str) -> Sort:
    """The order that a person names. UsageError for any other."""
    for order in _ORDER:
        if text == order:
            return order
    raise UsageError(
        f"endpoints cannot be sorted by {text[:40]!r}", f"Sort by one of: {', '.join(_ORDER)}."
    )


@dataclass(frozen=True)
class EndpointRow:
    """An endpoint in one place (see HostRow). per_s: requests a covered second; times in ms."""

    method: str | None
    host: str | None
    route: str | None
    place: Place
    requests: int
    per_s: float | None
    errors: int
    error_share: float
    statuses: StatusClasses
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Endpoints:
    """The endpoints of a window in the order asked for, the largest first."""

    window: Side
    notes: tuple[Note, ...]
    endpoints: tuple[EndpointRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def endpoints(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    sort: Sort = "requests",
    cursor: str | None = None,
) -> Endpoints:
    """The endpoints of the window's transactions that match `where`; at most `limit` rows."""
    found = ask(store, window, where, limit, "endpoints", cursor=cursor, order=_ORDER[sort])
    return Endpoints(
        window=found.window,
        notes=found.notes,
        endpoints=tuple(endpoint_row(row, found.window.covered_s) for row in found.rows),
        next_cursor=found.next_cursor,
        truncated=found.truncated,
    )


def endpoint_row(row: dict[str, Any], covered: float) -> EndpointRow:
    """A row of endpoints.sql; covered: seconds of the window that were seen."""
    return EndpointRow(
        statuses=status_classes(row),
        error_share=share(row["errors"], row["requests"]),
        per_s=row["requests"] / covered if covered else None,
        **row,
    )

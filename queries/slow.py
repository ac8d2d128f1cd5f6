"""What is slow: the slowest endpoints, and the slowest single transactions with their ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from queries.core.answer import Note, Side
from queries.core.question import DEFAULT_LIMIT, VERSION, Place, asking, totals
from queries.core.window import Window
from queries.endpoints import EndpointRow, endpoint_row

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_ENOUGH = 5  # requests; the 95th percentile of fewer says little


@dataclass(frozen=True)
class SlowTransaction:
    """One transaction: `ts` is its end, the duration is from request to response headers, in ms."""

    id: str
    ts: datetime
    duration_ms: int
    place: Place
    method: str | None
    host: str | None
    path: str | None
    status: int | None
    container: str | None


@dataclass(frozen=True)
class Slow:
    """Endpoints by their 95th percentile, those with fewer than five requests last; transactions.

    no_response: requests that were never answered; they have no duration and are in neither list.
    """

    window: Side
    notes: tuple[Note, ...]
    no_response: int
    endpoints: tuple[EndpointRow, ...]
    transactions: tuple[SlowTransaction, ...]
    truncated: bool
    version: int = field(default=VERSION)


def slow(
    store: Store, window: Window, where: Expr | None = None, limit: int = DEFAULT_LIMIT
) -> Slow:
    """The slowest of the window's transactions that match `where`; at most `limit` of each list."""
    with asking(store, window, where) as asked:
        asked.collapse()
        order = f"requests >= {_ENOUGH} DESC, p95_ms"
        rows = asked.rows("endpoints", {"rows": limit + 1}, order=order)
        found = asked.found(rows, limit, totals(rows))
        single = asked.rows("slowest", {"rows": limit + 1})
        unanswered = asked.rows("unanswered")[0]["requests"]
    return Slow(
        window=found.window,
        notes=found.notes,
        no_response=unanswered,
        endpoints=tuple(endpoint_row(row, found.window.covered_s) for row in found.rows),
        transactions=tuple(SlowTransaction(**row) for row in single[:limit]),
        truncated=found.truncated or len(single) > limit,
    )

"""What is slow: endpoints by their 95th percentile, and the slowest single transactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from queries.core.answer import PagedAnswer
from queries.core.format import plural
from queries.core.question import CURSOR, DEFAULT_LIMIT, LIMIT, WHERE, Column, Part, Question, Where
from queries.core.selection import selection, totals
from queries.core.window import Window
from queries.endpoints import EndpointRow, endpoint_row
from store.derived import Place
from store.layout import Store
from store.values import dataclass

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
class Slow(PagedAnswer):
    """Endpoints by their 95th percentile, those with fewer than five requests last; transactions.

    no_response: requests that were never answered; they have no duration and are in neither list.
    """

    no_response: int
    endpoints: tuple[EndpointRow, ...]
    transactions: tuple[SlowTransaction, ...]


def slow(store: Store, window: Window, where: Where = None, limit: int = DEFAULT_LIMIT) -> Slow:
    """The slowest of the window's transactions that match `where`; at most `limit` of each list."""
    with selection(store, window, where) as chosen:
        chosen.collapse_routes()
        order = f"requests >= {_ENOUGH} DESC, p95_ms"
        rows = chosen.rows("endpoints", {"rows": limit + 1}, order=order)
        found = chosen.result(rows, limit, totals(rows))
        single = chosen.rows("slowest", {"rows": limit + 1})
        unanswered = chosen.rows("unanswered")[0]["requests"]
    return found.answer(
        Slow,
        no_response=unanswered,
        endpoints=tuple(endpoint_row(row, found.window) for row in found.rows),
        transactions=tuple(SlowTransaction(**row) for row in single[:limit]),
        truncated=found.truncated or len(single) > limit,
    )


_ENDPOINTS = (
    Column("p95", "p95_ms", "ms"),
    Column("p50", "p50_ms", "ms"),
    Column("p99", "p99_ms", "ms", optional=True),
    Column("requests", kind="count"),
    Column("failed", "error_share", "share"),
    Column("place"),
    Column("endpoint", lambda e: (e.method, e.host, e.route), "endpoint", give=1),
)


def _parts(answer: Slow, heading: str, _: tzinfo) -> Iterator[Part]:
    """Both tables, and how many requests have no time at all."""
    yield heading
    if answer.endpoints:
        yield ""
        yield _ENDPOINTS, answer.endpoints
        yield ""
        yield SLOW.columns, answer.transactions
    if answer.no_response:
        waiting = plural(answer.no_response, "request")
        yield from [""] * bool(answer.endpoints)
        yield f"{waiting} got no response at all, and so have no duration here"


SLOW = Question(
    name="slow",
    tool="get_slow",
    title="What is slow",
    summary="the slowest endpoints",
    group="incident",
    function=slow,
    answer=Slow,
    rows="transactions",
    further=("endpoints",),
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("took", "duration_ms", "ms"),
        Column("at", "ts", "clock"),
        Column("status", lambda t: (t.status, None), "status"),
        Column("transaction", "id", "id"),
        Column("by", "container", give=2, optional=True),
        Column("request", lambda t: (t.method, t.host, t.path), "endpoint", give=1),
    ),
    parts=_parts,
    help="""
    \b
    Examples:
      qrec slow
      qrec slow --last 15m --where 'direction == "egress-external"'
      qrec slow --limit 5 --json
    """,
    guide="""
    What is slow in a window: endpoints by 95th percentile, and the slowest transactions.

    Times are milliseconds from request headers to response headers. Endpoints with fewer than
    five requests come last. `no_response` counts requests that were never answered: they have no
    duration and are in neither list, though they may have waited longest (see get_errors). Next:
    get_transaction with an id of the list, what_changed to learn whether this is slower than
    before, get_timeline with a `where` on the endpoint to see since when.
    """,
)

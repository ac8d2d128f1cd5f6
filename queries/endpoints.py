"""Which endpoints (method, host, route) were used: how much, how well, how fast."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queries.core.answer import PagedAnswer, Side, StatusClasses
from queries.core.question import APART, BY, CURSOR, LIMIT, WHERE, Argument, Column, Question
from queries.core.selection import listing
from store.derived import Place
from store.values import dataclass

_ORDER = {"requests": "requests", "errors": "errors", "p95": "p95_ms"}


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
    recorder: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Endpoints(PagedAnswer):
    """The endpoints of a window in the order asked for, the largest first."""

    endpoints: tuple[EndpointRow, ...]


def endpoint_row(row: dict[str, Any], window: Side) -> EndpointRow:
    """A row of endpoints.sql; per_s goes by the seconds that were seen."""
    return EndpointRow(
        statuses=StatusClasses(**row.pop("statuses")),
        per_s=row["requests"] / window.covered_s if window.covered_s else None,
        **row,
    )


endpoints = listing("endpoints", Endpoints, endpoint_row, routes=True, orders=_ORDER, counts=True)
_SORT = Argument(
    "sort",
    "Order: requests, errors, or p95 (the slowest 95th percentile), largest first.",
    "BY",
    default="requests",
    choices=tuple(_ORDER),
)
ENDPOINTS = Question(
    name="endpoints",
    tool="get_endpoints",
    title="Endpoints",
    summary="method, host and route",
    group="traffic",
    function=endpoints,
    answer=Endpoints,
    rows="endpoints",
    arguments=(WHERE, LIMIT, _SORT, BY, CURSOR),
    columns=(
        *APART,
        Column("method"),
        Column("host", give=1),
        Column("route", give=1),
        Column("requests", kind="count"),
        Column("failed", "error_share", "share"),
        Column("p50", "p50_ms", "ms"),
        Column("p95", "p95_ms", "ms"),
        Column("p99", "p99_ms", "ms", optional=True),
    ),
    core=True,
    help="""
    \b
    Examples:
      qrec endpoints --sort errors
      qrec endpoints --sort p95 --last 15m
      qrec endpoints --where 'req.host == "api.stripe.com"' --json
    """,
    guide="""
    Which endpoints (method, host, route) were used in a window, in the order asked for.

    Identifiers in paths are folded into routes such as /v1/customers/{id}. For each: requests and
    requests a second of covered time, failures, p50, p95 and p99 in milliseconds. Use
    sort="errors" for "what is failing?" and sort="p95" for "what is slow?". Next: what_changed to
    learn whether that is new.
    """,
)

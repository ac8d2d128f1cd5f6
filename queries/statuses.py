"""Which status codes were answered, how often, and where most of them come from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queries.core.answer import PagedAnswer, Side
from queries.core.question import APART, BY, CURSOR, LIMIT, WHERE, Column, Question
from queries.core.selection import listing, share
from store.values import dataclass


@dataclass(frozen=True)
class Place:
    """An endpoint with its number of requests."""

    method: str | None
    host: str | None
    route: str | None
    requests: int


@dataclass(frozen=True)
class StatusRow:
    """A status code; null stands for requests that got no response.

    errors: of its requests, which for a status below 400 are failed gRPC calls. `top`: its busiest
    three endpoints.
    """

    status: int | None
    requests: int
    errors: int
    share: float
    hosts: int
    endpoints: int
    first_seen: datetime
    last_seen: datetime
    top: tuple[Place, ...]
    recorder: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Statuses(PagedAnswer):
    """The status codes of a window, the most frequent first."""

    statuses: tuple[StatusRow, ...]


def _row(row: dict[str, Any], window: Side) -> StatusRow:
    top = tuple(Place(**place) for place in row.pop("top"))
    return StatusRow(share=share(row["requests"], window.requests), top=top, **row)


def _most_from(row: StatusRow) -> tuple[str | None, ...]:
    return (row.top[0].method, row.top[0].host, row.top[0].route) if row.top else ()


statuses = listing("statuses", Statuses, _row, routes=True, counts=True)
STATUSES = Question(
    name="statuses",
    tool="get_statuses",
    title="Status codes",
    summary="status codes",
    group="traffic",
    function=statuses,
    answer=Statuses,
    rows="statuses",
    arguments=(WHERE, LIMIT, BY, CURSOR),
    columns=(
        *APART,
        Column("status", lambda s: (s.status, None), "status"),
        Column("requests", kind="count"),
        Column("share", kind="share"),
        Column("endpoints", kind="count"),
        Column("last seen", "last_seen", "clock", optional=True),
        Column("most from", _most_from, "endpoint", give=1),
    ),
    help="""
    \b
    Examples:
      qrec statuses
      qrec statuses --since "deploy 1234"
      qrec statuses --where 'req.host == "api.stripe.com"'
    """,
    guide="""
    Which HTTP status codes were answered in a window, the most frequent first.

    Status null stands for requests that got no response at all (time-outs, broken connections).
    `top` names the busiest endpoints of each code. Whether a share is unusual is for what_changed
    to say: background errors are normal. Next: get_endpoints with where='res.status == 503' to
    see every endpoint that answered it.
    """,
)

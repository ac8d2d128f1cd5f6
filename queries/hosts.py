"""Which hosts were talked to: where they lie, how well and how fast they answered, and by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queries.core.answer import PagedAnswer, Side, StatusClasses
from queries.core.question import APART, BY, CURSOR, LIMIT, WHERE, Column, Question
from queries.core.selection import listing
from store.derived import Place
from store.values import dataclass


@dataclass(frozen=True)
class HostRow:
    """A host in one place. Times in ms; an error is a status of 400 or more, or no response.

    place: outside (calls that leave this machine's network), inside (calls within it), here
    (requests that a process of this machine serves). callers: containers, or executables where
    there is no container, that call it, the busiest five; served_by: those that answer, for here.
    recorder, group: where they were counted apart by it.
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
    recorder: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Hosts(PagedAnswer):
    """The hosts of a window, the busiest first."""

    hosts: tuple[HostRow, ...]


def _row(row: dict[str, Any], _: Side) -> HostRow:
    return HostRow(statuses=StatusClasses(**row.pop("statuses")), **row)


hosts = listing("hosts", Hosts, _row, counts=True)
HOSTS = Question(
    name="hosts",
    tool="get_hosts",
    title="Hosts",
    summary="hosts talked to",
    group="traffic",
    function=hosts,
    answer=Hosts,
    rows="hosts",
    arguments=(WHERE, LIMIT, BY, CURSOR),
    columns=(
        *APART,
        Column("host", give=1),
        Column("place"),
        Column("requests", kind="count"),
        Column("failed", "error_share", "share"),
        Column("p50", "p50_ms", "ms"),
        Column("p95", "p95_ms", "ms"),
        Column("last seen", "last_seen", "clock", optional=True),
        Column("by", lambda h: (h.callers or h.served_by, h.callers_total), "names", give=2),
    ),
    help="""
    \b
    Examples:
      qrec hosts
      qrec hosts --last 15m --where 'direction == "egress-external"'
      qrec hosts --from 14:00 --to 14:30 --format csv > hosts.csv
    """,
    guide="""
    Which hosts were talked to in a window, the busiest first.

    For each: where it lies (outside: calls leaving the machine's network; inside: within it;
    here: requests that this machine serves), requests, failures by status class, p50 and p95 in
    milliseconds, first and last seen, and which containers call it. Use it for "what does this
    machine talk to?" and "who calls X?". Next: get_endpoints with where='req.host == "…"' for the
    paths of one host.
    """,
)

"""A window at a glance: how much, how well, how fast, and the first few of everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from queries.core.answer import PagedAnswer, StatusClasses
from queries.core.format import millis, plural, size
from queries.core.question import CURSOR, WHERE, Column, Part, Question, Where, limit_of
from queries.core.selection import Selection, selection, totals
from queries.core.window import Window
from store.derived import Place
from store.layout import Store
from store.values import dataclass

SUMMARY_LIMIT = 5  # of each list


@dataclass(frozen=True)
class HostCount:
    """A host in one place (see HostRow); p95 in ms."""

    host: str | None
    place: Place
    requests: int
    errors: int
    error_share: float
    p95_ms: float | None


@dataclass(frozen=True)
class ContainerCount:
    """A container, or an executable where there is none."""

    container: str | None
    requests: int
    errors: int
    error_share: float


@dataclass(frozen=True)
class FailureCount:
    """An endpoint with a status (null: no response) and what its errors say."""

    method: str | None
    host: str | None
    route: str | None
    status: int | None
    grpc_status: str | None
    signature: str | None
    errors: int
    last_seen: datetime


@dataclass(frozen=True)
class EndpointTime:
    """An endpoint in one place (see HostRow) with its 95th percentile in ms."""

    place: Place
    method: str | None
    host: str | None
    route: str | None
    requests: int
    p95_ms: float | None


@dataclass(frozen=True)
class DatabaseCount:
    """Calls of one kind of database."""

    type: str | None
    calls: int
    errors: int


@dataclass(frozen=True)
class Counts:
    """Requests by where they go, and how many different hosts and containers there are."""

    outside: int
    inside: int
    here: int
    hosts: int
    containers: int


@dataclass(frozen=True)
class Summary(PagedAnswer):
    """The window as a whole (times in ms, sizes in bytes, per_s: requests a covered second)."""

    per_s: float | None
    counts: Counts
    statuses: StatusClasses
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    bytes_sent: int
    bytes_received: int
    first_seen: datetime | None
    last_seen: datetime | None
    hosts: tuple[HostCount, ...]
    containers: tuple[ContainerCount, ...]
    failures: tuple[FailureCount, ...]
    slowest: tuple[EndpointTime, ...]
    databases: tuple[DatabaseCount, ...]


def summary(
    store: Store, window: Window, where: Where = None, limit: int = SUMMARY_LIMIT
) -> Summary:
    """The window's transactions that match `where`, summed up; at most `limit` of each list."""
    with selection(store, window, where, ("transactions", "database"), counts=True) as chosen:
        chosen.collapse_routes()
        rows = chosen.rows("window_totals")
        found = chosen.result(rows, 1, totals(rows))
        lists, truncated = _lists(chosen, limit)
        databases = []
        if where is None:
            chosen.select(None, "database", "matching_database")
            databases = chosen.rows("database_types")
    whole = found.rows[0]
    covered = found.window.covered_s
    return found.answer(
        Summary,
        per_s=found.window.requests / covered if covered else None,
        statuses=StatusClasses(**whole.pop("statuses")),
        counts=Counts(*(whole.pop(name) for name in Counts.__dataclass_fields__)),
        databases=tuple(DatabaseCount(**row) for row in databases),
        truncated=truncated,
        **whole,
        **lists,
    )


def _lists(chosen: Selection, limit: int) -> tuple[dict[str, Any], bool]:
    rows = {"rows": limit + 1}
    slowest = chosen.rows("endpoints", rows, order="requests >= 5 DESC, p95_ms")
    lists: dict[str, list[Any]] = {
        "hosts": [_picked(HostCount, row) for row in chosen.rows("hosts", rows)],
        "containers": [_picked(ContainerCount, row) for row in chosen.rows("top_containers", rows)],
        "failures": [
            _picked(FailureCount, row) for row in chosen.rows("errors", rows, side="NULL::VARCHAR")
        ],
        "slowest": [_picked(EndpointTime, row) for row in slowest],
    }
    cut = any(len(found) > limit for found in lists.values())
    return {name: tuple(found[:limit]) for name, found in lists.items()}, cut


def _picked(kind: type[Any], row: dict[str, Any]) -> Any:
    """A row of a larger question, as far as the summary shows it."""
    return kind(**{name: row[name] for name in kind.__dataclass_fields__})


_REQUESTS, _FAILED = Column("requests", kind="count"), Column("failed", "error_share", "share")
_PLACE, _P95 = Column("place"), Column("p95", "p95_ms", "ms")
# The list of the answer -> its columns.
_TABLES = {
    "hosts": (Column("busiest hosts", "host", give=1), _PLACE, _REQUESTS, _FAILED, _P95),
    "containers": (
        Column("busiest containers", "container", "program", give=1), _REQUESTS, _FAILED,
    ),
    "failures": (
        Column("most failures", lambda f: (f.method, f.host, f.route), "endpoint", give=1),
        Column("status", lambda f: (f.status, f.grpc_status), "status"),
        Column("errors", kind="count"), Column("last seen", "last_seen", "clock"),
    ),
    "slowest": (
        Column("slowest", lambda e: (e.method, e.host, e.route), "endpoint", give=1),
        _PLACE, _REQUESTS, _P95,
    ),
}  # fmt: skip


def _parts(answer: Summary, heading: str, _: tzinfo) -> Iterator[Part]:
    """Facts of the whole window, then the first few of each list."""
    yield heading
    if answer.window.requests:
        yield from _facts(answer)
        for name, columns in _TABLES.items():
            if rows := getattr(answer, name):
                yield ""
                yield columns, rows


def _facts(answer: Summary) -> Iterator[str]:
    counts, classes = answer.counts, answer.statuses
    named = {"2xx": classes.s2xx, "3xx": classes.s3xx, "4xx": classes.s4xx, "5xx": classes.s5xx,
             "1xx": classes.s1xx, "no response": classes.no_response}  # fmt: skip
    yield "answers    " + ", ".join(f"{name} {n:,}" for name, n in named.items() if n)
    times = (answer.p50_ms, answer.p95_ms, answer.p99_ms)
    yield "times      p50 {}, p95 {}, p99 {}".format(*map(millis, times))
    yield f"where      outside {counts.outside:,}, inside {counts.inside:,}, here {counts.here:,}"
    yield f"who        {plural(counts.containers, 'container')}, {plural(counts.hosts, 'host')}"
    sent, received = size(answer.bytes_sent), size(answer.bytes_received)
    yield f"bytes      {sent} in requests, {received} in responses"
    if answer.databases:
        calls = (f"{d.type or '-'} {d.calls:,} ({d.errors:,} failed)" for d in answer.databases)
        yield "databases  " + ", ".join(calls)


_LIMIT = limit_of(SUMMARY_LIMIT, "Entries of each list at most.")
SUMMARY = Question(
    name="summary",
    tool="get_traffic_summary",
    title="Traffic at a glance",
    summary="a window at a glance",
    group="incident",
    function=summary,
    answer=Summary,
    rows="hosts",
    further=("containers", "failures", "slowest"),
    arguments=(WHERE, _LIMIT, CURSOR),
    columns=(
        Column("host"),
        Column("requests", kind="count"),
        Column("failed", "errors", "count"),
    ),
    parts=_parts,
    core=True,
    help="""
    \b
    Examples:
      qrec summary
      qrec summary --last 1d --limit 10
      qrec summary --where 'container.name == "shop"' --json
    """,
    guide="""
    A window at a glance: totals, times, status classes, and the first few of everything.

    Holds the busiest hosts and containers, the most frequent failures, the slowest endpoints and
    the databases that were called. Use it to get to know a machine that you know nothing about,
    or to describe its traffic; when something is wrong, begin with what_changed instead. Next:
    get_hosts, get_containers, get_errors or get_slow for the whole of one list.
    """,
)

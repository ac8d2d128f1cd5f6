"""Which programs sent or served requests, in which container, and whom they called."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queries.core.answer import PagedAnswer
from queries.core.question import CURSOR, LIMIT, WHERE, Column, Question
from queries.core.selection import listing
from store.values import dataclass


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
class Processes(PagedAnswer):
    """The programs of a window, the busiest first."""

    processes: tuple[ProcessRow, ...]


def with_parts(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its calls and its services as parts."""
    return {**row, "called": Part(**row["called"]), "served": Part(**row["served"])}


# What a program or container called and served, and whom it called; a dash for none.
PART_COLUMNS = (
    Column("calls", lambda r: r.called.requests or None, "count"),
    Column("failed", lambda r: r.called.error_share if r.called.requests else None, "share"),
    Column("p95", "called.p95_ms", "ms", optional=True),
    Column("serves", lambda r: r.served.requests or None, "count"),
    Column("failed", lambda r: r.served.error_share if r.served.requests else None, "share"),
    Column("p95", "served.p95_ms", "ms", optional=True),
    Column("talks to", lambda r: (r.hosts, r.hosts_total), "names", give=2),
)
processes = listing("processes", Processes, lambda row, _: ProcessRow(**with_parts(row)))
PROCESSES = Question(
    name="processes",
    tool="get_processes",
    title="Processes",
    summary="programs behind requests",
    group="traffic",
    function=processes,
    answer=Processes,
    rows="processes",
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("program", "process", "program", give=1),
        Column("container", give=1),
        Column("pids", kind="count"),
        *PART_COLUMNS,
    ),
    help="""
    \b
    Examples:
      qrec processes
      qrec processes --where 'req.host == "api.stripe.com"'
    """,
    guide="""
    Which programs sent or served requests in a window, in which container, and whom they called.

    `called` are requests that the program sent, `served` those that it answered; `pids` counts its
    processes. Use it for "which process talks to X?", with where='req.host == "…"', and to find
    programs outside containers that should not be talking at all. Next: get_dependencies with
    `container`, or get_hosts with where='process.binary == "…"'.
    """,
)

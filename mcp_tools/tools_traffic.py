"""The tools that draw the picture: a summary, routes, who talks to whom, and what lies beneath."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp_types import CallToolResult
from pydantic import Field

from mcp_tools.arguments import MAX_ROWS, Cursor, Limit, Where
from mcp_tools.context import parsed, result
from queries.core.question import DEFAULT_LIMIT
from queries.core.window import Window
from queries.summary import SUMMARY_LIMIT
from store import Store


def get_traffic_summary(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Annotated[
        int, Field(ge=1, le=MAX_ROWS, description="Entries of each list at most.")
    ] = SUMMARY_LIMIT,
) -> CallToolResult:
    """A window at a glance: totals, times, status classes, and the first few of everything.

    Holds the busiest hosts and containers, the most frequent failures, the slowest endpoints and
    the databases that were called. Use it to get to know a machine that you know nothing about,
    or to describe its traffic; when something is wrong, begin with what_changed instead. Next:
    get_hosts, get_containers, get_errors or get_slow for the whole of one list.
    """
    from queries.summary import summary as ask

    return result(ask(store, window, parsed(where), limit))


def get_routes(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Which routes each host has in a window, the busiest host first: its API as it is used.

    For each route (a path with its identifiers named): requests, methods, statuses, about how many
    different paths, and up to three real ones. Use it with where='req.host == "…"' to learn the
    API of one host. Next: get_endpoints for times and failures, get_schema for the shape of an
    endpoint's bodies, search_traffic for single transactions of a route.
    """
    from queries.routes import routes as ask

    return result(ask(store, window, parsed(where), limit, cursor))


def get_processes(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Which programs sent or served requests in a window, in which container, and whom they called.

    `called` are requests that the program sent, `served` those that it answered; `pids` counts its
    processes. Use it for "which process talks to X?", with where='req.host == "…"', and to find
    programs outside containers that should not be talking at all. Next: get_dependencies with
    `container`, or get_hosts with where='process.binary == "…"'.
    """
    from queries.processes import processes as ask

    return result(ask(store, window, parsed(where), limit, cursor))


def get_containers(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Which containers sent or served requests in a window: how many, how well, how fast.

    `called` are requests that a container sent, `served` those that it answered. Container null
    stands for programs that run on the host itself. Two images of one container mean that it was
    replaced within the window. Use it for "what runs here?" and "which service is busy or
    failing?". Next: get_dependencies or get_errors with `container`.
    """
    from queries.processes import containers as ask

    return result(ask(store, window, parsed(where), limit, cursor))


def get_dependencies(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    container: Annotated[
        str | None,
        Field(
            max_length=300,
            description="Only what this container (or program, host, kind of database) calls, and "
            "who calls it.",
        ),
    ] = None,
) -> CallToolResult:
    """Who talks to whom in a window: edges from caller to callee with counts, failures and times.

    A callee is a container of this machine where one serves the host that was called, else the
    host; databases are callees, too. Caller null: somebody outside this machine. A call within the
    machine is one edge, though both ends were recorded. Use it with `container` for "what does X
    depend on?" and "who is affected when X fails?". Next: get_errors with `container` on the
    callee that fails, get_endpoints with a `where` on its host.
    """
    from queries.dependencies import dependencies as ask

    return result(ask(store, window, parsed(where), limit, container))


def get_database(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    sort: Annotated[
        Literal["calls", "errors", "p95", "time"],
        Field(description="Order: most calls, most failures, slowest, most time all together."),
    ] = "calls",
    cursor: Cursor = None,
) -> CallToolResult:
    """Which database statements ran in a window (redis, mysql, postgres, kafka), by whom.

    Statements stand without their values. For each: calls, failures with the last error, p50, p95
    and longest time in milliseconds, and which containers ran it. `where` can ask about
    container.name, process.binary, direction and duration_ms; what only HTTP has is refused. Next:
    get_dependencies with `container` set to the kind of database for all who use it.
    """
    from queries.database import database as ask

    return result(ask(store, window, parsed(where), limit, sort, cursor))


def get_connections(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Network connections in a window, HTTP or not, grouped by where they go and who holds them.

    For each group: protocol (other: not understood, DNS, databases), TLS version, how many, how
    many still open, bytes, how long. Connections are kept only where the recorder was asked to; a
    note says when they were not, which is not the same as none. Use it for traffic that is not
    HTTP, and for old TLS versions. Next: get_hosts for the HTTP part, get_processes for who runs.
    """
    from queries.connections import connections as ask

    return result(ask(store, window, parsed(where), limit, cursor))

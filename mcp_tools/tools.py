"""The tools: one question of queries/ each, and what an assistant should know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mcp_types import CallToolResult
from pydantic import Field

from mcp_tools.arguments import Cursor, Limit, Where
from mcp_tools.context import parsed, result
from mcp_tools.tools_incident import get_errors, get_errors_by_container, get_slow, get_timeline
from mcp_tools.tools_sql import query_sql
from mcp_tools.tools_traffic import (
    get_connections,
    get_containers,
    get_database,
    get_dependencies,
    get_processes,
    get_routes,
    get_traffic_summary,
)
from mcp_tools.tools_transactions import (
    check_sensitive_data,
    compare_schemas,
    get_payloads,
    get_schema,
    get_traffic,
    get_transaction,
    search_traffic,
)
from queries.core.answer import DEFAULT_FINDINGS
from queries.core.question import DEFAULT_LIMIT
from queries.core.window import Baseline, Window
from store import Store


def what_changed(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_FINDINGS,
    explain: Annotated[
        str | None,
        Field(max_length=40, description="All about one finding: its id (or rank), out of a list."),
    ] = None,
) -> CallToolResult:
    """Start here when something is wrong, or to check that nothing is.

    Compares a window (default: the last hour) with a baseline (default: the hour before) over
    every recorded HTTP transaction and returns a short list of findings, ranked by what matters
    to someone on call; symptoms of one cause are folded into one finding (`also`). An empty list
    with verdict "nothing_changed" is an answer: say so, do not dig for more. "no_data" means that
    nobody was recording, which is not the same as quiet; see `notes`.

    Read `verdict`, then `notes` (gaps, filters), then `findings`; do not stop at rank 1, since
    unrelated changes may coincide. `calibration` says how many findings past hours gave. The text
    has a line for each finding; the structured content has everything. Next: what_changed with
    explain=ID and the same window for one finding in full; get_transaction on its example;
    get_endpoints with a `where` on its host for current numbers; get_coverage when notes speak of
    gaps; vs="7d" to see whether this hour is like this every day.
    """
    from mcp_tools.text import brief
    from queries.diff.what_changed import what_changed as ask

    changes = ask(store, window, baseline, where=parsed(where), limit=limit, explain=explain)
    return result(changes, None if explain else brief(changes))


def get_calibration(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
) -> CallToolResult:
    """How many findings what_changed usually gives here: the same comparison over past hours.

    Makes the comparison for up to 24 pairs of this store's own past, of the same length and
    distance as the window and its baseline, and gives the number of findings of each, with median
    and 95th percentile (p95). Use it when what_changed notes that this is not counted yet, or to
    judge whether three findings are many. The first call may take long, as each pair is a
    comparison of its own; results are kept, and what_changed then has them in `calibration`.
    `calibration` null: the store does not reach back far enough. Next: what_changed with from_time
    and to_time of a past pair with many findings.
    """
    from queries.diff.calibrate import calibration as ask

    return result(ask(store, window, baseline, where=parsed(where), limit=limit))


def get_hosts(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Which hosts were talked to in a window, the busiest first.

    For each: where it lies (outside: calls leaving the machine's network; inside: within it;
    here: requests that this machine serves), requests, failures by status class, p50 and p95 in
    milliseconds, first and last seen, and which containers call it. Use it for "what does this
    machine talk to?" and "who calls X?". Next: get_endpoints with where='req.host == "…"' for the
    paths of one host.
    """
    from queries.hosts import hosts as ask

    return result(ask(store, window, parsed(where), limit, cursor))


def get_statuses(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CallToolResult:
    """Which HTTP status codes were answered in a window, the most frequent first.

    Status null stands for requests that got no response at all (time-outs, broken connections).
    `top` names the busiest endpoints of each code. Whether a share is unusual is for what_changed
    to say: background errors are normal. Next: get_endpoints with where='res.status == 503' to
    see every endpoint that answered it.
    """
    from queries.statuses import statuses as ask

    return result(ask(store, window, parsed(where), limit, cursor))


def get_endpoints(
    store: Store,
    window: Window,
    *,
    where: Where = None,
    limit: Limit = DEFAULT_LIMIT,
    sort: Annotated[
        Literal["requests", "errors", "p95"],
        Field(description="Order: most requests, most failures, or slowest 95th percentile."),
    ] = "requests",
    cursor: Cursor = None,
) -> CallToolResult:
    """Which endpoints (method, host, route) were used in a window, in the order asked for.

    Identifiers in paths are folded into routes such as /v1/customers/{id}. For each: requests and
    requests a second of covered time, failures, p50, p95 and p99 in milliseconds. Use
    sort="errors" for "what is failing?" and sort="p95" for "what is slow?". Next: what_changed to
    learn whether that is new.
    """
    from queries.endpoints import endpoints as ask

    return result(ask(store, window, parsed(where), limit, sort, cursor))


def get_coverage(store: Store, window: Window, *, limit: Limit = DEFAULT_LIMIT) -> CallToolResult:
    """What the recorders saw of a window and what they missed: stretches, gaps, losses.

    Use it before concluding from absence: "no traffic" in a gap means nothing. Also tells which
    filter a recording ran under, and whether events were late, dropped or unreadable. Next: ask
    again about a window outside the gaps.
    """
    from queries.coverage import coverage as ask

    return result(ask(store, window, limit))


@dataclass(frozen=True)
class ToolSpec:
    """A tool: its title, its function, and `module:class` of the answer that it documents."""

    title: str
    question: Callable[..., CallToolResult]
    answer: str

    def answer_class(self) -> type[Any]:
        from importlib import import_module

        module, _, name = self.answer.partition(":")
        found: type[Any] = getattr(import_module(module), name)
        return found


TOOLS = {
    "what_changed": ToolSpec("What changed", what_changed, "queries.core.answer:Changes"),
    "get_calibration": ToolSpec(
        "How much usually changes", get_calibration, "queries.diff.calibrate:Calibrated"
    ),
    "get_hosts": ToolSpec("Hosts", get_hosts, "queries.hosts:Hosts"),
    "get_statuses": ToolSpec("Status codes", get_statuses, "queries.statuses:Statuses"),
    "get_endpoints": ToolSpec("Endpoints", get_endpoints, "queries.endpoints:Endpoints"),
    "get_traffic_summary": ToolSpec(
        "Traffic at a glance", get_traffic_summary, "queries.summary:Summary"
    ),
    "get_errors": ToolSpec("Errors", get_errors, "queries.errors:Errors"),
    "get_errors_by_container": ToolSpec(
        "Errors by container", get_errors_by_container, "queries.errors:ErrorsByContainer"
    ),
    "get_slow": ToolSpec("What is slow", get_slow, "queries.slow:Slow"),
    "get_timeline": ToolSpec("Timeline", get_timeline, "queries.timeline:Timeline"),
    "get_routes": ToolSpec("Routes", get_routes, "queries.routes:Routes"),
    "get_containers": ToolSpec("Containers", get_containers, "queries.processes:Containers"),
    "get_processes": ToolSpec("Processes", get_processes, "queries.processes:Processes"),
    "get_dependencies": ToolSpec(
        "Who talks to whom", get_dependencies, "queries.dependencies:Dependencies"
    ),
    "get_database": ToolSpec("Databases", get_database, "queries.database:Database"),
    "get_connections": ToolSpec("Connections", get_connections, "queries.connections:Connections"),
    "get_coverage": ToolSpec("Coverage", get_coverage, "queries.coverage:Coverage"),
    "search_traffic": ToolSpec("Search", search_traffic, "queries.search:Search"),
    "get_traffic": ToolSpec("Newest transactions", get_traffic, "queries.search:Search"),
    "check_sensitive_data": ToolSpec(
        "Sensitive data", check_sensitive_data, "queries.sensitive:Sensitive"
    ),
    "get_schema": ToolSpec("Schemas of bodies", get_schema, "queries.schema:Schemas"),
    "compare_schemas": ToolSpec(
        "Changes of schemas", compare_schemas, "queries.schema:SchemaChanges"
    ),
    "get_transaction": ToolSpec("One transaction", get_transaction, "queries.show:Shown"),
    "get_payloads": ToolSpec("Bodies of transactions", get_payloads, "queries.show:Payloads"),
}

# Off unless `qrec mcp --allow-sql`.
SQL_TOOLS = {"query_sql": ToolSpec("SQL", query_sql, "queries.sql:SqlAnswer")}

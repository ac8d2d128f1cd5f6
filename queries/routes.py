"""Which routes each host has: how they are used, what they answer, with real paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any

from queries.core.answer import PagedAnswer, Side
from queries.core.question import CURSOR, LIMIT, WHERE, Column, Part, Question
from queries.core.selection import listing
from store.derived import Place
from store.values import dataclass


@dataclass(frozen=True)
class MethodCount:
    method: str | None
    requests: int


@dataclass(frozen=True)
class StatusCount:
    """status null: no response."""

    status: int | None
    requests: int


@dataclass(frozen=True)
class RouteRow:
    """A route of a host in one place (see HostRow). paths: about how many different ones.

    methods and statuses: the ten most frequent; examples: up to three paths as they were asked
    for, at most 300 characters each.
    """

    place: Place
    host: str | None
    route: str | None
    requests: int
    errors: int
    error_share: float
    methods: tuple[MethodCount, ...]
    statuses: tuple[StatusCount, ...]
    paths: int
    examples: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Routes(PagedAnswer):
    """The routes of a window by host: the busiest host first, and its busiest route."""

    routes: tuple[RouteRow, ...]


def _row(row: dict[str, Any], _: Side) -> RouteRow:
    return RouteRow(
        methods=tuple(MethodCount(**one) for one in row.pop("methods")),
        statuses=tuple(StatusCount(**one) for one in row.pop("statuses")),
        **row,
    )


def _parts(answer: Routes, heading: str, _: tzinfo) -> Iterator[Part]:
    """A table for each host, in the order of the answer; the host's name stands over its routes."""
    yield heading
    for (host, place), rows in groupby(answer.routes, lambda row: (row.host, row.place)):
        first, *rest = ROUTES.columns[2:]
        yield ""
        named = replace(first, title=f"{host or '(no host)'} ({place})", value="route")
        yield (named, *rest), list(rows)


routes = listing("routes", Routes, _row, routes=True)
ROUTES = Question(
    name="routes",
    tool="get_routes",
    title="Routes",
    summary="the routes of each host",
    group="traffic",
    function=routes,
    answer=Routes,
    rows="routes",
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("host"),
        Column("place"),
        Column("route", give=1),
        Column("requests", kind="count"),
        Column("methods", lambda r: " ".join(m.method or "-" for m in r.methods), give=3),
        Column("statuses", lambda r: " ".join(str(s.status or "none") for s in r.statuses), give=3),
        Column("such as", lambda r: " ".join(r.examples[:1]), give=2),
    ),
    parts=_parts,
    page="used_routes.md",
    help="""
    \b
    Examples:
      qrec routes --where 'req.host == "api.stripe.com"'
      qrec routes --last 1d --limit 100 --format md
    """,
    guide="""
    Which routes each host has in a window, the busiest host first: its API as it is used.

    For each route (a path with its identifiers named): requests, methods, statuses, about how many
    different paths, and up to three real ones. Use it with where='req.host == "…"' to learn the
    API of one host. Next: get_endpoints for times and failures, get_schema for the shape of an
    endpoint's bodies, search_traffic for single transactions of a route.
    """,
)

"""How the window went: requests and failures over time, drawn, for all or for each host, …

A bucket in which nobody was receiving has null for its counts: quiet and deaf are not the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from queries.core.answer import PagedAnswer
from queries.core.notes import Seen, seen
from queries.core.question import CURSOR, LIMIT, WHERE, Argument, Column, Question, Where
from queries.core.selection import selection
from queries.core.window import Window, parse_duration
from store.errors import UsageError
from store.layout import Store
from store.values import dataclass

# What a series may be of, as SQL.
_SQL = {
    "host": "host",
    "status": "coalesce(status::VARCHAR, 'none')",
    "container": "container_name",
    "pod": "pod_name",
    "route": "nullif(concat_ws(' ', nullif(host, ''), route), '')",
    "method": "method",
    "endpoint": "nullif(concat_ws(' ', nullif(method, ''), nullif(host, ''), route), '')",
    "process": "process_exe",
    "place": "place",
    "signature": "error_signature",
    "recorder": "recorder",
    "group": "population",
}
# Steps that people read a clock in; the first that gives few enough buckets is taken.
_STEPS = (10, 60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400)
_FEW = 61  # buckets: an hour of minutes that begins within a minute
_MOST = 500  # buckets
_CELLS = 3_000  # numbers of a kind in a document: series times buckets
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)  # where steps are counted from


@dataclass(frozen=True)
class Series:
    """Requests and failures in each bucket; null: nobody was receiving. value: see `by`."""

    value: str | None
    requests: int
    errors: int
    counts: tuple[int | None, ...]
    failed: tuple[int | None, ...]


@dataclass(frozen=True)
class Total:
    """All of the window in each bucket; p95_ms is null where there was no response to measure."""

    counts: tuple[int | None, ...]
    failed: tuple[int | None, ...]
    p95_ms: tuple[float | None, ...]


@dataclass(frozen=True)
class Timeline(PagedAnswer):
    """A window in buckets of `every_s` seconds, which begin at `starts`, on the clock in UTC.

    The first and the last may be cut by the window; covered_s: seconds of each that were seen.
    """

    every_s: int
    by: str | None
    starts: tuple[datetime, ...]
    covered_s: tuple[float, ...]
    total: Total
    series: tuple[Series, ...]


def step_of(every: str | None, window: Window) -> timedelta:
    """The length of a bucket: as asked for ("minute", "hour", "5m"), or what fits the window."""
    if every is None:
        fitting = (s for s in _STEPS if window.seconds / s <= _FEW)
        return timedelta(seconds=next(fitting, _STEPS[-1] * (1 + int(window.seconds / 4e7))))
    named = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d", "week": "1w"}
    step = parse_duration(named.get(every, every))
    if step < timedelta(seconds=1) or step.microseconds:
        raise UsageError("a bucket is at least a second long", "Give --every 1m or --every 1h.")
    if window.length / step > _MOST:
        raise UsageError(
            f"the window has {window.length / step:,.0f} buckets of that length",
            f"At most {_MOST} are shown: give a longer --every, or a shorter window.",
        )
    return step


def timeline(
    store: Store,
    window: Window,
    where: Where = None,
    limit: int = LIMIT.default,
    by: str | None = None,
    every: str | None = None,
) -> Timeline:
    """The window's transactions that match `where` over time; at most `limit` series, busiest
    first. Raises UsageError for an `every` that is no length of time, or too short."""
    step = step_of(every, window)
    starts = _starts(window, step)
    apart = "group" if by == "group" else None
    with selection(store, window, where, by=apart, counts=True) as chosen:
        if by in ("route", "endpoint"):
            chosen.collapse_routes()
        params = {"step": int(step.total_seconds()), "origin": _MONDAY}
        whole = chosen.rows("timeline", params, by="NULL::VARCHAR")
        rows = chosen.rows("timeline", params, by=_SQL[by]) if by else []
        recorders = seen(chosen.reader, window)
        covered = tuple(_covered(recorders, start, start + step) for start in starts)
        sums = (sum(r["requests"] for r in whole), sum(r["errors"] for r in whole))
        series = _series(rows, starts, covered)
        found = chosen.result(series, min(limit, max(_CELLS // len(starts), 1)), sums)
    return found.answer(
        Timeline,
        every_s=int(step.total_seconds()),
        by=by,
        starts=starts,
        covered_s=covered,
        total=_total(whole, starts, covered),
        series=tuple(found.rows),
    )


def _starts(window: Window, step: timedelta) -> tuple[datetime, ...]:
    first = _MONDAY + (window.from_ts - _MONDAY) // step * step
    return tuple(first + step * n for n in range(-((first - window.to_ts) // step)))


def _covered(recorders: Sequence[Seen], start: datetime, end: datetime) -> float:
    """Seconds between the two that the best covered recorder received."""
    spans = (
        sum(max((min(b, end) - max(a, start)).total_seconds(), 0.0) for a, b in one.islands)
        for one in recorders
    )
    return max(spans, default=0.0)


def _series(
    rows: list[dict[str, Any]], starts: Sequence[datetime], covered: Sequence[float]
) -> list[Any]:
    by_value: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        by_value.setdefault(row["value"], []).append(row)
    found = [
        Series(
            value=value,
            requests=sum(row["requests"] for row in part),
            errors=sum(row["errors"] for row in part),
            counts=_counts(part, "requests", starts, covered),
            failed=_counts(part, "errors", starts, covered),
        )
        for value, part in by_value.items()
    ]
    return sorted(found, key=lambda s: (-s.requests, s.value or ""))


def _total(
    rows: list[dict[str, Any]], starts: Sequence[datetime], covered: Sequence[float]
) -> Total:
    slow = {row["bucket"]: row["p95_ms"] for row in rows}
    return Total(
        counts=_counts(rows, "requests", starts, covered),
        failed=_counts(rows, "errors", starts, covered),
        p95_ms=tuple(slow.get(start) for start in starts),
    )


def _counts(
    rows: list[dict[str, Any]], column: str, starts: Sequence[datetime], covered: Sequence[float]
) -> tuple[int | None, ...]:
    known = {row["bucket"]: int(row[column]) for row in rows}
    pairs = zip(starts, covered, strict=True)
    return tuple(known.get(start, 0 if seconds else None) for start, seconds in pairs)


_BY = Argument(
    "by", "One series for each value of this, the busiest first.", "WHAT", choices=tuple(_SQL)
)
_EVERY = Argument(
    "every",
    "Length of a bucket: minute, hour, 5m. Default: what fits the window; at most 500 buckets.",
    "LENGTH",
    20,
)
TIMELINE = Question(
    name="timeline",
    tool="get_timeline",
    title="Timeline",
    summary="requests over time",
    group="incident",
    function=timeline,
    answer=Timeline,
    rows="series",
    arguments=(WHERE, LIMIT, _BY, _EVERY, CURSOR),
    columns=(
        Column("value"),
        Column("requests", kind="count"),
        Column("failed", "errors", "count"),
    ),
    core=True,
    help="""
    \b
    Examples:
      qrec timeline
      qrec timeline --by status --last 6h
      qrec timeline --by container --where 'res.status >= 500' --every minute
      qrec timeline --by host --format csv > hosts.csv
    """,
    guide="""
    How a window went over time: requests, failures and p95 in each bucket, and by a dimension.

    `counts[i]`, `failed[i]` and `p95_ms[i]` belong to the bucket that begins at `starts[i]` and is
    `every_s` seconds long. A count of null means that nobody was recording then, which is not
    zero. Use it for "since when?" and "is it over?"; with where='res.status >= 500' and
    by="container" for whose errors grew when. Next: what_changed with from_time at the moment it
    began, get_errors for what failed since.
    """,
)

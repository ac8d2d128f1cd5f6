"""What the recorders saw of a window, and what they did not."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import field, replace
from datetime import timedelta

from queries.core.answer import VERSION, Between, Note
from queries.core.notes import SEEING, Gap, Seen, Stretch, covered_s, notes, seen, together
from queries.core.question import (
    APART,
    BY,
    CURSOR,
    DEFAULT_LIMIT,
    LIMIT,
    WHERE,
    Column,
    Question,
    Where,
    from_cursor,
    to_cursor,
)
from queries.core.selection import no_groups
from queries.core.session import Reader
from queries.core.window import Window
from store.errors import UsageError
from store.hours import from_us, to_us
from store.layout import Store
from store.values import dataclass

_LEAST_GAP = timedelta(minutes=1)  # shorter ones are told with the answers that they touch


@dataclass(frozen=True)
class RecorderRow:
    """One recorder in the window, or a group of so many `recorders`. `share` is of the window, and
    of a group covered is what any of them saw; counters of its stretches. deaf: those that missed
    some of it, together deaf_s.

    Stretches and gaps are in order of time; where there are more than the limit, the latest.
    """

    recorder: str | None
    covered_s: float
    share: float
    events: int
    rejected: int
    dropped: int
    max_lag_ms: int
    filters: tuple[str, ...]
    gaps: tuple[Gap, ...]
    stretches: tuple[Stretch, ...]
    group: str | None
    recorders: int
    deaf: int
    deaf_s: float


@dataclass(frozen=True)
class CoverageWindow(Between):
    """The window itself and how much of it the best covered recorder saw."""

    covered_s: float


@dataclass(frozen=True)
class Coverage:
    """Who saw what of a window."""

    window: CoverageWindow
    notes: tuple[Note, ...]
    recorders: tuple[RecorderRow, ...]
    truncated: bool
    next_cursor: str | None = None
    version: int = field(default=VERSION)


def coverage(
    store: Store,
    window: Window,
    where: Where = None,
    limit: int = DEFAULT_LIMIT,
    by: str | None = None,
    cursor: str | None = None,
) -> Coverage:
    """Stretches and gaps of each recorder in the window that the filter takes, at most `limit` of
    each. by: sums of each recorder, or group, instead, at most `limit`, those that missed most
    first. cursor: of a page, for the one after it (of stretches and gaps: before it), in the same
    window. UsageError: the filter asks for more than recorder and group."""
    check = zlib.crc32((where.text if where is not None else "").encode())
    window, after = from_cursor(cursor, check, _place) if cursor else (window, 0)
    if where is not None:
        import filters

        if not filters.is_of_recorders(where):
            raise UsageError(
                "coverage knows recorders alone, and this filter asks for more",
                'Such as group == "prod-eu", or recorder in ["a", "b"].',
            )
    with Reader(store, [window], tables=(), where=where) as reader:
        recorders = seen(reader, window)
        part = slice(0 if by else after, 0 if by else after + limit)
        rows = [_row(one.recorder, [one], part) for one in recorders]
        if by == "group":
            groups = {one.group for one in recorders}
            rows = [_row(None, [one for one in recorders if one.group == of]) for of in groups]
        if by:
            rows.sort(key=lambda row: (-row.deaf_s, row.group or "", row.recorder or ""))
        more = no_groups(reader) if by == "group" else []
        longest = max((max(len(one.stretches), len(one.gaps)) for one in recorders), default=0)
        cut, times = longest > after + limit and not by, (window.from_ts, window.to_ts)
        return Coverage(
            window=CoverageWindow(*times, covered_s(recorders)),
            notes=(*notes(reader, window, recorders), *more),
            recorders=tuple(rows[: limit if by else None]),
            truncated=cut or (by is not None and len(rows) > limit),
            next_cursor=to_cursor(*map(to_us, times), after + limit, check) if cut else None,
        )


def _place(start: int, end: int, after: int) -> tuple[Window, int]:
    """The window of the page before, and how many stood on it and those before it."""
    if int(after) <= 0:
        raise ValueError(after)
    return Window(from_us(int(start)), from_us(int(end))), int(after)


def _row(recorder: str | None, members: Sequence[Seen], part: slice = slice(0)) -> RecorderRow:
    """Of a recorder with that part of its stretches and gaps, the latest first counted, or of all
    of a group."""
    first, stretches = members[0], [s for one in members for s in one.stretches]
    islands = together(island for one in members for island in one.islands)
    covered = sum((end - begin).total_seconds() for begin, end in islands)
    lost = [sum((gap.to_ts - gap.from_ts).total_seconds() for gap in one.gaps) for one in members]
    return RecorderRow(
        recorder=recorder,
        covered_s=covered,
        share=covered / first.window.seconds,
        events=sum(s.events for s in stretches),
        rejected=sum(s.rejected for s in stretches),
        dropped=sum(s.dropped + (s.dropped_estimate or 0) for s in stretches),
        max_lag_ms=max(s.max_lag_ms for s in stretches),
        filters=tuple(sorted({s.filter for s in stretches if s.filter})),
        gaps=tuple(first.gaps[::-1][part][::-1]),
        stretches=tuple(first.stretches[::-1][part][::-1]),
        group=first.group,
        recorders=len(members),
        deaf=sum(seconds > 0 for seconds in lost),
        deaf_s=sum(lost),
    )


def missed(recorders: Sequence[RecorderRow]) -> list[tuple[str | None, Gap]]:
    """Whose gaps of a minute and more, oldest first, but for the time before a recorder began."""
    gaps = [
        (one.recorder, gap) for one in recorders for gap in one.gaps
        if gap.to_ts - gap.from_ts >= _LEAST_GAP
        and any(s.state in SEEING and s.from_ts < gap.from_ts for s in one.stretches)
    ]  # fmt: skip
    return sorted(gaps, key=lambda named: (named[1].from_ts, str(named[0])))


COVERAGE = Question(
    name="coverage",
    tool="get_coverage",
    title="Coverage",
    summary="what was seen, what not",
    group="store",
    function=coverage,
    answer=Coverage,
    rows="recorders",
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("recorder"),
        Column("from", "from_ts", "moment"),
        Column("to", "to_ts", "clock", optional=True),
        Column("length", lambda s: (s.to_ts - s.from_ts).total_seconds(), "span"),
        Column("state"),
        Column("events", kind="count"),
        Column("reason", lambda s: s.reason or "", give=1),
    ),
    lines=lambda answer: [one for row in answer.recorders for one in row.stretches],
    empty="no recorder was there",
    core=True,
    help="""
    Quiet and deaf are not the same: a host that shows no traffic in a gap may have had plenty.

    \b
    Examples:
      qrec coverage --last 1d
      qrec coverage --from "yesterday 00:00" --to "today 00:00" --json
      qrec coverage --by group --where 'group == "prod-eu"'
    """,
    guide="""
    What the recorders saw of a window and what they missed: stretches, gaps, losses.

    Use it before concluding from absence: "no traffic" in a gap means nothing. Also tells which
    filter a recording ran under, and whether events were late, dropped or unreadable. Next: ask
    again about a window outside the gaps.
    """,
)
COVERAGE_BY = replace(
    COVERAGE,
    tool="get_coverage_by_recorder",
    title="Coverage by recorder",
    function=lambda store, span, by=None, **own: coverage(store, span, by=by or "recorder", **own),
    arguments=(WHERE, LIMIT, BY, CURSOR),
    columns=(
        *APART,
        Column("recorders", kind="count"),
        Column("covered", "share", "share"),
        Column("deaf", kind="count"),
        Column("deaf for", "deaf_s", "span"),
        Column("events", kind="count"),
        Column("dropped", kind="count"),
    ),
    lines=None,
    core=False,
    guide="""
    How much each recorder, or each group of them, saw of a window: a line for each.

    Use it where there are many hosts: those that missed most come first. `by` is recorder (the
    default) or group; `where` may name some, as in group == "prod-eu". Next: get_coverage with
    where='recorder == "…"' for the gaps of one.
    """,
)

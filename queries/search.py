"""Transactions that match a filter, newest first, one line each. `qrec show ID` has the rest.

A page takes two steps: one pass over the columns of the filter finds which rows are the newest,
a second reads the lines of those few. Bodies are not read unless the filter asks about them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from queries.core.answer import PagedAnswer
from queries.core.question import (
    CURSOR,
    DEFAULT_LIMIT,
    LIMIT,
    WHERE,
    Argument,
    Column,
    Question,
    Where,
    from_cursor,
    to_cursor,
)
from queries.core.selection import Selection, selection
from queries.core.session import Reader
from queries.core.window import Window
from queries.show import parse_id, transaction_id, url_of
from store.hours import from_us, to_us
from store.layout import Store
from store.values import dataclass


@dataclass(frozen=True)
class Line:
    """A transaction on one line. `ts` is its end; status null: no response; findings: how many
    secrets were taken out of it."""

    id: str
    ts: datetime
    duration_ms: int | None
    status: int | None
    grpc_status: str | None
    direction: str | None
    method: str | None
    url: str
    host: str | None
    route: str | None
    container_name: str | None
    process_exe: str | None
    error_signature: str | None
    req_body_bytes: int | None
    res_body_bytes: int | None
    findings: int


@dataclass(frozen=True)
class Search(PagedAnswer):
    """The newest matches. `window` counts all of them; next_cursor asks for the page after."""

    transactions: tuple[Line, ...]


Picked = dict[str, Any]  # ts, recorder, seq


def search(
    store: Store,
    window: Window,
    where: Where = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    sort: Literal["newest", "oldest"] = "newest",
) -> Search:
    """The newest (or oldest) `limit` transactions of the window that match `where`.

    With the cursor of a page, the one after it: of the window that that page was of, so that what
    was recorded meanwhile moves nothing. UsageError for a cursor of another filter.
    """
    text = (where.text if where is not None else "") + sort.removeprefix("newest")
    after, check = None, zlib.crc32(text.encode())
    if cursor:
        window, after = from_cursor(cursor, check, _place)
    with selection(store, window, where) as chosen:
        picked, totals = _first(chosen, limit + 1, after, sort)
        lines = _lines(chosen, picked[:limit])
        found = chosen.result(lines if sort == "newest" else lines[::-1], limit, totals)
        more, next_cursor = len(picked) > limit, None
        if more:
            last = picked[limit - 1]
            times = (to_us(one) for one in (window.from_ts, window.to_ts, last["ts"]))
            next_cursor = to_cursor(*times, last["recorder"], last["seq"], check)
        return found.answer(
            Search,
            transactions=tuple(line_of(row) for row in found.rows),
            next_cursor=next_cursor,
            truncated=more,
        )


def _first(
    chosen: Selection, rows: int, after: tuple[int, str, int] | None, sort: str
) -> tuple[list[Picked], tuple[int, int]]:
    pick, than = ("max", "<") if sort == "newest" else ("min", ">")
    before = "true"
    params: dict[str, Any] = {"rows": rows}
    if after is not None:
        before = f"(ts, recorder, seq) {than} ($at_ts, $at_recorder, $at_seq)"
        params |= {"at_ts": from_us(after[0]), "at_recorder": after[1], "at_seq": after[2]}
    [row] = chosen.rows("search", params, before=before, pick=pick)
    return row["newest"] or [], (row["all_requests"], row["all_errors"])


def lines_of(
    store: Store, spans: Sequence[Window], ids: Iterable[str], hosts: Sequence[str] = ()
) -> dict[str, Line]:
    """The transactions of these ids that lie in the spans, all in one pass, by the ids as they were
    given. hosts: that they are of; none: of any, for which all rows are looked through."""
    wanted = {one: parse_id(one) for one in ids}
    if not wanted:
        return {}
    whole = Window(min(s.from_ts for s in spans), max(s.to_ts for s in spans))
    with Reader(store, spans) as reader:
        chosen = Selection(reader, whole)
        chosen.select(None, "transactions")
        recorders = [one.recorder for one in wanted.values()]
        numbers = [one.seq for one in wanted.values()]
        reader.table("picked", {"recorder": ("VARCHAR", recorders), "seq": ("BIGINT", numbers)})
        rows = _picked(chosen, {"hosts": hosts}, "host IN $hosts" if hosts else "true")
        lines = {(row["recorder"], row["seq"]): line_of(row) for row in rows}
    keys = {text: (one.recorder, one.seq) for text, one in wanted.items()}
    return {text: lines[key] for text, key in keys.items() if key in lines}


def _lines(chosen: Selection, picked: list[Picked]) -> list[dict[str, Any]]:
    if not picked:
        return []
    chosen.pick(picked)
    times = [one["ts"] for one in picked]
    return _picked(chosen, {"from_ts": min(times), "to_ts": max(times)})


def _picked(
    chosen: Selection, params: Mapping[str, Any], where: str = "true"
) -> list[dict[str, Any]]:
    """The lines of the transactions in the table `picked`, newest first."""
    return chosen.rows(
        "lines", params, rows="transactions SEMI JOIN picked USING (recorder, seq)",
        where=f"ts >= $from_ts AND ts <= $to_ts AND {where}",
        order="ts DESC, recorder DESC, seq DESC",
    )  # fmt: skip


def line_of(row: dict[str, Any]) -> Line:
    return Line(
        id=transaction_id(row),
        url=url_of(row),
        **{name: row[name] for name in Line.__dataclass_fields__ if name in row},
    )


def _place(start: int, end: int, ts: int, recorder: str, seq: int) -> Any:
    """The window and the last line of the page before, as a cursor has them."""
    from_us(int(ts))  # that it is a time
    return Window(from_us(int(start)), from_us(int(end))), (int(ts), str(recorder), int(seq))


_SORT = Argument(
    "sort", "Which come first: newest or oldest.", "BY", default="newest",
    choices=("newest", "oldest"),
)  # fmt: skip
SEARCH = Question(
    name="search",
    tool="search_traffic",
    title="Search",
    summary="transactions that match",
    group="transactions",
    function=search,
    answer=Search,
    rows="transactions",
    arguments=(WHERE, LIMIT, _SORT, CURSOR),
    filter_first=True,
    columns=(
        Column("time", "ts", "clock"),
        Column("status", lambda t: (t.status, t.grpc_status), "status"),
        Column("method"),
        Column("url", give=1),
        Column("took", "duration_ms", "ms"),
        Column("by", lambda t: t.container_name or t.process_exe, give=2, optional=True),
        Column("id", kind="id"),
    ),
    core=True,
    help="""
    \b
    Examples:
      qrec search 'res.status >= 500' --last 15m
      qrec search 'req.host == "api.stripe.com" AND duration_ms > 2000'
      qrec search 'res.body contains "card_declined"' --limit 100 --json
    """,
    guide="""
    Single transactions that match a filter, newest first, one line each with its id.

    `where` is Qtap's filter language and more: fields such as req.host, req.method, req.path,
    route, res.status, outcome ("no_response", "server_error"), duration_ms, container.name,
    pod.name, direction, req.header.<name>, res.body, res.body_bytes, error_signature; ==, !=, <,
    >=, contains, matches, in, AND, OR, not; texts in double quotes. `window.requests` counts all
    matches, also those beyond `limit`; sort="oldest" gives the first of them. For counts rather
    than cases use get_endpoints or get_statuses. Next: get_transaction on an id.
    """,
)

"""What the questions about one window share: its summary, the filter as SQL, notes, truncation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from queries.core import notes as seen
from queries.core.answer import Note, Side, to_document
from queries.core.paging import Page, page_of
from queries.core.session import open_reader
from queries.core.window import Window
from store.errors import UsageError
from store.schema import RECORDED

if TYPE_CHECKING:
    from filters import Expr
    from queries.core.session import Reader
    from store import Store

VERSION = 1
DEFAULT_LIMIT = 20
MAX_TEXT = 1000  # characters of one text in a document
_WHOLE = "next_cursor"  # a text that is worth nothing when it is cut
_KNOWN = {
    "database": "Such as container.name, process.binary, direction, duration_ms are known of them.",
    "connections": "Such as container.name, process.binary, direction, dst.domain are known.",
}
Place = Literal["outside", "inside", "here", "unknown"]


@dataclass(frozen=True)
class StatusClasses:
    """Requests by the class of their answer; a failed request without an answer is no_response."""

    s1xx: int = field(metadata={"name": "1xx"})
    s2xx: int = field(metadata={"name": "2xx"})
    s3xx: int = field(metadata={"name": "3xx"})
    s4xx: int = field(metadata={"name": "4xx"})
    s5xx: int = field(metadata={"name": "5xx"})
    no_response: int


def status_classes(row: dict[str, Any]) -> StatusClasses:
    """The classes of a row, taken out of it."""
    return StatusClasses(*(row.pop(name) for name in StatusClasses.__dataclass_fields__))


def condition(
    where: Expr | None, con: Any = None, table: str = "transactions"
) -> tuple[str, dict[str, Any]]:
    """A filter as a DuckDB condition over a recorded table, and its parameters.

    con: the connection that will run it, made ready for the functions that it may call.
    FilterError: a field that the table does not have.
    """
    if where is None:
        return "true", {}
    import filters

    columns = None if table == "transactions" else {name: name for name in RECORDED[table].names}
    try:
        sql = filters.to_sql(where, columns)
    except filters.FilterError as error:
        if table == "transactions":
            raise
        message = error.message.replace("this view does", f"{table} rows do")
        raise UsageError(message, _KNOWN[table]) from None
    if con is not None:
        sql.prepare(con)
    return f"({sql.text})", dict(sql.params)


def remarks(where: Expr | None) -> list[Note]:
    """How a filter was read, where that may surprise, and what of it can never hold."""
    if where is None:
        return []
    import filters

    return [Note("filter", text) for text in filters.remarks(where)]


@dataclass(frozen=True)
class Found:
    """What a question about one window found, with what every answer carries."""

    window: Side
    notes: tuple[Note, ...]
    rows: list[Any]
    truncated: bool
    next_cursor: str | None = None


@dataclass(frozen=True)
class Asking:
    """A window and a filter over an open reader, for questions that take several queries.

    text and params: what every query is asked for, as its place {where} and its parameters.
    """

    reader: Reader
    window: Window
    text: str
    params: dict[str, Any]
    remarks: tuple[Note, ...] = ()

    def rows(self, query: str, params: dict[str, Any] | None = None, **places: str) -> list[Any]:
        """The rows of queries/sql/<query>.sql as dicts."""
        given = {**self.params, **(params or {})}
        found: list[Any] = self.reader.sql(query, given, where=self.text, **places).to_pylist()
        return found

    def collapse(self) -> None:
        """Make the table `renamed`: routes with a level of too many values."""
        _collapse(self.reader, self.text, self.params)

    def found(
        self,
        rows: list[Any],
        limit: int,
        totals: tuple[int, int],
        more: Sequence[Note] = (),
        page: Page | None = None,
    ) -> Found:
        """At most `limit` of the rows, with what every answer carries; totals: all, failed."""
        recorders = seen.seen(self.reader, self.window)
        side = Side(self.window.from_ts, self.window.to_ts, seen.covered_s(recorders), *totals)
        notes = (*self.remarks, *seen.notes(self.reader, self.window, recorders), *more)
        truncated = len(rows) > limit
        cursor = page.after(truncated) if page is not None else None
        return Found(side, notes, rows[:limit], truncated, cursor)


@contextlib.contextmanager
def asking(
    store: Store,
    window: Window,
    where: Expr | None = None,
    tables: Sequence[str] = ("transactions",),
    container: str | None = None,
) -> Iterator[Asking]:
    """A reader over the window's hours, with the filter as SQL over the first of the tables.

    container: only what this container (or executable, where there is no container) did.
    """
    with open_reader(store, [window], tables) as reader:
        text, params = condition(where, reader.con, tables[0])
        params |= {"from_ts": window.from_ts, "to_ts": window.to_ts}
        asked = Asking(reader, window, text, params, tuple(remarks(where)))
        if container is not None:
            asked = replace(
                asked,
                text=f"{text} AND coalesce(container_name, process_exe) = $container",
                params={**params, "container": container},
                remarks=(*asked.remarks, *unknown_container(asked, container, tables[0])),
            )
        yield asked


def unknown_container(asked: Asking, name: str, table: str = "transactions") -> list[Note]:
    """A note where nothing of that name was seen: a wrong name must not look like a quiet one."""
    from difflib import get_close_matches

    window = {"from_ts": asked.window.from_ts, "to_ts": asked.window.to_ts}
    names = asked.reader.sql("names", window, table=table)["name"].to_pylist()
    if name in names:
        return []
    near = get_close_matches(name, names, 1)
    seen_were = f"; seen were: {', '.join(names[:10])}" if names else ""
    meant = f"; did you mean {near[0]}?" if near else seen_were
    text = f"nothing called {name[:60]} was seen in this window{meant}"
    return [Note("unknown_container", text)]


def ask(
    store: Store,
    window: Window,
    where: Expr | None,
    limit: int,
    query: str,
    table: str = "transactions",
    cursor: str | None = None,
    **places: str,
) -> Found:
    """Run queries/sql/<query>.sql over the window: at most `limit` of its rows.

    The query takes from_ts, to_ts and rows, has a place {where}, finds collapsed routes in
    `renamed`, and gives each row the totals all_requests and all_errors, taken out here.
    cursor: of the page before; its window is asked about. UsageError for one of another question.
    """
    page = page_of(cursor, window, limit, query, where and where.text, places)
    with asking(store, page.window, where, (table,)) as asked:
        if table == "transactions":
            asked.collapse()
        rows = asked.rows(query, {"rows": page.rows}, **places)
        counts = totals(rows)
        return asked.found(rows[page.offset :], limit, counts, page=page)


def totals(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """all_requests and all_errors, which every row has, taken out of them; none: 0."""
    found = (0, 0)
    for row in rows:
        found = (int(row.pop("all_requests") or 0), int(row.pop("all_errors") or 0))
    return found


def _collapse(reader: Reader, where: str, params: dict[str, Any]) -> None:
    """Make the table `renamed` (host, old, new): routes with a level of too many values."""
    import pyarrow as pa

    from queries.core.collapse import collapse

    counts = reader.sql("routes", params, where=where).to_pylist()
    routes = collapse({(row["host"], row["route"]): row["requests"] for row in counts})
    changed = [(host, old, new) for (host, old), new in routes.items() if old != new]
    table = {name: [row[at] for row in changed] for at, name in enumerate(("host", "old", "new"))}
    schema = pa.schema([(name, pa.string()) for name in table])
    reader.con.register("renamed", pa.table(table, schema=schema))


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def document(answer: Any, room: int | None = None) -> dict[str, Any]:
    """Any answer of this package as the JSON document that the CLI and MCP give.

    Recorded text has no bound (a path may be 8 KB long): what is longer than MAX_TEXT, or than
    the answer's own `max_text`, is cut; room: characters of one text where even that is too much.
    """
    most = room if room is not None else getattr(answer, "max_text", MAX_TEXT)
    cut: dict[str, Any] = _cut(to_document(answer), most)
    return cut


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}… ({len(value) - most} more characters)"
    if isinstance(value, dict):
        return {k: item if k == _WHOLE else _cut(item, most) for k, item in value.items()}
    return [_cut(item, most) for item in value] if isinstance(value, list) else value

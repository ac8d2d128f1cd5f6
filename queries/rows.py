"""What the questions about one window share: its summary, the filter as SQL, notes, truncation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from queries import seen
from queries.answer import Note, Side, to_document
from queries.reader import open_reader
from queries.windows import Window

if TYPE_CHECKING:
    from filters import Expr
    from queries.reader import Reader
    from store import Store

VERSION = 1
DEFAULT_LIMIT = 20
MAX_TEXT = 1000  # characters of one text in a document
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


def condition(where: Expr | None, con: Any = None) -> tuple[str, dict[str, Any]]:
    """A filter as a DuckDB condition over `transactions`, and its parameters.

    con: the connection that will run it, made ready for the functions that it may call.
    """
    if where is None:
        return "true", {}
    import filters

    sql = filters.to_sql(where)
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
    rows: list[dict[str, Any]]
    truncated: bool


def ask(
    store: Store, window: Window, where: Expr | None, limit: int, query: str, **places: str
) -> Found:
    """Run queries/sql/<query>.sql over the window: at most `limit` of its rows.

    The query takes from_ts, to_ts and rows, has a place {where}, finds collapsed routes in
    `renamed`, and gives each row the totals all_requests and all_errors, taken out here.
    """
    with open_reader(store, [window]) as reader:
        text, params = condition(where, reader.con)
        # One row more than is kept tells whether there are more.
        params |= {"from_ts": window.from_ts, "to_ts": window.to_ts, "rows": limit + 1}
        _collapse(reader, text, params)
        rows = reader.sql(query, params, where=text, **places).to_pylist()
        totals = {"all_requests": 0, "all_errors": 0}
        for row in rows:
            totals = {name: int(row.pop(name) or 0) for name in totals}
        recorders = seen.seen(reader, window)
        side = Side(window.from_ts, window.to_ts, seen.covered_s(recorders), *totals.values())
        notes = (*remarks(where), *seen.notes(reader, window, recorders))
        return Found(side, notes, rows[:limit], len(rows) > limit)


def _collapse(reader: Reader, where: str, params: dict[str, Any]) -> None:
    """Make the table `renamed` (host, old, new): routes with a level of too many values."""
    import pyarrow as pa

    from queries.collapse import collapse

    counts = reader.sql("routes", params, where=where).to_pylist()
    routes = collapse({(row["host"], row["route"]): row["requests"] for row in counts})
    changed = [(host, old, new) for (host, old), new in routes.items() if old != new]
    table = {name: [row[at] for row in changed] for at, name in enumerate(("host", "old", "new"))}
    schema = pa.schema([(name, pa.string()) for name in table])
    reader.con.register("renamed", pa.table(table, schema=schema))


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def document(answer: Any) -> dict[str, Any]:
    """Any answer of this package as the JSON document that the CLI and MCP give.

    Recorded text has no bound (a path may be 8 KB long): what is longer than MAX_TEXT is cut.
    """
    cut: dict[str, Any] = _cut(to_document(answer))
    return cut


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}… ({len(value) - MAX_TEXT} more characters)"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value

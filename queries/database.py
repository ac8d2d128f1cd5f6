"""What databases are asked: which statements, how often, how well, how fast, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from queries.core.answer import Note, Side
from queries.core.question import DEFAULT_LIMIT, VERSION, ask, share
from queries.core.window import Window
from store.errors import UsageError

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

DatabaseSort = Literal["calls", "errors", "p95", "time"]
_ORDER: dict[DatabaseSort, str] = {
    "calls": "calls",
    "errors": "errors",
    "p95": "p95_ms",
    "time": "total_ms",
}
_PEOPLE = 5
_FILTERED = (
    "a recorder with a filter keeps only the database calls that match it, and none at all where "
    "Qtap applied a part of the filter: few or none here need not mean that few were made"
)


def database_order(text: str) -> DatabaseSort:
    """The order that a person names. UsageError for any other."""
    for order in _ORDER:
        if text == order:
            return order
    raise UsageError(
        f"statements cannot be sorted by {text[:40]!r}", f"Sort by one of: {', '.join(_ORDER)}."
    )


@dataclass(frozen=True)
class StatementRow:
    """A statement without its values. Times in ms; total_ms: all its calls together.

    type: redis, mysql, postgres, kafka. affected, results: rows changed and returned, null where
    the database does not tell. containers: the busiest five that run it.
    """

    type: str | None
    statement: str | None
    calls: int
    errors: int
    error_share: float
    p50_ms: float | None
    p95_ms: float | None
    max_ms: int | None
    total_ms: int
    affected: int | None
    results: int | None
    last_error: str | None
    first_seen: datetime
    last_seen: datetime
    containers: tuple[str, ...]
    containers_total: int


@dataclass(frozen=True)
class Database:
    """The statements of a window; its `requests` and `errors` count calls of databases."""

    window: Side
    notes: tuple[Note, ...]
    statements: tuple[StatementRow, ...]
    next_cursor: str | None
    truncated: bool
    version: int = field(default=VERSION)


def database(
    store: Store,
    window: Window,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    sort: DatabaseSort = "calls",
    cursor: str | None = None,
) -> Database:
    """The statements of the window's calls that match `where`; at most `limit` rows.

    FilterError: `where` asks for what only HTTP has.
    """
    found = ask(
        store, window, where, limit, "database", "database", cursor=cursor, order=_ORDER[sort]
    )
    rows = tuple(_row(row) for row in found.rows)
    notes = found.notes
    if any(note.code == "filtered" for note in notes):
        notes += (Note("filtered_calls", _FILTERED),)
    return Database(found.window, notes, rows, found.next_cursor, found.truncated)


def _row(row: dict[str, Any]) -> StatementRow:
    who = row.pop("who")
    return StatementRow(
        error_share=share(row["errors"], row["calls"]),
        containers=tuple(who[:_PEOPLE]),
        containers_total=len(who),
        **row,
    )

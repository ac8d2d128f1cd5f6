"""What databases are asked: which statements, without their values, how well, how fast."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from queries.core.answer import Note, PagedAnswer
from queries.core.question import CURSOR, LIMIT, WHERE, Argument, Column, Question, Where
from queries.core.selection import listing
from queries.core.window import Window
from store.layout import Store
from store.values import dataclass

_ORDER = {"calls": "calls", "errors": "errors", "p95": "p95_ms", "time": "total_ms"}
_FILTERED = (
    "a recorder with a filter keeps only the database calls that match it, and none at all where "
    "Qtap applied a part of the filter: few or none here need not mean that few were made"
)


@dataclass(frozen=True)
class StatementRow:
    """A statement without its values. Times in ms; total_ms: all its calls together.

    type: redis, mysql, postgresql, kafka. affected, results: rows changed and returned, null where
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


_NOT_RECORDED = (
    "no calls of databases were recorded in this window: either there were none, or Qtap does not"
    " understand what is spoken here; get_connections may have them as connections"
)


@dataclass(frozen=True)
class Database(PagedAnswer):
    """The statements of a window; its `requests` and `errors` count calls of databases."""

    statements: tuple[StatementRow, ...]


def database(
    store: Store,
    window: Window,
    where: Where = None,
    limit: int = LIMIT.default,
    sort: str = "calls",
) -> Database:
    """The statements of the window's calls that match `where`; at most `limit` rows.

    FilterError: `where` asks for what only HTTP has.
    """
    answer: Database = _statements(store, window, where, limit, sort)
    notes = answer.notes
    if not answer.statements and where is None:
        notes += (Note("not_recorded", _NOT_RECORDED),)
    if any(note.code == "filtered" for note in notes):
        notes += (Note("filtered_calls", _FILTERED),)
    return replace(answer, notes=notes)


_statements = listing(
    "database", Database, lambda row, _: StatementRow(**row),
    tables=("database",), orders=_ORDER, name="statements",
)  # fmt: skip
_SORT = Argument(
    "sort",
    "Order: calls, errors, p95, or time (of all calls together), largest first.",
    "BY",
    default="calls",
    choices=tuple(_ORDER),
)
DATABASE = Question(
    name="database",
    tool="get_database",
    title="Databases",
    summary="database statements",
    group="traffic",
    function=database,
    answer=Database,
    rows="statements",
    arguments=(WHERE, LIMIT, _SORT, CURSOR),
    columns=(
        Column("type"),
        Column("statement", give=1),
        Column("calls", kind="count"),
        Column("failed", "error_share", "share"),
        Column("p50", "p50_ms", "ms"),
        Column("p95", "p95_ms", "ms"),
        Column("max", "max_ms", "ms", optional=True),
        Column("by", lambda s: (s.containers, s.containers_total), "names", give=2),
    ),
    noun="call",
    help="""
    \b
    Examples:
      qrec database
      qrec database --sort time --last 15m
      qrec database --where 'container.name == "order-service"'
    """,
    guide="""
    Which database statements ran in a window (redis, mysql, postgresql, kafka), by whom.

    Statements stand without their values. For each: calls, failures with the last error, p50, p95
    and longest time in milliseconds, and which containers ran it. `where` can ask about
    container.name, process.binary, direction and duration_ms; what only HTTP has is refused. Next:
    get_dependencies with `container` set to the kind of database for all who use it.
    """,
)

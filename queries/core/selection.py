"""What a question is about: the rows of a window that match a filter, and what was seen of it.

The view `matching` holds those rows of the question's first table, `matching_<table>` those of any
further one, each with what store/derived.py derives: place, who, and of transactions outcome and
failed. A question's SQL says FROM matching and only what is its own.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from queries.core import notes
from queries.core.answer import Note, Side
from queries.core.collapse import collapse
from queries.core.counted import COUNTED, count_rows, have_counted, make_shapes
from queries.core.session import Moved, Reader, sql_text
from queries.core.watch import with_arrow
from queries.core.window import Window
from store.derived import SOURCES, derived_sql
from store.errors import TooMuchError, UsageError, did_you_mean
from store.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from filters.nodes import Expr
    from store.layout import Store

DEFAULT_LIMIT: Final = 20
_KNOWN: Final = {
    "database": "Such as container.name, process.binary, direction, duration_ms are known of them.",
    "connections": "Such as container.name, process.binary, direction, dst.domain are known, where "
    "`qrec record --connections` kept any.",
}
# What rows are counted apart by, in the place of {apart} in a question's SQL.
_APART: Final = {
    None: 'NULL::VARCHAR AS recorder, NULL::VARCHAR AS "group"',
    "recorder": 'recorder, population AS "group"',
    "group": 'NULL::VARCHAR AS recorder, population AS "group"',
}
_NAME: Final = re.compile(r"[\w.-]+")  # of a recorder or a group
# The columns that rollups have whole.
_UNTOLD: Final = {"ts", "duration_ms", "seq", "bytes_sent", "bytes_received"}
_TOLD: Final = {*SOURCES, "group_name"} - _UNTOLD
_PREFIX: Final = "filter_"  # of the parameters of a filter
_SHARED: Final = ("window", "notes", "truncated")
_NAMES: Final = ("req.host", "req.method", "route", "container.name", "container.image", "pod.name",
                 "pod.namespace", "process.path", "process.binary", "dst.domain")  # fmt: skip
T = TypeVar("T")


def condition(
    where: Expr | None, con: Any = None, table: str = "transactions",
    group_of: Mapping[str, str] = MappingProxyType({}), moved: Moved = MappingProxyType({}),
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """A filter as a DuckDB condition over a recorded table, and its parameters.

    con: the connection that will run it, made ready for the functions that it may call. group_of,
    moved: as Reader has them.
    FilterError: a field that the table does not have.
    """
    if where is None:
        return "true", {}
    import filters

    columns = None
    if table != "transactions":
        from store.schema import RECORDED

        columns = {name: name for name in RECORDED[table].names}
    try:
        group = _group_sql(group_of, moved) if "group" in where.fields() else ""
        sql = filters.to_sql(where, columns, _PREFIX, group)
    except filters.FilterError as error:
        if table == "transactions":
            raise
        message = error.message.replace("this view does", f"{table} rows do")
        raise UsageError(message, _KNOWN[table]) from None
    if con is not None:
        filters.prepare(con, sql.text)
    return f"({sql.text})", dict(sql.params)


def _group_sql(group_of: Mapping[str, str], moved: Moved) -> str:
    """The group of a row's recorder; a filter cannot take what is no name of a group."""
    cases = [f"WHEN recorder = '{name}' AND ts < '{until.isoformat()}'::TIMESTAMPTZ THEN '{group}'"
             for name, of in moved.items() for until, group in of
             if _NAME.fullmatch(f"{name}{group}")]  # fmt: skip
    members: dict[str, list[str]] = {}
    for recorder, group in group_of.items():
        if _NAME.fullmatch(group) and _NAME.fullmatch(recorder):
            members.setdefault(group, []).append(f"'{recorder}'")
    cases += [f"WHEN recorder IN ({', '.join(of)}) THEN '{g}'" for g, of in members.items()]
    return f"CASE {' '.join(cases)} ELSE '' END" if cases else "''"


def remarks(where: Expr | None) -> list[Note]:
    """How a filter was read, where that may surprise, and what of it can never hold."""
    if where is None:
        return []
    import filters

    return [Note("filter", text) for text in filters.remarks(where)]


@dataclass(frozen=True)
class Result:
    """At most `limit` rows of a question, with what every answer carries."""

    window: Side
    notes: tuple[Note, ...]
    rows: list[dict[str, Any]]
    truncated: bool

    def answer(self, kind: Callable[..., T], **fields: Any) -> T:
        """An answer of this window, with its notes and truncation; fields: its own."""
        own = getattr(kind, "__dataclass_fields__", {})
        shared = {name: getattr(self, name) for name in _SHARED if name in own}
        return kind(**{**shared, **fields})


@dataclass(frozen=True)
class Selection:
    """A window and a filter over an open reader, for questions that take several queries.

    views: the SELECT of each view that was made. by: what rows are counted apart by (see BY).
    counted: whether some of the rows are of rollups (have_counted).
    """

    reader: Reader
    window: Window
    remarks: list[Note] = field(default_factory=list)
    views: dict[str, str] = field(default_factory=dict)
    where: Expr | None = None  # of transactions
    by: str | None = None
    counted: bool = False

    def select(
        self, where: Expr | None, table: str, name: str = "matching", container: str | None = None
    ) -> None:
        """Make the view `name` over the rows of `table` that count.

        FilterError, UsageError: `where` asks for what the table does not have.
        """
        con = self.reader.con
        text, params = condition(where, con, table, self.reader.group_of, self.reader.moved)
        span = {"from_ts": self.window.from_ts, "to_ts": self.window.to_ts}
        rows = self.reader.selected(
            COUNTED if self.counted and table == "transactions" else table,
            f"ts >= $from_ts AND ts < $to_ts AND {text}",
            {**params, **span},
        )
        columns = "*"
        if table == "transactions" and not self.counted:
            columns = "*, 1 AS n"
            count_rows(con)
        if table != "transactions":
            rows = f"(SELECT *, NULL::SMALLINT AS status, NULL::VARCHAR AS grpc_status FROM {rows})"
            columns = "* EXCLUDE (status, grpc_status, outcome, failed)"
        whose = ""
        if self.by is not None:
            group = _group_sql(self.reader.group_of, self.reader.moved)
            columns += f", nullif({group}, '') AS population"
        if container is not None:
            con.execute("SET VARIABLE container = $value", {"value": container})
            whose += " WHERE who = getvariable('container')"
        self._view(name, f"SELECT {columns} FROM ({derived_sql().format(rows=rows)}){whose}")

    def _view(self, name: str, text: str) -> None:
        self.views[name] = text
        self.reader.con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {text}")

    def rows(
        self, query: str, params: Mapping[str, Any] | None = None, **places: str
    ) -> list[dict[str, Any]]:
        """The rows of queries/sql/<query>.sql as dicts; the window's ends are parameters."""
        span = {"from_ts": self.window.from_ts, "to_ts": self.window.to_ts}
        places = {"apart": _APART[self.by], **places}
        make_shapes(self.reader.con, sql_text(query))
        return self.reader.rows(query, {**span, **(params or {})}, **places)

    def pick(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make the table `picked` of single transactions, whose whole rows are to be read then."""
        columns = {"ts": "TIMESTAMPTZ", "recorder": "VARCHAR", "seq": "BIGINT"}
        values = {name: (kind, [row[name] for row in rows]) for name, kind in columns.items()}
        self.reader.table("picked", values)

    def collapse_routes(self) -> None:
        """Give routes with a level of too many values one name, in the view `matching`."""
        counts = self.rows("route_counts")
        routes = collapse({(row["host"], row["route"]): row["requests"] for row in counts})
        changed = [(host, old, new) for (host, old), new in routes.items() if old != new]
        if not changed:
            return
        columns = zip(("host", "old", "new"), zip(*changed, strict=True), strict=True)
        self.reader.table("renamed", {name: ("VARCHAR", values) for name, values in columns})
        self._view(
            "matching",
            "SELECT m.* REPLACE (coalesce(r.new, m.route) AS route)"
            f" FROM ({self.views['matching']}) AS m"
            " LEFT JOIN renamed AS r ON r.host = coalesce(m.host, '') AND r.old = m.route",
        )

    def unknown_container(self, name: str, table: str = "transactions") -> list[Note]:
        """A note where nobody of that name was seen: a wrong name must not look like a quiet
        one."""
        names = self._seen("who", table)
        if name in names:
            return []
        seen = f"Seen were: {', '.join(names[:10])}" if names else ""
        hint = did_you_mean(name, names) or seen
        text = f"nothing called {name[:60]} was seen in this window"
        return [Note("unknown_container", f"{text}. {hint}" if hint else text)]

    def unmatched(self) -> list[Note]:
        """Of a filter that nothing matches, the names that no row has: a wrong name must not look
        like a quiet one."""
        if self.where is None:
            return []
        import filters

        found = []
        for name, text in filters.equalities(self.where):
            if name not in _NAMES:
                continue
            seen = self.values(name)
            if text not in seen:
                hint = did_you_mean(text, seen) or f"Seen were: {', '.join(seen[:10]) or 'none'}."
                said = f'{name} is never "{text[:60]}" in this window. {hint}'
                found.append(Note("unknown_value", said))
        return found

    def values(self, name: str) -> list[Any]:
        """The values of a filter's field in the window, whatever the filter: the most frequent
        first, 2,000 at most. KeyError: there is no such field."""
        import filters

        spec = filters.FIELDS[name]
        return self._seen(spec.sql.format(**{column: column for column in spec.columns}))

    def _seen(self, sql: str, table: str = "transactions") -> list[Any]:
        self.select(None, table, "everything")
        return [row["value"] for row in self.rows("values", value=sql)]

    def result(
        self, rows: list[Any], limit: int, counts: tuple[int, int], more: Sequence[Note] = ()
    ) -> Result:
        """At most `limit` of the rows, with what every answer carries; counts: all, failed."""
        recorders = notes.seen(self.reader, self.window)
        side = Side(self.window.from_ts, self.window.to_ts, notes.covered_s(recorders), *counts)
        unknown = [] if counts[0] else self.unmatched()
        seen = notes.notes(self.reader, self.window, recorders)
        qualified = (*self.remarks, *unknown, *seen, *more)
        return Result(side, qualified, rows[:limit], len(rows) > limit)


def no_groups(reader: Reader) -> list[Note]:
    """That nothing can be told apart by group, where nobody is in one."""
    if any(reader.group_of.values()):
        return []
    text = "no recorder of this window is in a group: `qrec record --group NAME` puts one there"
    return [Note("no_groups", text)]


def _counts_tell(where: Expr) -> bool:
    """Whether rollups have what a filter reads."""
    import filters

    specs = [filters.FIELDS.get(name) for name in where.fields()]
    return all(spec is not None and _TOLD.issuperset(spec.columns) for spec in specs)


def pushdown_of(store: Store) -> Callable[..., Any] | None:
    """What has the store's engine read its rows, for Reader; None where it has none."""
    if not store.engine:
        return None
    from queries.core.pushdown import Pushdown

    return Pushdown


@contextlib.contextmanager
def selection(
    store: Store,
    window: Window,
    where: Expr | None = None,
    tables: Sequence[str] = ("transactions",),
    container: str | None = None,
    by: str | None = None,
    counts: bool = False,
) -> Iterator[Selection]:
    """A reader over the window's hours, with the view `matching` over the first of the tables.

    container: only what this container (or executable, where there is no container) did. counts:
    the question reads nothing that rollups do not tell, so that those will do for rows of a bucket
    which are too many to fetch, or still on their host.
    """
    counts = counts and store.engine == "" and (where is None or _counts_tell(where))
    opened = partial(Reader, store, [window], tables, running=counts, where=where)
    with contextlib.ExitStack() as stack:
        try:
            reader = stack.enter_context(opened(pushdown=pushdown_of(store)))
            files: Sequence[Path] = reader.early.keys
        except TooMuchError:
            if not counts:
                raise
            reader = stack.enter_context(opened(views=False))
            files = reader.files["transactions"]
            from store.schema import RECORDED, plain  # pyarrow: 0.1 s that few questions need

            for table in tables:
                with_arrow(reader.con).register(table, plain(RECORDED[table]).empty_table())
        filtered = where if tables[0] == "transactions" else None
        chosen = Selection(reader, window, remarks(where), {}, filtered, by, bool(files))
        if files:
            chosen.remarks.extend(have_counted(reader, files, "database" in tables))
            if "database" in tables:
                text = "calls of databases are left out where only rollups tell of requests"
                chosen.remarks.append(Note("no_databases", text))
        chosen.select(where, tables[0], container=container)
        if by == "group":
            chosen.remarks.extend(no_groups(reader))
        if container is not None:
            chosen.remarks.extend(chosen.unknown_container(container, tables[0]))
        yield chosen


def both_sides(
    store: Store, window: Window, baseline: Sequence[Window], within: Expr | None,
    wheres: Sequence[Expr | None], query: str, **params: Any,
) -> list[list[dict[str, Any]]]:  # fmt: skip
    """The rows of queries/sql/<query>.sql, which takes `starts` and `ends`: of the window first,
    then of each stretch of the baseline; for each of the filters, which are parts of `within`."""
    spans = [window, *baseline]
    whole = Window(min(s.from_ts for s in spans), max(s.to_ts for s in spans))
    limits = {"starts": [s.from_ts for s in spans], "ends": [s.to_ts for s in spans]}
    found = []
    with Reader(store, spans, pushdown=pushdown_of(store), where=within) as reader:
        chosen = Selection(reader, whole)
        for where in wheres:
            chosen.select(where, "transactions")
            found.append(chosen.rows(query, {**limits, **params}))
    return found


def listing(
    query: str, answer: Callable[..., T], row: Callable[[dict[str, Any], Side], Any], *,
    tables: Sequence[str] = ("transactions",), routes: bool = False, counts: bool = False,
    orders: Mapping[str, str] | None = None, name: str = "",
) -> Callable[..., T]:  # fmt: skip
    """The function of a question that lists the rows of queries/sql/<query>.sql, as that field of
    the answer or the one called `name`.

    It takes the store, a window, `where`, `limit`, where its SQL has {apart} `by`, and, with
    orders, `sort`: one of their names, the first where none is given. The SQL takes a parameter
    `rows` and gives each row the totals all_requests and all_errors, taken out here. row: makes one
    of the answer, from one of those and the window as a whole. routes: the SQL groups by route, so
    levels of too many values are collapsed. counts: see selection.
    """

    def ask(
        store: Store, window: Window, where: Expr | None = None, limit: int = DEFAULT_LIMIT,
        sort: str | None = None, by: str | None = None,
    ) -> T:  # fmt: skip
        places = {"order": orders[sort or next(iter(orders))]} if orders else {}
        with selection(store, window, where, tables, by=by, counts=counts) as chosen:
            if routes:
                chosen.collapse_routes()
            rows = chosen.rows(query, {"rows": limit + 1}, **places)
            found = chosen.result(rows, limit, totals(rows))
        listed = tuple(
            row({name: tuple(value) if isinstance(value, list) else value
                 for name, value in one.items()}, found.window)
            for one in found.rows
        )  # fmt: skip
        return found.answer(answer, **{name or query: listed})

    return ask


def totals(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """all_requests and all_errors, which every row has, taken out of them; none: 0."""
    counts = (0, 0)
    for row in rows:
        counts = (int(row.pop("all_requests") or 0), int(row.pop("all_errors") or 0))
    return counts


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

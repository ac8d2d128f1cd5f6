"""Reading a store: one locked-down DuckDB connection over exactly the files that count.

The views `transactions`, `connections` and `database` hold the rows of every hour that a span
touches; the table `coverage` says what was seen. Files that cannot be read are left out, named
in `notes`, and never make a question fail.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from queries.core.answer import Note
from queries.core.watch import CURRENT, duckdb, with_arrow
from queries.core.window import Window, hours_of, meeting
from store.cover import Early
from store.derived import populations_sql
from store.errors import QrecError
from store.files import file_list, is_readable, looks_whole, parquet
from store.hours import HOUR_US, from_us, hour_end, hour_key, hour_of, to_us
from store.layout import MERGED, Store

if TYPE_CHECKING:
    import pyarrow as pa

    from filters.nodes import Expr
_NOT_THE_FILES: Final = (  # what a broken file never raises
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.CatalogException,
)
_SQL: Final = Path(__file__).parents[1] / "sql"
_TRIES: Final = 3  # a query that is slower than a recorder's grace may lose files again
T = TypeVar("T")
Moved = Mapping[str, Sequence[tuple[dt.datetime, str]]]
CONFIG: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
# Columns of coverage that files of an earlier version may lack.
_LATER_COVERAGE: Final = {
    "dropped": "BIGINT",
    "dropped_basis": "VARCHAR",
    "dropped_estimate": "BIGINT",
    "group_name": "VARCHAR",
    "max_lag_ms": "BIGINT",
    "reason_code": "VARCHAR",
}


def sql_text(name: str, **places: str) -> str:
    """A query of queries/sql by its name, without the ending; `places` fill {name} in its text."""
    text = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    for place, value in places.items():
        text = text.replace("{" + place + "}", value)
    return text


def dicts(result: Any) -> list[dict[str, Any]]:
    """The rows of a statement's result."""
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


class Reader:
    """A connection over the hours that `spans` touch, and what it reads; closed after a `with`.
    Raises StoppedError when it was stopped under way.

    views: whether the tables are views; if not, their files are listed and none is opened.
    pushdown: makes what has an engine read them; without it they are read here. running: also
    what a bucket has of hours that are not over (store/cover.py): coverage, and keys for rows.
    where: what is of recorders of which it takes nothing is left out, their coverage as well.
    """

    def __init__(
        self, store: Store, spans: Sequence[Window], tables: Sequence[str] = ("transactions",),
        views: bool = True, pushdown: Callable[..., Any] | None = None, running: bool = False,
        where: Expr | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self._takes: Callable[[str, str], bool] = lambda recorder, group: True
        self._is_whole = False  # whether recorders alone are chosen, and nothing is asked of rows
        if where is not None:
            import filters

            self._takes = filters.takes_of(where)
            self._is_whole = not views and filters.is_of_recorders(where)
        self.group_of: dict[str, str] = {}  # of each recorder, by its last; "": in none
        self.moved: dict[str, list[tuple[dt.datetime, str]]] = {}  # until when in which other ones
        self._views = views
        self.spans = list(spans)
        self._tables = ["coverage", *tables]
        self.notes: list[Note] = []
        self._bad: set[Path] = set()
        self.unreadable: list[tuple[str, dt.datetime]] = []  # recorders, and hours of theirs
        self.con = duckdb.connect(config=CONFIG)
        # footers are read once, also where several statements ask for the same files
        self.con.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
        self._watch = CURRENT.get()
        if self._watch is not None:
            self._watch.begin(self.con)
        self.files: dict[str, list[Path]] = {}
        # the rows of the table of that name, in the order of recorder and time
        self.coverage: list[dict[str, Any]] = []
        self.early = store.early(hours_of(spans)) if running else Early()
        self._pushdown: Any = None  # Pushdown (queries/core/pushdown.py)
        try:
            if pushdown is not None:
                self._pushdown = pushdown(store, self.con, self._drop)
            self._open_views()
        except BaseException as error:
            self.close()
            self._told(error)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
        self._told(error)

    def _told(self, error: BaseException | None) -> None:
        """Raise our word for what DuckDB raised, where we have one."""
        if isinstance(error, duckdb.InterruptException) and self._watch is not None:
            self._watch.check()  # it may have been somebody else
        if isinstance(error, duckdb.OutOfMemoryException):
            raise QrecError(
                "the question needs more memory than there is", "Ask for a shorter window."
            ) from error

    def query(self, text: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of one statement as an Arrow table."""

        def arrow(statement: Any, named: dict[str, Any]) -> Any:
            import pyarrow as pa

            result = with_arrow(self.con).sql(statement, params=named)
            return pa.table({}) if result is None else result.to_arrow_table()

        return self._result(text, params, arrow)

    def rows(
        self, name: str, params: Mapping[str, Any] | None = None, **places: str
    ) -> list[dict[str, Any]]:
        """The rows of queries/sql/<name>.sql as dicts, without Arrow: for answers of few rows."""
        text = sql_text(name, **places)
        rows: list[Any] = self._result(text, params, lambda *of: dicts(self.con.execute(*of)))
        return rows

    def arrays(self, text: str, params: Mapping[str, Any] | None = None) -> Any:
        """The columns of one statement's result, by name, as numpy has them."""
        return self._result(text, params, lambda *of: self.con.execute(*of).fetchnumpy())

    def run(self, text: str, params: Mapping[str, Any] | None = None) -> None:
        """Run one statement that gives no rows."""
        self._result(text, params, self.con.execute)

    def table(self, name: str, columns: Mapping[str, tuple[str, Sequence[Any]]]) -> None:
        """Make a temporary table of a few rows; columns: name -> (type, values)."""
        chosen = ", ".join(f"unnest(${column}) AS {column}" for column in columns)
        casts = ", ".join(f"{column}::{kind} AS {column}" for column, (kind, _) in columns.items())
        if any(values for _, values in columns.values()):
            text = f"SELECT {casts} FROM (SELECT {chosen})"
            params = {column: list(values) for column, (_, values) in columns.items()}
        else:
            empty = ", ".join(f"NULL::{kind} AS {name}" for name, (kind, _) in columns.items())
            text, params = f"SELECT {empty} WHERE false", {}
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {text}", params)
        if self._pushdown is not None:
            self._pushdown.picked(name, columns)

    def selected(self, table: str, condition: str, params: Mapping[str, Any]) -> str:
        """A relation of the rows of a table under a condition with parameters, for a view."""
        if self._pushdown is not None:
            return str(self._pushdown.select(table, condition, params))
        for variable, value in params.items():
            self.con.execute(f"SET VARIABLE {variable} = $value", {"value": value})
        # A view takes no parameters; variables are constants to it, and prune files as those do.
        text = re.sub(rf"\$({'|'.join(params)})\b", r"getvariable('\1')", condition)
        return f"(SELECT * FROM {table} WHERE {text})"

    def results(
        self, paths: Callable[[], Sequence[Path]], *of: Any
    ) -> list[tuple[Any, Mapping[str, Path]]]:
        """What the tasks of an engine make of files (Pushdown.results); nothing without one."""
        if (pushdown := self._pushdown) is None:
            return []
        return self._mending(lambda: pushdown.results(paths(), *of))

    def each(self, table: str, select: str) -> list[tuple[Any, ...]]:
        """The rows of a statement about {files} of a table: of all, or of some at a time."""
        pushdown, paths = self._pushdown, self.files[table]
        if pushdown is not None:
            return self._mending(lambda: list(pushdown.each(table, select)))
        text = select.replace("{files}", file_list(paths))
        return self.con.execute(text).fetchall() if paths else []

    def _result(self, text: str, params: Mapping[str, Any] | None, fetch: Any) -> Any:
        return self._mending(lambda: self._run(text, params, fetch))

    def _mending(self, work: Callable[[], T]) -> T:
        """Do it; where files are gone or unreadable, again over those that count."""
        for _ in range(_TRIES):
            try:
                return work()
            except _NOT_THE_FILES:
                raise
            except duckdb.Error:
                if not self._mend_views():
                    raise
        return work()

    def _run(self, text: str, params: Mapping[str, Any] | None, fetch: Any) -> Any:
        if self._watch is not None:
            self._watch.check()
        # DuckDB refuses parameters that a statement does not name: hand over those it does.
        [statement] = self.con.extract_statements(text)
        named = {name: (params or {})[name] for name in statement.named_parameters}
        if self._pushdown is not None:
            self._pushdown.bring(text, named)
        return fetch(statement, named)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.end(self.con)
        threading.Thread(target=self.con.close).start()  # takes 60 ms after a large answer
        if self._pushdown is not None:
            self._pushdown.close()

    def _open_views(self) -> None:
        hours, tables = hours_of(self.spans), (*self._tables, MERGED)
        self.store.look(self.store.sealed_hour(table, hour) for table in tables for hour in hours)
        for table in self._tables:
            listed = self._listed(table)
            fetched = table == "coverage" or (self._views and self._pushdown is None)
            if fetched:
                self.store.fetch(listed)
            self.files[table] = self._whole(listed) if fetched or self.store.is_local else listed
            self._view(table)
        self._tell_unshipped()

    def _tell_unshipped(self) -> None:
        """A bucket has whole hours alone; of the last one nobody there saw anything yet."""
        if self.store.is_local:
            return
        hours = self.store.hours("coverage")
        end = hour_end(hours[-1]) if hours else None
        if self.early.until:
            end = from_us(self.early.until * 1_000_000)
        last = max(span.to_ts for span in self.spans)
        if end is not None and last > end:
            text = f"nothing after {end:%Y-%m-%dT%H:%M} was shipped yet; it is on its hosts"
            self.notes.append(Note("not_shipped", text, end, last))

    def _listed(self, table: str) -> list[Path]:
        """The files that make up the hours of the spans now."""
        hours = hours_of(self.spans)
        if table != "coverage":
            rows = [pair for hour in hours for pair in self.store.visible(table, hour)]
            if table == "transactions" and not self._views:
                rows += [(self.store.recorder_of(path), path) for path in self.early.keys]
            paths = [path for recorder, path in rows if self._is_asked(recorder)]
            # of the others some questions want what is older than the window
            return meeting(paths, self.spans) if self._views and table == "transactions" else paths
        # A stretch lies in the hour in which it began; one that is not "seeing" may be longer.
        before = self.store.hour_before("coverage", hours[0]) if hours else []
        return [path for hour in (*before, *hours) for path in self._coverage(hour)]

    def _coverage(self, hour: str) -> list[Path]:
        """The one file of all recorders, where there is one and it can be read; else each one's."""
        files = self.store.coverage(hour)
        with contextlib.suppress(OSError):  # one is gone: a recorder replaces them as they grow
            merged = self.store.coverage_place(hour, files)
            if merged and merged not in self._bad and self.store.is_merged([merged]):
                return [merged] if looks_whole(merged) is not False else files
        return files

    def rows_of(self, hours: Iterable[str]) -> list[Path]:
        """The files of transactions of some hours."""
        names = {name for hour in hours for name in (hour, f"hour={hour}")}  # live, sealed
        return [path for path in self.files["transactions"] if path.parts[-2] in names]

    def groups(self) -> dict[str, dict[str, str]]:
        """The group of each recorder that is in one, by hour."""
        groups: dict[str, dict[str, str]] = {}
        told = any(row["group_name"] for row in self.coverage)
        rows = self.con.execute(populations_sql("coverage")).fetchall() if told else []
        for recorder, hour, group in rows:
            groups.setdefault(hour_key(hour * HOUR_US), {})[recorder] = group
        return groups

    def _whole(self, paths: Sequence[Path]) -> list[Path]:
        return [path for path in paths if self._readable(path)]

    def _view(self, table: str, tries: int = 20) -> None:
        """Make the view over the table's files, without those whose footer does not parse. One of
        coverage may be replaced between two looks that DuckDB takes at it: it is read again."""
        if not self._views and table != "coverage":
            return
        if self._pushdown is not None and table != "coverage":
            self._pushdown.declare(table, self.files[table])
            return
        try:
            self._view_over(table, self.files[table])
        except _NOT_THE_FILES:
            raise
        except duckdb.Error:
            if self._mend_views(only=table):
                return
            if table != "coverage" or not tries:
                raise
            self._view(table, tries - 1)

    def _view_over(self, table: str, paths: Sequence[Path]) -> None:
        source = parquet(paths) if paths else self._empty(table)
        if table != "coverage":
            self.con.execute(f"CREATE OR REPLACE VIEW {table} AS FROM {source}")
            return
        # few rows, which are looked at again and again: each statement would open the files anew
        later = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _LATER_COVERAGE.items())
        text = f"FROM {source}{self._early()} UNION ALL BY NAME SELECT {later} WHERE false"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE coverage AS {text}")
        self.coverage = dicts(self.con.execute("FROM coverage"))
        self.coverage.sort(key=lambda row: (row["recorder"], row["from_ts"], row["to_ts"]))
        self.group_of, self.moved = {}, {}
        for row in self.coverage:
            name, group = row["recorder"], row["group_name"] or ""
            if self.group_of.setdefault(name, group) != group:
                self.moved.setdefault(name, []).append((row["from_ts"], self.group_of[name]))
            self.group_of[name] = group
        self._leave_out_others()

    def _is_asked(self, recorder: str) -> bool:
        """By any of its groups, where rows are asked as well; taken whole, by its last."""
        earlier = [] if self._is_whole else [of for _, of in self.moved.get(recorder, ())]
        return any(self._takes(recorder, of) for of in (self.group_of.get(recorder, ""), *earlier))

    def _leave_out_others(self) -> None:
        """What recorders saw of which the filter takes nothing is not in question."""
        others = {name for name in self.group_of if not self._is_asked(name)}
        if others:
            self.con.execute("DELETE FROM coverage WHERE recorder IN $of", {"of": [*others]})
            self.coverage = [row for row in self.coverage if row["recorder"] not in others]
        self.takes_nobody = bool(others) and not self.coverage
        if self.takes_nobody:
            groups = ", ".join(sorted(set(self.group_of.values()) - {""})[:10]) or "(none)"
            text = f"the filter takes no recorder: there were {', '.join(sorted(others)[:10])}"
            self.notes.append(Note("unknown_recorder", f"{text}, of group {groups}"))

    def _early(self) -> str:
        """More rows of coverage, of hours that are not over, as far as all have told."""
        self.store.fetch(self.early.coverage)
        paths = self._whole(self.early.coverage)
        if not paths:
            return ""
        until = f"to_timestamp({self.early.until})"
        return (
            f" UNION ALL BY NAME SELECT * REPLACE (least(to_ts, {until}) AS to_ts)"
            f" FROM {parquet(paths)} WHERE from_ts < {until}"
        )

    def _empty(self, table: str) -> str:
        """A relation with the table's columns and no rows."""
        from store.schema import COVERAGE, RECORDED

        schema = COVERAGE if table == "coverage" else RECORDED[table]
        with_arrow(self.con).register(f"empty_{table}", schema.empty_table())
        return f"empty_{table}"

    def _readable(self, path: Path) -> bool:
        """Whether a file looks whole (both ends are Parquet's); a note says so when it does not."""
        if path in self._bad:
            return False
        whole = looks_whole(path)
        if whole is None and not self.store.is_local:
            whole = self.store.has(path)  # it can be fetched; else it is gone for good
        if whole is False:
            self._leave_out(path)
        return bool(whole)

    def _leave_out(self, path: Path) -> None:
        self._bad.add(path)
        place = path.relative_to(self.store.path)
        if place.parts[0] == MERGED:
            return  # what it was made of is read
        hour = hour_of(path)
        if hour is not None and "transactions" in place.parts:
            owner = self.store.recorder_of(path)
            self.unreadable.append((owner, hour))
        self.notes.append(
            Note(
                "unreadable_file",
                f"{place} cannot be read and was left out; its rows are missing from this answer",
                hour,
                hour + dt.timedelta(hours=1) if hour else None,
            )
        )

    def _drop(self, path: Path) -> None:
        """Leave a file out of all that is read from now on."""
        self._leave_out(path)
        for paths in self.files.values():
            paths[:] = [one for one in paths if one != path]

    def _mend_views(self, only: str | None = None) -> bool:
        """List anew what was merged, sealed or deleted meanwhile, and read every file whole to find
        those that fail. True when the views have changed."""
        changed = False
        for table, paths in self.files.items():
            if only is not None and table != only:
                continue
            gone = [path for path in paths if not path.exists()]
            listed = self._whole(self._listed(table)) if gone else paths
            whole = [path for path in listed if is_readable(path)]
            for path in listed:
                if path not in whole and path.exists():
                    self._leave_out(path)
            if any(path.parent.parent.name == MERGED for path in listed if path not in whole):
                whole = self._whole(self._listed(table))
                self.store.fetch(whole)
            if table != "coverage":
                self._tell_deleted(table, gone, whole)
            if whole != paths:
                self.files[table] = whole
                self._view(table)
                changed = True
        return changed

    def _tell_deleted(self, table: str, gone: Sequence[Path], left: Sequence[Path]) -> None:
        """A note for each hour of which rows were listed and nothing is left."""
        deleted = {hour for path in gone if (hour := hour_of(path))}
        for hour in sorted(deleted - {hour_of(path) for path in left}):
            text = f"hour {hour_key(to_us(hour))} of {table} was deleted while this was asked"
            self.notes.append(Note("deleted", text, hour, hour + dt.timedelta(hours=1)))

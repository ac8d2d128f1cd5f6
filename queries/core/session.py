"""Reading a store: one locked-down DuckDB connection over exactly the files that count.

The views `transactions`, `connections` and `database` hold the rows of every hour that a span
touches; `coverage` and `covered` say what was seen. Files that cannot be read are left out, named
in `notes`, and never make a question fail.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from queries.core.answer import Note
from queries.core.watch import current, stoppable
from queries.core.window import Window
from store import Store
from store.errors import QrecError
from store.hours import HOUR_US, hour_key, hour_start, to_us
from store.layout import LIVE
from store.schema import COVERAGE, RECORDED

_MAGIC = b"PAR1"
_NOT_THE_FILES = (  # what a broken file never raises
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.CatalogException,
)
_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def hours_of(spans: Iterable[Window]) -> list[str]:
    """The hour partitions that the spans touch, sorted, each once."""
    found = set()
    for span in spans:
        first = to_us(span.from_ts) // HOUR_US
        last = (to_us(span.to_ts) - 1) // HOUR_US
        found |= {hour_key(number * HOUR_US) for number in range(first, last + 1)}
    return sorted(found)


def sql_text(name: str) -> str:
    """A query of queries/sql by its name, without the ending."""
    return (files("queries") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


class Reader:
    """An open connection and what it reads. Close it, or use `open_reader`."""

    def __init__(self, store: Store, spans: Sequence[Window], tables: Sequence[str]) -> None:
        self.store = store
        self.spans = list(spans)
        self.tables = list(tables)
        self.notes: list[Note] = []
        self._bad: set[Path] = set()
        self.con = duckdb.connect(config=_CONFIG)
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("CREATE TEMP TABLE unreadable (recorder VARCHAR, hour TIMESTAMPTZ)")
        self._watch = current()
        if self._watch is not None:
            self._watch.begin(self.con)
        self.files: dict[str, list[Path]] = {}
        self._open_views()

    def sql(self, name: str, params: Mapping[str, Any] | None = None, **places: str) -> pa.Table:
        """Run queries/sql/<name>.sql with named parameters; `places` fill {name} in its text."""
        text = sql_text(name)
        for place, value in places.items():
            text = text.replace("{" + place + "}", value)
        return self.query(text, params)

    def query(self, text: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one statement; an unreadable file is found, left out, and the statement run again."""
        try:
            return self._run(text, params)
        except _NOT_THE_FILES:
            raise
        except duckdb.Error:
            if not self._leave_out_unreadable():
                raise
        return self._run(text, params)

    def _run(self, text: str, params: Mapping[str, Any] | None) -> pa.Table:
        if self._watch is not None:
            self._watch.check()
        with stoppable():
            answer = self.con.sql(text, params=_used(text, params))
            return pa.table({}) if answer is None else answer.to_arrow_table()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.end(self.con)
        self.con.close()

    def _open_views(self) -> None:
        hours = hours_of(self.spans)
        for table in self.tables:
            listed = [path for hour in hours for _, path in self.store.visible(table, hour)]
            self.files[table] = [path for path in listed if self._readable(path)]
            self._view(table)
        self._coverage(hours)

    def _view(self, table: str) -> None:
        paths = self.files[table]
        if not paths:
            empty = RECORDED[table].empty_table()
            self.con.register(f"empty_{table}", empty)
            self.con.execute(f"CREATE OR REPLACE VIEW {table} AS FROM empty_{table}")
            return
        try:
            self._view_over(table, paths)
        except duckdb.Error:  # a footer that does not parse fails here already
            if not self._leave_out_unreadable(only=table):
                raise

    def _view_over(self, table: str, paths: Sequence[Path]) -> None:
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        self.con.execute(
            f"CREATE OR REPLACE VIEW {table} AS FROM read_parquet([{listed}],"
            " union_by_name = true, hive_partitioning = false)"
        )

    def _coverage(self, hours: Sequence[str]) -> None:
        # A stretch lies in the hour in which it began; one that is not "seeing" may be longer.
        tables = [COVERAGE.empty_table()]
        for hour in [*self.store.hour_before("coverage", hours[0]), *hours] if hours else ():
            folder = self.store.sealed_hour("coverage", hour)
            for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
                if self._readable(path):
                    tables.append(_conform(_read(path)))
        self.con.register("coverage", pa.concat_tables(tables))
        # An hour of which a file cannot be read is not covered: missing rows are no silence.
        self.con.execute(
            f"CREATE VIEW covered AS SELECT * FROM ({sql_text('covered')}) AS c WHERE NOT EXISTS"
            " (FROM unreadable AS u WHERE u.recorder = c.recorder"
            " AND u.hour = date_trunc('hour', c.minute))"
        )

    def _readable(self, path: Path) -> bool:
        """Whether a file looks whole (both ends are Parquet's); a note says so when it does not."""
        if path in self._bad:
            return False
        whole = looks_whole(path)
        if whole is False:
            self._leave_out(path)
        return bool(whole)

    def _leave_out(self, path: Path) -> None:
        self._bad.add(path)
        place = path.relative_to(self.store.path)
        hour = next((p for p in map(_hour_in, path.parts) if p is not None), None)
        if hour is not None and "transactions" in place.parts:
            owner = place.parts[1] if place.parts[0] == LIVE else path.stem.rpartition("-")[0]
            self.con.execute("INSERT INTO unreadable VALUES (?, ?)", [owner, hour])
        self.notes.append(
            Note(
                "unreadable_file",
                f"{place} cannot be read and was left out; its rows are missing from this answer",
                hour,
                hour + dt.timedelta(hours=1) if hour else None,
            )
        )

    def _leave_out_unreadable(self, only: str | None = None) -> bool:
        """Read every file whole to find those that fail. True when the views have changed."""
        changed = False
        for table, paths in self.files.items():
            if only is not None and table != only:
                continue
            bad = [path for path in paths if not _reads_whole(path)]
            for path in bad:
                if path.exists():
                    self._leave_out(path)
            if bad:
                self.files[table] = [path for path in paths if path not in bad]
                self._view(table)
                changed = True
        return changed


@contextlib.contextmanager
def open_reader(
    store: Store, spans: Sequence[Window], tables: Sequence[str] = ("transactions",)
) -> Iterator[Reader]:
    """A reader over the hours that `spans` touch, closed at the end."""
    reader = Reader(store, spans, tables)
    try:
        yield reader
    except duckdb.OutOfMemoryException as error:
        raise QrecError(
            "the question needs more memory than there is", "Ask for a shorter window."
        ) from error
    finally:
        reader.close()


def looks_whole(path: Path) -> bool | None:
    """Whether both ends of a file are Parquet's; None when it is not there (any more)."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(-4, 2)
            return start == _MAGIC and file.read(4) == _MAGIC
    except FileNotFoundError:
        return None
    except OSError:
        return False


def _used(text: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """DuckDB refuses parameters that a statement does not name; hand over those that it does."""
    return {name: value for name, value in (params or {}).items() if f"${name}" in text}


def _reads_whole(path: Path) -> bool:
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(batch_size=65_536):
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def _hour_in(part: str) -> dt.datetime | None:
    try:
        return hour_start(part.removeprefix("hour="))
    except ValueError:
        return None


def _read(path: Path) -> pa.Table:
    # Not read_table: that imports pyarrow's dataset and compute parts, which nobody here needs.
    with pq.ParquetFile(path) as file:
        return file.read()


def _conform(table: pa.Table) -> pa.Table:
    """A coverage file of an older or newer version, with today's columns."""
    return pa.Table.from_arrays([_column(table, field) for field in COVERAGE], schema=COVERAGE)


def _column(table: pa.Table, field: pa.Field) -> Any:
    if field.name not in table.column_names:
        return pa.nulls(table.num_rows, field.type)
    column = table[field.name]
    # cast imports pyarrow's compute part, 25 ms of a command that has few hundred
    return column if column.type == field.type else column.cast(field.type)

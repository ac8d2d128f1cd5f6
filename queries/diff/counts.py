"""The counts that a comparison works on: from rollups, or from rows where there are none.

A sealed hour carries its counts as three files (store/rollup.py); what is still live, has no
rollup or must pass a filter is counted from its rows into tables of the same columns. DuckDB
reads, joins and numbers; sums over millions of entries are numpy's, which is ten times quicker
at those than a GROUP BY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from queries.core.session import Reader, looks_whole, sql_text
from queries.core.window import Window
from queries.diff.stats import Floats, Ints
from store.hours import HOUR_US, from_us, hour_start, to_us
from store.rollup import DURATIONS, KEYS, MINUTES, ROLLUPS, rollup_sql

MINUTE_US = 60_000_000
_NOT_THE_FILES = (duckdb.InterruptException, duckdb.OutOfMemoryException)
# The tables of what was counted from rows, where there is anything.
_TABLES = {KEYS: "counted_keys", MINUTES: "counted_minutes", DURATIONS: "counted_durations"}
_CREATE = """
    CREATE OR REPLACE TEMP TABLE counted_keys (
        file INTEGER, key INTEGER, recorder VARCHAR, session VARCHAR, direction VARCHAR,
        host VARCHAR, method VARCHAR, route VARCHAR, status SMALLINT, grpc_status VARCHAR,
        container VARCHAR, process VARCHAR, signature VARCHAR, requests BIGINT, active BIGINT);
    CREATE OR REPLACE TEMP TABLE counted (
        key INTEGER, minute SMALLINT, bucket SMALLINT, requests INTEGER, bytes_received BIGINT,
        seq BIGINT);
    CREATE OR REPLACE TEMP VIEW counted_minutes AS FROM counted;
    CREATE OR REPLACE TEMP VIEW counted_durations AS FROM counted WHERE bucket IS NOT NULL
"""


class BrokenRollup(Exception):
    """A rollup that cannot be read; the rows that it was made of may still be there."""


@dataclass(frozen=True)
class Entries:
    """Columns of MINUTES or DURATIONS; `row` [entries] is the row of Counts that each is of."""

    row: Ints
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Counts:
    """The counted files of a store, and their rows: one a key of a file.

    hours [files]: hours since the epoch. rollups: the paths of the first files, by table; the
    others are in the tables counted_* of `con`, with keys numbered over all of them.
    recorder (a place in `recorders`), requests, active (a bit a minute) [rows]: over the file's
    whole hour. number [rows]: of the key that the row is about, as in `names`.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        hours: Sequence[int],
        rollups: Sequence[Mapping[str, Path]] = (),
    ) -> None:
        self.con, self.hours, self.rollups = con, np.array(hours, dtype=np.int64), rollups
        relations = []
        if rollups:
            columns = "file_index::INTEGER AS file, * EXCLUDE (failed, bytes_sent, bytes_received)"
            relations.append(f"SELECT {columns} FROM {_read(p[KEYS] for p in rollups)}")
        if len(hours) > len(rollups):
            relations.append(f"FROM {_TABLES[KEYS]}")
        self._keys = " UNION ALL BY NAME ".join(relations) or f"FROM {_TABLES[KEYS]}"
        rows = sql_text("compare_rows").replace("{keys}", self._keys)
        columns = "file, key, recorder, requests, active, names"
        self._make("compare_rows", f"SELECT {columns} FROM ({rows})")
        self._make("compare_names", sql_text("compare_names").replace("{rows}", rows))
        distinct = con.execute("SELECT DISTINCT recorder FROM compare_rows ORDER BY ALL").fetchall()
        self.recorders: list[str] = [name for (name,) in distinct]
        self._arrange()

    def _arrange(self) -> None:
        """Rows in the order of their files and keys, whatever order the join gives them."""
        table = self._fetch(
            "SELECT file, key, requests, active, number,"
            " (list_position($recorders, recorder) - 1)::SMALLINT AS recorder"
            " FROM compare_rows JOIN compare_names USING (names)",
            {"recorders": self.recorders},
        )
        sizes = np.bincount(table["file"], minlength=self.hours.size)
        self.first: Ints = np.concatenate([[0], np.cumsum(sizes)])
        # keys of the tables are numbered over all of their files already
        place = self.first[np.minimum(table["file"], len(self.rollups))] + table["key"]
        order = np.empty(place.size, dtype=np.int64)
        order[place] = np.arange(place.size)
        self.requests: Ints = table["requests"][order]
        self.active: Any = table["active"][order].astype(np.uint64)
        self.number: Ints = table["number"][order].astype(np.int64)
        self.recorder: Ints = table["recorder"][order].astype(np.int64)

    @cached_property
    def names(self) -> dict[str, Any]:
        """[keys]: the columns of each key, in the order of their numbers."""
        table = self._fetch("FROM compare_names ORDER BY number")
        return {name: column for name, column in table.items() if name not in ("number", "names")}

    def rows(self, file: int) -> slice:
        return slice(int(self.first[file]), int(self.first[file + 1]))

    def entries(
        self,
        table: str,
        files: Sequence[int],
        columns: Sequence[str],
        begin: int = 0,
        end: int = 60,
    ) -> Entries:
        """The entries of some files of minutes begin..end of the hour, file by file.

        table: MINUTES or DURATIONS. Raises BrokenRollup.
        """
        sealed = [file for file in files if file < len(self.rollups)]
        chosen = ", ".join(["minute", *(c for c in columns if c != "minute")])
        within = f"minute >= {begin} AND minute < {end}"
        parts = []
        if sealed:
            firsts = [int(self.first[file]) for file in sealed]
            paths = _read(self.rollups[file][table] for file in sealed)
            row = f"({firsts}[file_index::BIGINT + 1] + key)::INTEGER" if len(sealed) > 1 else (
                f"({firsts[0]} + key)::INTEGER"
            )  # fmt: skip
            parts.append(f"SELECT {row} AS row, {chosen} FROM {paths} WHERE {within}")
        for file in files:
            if file >= len(self.rollups):
                first, keys = int(self.first[len(self.rollups)]), self.rows(file)
                mine = f"key >= {keys.start - first} AND key < {keys.stop - first}"
                parts.append(
                    f"SELECT (key + {first})::INTEGER AS row, {chosen} FROM {_TABLES[table]}"
                    f" WHERE {mine} AND {within}"
                )
        found = [self._fetch(part) for part in parts]
        joined = {
            name: np.concatenate([part[name] for part in found]) if len(found) > 1 else column
            for name, column in found[0].items()
        }
        return Entries(joined.pop("row"), joined)

    def ids(self, rows: Ints) -> dict[int, str]:
        """What the ids of transactions begin with, by row: <recorder>:<session>."""
        files = np.searchsorted(self.first, rows, side="right") - 1
        first = self.first.copy()
        first[len(self.rollups) :] = first[len(self.rollups)]
        pairs = ", ".join(
            f"({file}, {row - first[file]})"
            for file, row in zip(files.tolist(), rows.tolist(), strict=True)
        )
        if not pairs:
            return {}
        table = self.con.execute(
            f"SELECT file, key, recorder || ':' || session FROM ({self._keys})"
            f" WHERE (file, key) IN ({pairs})"
        ).fetchall()
        return {int(first[file]) + key: text for file, key, text in table}

    def requests_in(self, jobs: Sequence[tuple[int, Any]]) -> list[Floats]:
        """For each (file, minutes): requests of each row of the file in those minutes.

        minutes: a bit set for each row, or one for all. Where rows have requests inside and
        outside, the shorter stretch of the two is read minute by minute.
        """
        stretches = [self._stretch(file, minutes) for file, minutes in jobs]
        minutes_of = self._minutes({s for s in stretches if s is not None})
        return [
            self._inside(file, minutes, stretch and (*stretch[1:], minutes_of[stretch]))
            for (file, minutes), stretch in zip(jobs, stretches, strict=True)
        ]

    def _stretch(self, file: int, minutes: Any) -> tuple[int, int, int] | None:
        active = self.active[self.rows(file)]
        inside = active & minutes
        cut = (inside != 0) & (inside != active)
        if not cut.any():
            return None
        within = int(np.bitwise_or.reduce(inside[cut]))
        beyond = int(np.bitwise_or.reduce((active & ~inside)[cut]))
        return (file, *min(_hull(within), _hull(beyond), key=lambda s: (s[1] - s[0], s)))

    def _minutes(self, stretches: Iterable[tuple[int, int, int]]) -> dict[Any, Entries]:
        """The entries of each stretch (file, begin, end), with rows counted from their file's."""
        found: dict[Any, Entries] = {}
        files: dict[tuple[int, int], list[int]] = {}
        for file, begin, end in sorted(stretches):
            files.setdefault((begin, end), []).append(file)
        for (begin, end), some in files.items():
            entries = self.entries(MINUTES, some, ["requests"], begin, end)
            edges = np.searchsorted(entries.row, [*self.first[some], entries.row.size + (1 << 40)])
            for file, low, high in zip(some, edges[:-1], edges[1:], strict=True):
                values = {name: value[low:high] for name, value in entries.values.items()}
                row = entries.row[low:high] - self.first[file]
                found[file, begin, end] = Entries(row, values)
        return found

    def _inside(self, file: int, minutes: Any, read: tuple[int, int, Entries] | None) -> Floats:
        active, total = self.active[self.rows(file)], self.requests[self.rows(file)]
        inside = active & minutes
        whole = np.where(inside != 0, total, 0).astype(np.float64)
        if read is None:
            return whole
        begin, end, entries = read
        minute, sets = entries["minute"], np.broadcast_to(minutes, active.shape)
        if (sets == sets[0]).all():
            counted = bits(sets[0])[minute]
        else:
            counted = (sets[entries.row] >> minute.astype(np.uint64) & np.uint64(1)) > 0
        cut = (inside != 0) & (inside != active)
        if begin <= _hull(np.bitwise_or.reduce((active & ~inside)[cut]))[0] and (
            _hull(np.bitwise_or.reduce((active & ~inside)[cut]))[1] <= end
        ):
            out = np.bincount(entries.row, entries["requests"] * ~counted, active.size)
            return np.where(cut, total - out, whole)
        part = np.bincount(entries.row, entries["requests"] * counted, active.size)
        return np.where(cut, part, whole)

    def _make(self, table: str, text: str) -> None:
        try:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {text}")
        except _NOT_THE_FILES:
            raise
        except duckdb.Error as error:
            raise BrokenRollup(str(error)) from error

    def _fetch(self, text: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            table: dict[str, Any] = self.con.execute(text, params).fetchnumpy()
        except _NOT_THE_FILES:
            raise
        except duckdb.Error as error:
            raise BrokenRollup(str(error)) from error
        return table


def counts_of(
    reader: Reader,
    spans: Sequence[Window],
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    light: Sequence[Window] = (),
    rollups: bool = True,
) -> Counts:
    """The traffic of the spans and of the `light` ones, of which only requests will be asked.

    where: a DuckDB condition over `transactions`, with parameters; it forces the way over rows,
    and so does `rollups` = False. Raises BrokenRollup.
    """
    hours: list[int] = []
    sealed: list[Mapping[str, Path]] = []
    raw: dict[int, list[Path]] = {}
    for path in reader.files["transactions"]:
        hour = to_us(hour_start(path.parent.name.removeprefix("hour="))) // HOUR_US
        rollup = _rollup(reader, path) if rollups and not where else None
        if rollup is None:
            raw.setdefault(hour, []).append(path)
        else:
            hours.append(hour)
            sealed.append(rollup)
    if raw or not sealed:
        reader.con.execute(_CREATE)
    within = f"({_within([*spans, *light])})" + (f" AND ({where})" if where else "")
    for hour, paths in raw.items():
        full = any(_touches(span, hour) for span in spans)
        _count_rows(reader, len(hours), paths, within, params, full)
        hours.append(hour)
    return Counts(reader.con, hours, sealed)


def _rollup(reader: Reader, path: Path) -> dict[str, Path] | None:
    """The rollup of a sealed file; None for a live segment or where it is not there in full."""
    if not path.parent.name.startswith("hour="):
        return None
    store = reader.store.path
    files = {table: store / table / path.parent.name / path.name for table in ROLLUPS}
    return files if all(looks_whole(file) for file in files.values()) else None


def _count_rows(
    reader: Reader, file: int, paths: Sequence[Path], within: str, params: Any, full: bool
) -> None:
    """Add what the rows of an hour give; a file that cannot be read is left out by the reader."""
    source = f"(FROM {_read(paths, 'union_by_name = true')} WHERE {within})"
    try:
        text = f"CREATE OR REPLACE TEMP TABLE rollup_requests AS {rollup_sql('requests', source)}"
        reader.run(text, params)
    except duckdb.Error:
        left = [path for path in paths if path in reader.files["transactions"]]
        if len(left) == len(paths):
            raise
        if left:
            _count_rows(reader, file, left, within, params, full)
        return
    con = reader.con
    [(first,)] = con.execute("SELECT count(*) FROM counted_keys").fetchall()
    for step in ("numbered", "entries"):
        text = f"CREATE OR REPLACE TEMP TABLE rollup_{step} AS {rollup_sql(step)}"
        con.execute(text, {"first": first} if step == "numbered" else None)
    con.execute(
        f"INSERT INTO counted_keys BY NAME SELECT {file} AS file, * EXCLUDE (failed, bytes_sent,"
        f" bytes_received) FROM ({rollup_sql('keys')})"
    )
    con.execute(f"INSERT INTO counted {sql_text('compare_entries' if full else 'compare_light')}")


def _within(spans: Sequence[Window]) -> str:
    """Whole minutes, so that rows give what a rollup of them gives."""
    stretches = [[from_us(m * MINUTE_US).isoformat() for m in minutes(span)] for span in spans]
    return " OR ".join(
        f"(ts >= '{begin}'::TIMESTAMPTZ AND ts < '{end}'::TIMESTAMPTZ)" for begin, end in stretches
    )


def _touches(span: Window, hour: int) -> bool:
    return to_us(span.from_ts) < (hour + 1) * HOUR_US and to_us(span.to_ts) > hour * HOUR_US


def minutes(span: Window) -> tuple[int, int]:
    """From and to in minutes since the epoch, both rounded down as the comparison does."""
    return to_us(span.from_ts) // MINUTE_US, to_us(span.to_ts) // MINUTE_US


def _read(paths: Iterable[Path], options: str = "") -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    more = f", {options}" if options else ""
    return f"read_parquet([{listed}], hive_partitioning = false{more})"


def bits(minutes: Any) -> Any:
    """[...] bit sets -> [..., 60] bools."""
    return ((minutes[..., None] >> np.arange(60, dtype=np.uint64)) & np.uint64(1)) > 0


def _hull(minutes: Any) -> tuple[int, int]:
    """The shortest stretch of minutes that holds all of a bit set."""
    number = int(minutes)
    return (number & -number).bit_length() - 1 if number else 0, number.bit_length()

"""Counting: DuckDB reads rollups and rows, and gives arrays of requests by key, recorder and slot.

Sealed hours are told by their rollups: whole past hours by the sums of their keys, spans by their
minutes. What rollups cannot tell (an hour that still grows, slots of seconds, a minute that a
span's edge cuts in two, anything under a filter) is counted from rows, and gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from queries.core.session import looks_whole, parquet, sql_text
from queries.diff.keys import Keys, keys_of
from queries.diff.stats import add_up
from store.hours import HOUR_US, hour_start, to_us
from store.rollup import DURATIONS, KEYS, MINUTES, ROLLUPS, rollup_sql
from store.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from queries.core.session import Reader
    from queries.diff.axis import Axis
    from queries.diff.stats import Ints

_NAMES = (
    "recorder", "direction", "host", "method", "route", "status", "grpc_status", "container",
    "pod", "process", "signature",
)  # fmt: skip
_NONE = 255  # the bucket of a request without a duration
_SPREAD_HOURS = 6  # past hours whose durations are read: the newest, and of other days
_LEAST_HOURS, _ENOUGH = 3, 2_000_000  # of busy ones fewer do: no more once so many cells are read
_NOT_THE_FILES = (duckdb.InterruptException, duckdb.OutOfMemoryException)


class BrokenRollup(Exception):
    """A rollup that cannot be read; the rows that it was made of may still be there."""


@dataclass(frozen=True)
class Cells:
    """key, recorder, slot, requests, and received (bytes) or bucket (of duration) [cells].

    A cell may come more than once: such add up. There are millions of them in a busy hour, so the
    numbers are as short as they can be.
    """

    key: Any
    recorder: Any
    slot: Any
    requests: Any
    value: Any

    def where(self, chosen: Any) -> Cells:
        return Cells(
            self.key[chosen], self.recorder[chosen], self.slot[chosen], self.requests[chosen],
            self.value[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """traffic: value is bytes received (of spans); spread: value is the bucket of duration.
    names [numbers]: the columns as they were recorded; keys.of says of which key each is.
    past_spread: the same of past hours, some at a time."""

    keys: Keys
    names: Mapping[str, Any]
    recorders: list[str]
    traffic: Cells
    spread: Cells
    past_spread: Callable[[], Iterator[Cells]]


def counts_of(
    reader: Reader,
    axis: Axis,
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    rollups: bool = True,
) -> Counts:
    """The traffic of the axis' spans and past.

    where: a DuckDB condition over `transactions`, with parameters; it forces the way over rows,
    and so does `rollups` = False. Raises BrokenRollup.
    """
    return _Counting(reader, axis, where, params or {}).run(rollups and not where)


class _Counting:
    """files: (hour, paths by table) of those with a rollup; others are numbered behind them."""

    def __init__(
        self, reader: Reader, axis: Axis, where: str | None, params: Mapping[str, Any]
    ) -> None:
        self.reader, self.con, self.axis = reader, reader.con, axis
        self.where, self.params = where, params
        self.files: list[tuple[int, Mapping[str, Path]]] = []
        self.raw: list[str] = []  # tables of keys counted from rows
        self.traffic: list[tuple[int, dict[str, Any], Any]] = []  # file, columns, slot
        self.spread: list[tuple[int, dict[str, Any], Any]] = []

    def run(self, rollups: bool) -> Counts:
        rows: dict[tuple[int, bool], list[Path]] = {}
        store = self.reader.store
        if rollups:
            store.fetch(
                rollup
                for path in self.reader.files["transactions"]
                for rollup in _rollup_of(self.reader, path).values()
            )
        for path in self.reader.files["transactions"]:
            hour = to_us(hour_start(path.parent.name.removeprefix("hour="))) // HOUR_US
            rollup: dict[str, Path] | None = None
            if rollups and not self.axis.fine(hour):
                rollup = _rollup(self.reader, path)
            if rollup is None:
                rows.setdefault((hour, False), []).append(path)
                continue
            self.files.append((hour, rollup))
            if self.axis.rows(hour, cut=True):
                rows.setdefault((hour, True), []).append(path)
        for (hour, cut), paths in rows.items():
            if self.axis.rows(hour, cut) is not None:
                store.fetch(paths)
        for number, (hour, tables) in enumerate(self.files):
            self._read(number, hour, tables)
        self._read_past()
        for (hour, cut), paths in rows.items():
            slot = self.axis.rows(hour, cut)
            if slot is not None:
                self._count(len(self.files) + len(self.raw), paths, slot)
        return self._arranged()

    def _read(self, file: int, hour: int, paths: Mapping[str, Path]) -> None:
        """The minutes and durations of one sealed file."""
        tables = self.axis.minutes(hour)
        if self.axis.whole(hour) is not None or not tables:
            return
        told = np.flatnonzero(np.max(tables, axis=0) >= 0)
        if not told.size:
            return
        within = f"minute BETWEEN {told[0]} AND {told[-1]}"
        for table, value, found in (
            (MINUTES, "bytes_received", self.traffic),
            (DURATIONS, "bucket", self.spread),
        ):
            columns = self._fetch(
                f"SELECT key, minute, requests, {value} AS value"
                f" FROM {_parquet([paths[table]])} WHERE {within}"
            )
            for slots in tables:
                found.append((file, columns, slots[columns["minute"]]))

    def _whole(self) -> dict[int, int]:
        """The files that are told as a whole past hour, and their slots."""
        return {
            file: slot
            for file, (hour, _) in enumerate(self.files)
            if (slot := self.axis.whole(hour)) is not None
        }

    def _read_past(self) -> None:
        """Requests of whole past hours."""
        slots = self._whole()
        if not slots:
            return
        paths = _parquet(self.files[file][1][KEYS] for file in slots)
        columns = self._fetch(
            "SELECT file_index::INTEGER AS file, key, requests, bytes_received AS value"
            f" FROM {paths}"
        )
        place = columns.pop("file")
        for number, (file, slot) in enumerate(slots.items()):
            mine = place == number
            part = {name: column[mine] for name, column in columns.items()}
            self.traffic.append((file, part, np.full(part["key"].size, slot)))

    def _past_spread(self) -> Iterator[Cells]:
        """Durations of some of the whole past hours, an hour at a time."""
        slots = self._whole()
        chosen = _of_other_days(sorted(set(slots.values())))
        cells = 0
        for file, slot in slots.items():
            if slot in chosen[:_LEAST_HOURS] or (slot in chosen and cells < _ENOUGH):
                path = _parquet([self.files[file][1][DURATIONS]])
                part = self._fetch(
                    "SELECT key, bucket AS value, sum(requests)::INTEGER AS requests"
                    f" FROM {path} GROUP BY ALL"
                )
                cells += part["key"].size
                yield self._cells([(file, part, np.full(part["key"].size, slot))])

    def _count(self, file: int, paths: Sequence[Path], slot: str) -> None:
        """What the rows of an hour give; a file that cannot be read is left out by the reader."""
        condition = f" WHERE {self.where}" if self.where else ""
        table = f"counted_{len(self.raw)}"
        source = f"(FROM {parquet(paths)}{condition})"
        named = rollup_sql("named", source)
        text = sql_text("compare_coded", names=", ".join(_NAMES), slot=slot, named=named)
        try:
            self.reader.run(
                f"CREATE OR REPLACE TEMP TABLE {table} AS"
                f" SELECT (row_number() OVER () - 1)::INTEGER AS key, * FROM ({text})",
                self.params,
            )
        except duckdb.Error:
            left = [path for path in paths if path in self.reader.files["transactions"]]
            if len(left) == len(paths):
                raise
            if left:
                self._count(file, left, slot)
            return
        self.raw.append(table)
        columns = self.con.execute(
            "SELECT key, code // 256 AS slot, code % 256 AS bucket, count(*) AS requests,"
            " sum(received)::BIGINT AS value"
            f" FROM (SELECT key, unnest(codes) AS code, unnest(received) AS received FROM {table})"
            " GROUP BY ALL"
        ).fetchnumpy()
        slots = columns.pop("slot").astype(np.int64)
        bucket = columns.pop("bucket")
        self.traffic.append((file, columns, slots))
        known = bucket != _NONE
        spread = {"key": columns["key"], "requests": columns["requests"], "value": bucket}
        self.spread.append((file, {n: c[known] for n, c in spread.items()}, slots[known]))

    def _arranged(self) -> Counts:
        """Everything under the numbers of its keys, over all files."""
        self._first, self._recorder, self._number, names, recorders = self._numbers()
        size = int(self._number.max(initial=-1)) + 1
        self._of = np.arange(size)
        traffic = self._cells(self.traffic)
        keys = keys_of(names, add_up(traffic.key, traffic.requests, size))
        self._of = keys.of
        traffic = replace(traffic, key=keys.of[traffic.key].astype(np.int32))
        spread = self._cells(self.spread)
        inside = spread.slot < self.axis.size
        past = spread.where(~inside)
        self.traffic, self.spread = [], []

        def past_spread() -> Iterator[Cells]:
            yield past
            yield from self._past_spread()

        return Counts(keys, names, recorders, traffic, spread.where(inside), past_spread)

    def _cells(self, parts: Sequence[tuple[int, dict[str, Any], Any]]) -> Cells:
        """All parts as one, without what lies outside of the axis."""
        kinds = (np.int32, np.int16, np.int32, np.int32, np.int64)
        columns: list[list[Any]] = [[np.zeros(0, dtype=kind)] for kind in kinds]
        for file, part, slot in parts:
            inside = slot >= 0
            whole = bool(inside.all())
            row = self._first[file] + (part["key"] if whole else part["key"][inside])
            cells = (
                self._of[self._number[row]], self._recorder[row],
                *(x if whole else x[inside] for x in (slot, part["requests"], part["value"])),
            )  # fmt: skip
            for column, kind, values in zip(columns, kinds, cells, strict=True):
                column.append(np.asarray(values).astype(kind, copy=False))
        joined = [np.concatenate(column) for column in columns]
        if joined[4].max(initial=0) < 256:  # buckets
            joined[4] = joined[4].astype(np.uint8)
        return Cells(*joined)

    def _numbers(self) -> tuple[Ints, Ints, Ints, dict[str, Any], list[str]]:
        """(first row of each file; recorder and number of names [rows]; the names; recorders)."""
        listed = ", ".join(_NAMES)
        relations = [
            f"SELECT {len(self.files) + i} AS file, key, {listed} FROM {table}"
            for i, table in enumerate(self.raw)
        ]
        if self.files:
            paths = _parquet(paths[KEYS] for _, paths in self.files)
            relations.append(f"SELECT file_index::INTEGER AS file, key, {listed} FROM {paths}")
        if not relations:
            nulls = ", ".join(f"NULL::VARCHAR AS {name}" for name in _NAMES)
            relations.append(f"SELECT NULL::INTEGER AS file, 0 AS key, {nulls} WHERE false")
        keys = " UNION ALL BY NAME ".join(relations)
        self._make("compare_rows", sql_text("compare_rows", keys=keys))
        self._make("compare_names", sql_text("compare_names", keys=keys))
        names = self._fetch("FROM compare_names ORDER BY number")
        table = self._fetch(
            "SELECT file, key, number, recorder FROM compare_rows JOIN compare_names USING (names)"
        )
        recorders, recorder = np.unique(table["recorder"].astype(str), return_inverse=True)
        sizes = np.bincount(table["file"], minlength=len(self.files) + len(self.raw))
        first = np.concatenate([[0], np.cumsum(sizes)])
        place = first[table["file"]] + table["key"]
        order = np.empty(place.size, dtype=np.int64)
        order[place] = np.arange(place.size)
        number = table["number"][order].astype(np.int64)
        return first, recorder[order], number, names, recorders.tolist()

    def _make(self, table: str, text: str) -> None:
        self._execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {text}")

    def _fetch(self, text: str) -> dict[str, Any]:
        columns: dict[str, Any] = self._execute(text).fetchnumpy()
        return columns

    def _execute(self, text: str) -> Any:
        try:
            return self.con.execute(text)
        except _NOT_THE_FILES:
            raise
        except duckdb.Error as error:
            raise BrokenRollup(str(error)) from error


def _of_other_days(slots: Sequence[int]) -> list[int]:
    """Past hours, newest first by number, that durations are read of: near ones and far ones."""
    half = _SPREAD_HOURS // 2
    return [*slots[:half], *slots[half :: max((len(slots) - half) // half, 1)][:half]]


def _rollup(reader: Reader, path: Path) -> dict[str, Path] | None:
    """The rollup of a sealed file; None for a live segment or where it is not there in full."""
    files = _rollup_of(reader, path)
    return files if files and all(looks_whole(file) for file in files.values()) else None


def _rollup_of(reader: Reader, path: Path) -> dict[str, Path]:
    """Where the rollup of a sealed file would be; nowhere for a live segment."""
    if not path.parent.name.startswith("hour="):
        return {}
    return {t: reader.store.path / t / path.parent.name / path.name for t in ROLLUPS}


def _parquet(paths: Iterable[Path]) -> str:
    """A relation over files that all have to have the same columns: an old rollup is none."""
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"

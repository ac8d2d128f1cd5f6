"""Counting: DuckDB reads rollups and rows, and gives arrays of requests by key, recorder and slot.

Sealed hours are told by their rollups: whole past hours by the sums of their keys, spans by their
minutes. What rollups cannot tell (an hour that still grows, slots of seconds, a minute that a
span's edge cuts in two, anything under a filter) is counted from rows, and gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from queries.core.session import sql_text
from queries.core.watch import duckdb
from queries.core.window import meeting
from queries.diff.axis import hour_of, rows_of
from queries.diff.keys import DIMS, PARTS, Keys, Names, keys_of
from queries.diff.rollups import (
    KEY,
    LISTED,
    NAMES,
    BrokenRollup,
    counting_sql,
    fetched,
    keys_relation,
    place_of,
    rollups_of,
    size_of,
    whole_parquet,
)
from queries.diff.stats import add_up, distinct, numbered
from store.cover import is_early, segments_in
from store.derived import DURATIONS, KEYS, MINUTES
from store.files import FILES, parquet
from store.hours import HOUR_US, hour_key
from store.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from queries.core.session import Reader
    from queries.diff.axis import Axis

NO_DURATION = 255  # the bucket of a request without a duration
_SPREAD_HOURS = 6  # past hours whose durations are read: the newest, and of other days
_LEAST_HOURS, _ENOUGH = 3, 4_000_000  # of busy ones fewer do: no more once so many cells are read
_FEW_MINUTES = 10  # so few are counted from rows
_SMALL, _FEW_NAMES = 1_000_000, 5_000  # bytes of rollups, and keys counted from rows
_SUMS = "key, sum(requests)::INTEGER AS requests, bucket AS value, count(*) AS cells"
_CELLS = "cells"  # what an engine counts, a table beside its keys


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
        if isinstance(chosen, np.ndarray) and chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)  # a mask in no order takes five times as long a column
        return Cells(*(column[chosen] for column in vars(self).values()))


@dataclass(frozen=True)
class Counts:
    """traffic: value is bytes received; the slots are those of spans and of the past.
    names: of the numbers, as they were recorded; keys.of says of which key each is; hashes
    [numbers]: of compare_rows.sql. recorders: the populations that the cells are of.
    spread: the same of durations, value is the bucket, a file at a time: there are too many of
    them to hold them all. Of the past it has some hours only. It is told [keys] what stands in the
    place of each key. Raises BrokenRollup. own: what was counted from rows, by recorders and not by
    populations: their names, and the cells with these values."""

    keys: Keys
    names: Names
    hashes: Any
    recorders: list[str]
    traffic: Cells
    spread: Callable[[Any], Iterator[Cells]]
    own: Callable[[str], tuple[list[str], Cells]]


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
    """files: (hour, paths by table) of those with a rollup; tables of keys that were counted from
    rows are numbered behind them. A row of keys, over all files, has a number (of its names, which
    become a key) and a recorder."""

    def __init__(
        self, reader: Reader, axis: Axis, where: str | None, params: Mapping[str, Any]
    ) -> None:
        self.reader, self.con, self.axis = reader, reader.con, axis
        self._fetch = partial(fetched, reader.con)
        self.where, self.params = where, params
        self.files: list[tuple[int, Mapping[str, Path]]] = []
        self.raw: list[tuple[str, dict[str, Any]]] = []  # tables counted from rows, their cells
        self.raw_hours: list[int] = []
        self._group_of: dict[int, dict[str, str]] = {}  # where a file is of several hours
        self._recorders: list[str] = []
        self._groups = reader.groups()
        # of the rows of keys: where those of each file begin, recorder, number and key of each, and
        # the first row of each number
        none: Any = np.zeros(0, dtype=np.int64)
        self._starts, self._recorder, self._number, self._firsts = none, none, none, none
        self._key, self._hashes = none, none
        # what is small is read at once, with all its texts: less work than to ask for some of it
        self._small, self._tables = False, dict[str, dict[str, Any]]()
        self._owners: tuple[list[str], Any] = [], none  # recorders before they are populations

    def run(self, rollups: bool) -> Counts:
        rows: dict[tuple[int, bool], list[Path]] = {}
        store = self.reader.store
        files = self.reader.files["transactions"]
        rollup_of = rollups_of(store, files, self._groups) if rollups else {}
        taken = set()
        cut_in = cache(partial(self.axis.rows, cut=True))  # there are hundreds of files an hour
        # of an hour that goes on, a part may be sealed: its keys take longer than rows of minutes
        growing = {hour_of(one.path) for one in segments_in(files)}
        short = {h for h in growing if (np.array(self.axis.minutes(h)) >= 0).sum() <= _FEW_MINUTES}
        for path in files:
            hour = hour_of(path)
            rollup = None if hour in short else rollup_of.get(path)
            if rollup is None and is_early(path):
                raise BrokenRollup(str(path))
            if rollup is None:
                rows.setdefault((hour, False), []).append(path)
                continue
            if rollup[KEYS] not in taken:
                self.files.append((hour, rollup))
                taken.add(rollup[KEYS])
            if cut_in(hour) and not is_early(path):
                rows.setdefault((hour, True), []).append(path)
        if store.engine:
            self._count_elsewhere(rows)
            rows = {}
        for (hour, cut), paths in rows.items():
            told = self.axis.rows(hour, cut)
            if told is not None:
                store.fetch(paths)
                self._count(paths, *told)
                self.raw_hours += [hour] * (len(self.raw) - len(self.raw_hours))
        counted = sum(int(cells["key"].max(initial=-1)) + 1 for _, cells in self.raw)
        self._small = size_of(of for _, of in self.files) <= _SMALL and counted <= _FEW_NAMES
        sums = self._read_keys()
        names = self._names(sums)
        parts = [
            cells for file in range(self._starts.size - 1) for cells in self._traffic(file, sums)
        ]
        traffic = _joined(parts)
        keys = keys_of(names, add_up(traffic.key, traffic.requests, self._firsts.size))
        of = keys.of.astype(np.int32)
        self._key = of[self._number]
        traffic = replace(traffic, key=of[traffic.key])
        return Counts(keys, names, self._hashes, self._recorders, traffic, self._spread, self._own)

    def _count(self, paths: Sequence[Path], slot: str, within: str) -> None:
        """What the rows of an hour give; a file that cannot be read is left out by the reader."""
        table = f"counted_{len(self.raw)}"
        told = partial(counting_sql, slot=slot, within=within, where=self.where, table=table)
        try:
            try:
                rows = self._rows(*told(parquet(meeting(paths, self.axis.stretches))))
            except duckdb.BinderException:  # they lack a column that others have
                rows = self._rows(*told(parquet(paths)))
        except duckdb.Error:
            left = self._listed(paths)
            if len(left) == len(paths):
                raise
            if left:
                self._count(left, slot, within)
            return
        rows["requests"] = np.broadcast_to(np.int32(1), rows["key"].shape)
        self.raw.append((table, rows))

    def _rows(self, keys: str, cells: str) -> dict[str, Any]:
        self.reader.run(keys, self.params)
        return cast(dict[str, Any], self.reader.arrays(cells, self.params))

    def _count_elsewhere(self, rows: Mapping[tuple[int, bool], Sequence[Path]]) -> None:
        """The same by an engine: sums of some hours of one population, as files."""
        keys, cells = counting_sql(FILES, "{slot}", "{within}", self.where, "counted")
        selects = {
            KEYS: f"SELECT {KEY}, 0 AS requests, 0 AS bytes_received, {LISTED} FROM counted",
            _CELLS: "SELECT key, slot, bucket, count(*)::INTEGER AS requests,"
            f" sum(received)::BIGINT AS received FROM ({cells}) GROUP BY ALL",
        }
        told = {path: (*of, cut) for (hour, cut), paths in rows.items()
                if (of := self.axis.rows(hour, cut)) for path in paths}  # fmt: skip

        def label(path: Path) -> tuple[bool, str]:
            groups = self._groups.get(hour_key(hour_of(path) * HOUR_US), {})
            return told[path][2], groups.get(self.reader.store.recorder_of(path), "")

        listed, places = partial(self._listed, told), partial(rows_of, told)
        made = self.reader.results(listed, [keys], selects, self.params, places, label)
        recorders = {self.reader.store.recorder_of(path) for path in told}
        for (_, group), sums in made:
            self._group_of[len(self.files)] = dict.fromkeys(recorders if group else (), group)
            self.files.append((0, sums))

    def _listed(self, paths: Collection[Path]) -> list[Path]:
        """Those that the reader did not leave out."""
        return [path for path in self.reader.files["transactions"] if path in paths]

    def _keys(self, files: Sequence[int]) -> str:
        """A relation of the keys of some files, numbered as they stand here."""
        sealed = [self.files[i][1][KEYS] for i in files if i < len(self.files)]
        relations = [keys_relation(sealed)] if sealed else []
        sums = "0 AS requests, 0 AS bytes_received"
        relations += [
            f"SELECT {at} AS file, {KEY}, {sums}, {LISTED} FROM {self.raw[i - len(self.files)][0]}"
            for at, i in enumerate(files)
            if i >= len(self.files)
        ]
        if not relations:
            nulls = ", ".join(f"NULL::VARCHAR AS {name}" for name in NAMES)
            relations.append(f"SELECT 0 AS file, 0 AS key, {sums}, {nulls} WHERE false")
        return " UNION ALL BY NAME ".join(relations)

    def _read_keys(self) -> dict[str, Any]:
        """The rows of keys of all files, one behind the other: requests and bytes of their hours,
        hashes of the parts of their names and, where they are few, the names themselves.

        Sets for each row its number and recorder, and for each number the row that has its names.
        """
        keys = self._keys(range(len(self.files) + len(self.raw)))
        if self._small:
            columns = self._fetch(sql_text("compare_rows", keys=keys, place="0"))
            self._recorders = sorted(set(columns["recorder"].tolist()))
            place = {name: i for i, name in enumerate(self._recorders)}
            columns["place"] = np.array([place[name] for name in columns["recorder"]], np.int16)
        else:
            known = self._fetch(f"SELECT DISTINCT recorder FROM ({keys}) ORDER BY 1")
            self._recorders = known["recorder"].tolist()
            text = sql_text("compare_rows", keys=keys, place=place_of(self._recorders))
            numbers = f"file, key, place, requests, bytes_received, names, {', '.join(PARTS)}"
            columns = self._fetch(f"SELECT {numbers} FROM ({text})")
        sizes = np.bincount(columns["file"], minlength=len(self.files) + len(self.raw))
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        order = self._starts[columns.pop("file")] + columns.pop("key")
        if (order != np.arange(order.size)).any():
            order = np.argsort(order)
            columns = {name: column[order] for name, column in columns.items()}
        place = columns.pop("place")
        self._owners = self._recorders, place.copy() if self._groups else place
        self._recorder = self._populations(place)
        hashes = columns.pop("names")
        self._firsts, self._number = numbered(hashes)
        self._hashes = hashes[self._firsts]
        return columns

    def _populations(self, recorder: Any) -> Any:
        """The same with groups in the place of recorders that are in one."""
        if not self._groups:
            return recorder
        groups = {group for of in self._groups.values() for group in of.values()}
        names = sorted({*self._recorders, *groups})
        for file, hour in enumerate([*(hour for hour, _ in self.files), *self.raw_hours]):
            group = self._group_of.get(file, self._groups.get(hour_key(hour * HOUR_US), {}))
            of = [names.index(group.get(name, name)) for name in self._recorders]
            rows = slice(self._starts[file], self._starts[file + 1])
            recorder[rows] = np.array(of, dtype=recorder.dtype)[recorder[rows]]
        self._recorders = names
        return recorder

    def _names(self, columns: Mapping[str, Any]) -> Names:
        """Those of each number, by the different texts of each part of them; columns: as
        _read_keys. What is not among these is read from files that have it."""
        parts = [(of, *numbered(columns[part][self._firsts])) for part, of in PARTS.items()]
        rows = self._firsts[np.concatenate([firsts for _, firsts, _ in parts])]
        texts = {name: columns[name][rows] for name in DIMS} if self._small else self._texts(rows)
        ends = np.cumsum([firsts.size for _, firsts, _ in parts])
        values = {
            name: texts[name][end - firsts.size : end].tolist()
            for (of, firsts, _), end in zip(parts, ends, strict=True)
            for name in of
        }
        return Names(values, {name: place for of, _, place in parts for name in of})

    def _texts(self, rows: Any) -> dict[str, Any]:
        """The names in some rows of keys."""
        file = np.searchsorted(self._starts, rows, "right") - 1
        files = distinct(file)
        self.con.register("chosen", {
            "file": np.searchsorted(files, file).astype(np.int32),
            "key": (rows - self._starts[file]).astype(np.int32),
            "row": np.arange(rows.size),
        })  # fmt: skip
        text = sql_text("compare_rows", keys=self._keys(files.tolist()), place="0")
        return self._fetch(f"FROM ({text}) JOIN chosen USING (file, key) ORDER BY row")

    def _traffic(self, file: int, sums: Mapping[str, Any]) -> Iterator[Cells]:
        """Requests and bytes of one file, under numbers in the place of keys."""
        counted = self._from_rows(file)
        if counted is not None:
            yield self._cells(file, counted, counted["slot"], counted["received"])
            return
        whole = self.axis.whole(self.files[file][0])
        if whole is not None:
            rows = slice(self._starts[file], self._starts[file + 1])
            columns = {name: sums[name][rows] for name in ("requests", "bytes_received")}
            columns["key"] = np.arange(columns["requests"].size)
            yield self._cells(file, columns, whole, columns["bytes_received"])
            return
        yield from self._minutes(file, MINUTES, "bytes_received", self._cut_hours())

    def _cut_hours(self) -> list[int]:
        """The files of which minutes are asked for."""
        return [file for file, (hour, paths) in enumerate(self.files)
                if _CELLS not in paths and self.axis.whole(hour) is None]  # fmt: skip

    def _spread(self, of: Any) -> Iterator[Cells]:
        """Durations, file by file; those of whole past hours from some of these."""
        self._number = of[self._key]
        past = sorted(
            (slot, file)
            for file, (hour, paths) in enumerate(self.files)
            if _CELLS not in paths and (slot := self.axis.whole(hour)) is not None
        )
        slots, half = sorted({slot for slot, _ in past}), _SPREAD_HOURS // 2
        # newest first by number: near ones and far ones
        chosen = [*slots[:half], *slots[half :: max((len(slots) - half) // half, 1)][:half]]
        cut, past = self._cut_hours(), [one for one in past if one[0] in chosen]
        among = [*cut, *(file for _, file in past)]
        for file in range(self._starts.size - 1):
            counted = self._from_rows(file)
            if counted is not None:
                known = counted["bucket"] != NO_DURATION
                part = {name: column[known] for name, column in counted.items()}
                yield self._cells(file, part, part["slot"], part["bucket"])
            elif file in cut:
                yield from self._minutes(file, DURATIONS, "bucket", among)
        read, what, by = 0, "key, requests, bucket AS value", ""
        if not self._small:
            what, by = _SUMS, "GROUP BY ALL"
        for slot, file in past:
            if slot in chosen[:_LEAST_HOURS] or read < _ENOUGH:
                columns = self._table(file, DURATIONS, what, among, by)
                read += int(columns.get("cells", np.ones_like(columns["key"])).sum())
                yield self._cells(file, columns, slot, columns["value"])

    def _from_rows(self, file: int) -> dict[str, Any] | None:
        """key, slot, bucket, requests, received of a file's cells; None of one with a rollup."""
        if file >= len(self.files):
            return self.raw[file - len(self.files)][1]
        paths = self.files[file][1]
        return self._fetch(f"FROM {whole_parquet([paths[_CELLS]])}") if _CELLS in paths else None

    def _own(self, value: str) -> tuple[list[str], Cells]:
        names, owners = self._owners
        parts = []
        for file in range(self._starts.size - 1):
            columns = self._from_rows(file)
            if columns is not None:
                rows = slice(self._starts[file], self._starts[file + 1])
                key, owner = (of[rows][columns["key"]] for of in (self._key, owners))
                rest = columns["slot"], columns["requests"], columns[value]
                parts.append(Cells(key, owner, *rest))
        return names, _joined(parts)

    def _table(
        self, file: int, table: str, what: str, among: Sequence[int], more: str = ""
    ) -> dict[str, Any]:
        """Columns of a file's table, of small ones those of all files `among` which it is asked
        for at once, and all their rows. more: which rows of a large one, or how they are summed."""
        if not self._small:
            path = self.files[file][1][table]
            return self._fetch(f"SELECT {what} FROM {whole_parquet([path])} {more}")
        if table not in self._tables:
            paths = whole_parquet(self.files[one][1][table] for one in among)
            self._tables[table] = fetched(
                self.con, f"SELECT file_index AS file, {what} FROM {paths}"
            )
        rows = self._tables[table]
        mine = rows["file"] == among.index(file)
        return {name: column[mine] for name, column in rows.items()}

    def _minutes(self, file: int, table: str, value: str, among: Sequence[int]) -> Iterator[Cells]:
        """What a table says of the minutes of its hour that spans or the past have."""
        tables = self.axis.minutes(self.files[file][0])
        told = np.flatnonzero(np.max(tables, axis=0) >= 0) if tables else np.zeros(0)
        if not told.size:
            return
        within = f"WHERE minute BETWEEN {told[0]} AND {told[-1]}"
        what = f"key, minute, requests, {value} AS value"
        columns = self._table(file, table, what, among, within)
        for slots in tables:
            slot = slots.astype(np.int16)[columns["minute"]]
            part = columns
            if slot.min(initial=0) < 0:
                inside = np.flatnonzero(slot >= 0)
                part, slot = {n: c[inside] for n, c in columns.items()}, slot[inside]
            yield self._cells(file, part, slot, part["value"])

    def _cells(self, file: int, columns: Mapping[str, Any], slot: Any, value: Any) -> Cells:
        rows = slice(self._starts[file], self._starts[file + 1])
        key, recorder = columns["key"], self._recorder[rows]
        alike = recorder.size and recorder.min() == recorder.max()
        return Cells(
            self._number[rows][key],
            np.broadcast_to(recorder[0], key.shape) if alike else recorder[key],
            np.broadcast_to(np.int16(slot), key.shape),
            columns["requests"].astype(np.int32, copy=False),
            value,
        )


def _joined(parts: Sequence[Cells]) -> Cells:
    kinds = {"key": np.int32, "recorder": np.int16, "slot": np.int16, "requests": np.int32}
    return Cells(*(
        np.concatenate([np.zeros(0, dtype=kind), *(getattr(part, name) for part in parts)])
        for name, kind in {**kinds, "value": np.int64}.items()
    ))  # fmt: skip

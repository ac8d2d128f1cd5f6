"""Compaction: the rollups and the coverage of an hour's recorders become one file of each table.

What is merged is a sum, so that answers are the same; only reading is quicker. Files go in the
order of rollups, keys last, and none is replaced (store/layout.py): whatever breaks off, and
whoever does the same meanwhile, the next one finds what is there and makes the rest.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import duckdb

from store.derived import DURATIONS, KEYS, MINUTES, NAMES, SQL, populations_sql
from store.errors import unwritable
from store.files import file_list, parquet, quoted, replacing
from store.hours import HOUR_US, hour_start, to_us
from store.layout import MERGED, Store
from store.values import dataclass

State = Literal["merged", "ready", "single", "waiting", "failed"]
_MEMORY: Final = "512MB"  # of DuckDB: what is more is spilled, and the process needs as much again
_GRACE_S: Final = 3600.0  # whoever listed a file that counts no more has read it by then


@dataclass(frozen=True)
class Compacted:
    """An hour. recorders: that have rows of it; files and bytes: those made now; deleted: files
    that count no more.

    merged: made now; ready: it was there; single: nothing to merge; waiting: a file is not sealed
    yet, or its rollup is not there; failed: a file cannot be read (reason).
    """

    hour: str
    state: State
    recorders: int
    files: int = 0
    bytes: int = 0
    reason: str | None = None
    deleted: int = 0


def compact(store: Store, hours: Sequence[str], clean: bool = False) -> Iterator[Compacted]:
    """Merge what is not merged yet of the hours, in this order.

    clean: also delete what has counted no more for an hour. UnavailableError where the store cannot
    be reached or written to.
    """
    tables = ("transactions", "coverage", MERGED)
    store.look(store.sealed_hour(table, hour) for hour in hours for table in tables)
    for hour in hours:
        try:
            with tempfile.TemporaryDirectory(prefix="_merging-", dir=store.path) as scratch:
                one = _Hour(store, hour, Path(scratch))
                done = one.compacted()
                yield replace(done, deleted=one.cleaned()) if clean else done
        except OSError as error:
            raise unwritable(store.path, error) from None


class _Hour:
    """One hour; scratch: an empty folder in the store, or beside its cache."""

    def __init__(self, store: Store, hour: str, scratch: Path) -> None:
        self.store, self.hour, self.scratch = store, hour, scratch
        self.made: list[int] = []
        self.places: set[Path] = set()  # of what is merged
        self.groups: dict[str, str] = {}  # of recorders that are in one

    def compacted(self) -> Compacted:
        visible = list(self.store.visible("transactions", self.hour))
        recorders = len({recorder for recorder, _ in visible})
        if any(path.parent.name == self.hour for _, path in visible):
            return self._told("waiting", recorders)  # its coverage grows, too
        try:
            coverage = self._coverage()
            states = {coverage, self._rollup([path for _, path in visible])}
        except (OSError, duckdb.Error) as error:
            return self._told("failed", recorders, str(error).splitlines()[0][:300])
        order: tuple[State, ...] = ("waiting", "merged", "ready", "single")
        return self._told(min(states, key=order.index), recorders)

    def _told(self, state: State, recorders: int, reason: str | None = None) -> Compacted:
        return Compacted(self.hour, state, recorders, len(self.made), sum(self.made), reason)

    def cleaned(self) -> int:
        """Delete merged files of other inputs, once those of these have been there for the grace,
        and what was told of the hour before it was over; how many."""
        before = time.time() - _GRACE_S
        old = self.store.late_early(self.hour, before)
        there = self.store.entries(self.store.sealed_hour(MERGED, self.hour))
        whole = bool(self.places) and self.places.issubset(there)
        if whole and all(self.store.written(place) < before for place in self.places):
            old += [path for path in there if path not in self.places]
        if old:
            self.store.delete(old)
        return len(old)

    def _coverage(self) -> State:
        files = self.store.coverage(self.hour)
        if not files:  # nobody told what was seen
            return "single"
        place = self.store.coverage_place(self.hour, files)
        self.places |= {place} if place else set()
        if place is None or not self.store.is_merged([place]):
            self.store.fetch(files)
            with _duckdb(self.scratch) as con:
                rows = _coverage(files)
                self._groups(con, rows)
                if place is None:
                    return "single"
                self._write(con, f"FROM {rows} ORDER BY recorder, from_ts, to_ts", place)
            return "merged"
        self.store.fetch([place])
        with _duckdb(self.scratch) as con:
            self._groups(con, _coverage([place]))
        return "ready"

    def _groups(self, con: duckdb.DuckDBPyConnection, coverage: str) -> None:
        rows = con.execute(populations_sql(coverage)).fetchall()
        hour = to_us(hour_start(self.hour)) // HOUR_US
        self.groups = {recorder: group for recorder, at, group in rows if at == hour}

    def _rollup(self, rows: Sequence[Path]) -> State:
        places = self.store.rollup_places(self.hour, rows, self.groups)
        self.places |= set(places.values())
        if not places:
            return "single" if len(rows) < 2 else "waiting"
        if self.store.is_merged(places.values()):
            return "ready"
        singles = {t: [self.store.sealed_hour(t, self.hour) / p.name for p in rows] for t in places}
        self.store.look(paths[0].parent for paths in singles.values())
        for paths in singles.values():
            if not set(self.store.entries(paths[0].parent)).issuperset(paths):
                return "waiting"
        self.store.fetch(path for paths in singles.values() for path in paths)
        with _duckdb(self.scratch) as con:
            _number(con, singles[KEYS], self.groups)
            self._write(con, _sql("durations", _relation(singles[DURATIONS])), places[DURATIONS])
            self._write(con, _sql("minutes", _relation(singles[MINUTES])), places[MINUTES])
            self._write(con, "FROM merged ORDER BY key", places[KEYS])
        return "merged"

    def _write(self, con: duckdb.DuckDBPyConnection, text: str, place: Path) -> None:
        file = self.scratch / place.name
        with replacing(file) as temporary:
            con.execute(f"COPY ({text}) TO {quoted(temporary)} (FORMAT parquet, COMPRESSION zstd)")
        size = file.stat().st_size
        if self.store.add(place, file):
            self.made.append(size)


def _duckdb(spill: Path) -> duckdb.DuckDBPyConnection:
    """A connection within a memory; spill: an empty folder for what that has no room for."""
    con = duckdb.connect(config={
        "threads": 2, "memory_limit": _MEMORY, "temp_directory": str(spill),
        "preserve_insertion_order": False,
    })  # fmt: skip
    con.execute("SET TimeZone = 'UTC'")
    return con


def _number(
    con: duckdb.DuckDBPyConnection, keys: Sequence[Path], groups: Mapping[str, str]
) -> None:
    """The tables `merged`, of all keys under numbers in the order of their names, whoever numbers
    them, and `numbers`: (file, old) -> key. Recorders of a group, and sessions, are one there."""
    pairs = {"recorders": list(groups), "populations": list(groups.values())}
    con.execute("CREATE TEMP TABLE groups (recorder VARCHAR, population VARCHAR)")
    con.execute("INSERT INTO groups SELECT unnest($recorders), unnest($populations)", pairs)
    con.execute(f"CREATE TEMP VIEW single AS {_sql('single', _relation(keys))}")
    con.execute(f"CREATE TEMP TABLE merged AS {_sql('keys')}")
    con.execute(f"CREATE TEMP TABLE numbers AS {_sql('numbers')}")


def _sql(name: str, files: str = "") -> str:
    """A SELECT of a merging, over a relation of files of one table."""
    text = (SQL / f"merge_{name}.sql").read_text(encoding="utf-8")
    return text.replace("{names}", ", ".join(NAMES)).replace("{files}", files)


def _coverage(files: Sequence[Path]) -> str:
    """A relation over files of coverage of any version."""
    late = "SELECT NULL::VARCHAR AS group_name WHERE false"
    return f"(FROM {parquet(files)} UNION ALL BY NAME {late})"


def _relation(paths: Sequence[Path]) -> str:
    return f"read_parquet({file_list(paths)}, hive_partitioning = false)"

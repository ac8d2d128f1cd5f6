"""Sealing: the segments of an hour become one sorted file, a while after the hour has ended.

What comes late to a sealed hour makes a segment of its own again and is sealed in with a higher
generation; the file before it stays for the grace.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.segments import (
    GRACE_S,
    clear,
    live_segments,
    merge,
    merge_candidates,
    metadata,
    superseded,
)
from recorder.write.sort import write_sorted
from store import Store, cover
from store.cover import Sealed, Segment, sealed_in, sealed_name
from store.files import TEMPORARY_SUFFIX, make_folder, replacing
from store.hours import HOUR_US, hour_start, to_us
from store.rollup import SOURCES, TEXTS, rollup_sql
from store.schema import RECORDED

SEAL_AFTER_S = 300.0  # late events are common for a few minutes, rare after
QUIET_S = 30.0  # an hour that still gets rows is left alone
LATE_S = 600.0  # what came late to a sealed hour may wait this long for more of its kind
_MEMORY = "256MB"
_AT_ONCE = 250_000  # rows that are rolled up together: about 100 MB


class Housekeeper:
    """Merges, seals and clears for one recorder. Each call does one bounded round of work."""

    def __init__(self, store: Store, recorder: str, policy: str, grace_s: float = GRACE_S) -> None:
        self.store = store
        self.recorder = recorder
        self.about = metadata(recorder, policy)
        self.grace_s = grace_s

    def round(self, now_us: int, *, everything: bool = False) -> list[str]:
        """Merge what has grown in number, seal what is due, clear what is superseded.

        `everything` seals each hour that has ended, however fresh its rows (after a replay).
        Returns the hours sealed.
        """
        sealed = []
        for table in RECORDED:
            for hour in self.store.hours(table):
                segments = live_segments(self.store, self.recorder, table, hour)
                if not segments:
                    continue
                if self._due(table, hour, segments, now_us, everything):
                    self.seal(table, hour)
                    sealed.append(hour)
                elif run := merge_candidates(segments, self._sealed(table, hour)):
                    merge(run, self.about)
                self._clear(table, hour)
        return sealed

    def seal(self, table: str, hour: str) -> Path | None:
        """Write the sealed file of an hour with all that is there now; None when nothing is new."""
        before = self._sealed(table, hour)
        live = live_segments(self.store, self.recorder, table, hour)
        new = cover.maximal_cover(live, before.generation if before else -1)
        if not new:
            return None
        sources = [segment.path for segment in new]
        if before is not None:
            sources.insert(0, before.path)
        folder = make_folder(self.store.sealed_hour(table, hour))
        path = folder / sealed_name(self.recorder, new[-1].last)
        with replacing(path) as temporary:
            write_sorted(temporary, table, sources, self.about, self._spill())
            if table == "transactions":
                self.roll_up(hour, temporary, path.name)
        return path

    def roll_up(self, hour: str, rows: Path, name: str) -> None:
        """Write the rollup of a sealed file; it stands before the file it speaks of.

        rows: the file, maybe under a temporary name; name: what both files are called. A rollup
        that is there already is replaced.
        """
        folder = make_folder(self.store.sealed_hour("rollups", hour))
        with replacing(folder / name) as temporary, self._duckdb() as con:
            writer: pq.ParquetWriter | None = None
            for part in _rolled_up(con, rows):
                schema = part.schema.with_metadata(self.about)
                writer = writer or pq.ParquetWriter(temporary, schema, compression="zstd")
                writer.write_table(part.cast(schema))
            if writer:
                writer.close()

    def _duckdb(self) -> duckdb.DuckDBPyConnection:
        """A connection that spills to the store's own disk when a sort outgrows its memory."""
        con = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY})
        spill = self._spill()
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = {_sql_text(str(spill))}")
        con.execute("SET preserve_insertion_order = false")
        return con

    def _spill(self) -> Path:
        """An empty folder for what memory has no room for; what a killed seal left is deleted."""
        spill = self.store.live(self.recorder) / f"spill{TEMPORARY_SUFFIX}"
        shutil.rmtree(spill, ignore_errors=True)
        return make_folder(spill)

    def _about(self) -> str:
        pairs = (f"{_sql_text(k.decode())}: {_sql_text(v.decode())}" for k, v in self.about.items())
        return f"KV_METADATA {{{', '.join(pairs)}}}"

    def _due(
        self, table: str, hour: str, segments: list[Segment], now_us: int, everything: bool
    ) -> bool:
        ended = to_us(hour_start(hour)) + HOUR_US
        before = self._sealed(table, hour)
        late = [s for s in segments if s.first > (before.generation if before else -1)]
        if not late or ended > now_us:
            return False
        if everything:
            return True
        if ended + SEAL_AFTER_S * 1e6 > now_us:
            return False
        times = [_written(segment.path) for segment in late]
        wait = time.time() - (min(times) + LATE_S if before else max(times) + QUIET_S)
        return wait > 0

    def _sealed(self, table: str, hour: str) -> Sealed | None:
        files = sealed_in(cover.list_folder(self.store.sealed_hour(table, hour)))
        return cover.newest(files).get(self.recorder)

    def _clear(self, table: str, hour: str) -> None:
        segments = live_segments(self.store, self.recorder, table, hour)
        newest = self._sealed(table, hour)
        pairs = superseded(segments, newest)
        if newest is not None:
            folder = cover.list_folder(self.store.sealed_hour(table, hour))
            pairs += [
                (file.path, newest.path)
                for file in sealed_in(folder)
                if file.recorder == self.recorder and file.generation < newest.generation
            ]
        clear(pairs, self.grace_s)
        live = self.store.live_hour(self.recorder, table, hour)
        if newest is not None and not any(live.iterdir() if live.is_dir() else ()):
            # An empty folder of a finished hour; a row that comes late makes it anew.
            live.rmdir() if live.is_dir() else None


def _rolled_up(con: duckdb.DuckDBPyConnection, rows: Path) -> Iterator[pa.Table]:
    """The rollup of a sorted file, some rows of the file at a time: a key may be in two of them."""
    with pq.ParquetFile(rows, read_dictionary=list(TEXTS)) as file:
        for batch in file.iter_batches(_AT_ONCE, columns=list(SOURCES)):
            con.register("rows", pa.Table.from_batches([batch]))
            yield con.sql(rollup_sql()).to_arrow_table()


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

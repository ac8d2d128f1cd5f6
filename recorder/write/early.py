"""Hours that are not over, for a bucket (store/cover.py): a rollup of the rows that are not sealed,
and the coverage of before they were read, so that it never tells more than is counted."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from recorder.write.rollup import write_tables
from recorder.write.segments import metadata
from store.cover import EARLY, maximal_cover, sealed_in, sealed_name, segments_in
from store.coverage import coverage_file, read_stretches
from store.hours import hour_end
from store.layout import Store
from store.rollup import ROLLUPS
from store.values import dataclass

_LATE = dt.timedelta(hours=1)  # an hour that is not sealed by then is no running one


@dataclass(frozen=True)
class Generation:
    """Files of a recorder's hour by the name in a bucket, in the order in which they go."""

    recorder: str
    files: dict[str, Path]


def generations(store: Store, now: dt.datetime, folder: Path) -> Iterator[Generation]:
    """Of each recorder and hour that is not sealed yet; folder: an empty one for their files.

    OSError: a segment was merged meanwhile, or the disk refuses.
    """
    for hour in store.hours("coverage"):
        if hour_end(hour) + _LATE < now:
            continue
        for recorder in store.live_recorders():
            source = coverage_file(store, hour, recorder)
            sealed = sealed_in(store.entries(store.sealed_hour("transactions", hour)))
            if source.exists() and recorder not in {file.recorder for file in sealed}:
                yield _generation(store, hour, recorder, folder)


def _generation(store: Store, hour: str, recorder: str, folder: Path) -> Generation:
    coverage = Path(shutil.copy(coverage_file(store, hour, recorder), folder / "coverage"))
    time = max(stretch.to_ts for stretch in read_stretches(coverage)) // 1_000_000
    live = segments_in(store.entries(store.live_hour(recorder, "transactions", hour)))
    rows = maximal_cover(live)
    name = sealed_name(recorder, rows[-1].last if rows else 0, time)
    paths = {table: folder / table.replace("/", "-") for table in ROLLUPS if rows}
    if rows:
        kept = pq.read_metadata(rows[0].path).metadata or {}
        footer = metadata(recorder, kept.get(b"qrec.redaction", b"").decode())
        write_tables(paths, [file.path for file in rows], footer, folder)
    paths["coverage"] = coverage
    files = {f"{EARLY}/{table}/hour={hour}/{name}": path for table, path in paths.items()}
    return Generation(recorder, files)

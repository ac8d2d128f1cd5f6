"""Hours that are not over, for a bucket (store/cover.py): a rollup of the rows that are not sealed,
and the coverage of before they were read, so that it never tells more than is counted."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from recorder.write.rollup import write_tables
from recorder.write.segments import metadata
from store.cover import EARLY, sealed_in, sealed_name, segments_in
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
    """Of each recorder and hour that is not all sealed yet; folder: an empty one for their files.

    OSError: a segment was merged meanwhile, or the disk refuses.
    """
    for hour in store.hours("coverage"):
        if hour_end(hour) + _LATE < now:
            continue
        for recorder in store.live_recorders():
            source = coverage_file(store, hour, recorder)
            visible = store.visible("transactions", hour)
            rows = [path for owner, path in visible if owner == recorder]
            sealed = [path for path in rows if path.parent.name != hour]
            # what was sealed in the course of the hour is not all of it
            over = any(store.written(path) >= hour_end(hour).timestamp() for path in sealed)
            if source.exists() and not over and (not rows or len(sealed) < len(rows)):
                yield _generation(store, hour, recorder, rows, folder)


def _generation(
    store: Store, hour: str, recorder: str, rows: Sequence[Path], folder: Path
) -> Generation:
    coverage = Path(shutil.copy(coverage_file(store, hour, recorder), folder / "coverage"))
    time = max(stretch.to_ts for stretch in read_stretches(coverage)) // 1_000_000
    last = max((file.last for file in [*segments_in(rows), *sealed_in(rows)]), default=0)
    name = sealed_name(recorder, last, time)
    paths = {table: folder / table.replace("/", "-") for table in ROLLUPS if rows}
    if rows:
        kept = pq.read_metadata(rows[0]).metadata or {}
        footer = metadata(recorder, kept.get(b"qrec.redaction", b"").decode())
        write_tables(paths, rows, footer, folder)
    paths["coverage"] = coverage
    files = {f"{EARLY}/{table}/hour={hour}/{name}": path for table, path in paths.items()}
    return Generation(recorder, files)

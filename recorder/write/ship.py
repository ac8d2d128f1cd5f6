"""Shipping: what is sealed goes to a bucket, once, in an order in which a reader can trust it.

The queue is the store itself: whatever `_shipped.jsonl` does not name is due. Rows go before their
rollup and coverage goes last, since coverage without rows would read as silence. What carries a
name never changes there, so that a start after a crash only finds out what is there already.

Of an hour that is not over go a rollup of the rows that are not sealed, and the coverage of before
they were read, so that it never tells more than is counted (store/cover.py).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from recorder.write.segments import metadata, policy_of
from store import FORMAT_VERSION
from store.bucket import MANIFEST, RECORDERS, UNREDACTED
from store.cover import EARLY, sealed_in, sealed_name, segments_in
from store.coverage import coverage_file, read_stretches
from store.derived import ROLLUPS
from store.errors import QrecError, UnavailableError
from store.files import append_line, read_entries, write_text
from store.hours import hour_end
from store.layout import Store
from store.marks import unredacted
from store.remote import Remote
from store.schema import RECORDED
from store.values import dataclass

LEDGER: Final = "_shipped.jsonl"
_PROBE: Final = "_probe"  # an object that is written once, and tried again by everybody
_MANY: Final = 1000  # lines of the ledger: fewer are not worth a new file
_SETTLED: Final = dt.timedelta(minutes=6)  # after an hour; what comes later is sealed in again


@dataclass(frozen=True)
class Due:
    """A file that a bucket lacks. changed_ns: of coverage, which grows under its name; else 0."""

    hour: str
    name: str
    path: Path
    size: int
    changed_ns: int


def due(store: Store, url: str, now: dt.datetime) -> list[Due]:
    """What is to be shipped to the bucket, in this order: oldest hour first."""
    shipped = _shipped(store, url)
    found = []
    for hour in sorted({h for table in (*RECORDED, "coverage") for h in store.hours(table)}):
        for path, changes in _files(store, hour, now):
            name = path.relative_to(store.path).as_posix()
            try:
                about = path.stat()
            except FileNotFoundError:
                continue
            changed_ns = about.st_mtime_ns if changes else 0
            if shipped.get(name) != (about.st_size, changed_ns):
                found.append(Due(hour, name, path, about.st_size, changed_ns))
    return found


@dataclass(frozen=True)
class Waiting:
    """The queue of a store that ships: to where, what waits, and when something last went (Unix
    seconds; None: not known, since an earlier qrec did not write it down)."""

    to: str
    hours: int
    size: int
    last: float | None


def waiting(store: Store, now: dt.datetime) -> Waiting | None:
    """The queue to the bucket that was shipped to last; None where a store ships nowhere."""
    last = next(reversed(list(read_entries(_ledger(store)))), None)
    if last is None:
        return None
    files = due(store, str(last.get("to")), now)
    size = sum(one.size for one in files)
    at = last.get("at")
    return Waiting(str(last.get("to")), len({one.hour for one in files}), size,
                   float(at) if isinstance(at, int | float) else None)  # fmt: skip


def shrink(store: Store) -> None:
    """Drop from the ledger what is not in the store any more, once that is most of it.

    A line that a shipper appends meanwhile may be lost: it then finds the object there, and writes
    it down again.
    """
    entries = list(read_entries(_ledger(store)))
    left = [one for one in entries if (store.path / str(one.get("name"))).exists()]
    newest = {(one.get("to"), one.get("name")): one for one in left}
    if len(entries) > _MANY and len(newest) < len(entries) / 2:
        last = entries[-1]  # says which bucket was shipped to last, and when
        kept = [*(one for one in newest.values() if one != last), last]
        write_text(_ledger(store), "".join(json.dumps(one) + "\n" for one in kept))


def unshipped_hours(store: Store, now: dt.datetime) -> set[str]:
    """Hours that wait to be shipped, to the bucket that was shipped to last; none where a store
    ships nowhere."""
    last = next(reversed(list(read_entries(_ledger(store)))), None)
    return {one.hour for one in due(store, str(last.get("to")), now)} if last else set()


def _files(store: Store, hour: str, now: dt.datetime) -> Iterator[tuple[Path, bool]]:
    """(file, whether it changes) of an hour, as far as they are final."""
    visible = [(table, *of) for table in RECORDED for of in store.visible(table, hour)]
    live = {recorder for _, recorder, path in visible if path.parent.name == hour}
    for table, recorder, path in visible:
        if recorder in live:  # of an hour that goes on a part may be sealed
            continue
        yield path, False
        rollups = store.rollup(path).values()
        if table == "transactions" and all(rollup.exists() for rollup in rollups):
            yield from ((rollup, False) for rollup in rollups)
    if now >= hour_end(hour) + _SETTLED:
        yield from ((path, True) for path in store.coverage(hour) if path.stem not in live)


class Shipper:
    """Ships one store to one bucket. Every method may raise UnavailableError: try again later."""

    def __init__(self, store: Store, url: str) -> None:
        self.store = store
        self.remote = Remote(url)
        self._claimed: set[str] = set()
        self._ready = False

    def due(self) -> list[Due]:
        return due(self.store, self.remote.url, dt.datetime.now(dt.UTC))

    def ship(self, one: Due) -> None:
        """Put a file there, and write down that it is."""
        if not self._ready:
            self._prepare()
        self._claim(one.path.stem if one.changed_ns else self.store.recorder_of(one.path))
        if one.changed_ns:
            self.remote.put(one.name, one.path)
        elif not self.remote.put_new(one.name, one.path):
            there = self.remote.size(one.name)
            if there != one.size:
                raise QrecError(
                    f"{one.name} in {self.remote.url} is another file: two recorders of one name",
                    "Give each recorder its own name (--recorder), or ship to another prefix.",
                )
        about = {"name": one.name, "size": one.size, "changed": one.changed_ns, "at": time.time()}
        append_line(_ledger(self.store), json.dumps({"to": self.remote.url, **about}))

    def ship_early(self, now: dt.datetime) -> int:
        """Put a new generation of each running hour there (store/cover.py); how many. Nothing is
        lost where it fails: the next one has all that this one would have had."""
        shipped = 0
        # OSError: a segment was merged meanwhile
        with contextlib.suppress(OSError), tempfile.TemporaryDirectory() as name:
            for one in generations(self.store, now, Path(name)):
                if not self._ready:
                    self._prepare()
                self._claim(one.recorder)
                for place, path in one.files.items():
                    self.remote.put_new(place, path)
                shipped += 1
        return shipped

    def _prepare(self) -> None:
        """Make sure that a store is there which one may write to."""
        is_new = self.remote.get(MANIFEST) is None
        if is_new:
            blobs, folders = self.remote.list()
            if folders or any(blob.name != _PROBE for blob in blobs):
                raise UnavailableError(
                    f"{self.remote.url} holds other things and no qrec store",
                    "Ship to a prefix of its own: s3://bucket/qrec.",
                )
        check_create_only(self.remote)
        if is_new:
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            text = json.dumps({"format": FORMAT_VERSION, "created": now})
            self.remote.put_new(MANIFEST, text.encode())
        mark = unredacted(self.store)
        if mark is not None:
            entry = {"since": mark.since.isoformat(), "recorder": mark.recorder}
            self.remote.put_new(f"{UNREDACTED}/{mark.recorder}.json", json.dumps(entry).encode())
        self._ready = True

    def _claim(self, recorder: str) -> None:
        """A name belongs to the store that shipped under it first."""
        if recorder in self._claimed:
            return
        mine = {"store": _identity(self.store), "host": socket.gethostname()}
        name = f"{RECORDERS}/{recorder}.json"
        if not self.remote.put_new(name, json.dumps(mine).encode()):
            theirs: Any = json.loads(self.remote.get(name) or b"{}")
            if theirs.get("store") != mine["store"]:
                raise UnavailableError(
                    f"the name {recorder} in {self.remote.url} belongs to a store on "
                    f"{theirs.get('host', 'another host')}",
                    "Give this recorder another name (--recorder); where that store is gone for "
                    f"good, delete the object {name}.",
                )
        self._claimed.add(recorder)


def check_create_only(remote: Remote) -> None:
    """UnavailableError where a service lets a second object take the place of a first."""
    if not (remote.put_new(_PROBE, b"1") and remote.put_new(_PROBE, b"2")):
        return  # what was there stayed
    raise UnavailableError(
        f"{remote.url} ignores that an object must be new (If-None-Match)",
        "Use a service that knows conditional writes: else recorders overwrite one another.",
    )


def _identity(store: Store) -> str:
    """A store's own mark, made when it is first needed."""
    manifest: Any = json.loads(store.manifest.read_text(encoding="utf-8"))
    if "id" not in manifest:
        manifest["id"] = uuid.uuid4().hex
        write_text(store.manifest, json.dumps(manifest) + "\n")
    return str(manifest["id"])


def _ledger(store: Store) -> Path:
    return store.path / LEDGER


def _shipped(store: Store, url: str) -> dict[str, tuple[int, int]]:
    """name -> (size, time of change) of what is there."""
    return {
        str(entry.get("name")): (int(entry.get("size", -1)), int(entry.get("changed", 0)))
        for entry in read_entries(_ledger(store))
        if entry.get("to") == url
    }


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
    until = max(stretch.to_ts for stretch in read_stretches(coverage)) // 1_000_000
    last = max((file.last for file in [*segments_in(rows), *sealed_in(rows)]), default=0)
    name = sealed_name(recorder, last, until)
    paths = {table: folder / table.replace("/", "-") for table in ROLLUPS if rows}
    if rows:
        from recorder.write.rollup import write_tables  # numpy, which a recorder need not load

        write_tables(paths, rows, metadata(recorder, policy_of(rows[0])))
    paths["coverage"] = coverage
    files = {f"{EARLY}/{table}/hour={hour}/{name}": path for table, path in paths.items()}
    return Generation(recorder, files)

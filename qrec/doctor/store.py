"""The store: its folder (there, ours to write, with room, closed to others), and what lies in it:
who writes it, what was left behind, what cannot be read; or a bucket in its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

import pyarrow as pa
import pyarrow.parquet as pq

from qrec.doctor import Check
from queries.core.format import plural, size, span
from recorder.write.retention import Hour, store_hours
from recorder.write.rollup import rollups
from recorder.write.ship import check_create_only, waiting
from store.bucket import RECORDERS, Bucket
from store.coverage import coverage_file, last_stretch
from store.files import TEMPORARY_SUFFIX
from store.hours import hour_key
from store.layout import Store, holder
from store.marks import unredacted
from store.remote import Remote
from store.schema import RECORDED

_NAMED = 5
_BEHIND = 2  # hours that wait to be shipped: of more, something keeps them
_RATE_HOURS = 6  # the newest whole hours, of which the present rate is told
_LITTLE = 256 << 20  # bytes; segments and the sorting of an hour want some room
_URGENT, _SOON = timedelta(hours=6), timedelta(days=3)
_FEW_INODES = 1000


def opened(path: Path) -> Store | None:
    """The store at this path; None where nothing is. QrecError where this qrec cannot use it."""
    return Store.open(path) if path.exists() or path.is_symlink() else None


def presence(path: Path, store: Store | None) -> Check:
    """Whether there is a store."""
    if store is None:
        return Check("store", "warning", f"there is no store at {path} yet",
                     "`qrec record` makes it; another is named with --store.")  # fmt: skip
    return Check("store", "ok", f"there is a store at {path}, of a format that qrec knows")


def writable(path: Path) -> Iterator[Check]:
    """Whether this user may write there, tried out: mounts and quotas tell no other way."""
    folder = next(one for one in (path, *path.parents) if one.exists())
    trial = folder / f".qrec-doctor.{os.getpid()}.tmp"
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        trial.unlink()
    except OSError as error:
        owner = folder.stat().st_uid
        whose = f", owned by user {owner}" if owner != os.geteuid() else ""
        yield Check(
            "writable", "problem", f"{folder} takes no new file: {error.strerror}{whose}",
            "Record as its owner, free some space, or name another folder with --store.",
        )  # fmt: skip
        return
    yield Check("writable", "ok", f"{folder} can be written to")


def space(path: Path, store: Store | None, keep: timedelta | None, most: int | None
          ) -> Iterator[Check]:  # fmt: skip
    """How long the room lasts at the rate of the newest hours, and whether limits hold it."""
    there = next(one for one in (path, *path.parents) if one.exists())
    free = shutil.disk_usage(there).free
    inodes = os.statvfs(there)
    hours = store_hours(store) if store else []
    held = sum(hour.size for hour in hours)
    rate = _rate(hours)
    facts = {"free_bytes": free, "store_bytes": held, "bytes_per_hour": rate}
    if inodes.f_files > 0 and inodes.f_favail < _FEW_INODES:
        yield Check("space", "problem", f"only {inodes.f_favail} more files fit on the disk",
                    "Free inodes: delete many small files, or `qrec prune`.", facts)  # fmt: skip
        return
    status, text = _lasts(free, rate, _wanted(held, rate, keep, most))
    remedy = (
        "Free some space, or keep less: `qrec prune --keep 7d`, or keep and max_size in qrec.toml."
    )
    yield Check("space", status, text, "" if status == "ok" else remedy, facts)  # type: ignore[arg-type]


def _rate(hours: list[Hour]) -> int | None:
    """Bytes an hour, over the newest hours that are over; None where there are none."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H")
    whole = [hour for hour in hours if hour.hour < now][-_RATE_HOURS:]
    return sum(hour.size for hour in whole) // len(whole) if whole else None


def _wanted(held: int, rate: int | None, keep: timedelta | None, most: int | None) -> int | None:
    """How much the store will yet grow under its limits; None where nothing limits it."""
    bounds = []
    if keep is not None and rate is not None:
        bounds.append(int(rate * keep.total_seconds() / 3600) - held)
    if most is not None:
        bounds.append(most - held)
    return max(0, min(bounds)) if bounds else None


def _lasts(free: int, rate: int | None, wanted: int | None) -> tuple[str, str]:
    room = f"{size(free)} free"
    if free < _LITTLE:
        return "problem", f"only {room}: recording will stop storing"
    if rate is None:
        return "ok", f"{room}; nothing is recorded yet to tell a rate by"
    pace = f"{room}, {size(rate)} an hour of late"
    if wanted is not None and wanted < free - _LITTLE:
        return "ok", f"{pace}; the limits that are set keep it within"
    left = timedelta(hours=min(free / max(rate, 1), 24 * 3650))
    if left >= _SOON:
        bound = "" if wanted is not None else ", and no limit is set (keep, max_size)"
        return "ok", f"{pace}: enough for {span(left.total_seconds())}{bound}"
    short = f"{pace}: full in {span(left.total_seconds())}"
    return ("problem" if left < _URGENT else "warning"), short


def permissions(store: Store) -> Iterator[Check]:
    """Folders 0700 and files 0600, as the recorder makes them; recorded traffic is nobody's
    business but its owner's."""
    loose = []
    for folder, _, names in os.walk(store.path):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            mode = _mode(path)
            # What is being written has its final mode only with its final name.
            if mode is not None and mode & 0o077 and path.suffix != TEMPORARY_SUFFIX:
                loose.append((path, mode))
    if not loose:
        yield Check("permissions", "ok", "every folder is 0700, every file 0600")
        return
    named = _some(", ", [f"{_short(path, store)} {mode:04o}" for path, mode in loose])
    reachable = bool((_mode(store.path) or 0) & 0o077)
    yield Check(
        "permissions", "problem" if reachable else "warning",
        f"{plural(len(loose), 'file or folder', 'files and folders')} open to other users: "
        f"{named}",
        f"chmod -R go= {quote(str(store.path))}",
        {"paths": [str(path) for path, _ in loose[:100]], "count": len(loose)},
    )  # fmt: skip


def _mode(path: Path) -> int | None:
    try:
        info = path.lstat()
    except FileNotFoundError:  # tidied away meanwhile
        return None
    return None if stat.S_ISLNK(info.st_mode) else stat.S_IMODE(info.st_mode)


def _short(path: Path, store: Store) -> str:
    return "the store itself" if path == store.path else str(path.relative_to(store.path))


_SILENT_S = 300.0  # a healthy recorder's coverage reaches further every ten seconds
_SEALING_US = 3600 * 10**6  # a recorder that is started again within it seals its own
_LEFT_S = 3600.0  # sealing a large hour takes minutes; a temporary file of an hour ago is nobody's
_KEY_BYTES = 32


def recorders(store: Store) -> Iterator[Check]:
    """Who records, and whose recording ended without a word."""
    names = store.live_recorders()
    writing = {name: pid for name in names if (pid := holder(store, name)) is not None}
    for name in names:
        yield from _recorder(store, name, writing.get(name))
    if not writing:
        yield Check(
            "recorders", "warning", "nobody is recording into this store",
            "Start `qrec record --wait`, or for good: `qrec service install`.",
        )  # fmt: skip


def _recorder(store: Store, name: str, pid: int | None) -> Iterator[Check]:
    last = last_stretch(store, name)
    state = last.state if last else "starting"
    facts = {"recorder": name, "pid": pid, "state": state}
    silent_s = _silent_s(store, name) if last else 0.0
    if pid is None:
        if last is not None and state != "stopped":
            yield Check(
                "recorders", "warning",
                f"recorder {name} ended without a word {span(silent_s)} ago: killed, or the "
                "machine died",
                "Start it again; it goes on from there, and coverage shows the gap.", facts,
            )  # fmt: skip
        return
    who = f"recorder {name} (pid {pid})"
    if last is not None and state in ("disconnected", "disk_full", "lagging"):
        yield Check("recorders", "warning", f"{who} is {state}: {last.reason or 'no reason given'}",
                    "`qrec coverage` shows since when; see the other checks.", facts)  # fmt: skip
    elif silent_s > _SILENT_S:
        yield Check("recorders", "warning", f"{who} runs, and last wrote {span(silent_s)} ago",
                    f"If it hangs, restart it: kill {pid}", facts)  # fmt: skip
    else:
        yield Check("recorders", "ok", f"{who} is {state}", facts=facts)


def _silent_s(store: Store, name: str) -> float:
    """Seconds since this recorder last wrote coverage, by the file's own time.

    What stands in the file is the source's time, and the source's clock may be hours behind.
    """
    newest = 0.0
    for hour in store.hours("coverage"):
        with contextlib.suppress(FileNotFoundError):
            newest = max(newest, coverage_file(store, hour, name).stat().st_mtime)
    return max(0.0, time.time() - newest)


def unsealed(store: Store) -> Iterator[Check]:
    """Finished hours that nobody seals, because the recorder that wrote them runs no longer."""
    ended = hour_key(int(time.time() * 1e6) - _SEALING_US)
    left = [
        (name, hour)
        for name in store.live_recorders()
        if holder(store, name) is None
        for hour in sorted({h for table in RECORDED for h in store.live_hours(name, table)})
        if hour < ended and _counts_live(store, name, hour)
    ]
    if not left:
        yield Check("unsealed", "ok", "every finished hour of a recorder that ended is sealed")
        return
    named = _some(", ", [f"{hour} ({name})" for name, hour in left])
    yield Check(
        "unsealed", "warning",
        f"{plural(len(left), 'finished hour')} of a recorder that runs no longer: {named}; "
        "answers are right, and slow",
        "Any running recorder of this store seals them; to do it now: "
        f"qrec rollup --seal --store {quote(str(store.path))}",
        {"hours": [{"hour": hour, "recorder": name} for name, hour in left[:100]],
         "count": len(left)},
    )  # fmt: skip


def _counts_live(store: Store, name: str, hour: str) -> bool:
    """Whether answers read segments of this recorder's hour; what a seal replaced stays a while."""
    return any(
        path.is_relative_to(store.live(name))
        for table in RECORDED
        for _, path in store.visible(table, hour)
    )


def leftovers(store: Store) -> Iterator[Check]:
    """Temporary files of a crash: they never count, and only take room."""
    old = []
    for path in store.path.rglob(f"*{TEMPORARY_SUFFIX}"):
        try:
            info = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(info.st_mode) and time.time() - info.st_mtime > _LEFT_S:
            old.append((path, info.st_size))
    if not old:
        yield Check("leftovers", "ok", "no temporary files were left behind")
        return
    taken = size(sum(bytes_ for _, bytes_ in old))
    yield Check(
        "leftovers", "warning", f"{plural(len(old), 'temporary file')} of a crash, {taken}",
        f"find {quote(str(store.path))} -type f -name '*{TEMPORARY_SUFFIX}' -mmin +60 -delete",
        {"paths": [str(path) for path, _ in old[:100]], "count": len(old)},
    )  # fmt: skip


def files(store: Store) -> Iterator[Check]:
    """Whether each Parquet file that a query would open has its footer."""
    bad: list[tuple[Path, str]] = []
    count = 0
    for path in _counted(store):
        try:
            pq.read_metadata(path)
        except FileNotFoundError:  # merged or sealed away meanwhile
            continue
        except (OSError, pa.ArrowInvalid) as error:
            bad.append((path, " ".join(str(error).split())[:80]))
        count += 1
    if not bad:
        yield Check("files", "ok", f"{plural(count, 'Parquet file')} readable")
        return
    named = _some("; ", [f"{path.relative_to(store.path)}: {why}" for path, why in bad])
    yield Check(
        "files", "problem", f"{len(bad):,} of {count:,} files cannot be read: {named}",
        f"Answers leave them out, and say so. Restore them from a copy, or move them away: "
        f"mv {quote(str(bad[0][0]))} /somewhere/else",
        {"paths": [str(path) for path, _ in bad[:100]], "count": len(bad)},
    )  # fmt: skip


def _counted(store: Store) -> Iterator[Path]:
    for table in RECORDED:
        for hour in store.hours(table):
            yield from (path for _, path in store.visible(table, hour))
    for hour in store.hours("coverage"):
        yield from sorted(store.sealed_hour("coverage", hour).glob("*.parquet"))


def rolled_up(store: Store) -> Iterator[Check]:
    """Whether each sealed hour has per-minute cells, without which a comparison takes long."""
    every = list(rollups(store, whole=False))
    bad = [one for one in every if one.state != "ok"]
    if not bad:
        yield Check("rollups", "ok", f"{plural(len(every), 'finished hour')} rolled up")
        return
    named = _some(", ", [f"{one.hour} ({one.state})" for one in bad])
    yield Check(
        "rollups", "warning",
        f"{len(bad):,} of {plural(len(every), 'finished hour')} without usable per-minute cells: "
        f"{named}; answers are right, and slow",
        f"qrec rollup --rebuild --missing --store {quote(str(store.path))}",
        {"hours": [{"hour": one.hour, "recorder": one.recorder, "state": one.state}
                   for one in bad[:100]], "count": len(bad)},
    )  # fmt: skip


def shipping(store: Store) -> Iterator[Check]:
    """Whether finished hours reach the bucket that they are shipped to, of a store that ships."""
    now = datetime.now(UTC)
    queue = waiting(store, now)
    if queue is None:
        return
    details = {"to": queue.to, "hours": queue.hours, "bytes": queue.size}
    since = "" if queue.last is None else f", the last {span(now.timestamp() - queue.last)} ago"
    if queue.hours <= _BEHIND:
        text = f"{plural(queue.hours, 'hour')} on the way to {queue.to}{since}"
        yield Check("shipping", "ok", text, facts=details)
        return
    yield Check(
        "shipping", "warning",
        f"{plural(queue.hours, 'finished hour')} ({size(queue.size)}) are not in {queue.to} yet"
        + since,
        f"Try it by hand: qrec ship {quote(queue.to)} --store {quote(str(store.path))}", details,
    )  # fmt: skip


def redaction(store: Store) -> Iterator[Check]:
    """The key of the fingerprints, and whether anything was recorded without redaction."""
    mark = unredacted(store)
    if mark is not None:
        yield Check(
            "redaction", "warning",
            f"this store holds traffic recorded without redaction (recorder {mark.recorder}, "
            f"first {mark.since:%Y-%m-%d %H:%M} UTC)",
            "Treat it as a secret. For clean recordings start a new store: --store DIR.",
        )  # fmt: skip
    try:
        length = store.key_file.stat().st_size
    except FileNotFoundError:
        if not any(store.hours(table) for table in RECORDED):
            yield Check("redaction", "ok", "the key is made when recording begins")
            return
        yield Check(
            "redaction", "warning", f"{store.key_file} is gone",
            "Restore it from a copy; else a new one is made, and the fingerprints of before no "
            "longer compare with those of after.",
        )  # fmt: skip
        return
    if length != _KEY_BYTES:
        yield Check("redaction", "problem", f"{store.key_file} is no redaction key",
                    "Restore it from a copy, or remove it to have a new one made.")  # fmt: skip
        return
    yield Check("redaction", "ok", "the key of the fingerprints is there")


def _some(between: str, names: list[str]) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return between.join(names[:_NAMED]) + more


def bucket(store: Store) -> Iterator[Check]:
    """What a bucket holds, and whether it lets no second object take the place of a first."""
    assert isinstance(store, Bucket)
    hours = store.hours("transactions")
    upto = f", up to {hours[-1]}" if hours else ""
    yield Check("store", "ok", f"{store.name} is a store of {plural(len(hours), 'hour')}{upto}")
    remote = Remote(store.name)
    names = [blob.name for blob in remote.list(RECORDERS)[0]]
    claims = [json.loads(remote.get(name) or b"{}") for name in names[:1]]
    whose = f", the first on {claims[0].get('host', 'an unknown host')}" if claims else ""
    yield Check("recorders", "ok", f"{plural(len(names), 'recorder')} ship there{whose}")
    check_create_only(remote)
    yield Check("create-only", "ok", "an object that is there is never replaced by another")

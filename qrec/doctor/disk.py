"""The store's folder: there, ours to write, room for a while, closed to others."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

from qrec.doctor import Check
from qrec.format import plural, size, span
from recorder.write.retention import Hour, store_hours
from store.files import TEMPORARY_SUFFIX
from store.layout import Store

_NAMED = 5
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
    folder = path
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
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
    there = path
    while not there.exists() and there.parent != there:
        there = there.parent
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
    named = ", ".join(f"{_short(path, store)} {mode:04o}" for path, mode in loose[:_NAMED])
    more = f" and {len(loose) - _NAMED:,} more" if len(loose) > _NAMED else ""
    reachable = bool((_mode(store.path) or 0) & 0o077)
    yield Check(
        "permissions", "problem" if reachable else "warning",
        f"{plural(len(loose), 'file or folder', 'files and folders')} open to other users: "
        f"{named}{more}",
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

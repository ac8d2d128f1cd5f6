"""Keeping house: which hours go when the store gets old or large, letting them go, and the thread
that does it beside a recording, and merges and seals.

Whole hours, oldest first, never a pinned one and never one that is still written to. Coverage goes
first: rows without coverage are merely not compared, coverage without rows would read as silence.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recorder.write.seal import Housekeeper
from recorder.write.segments import give_back, size_of
from recorder.write.ship import unshipped_hours
from store.cover import list_folder
from store.derived import OLD_ROLLUPS, ROLLUPS
from store.hours import hour_end
from store.layout import MERGED, Store
from store.marks import read_pins
from store.schema import RECORDED

_TABLES = ("coverage", MERGED, OLD_ROLLUPS, *ROLLUPS, *RECORDED)
_STILL_WRITTEN = dt.timedelta(hours=2)  # an hour and the time until it is surely sealed
_EVERY_S = 60.0  # to look at every file costs a large store half a second
_ROUND_S = 5.0
_OTHERS_EVERY = 12  # rounds between looks at what recorders left that no longer run
_PATIENCE_S = 60.0  # at its limit a recorder must merge and seal all the same
_LOW_PRIORITY = 15
_AT_ONCE = 24  # hours that a recorder deletes in one go: a clock gone wrong must be noticed in time


@dataclass(frozen=True)
class Hour:
    """An hour of the store, all tables and recorders together; size in bytes."""

    hour: str
    size: int
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Plan:
    """What retention would delete, oldest first, and what keeps it from deleting more."""

    delete: tuple[Hour, ...]
    pinned: tuple[str, ...]
    size_before: int
    waiting: tuple[str, ...] = ()  # too old, and not shipped to the bucket yet

    @property
    def size_after(self) -> int:
        return self.size_before - sum(hour.size for hour in self.delete)


def plan(
    store: Store, now: dt.datetime, keep: dt.timedelta | None = None, max_size: int | None = None
) -> Plan:
    """The hours older than `keep`, and the oldest beyond `max_size` bytes.

    Of a store that ships to a bucket, an hour that is not there yet goes only for its size.
    """
    hours = store_hours(store)
    pins = read_pins(store)
    total = left = sum(hour.size for hour in hours)
    delete: list[Hour] = []
    spared: list[str] = []
    waiting: list[str] = []
    unshipped = unshipped_hours(store, now)
    for hour in hours:
        end = hour_end(hour.hour)
        old = keep is not None and end <= now - keep
        large = max_size is not None and left > max_size
        if not (old or large) or end > now - _STILL_WRITTEN:
            continue
        if any(pin.holds(hour.hour) for pin in pins):
            spared.append(hour.hour)
            continue
        if hour.hour in unshipped and not large:
            waiting.append(hour.hour)
            continue
        delete.append(hour)
        left -= hour.size
    return Plan(tuple(delete), tuple(spared), total, tuple(waiting))


class Retention:
    """What a recorder deletes by itself while it runs: `keep` and `max_size` as in `plan`."""

    def __init__(self, store: Store, keep: dt.timedelta | None, max_size: int | None) -> None:
        self._store = store
        self._keep = keep
        self._max_size = max_size
        self._again_at = 0.0

    def round(self, now: dt.datetime, mono: float) -> Iterator[str]:
        """Delete what is due, at most once a minute; what was deleted, in lines for people.

        Age counts from the newest recorded hour where the clock is ahead of it: a clock that is
        wrong by years deletes nothing. mono: seconds of a monotonic clock.
        """
        if (self._keep is None and self._max_size is None) or mono < self._again_at:
            return
        self._again_at = mono + _EVERY_S
        hours = self._store.hours("transactions")
        if hours:
            now = min(now, hour_end(hours[-1]))
        due = plan(self._store, now, self._keep, self._max_size).delete
        apply(due[:_AT_ONCE])
        for hour in due[:_AT_ONCE]:
            yield f"deleted hour {hour.hour}: older or more than is kept"
        if len(due) > _AT_ONCE:
            yield f"{len(due) - _AT_ONCE} more hours are due and go in the next minutes"


def apply(hours: Sequence[Hour]) -> None:
    """Delete the hours. A folder that another process deletes at the same time is no error."""
    for hour in hours:
        for folder in hour.folders:
            shutil.rmtree(folder, ignore_errors=True)


def store_hours(store: Store) -> list[Hour]:
    """Every hour that the store has anything of, oldest first."""
    folders: dict[str, list[Path]] = {}
    for table in _TABLES:
        for hour in store.hours(table):
            found = [store.sealed_hour(table, hour)]
            found += [store.live_hour(name, table, hour) for name in store.live_recorders()]
            folders.setdefault(hour, []).extend(path for path in found if path.is_dir())
    for hour in folders:
        rejected = store.rejected / f"hour={hour}"
        if rejected.is_dir():
            folders[hour].append(rejected)
    return [
        Hour(hour, sum(size_of(path) for one in own for path in list_folder(one)), tuple(own))
        for hour, own in sorted(folders.items())
    ]


def keep_house(
    keeper: Housekeeper,
    retention: Retention,
    note: Callable[[str], None],
    busy: Callable[[], bool],
    done: threading.Event,
) -> None:
    """Delete, merge and seal until `done`; while `busy` only delete, but for a minute at most.
    `note` takes lines for people.

    Deleting comes first and whatever else goes wrong: a full disk must be able to get free.
    """
    # This thread yields the processor to those that take the stream in, and its turn to a full
    # queue: merging can wait, the stream cannot.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)

    @contextlib.contextmanager
    def tried_again(work: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            note(f"{work} failed and will be tried again: {error}")

    rounds = itertools.count()
    patient_until = time.monotonic() + _PATIENCE_S
    while not done.wait(_ROUND_S):
        with tried_again("deleting old hours"):
            for line in retention.round(dt.datetime.now(dt.UTC), time.monotonic()):
                note(line)
        if busy() and time.monotonic() < patient_until:
            continue
        patient_until = time.monotonic() + _PATIENCE_S
        now = time.time_ns() // 1000
        with tried_again("housekeeping"):
            for hour in keeper.round(now):
                note(f"sealed hour {hour}")
        give_back()
        if next(rounds) % _OTHERS_EVERY == 0:
            with tried_again("sealing what others left"):
                for hour in keeper.seal_others(now):
                    note(f"sealed hour {hour} of a recorder that has ended")

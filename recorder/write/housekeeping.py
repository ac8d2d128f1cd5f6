"""The thread beside a recording that keeps house: it deletes, merges and seals."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator

from recorder.write.retention import Retention
from recorder.write.seal import Housekeeper

_EVERY_S = 5.0
_OTHERS_EVERY = 12  # rounds between looks at what recorders left that no longer run
_PATIENCE_S = 60.0  # at its limit a recorder must merge and seal all the same
_LOW_PRIORITY = 15


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
    while not done.wait(_EVERY_S):
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
        if next(rounds) % _OTHERS_EVERY == 0:
            with tried_again("sealing what others left"):
                for hour in keeper.seal_others(now):
                    note(f"sealed hour {hour} of a recorder that has ended")

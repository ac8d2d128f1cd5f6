"""What runs beside a recording: the signals that end it, and the housekeeping of its store."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from recorder.options import RecordOptions
from recorder.write.retention import Retention
from recorder.write.seal import Housekeeper

_HOUSEKEEPING_S = 5.0
_OTHERS_EVERY = 12  # rounds between looks at what recorders left that no longer run
_LOW_PRIORITY = 15


@contextlib.contextmanager
def ending_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP (the terminal is gone) end the recording in good order.

    Only the main thread may say so; a SIGHUP that nohup has switched off stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda n, _f: stop(f"by {signal.Signals(n).name}"))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_house(
    keeper: Housekeeper,
    options: RecordOptions,
    pressed: Callable[[], bool],
    note: Callable[[str], None],
    done: threading.Event,
) -> None:
    """Delete, merge and seal every few seconds until `done`; a failure is told and tried again.

    pressed: whether the recording has no time for it now. note: takes a line for people.
    Deleting comes first and whatever else goes wrong: a full disk must be able to get free.
    """
    # This thread yields the processor to the one that writes, and its turn to a full queue:
    # merging can wait, the stream cannot.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
    age = None if options.keep is None else dt.timedelta(seconds=options.keep)
    retention = Retention(keeper.store, age, options.max_size)
    rounds = itertools.count()
    while not done.wait(_HOUSEKEEPING_S):
        with _told(note, "deleting old hours"):
            for line in retention.round(dt.datetime.now(dt.UTC), time.monotonic()):
                note(line)
        if pressed():
            continue
        now = time.time_ns() // 1000
        with _told(note, "housekeeping"):
            for hour in keeper.round(now):
                note(f"sealed hour {hour}")
        if next(rounds) % _OTHERS_EVERY == 0:
            with _told(note, "sealing what others left"):
                for hour in keeper.seal_others(now):
                    note(f"sealed hour {hour} of a recorder that has ended")


@contextlib.contextmanager
def _told(note: Callable[[str], None], what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        note(f"{what} failed and will be tried again: {error}")

"""What runs beside a recording: the signals that end it, and the housekeeping of its store."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from recorder.write import retention

if TYPE_CHECKING:
    from recorder.live import Recording

_HOUSEKEEPING_S = 5.0
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


def keep_house(recording: Recording, done: threading.Event) -> None:
    """Merge, seal and delete every few seconds until `done`; a failure is told and tried again."""
    # This thread yields the processor to the one that writes, and its turn to a full queue:
    # merging can wait, the stream cannot.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
    while not done.wait(_HOUSEKEEPING_S):
        if recording.pressed():
            continue
        try:
            for hour in recording.keeper.round(time.time_ns() // 1000):
                recording.reporter.note(f"sealed hour {hour}")
            _retain(recording)
        except Exception as error:
            recording.reporter.note(f"housekeeping failed and will be tried again: {error}")


def _retain(recording: Recording) -> None:
    keep, largest = recording.options.keep, recording.options.max_size
    if keep is None and largest is None:
        return
    age = None if keep is None else dt.timedelta(seconds=keep)
    found = retention.plan(recording.store, dt.datetime.now(dt.UTC), age, largest)
    retention.apply(found.delete)
    for hour in found.delete:
        recording.reporter.note(f"deleted hour {hour.hour}: older or more than is kept")

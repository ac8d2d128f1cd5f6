"""`qrec ship`: what is recorded here goes to a bucket that many hosts share."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qrec.output import Line
from qrec.recording import seconds
from qrec.run import STORE, Run, takes
from queries.core.format import plural, size
from queries.core.question import REQUIRED, Argument
from recorder.write.ship import Shipper, shrink
from store.errors import UnavailableError, UsageError
from store.layout import Store

_LONGEST_S: Final = 300.0  # between two tries while the bucket cannot be reached
_END_S: Final = 5.0
_EARLY_S: Final = 300.0  # between generations of the running hour
_USAGE: Final = 2  # exit code: another try would fail as well


@takes(
    Argument("url", "s3://bucket/prefix, gs://…, az://… or file:///folder.", "URL",
             default=REQUIRED),
    Argument("every", "Go on, and look for new hours so often: 1m. Default: once.", "DURATION"),
    *STORE,
)  # fmt: skip
def ship(run: Run, url: str, every: str | None) -> None:
    """Copy the finished hours of the store to a bucket, each file once; for many hosts.

    With --every also counts and coverage of the running hour, every five minutes: `qrec diff` sees
    it so far. Whoever may read the bucket asks it as any store: `qrec diff --store
    s3://bucket/prefix`. The key of redaction stays here. `qrec record --ship URL` does the same
    beside a recording.

    \b
    Examples:
      qrec ship s3://acme-qrec/prod
      qrec ship s3://acme-qrec/prod --every 1m
      AWS_ENDPOINT_URL=http://minio:9000 qrec ship s3://qrec/prod
    """
    pause = None if every is None else seconds(every)
    if pause is not None and pause < 1:
        raise UsageError("--every is at least a second", "A minute is often enough: --every 1m.")
    shipper = Shipper(Store.open(run.settings.path("store")), url)
    line = Line(stamped=pause is not None)
    stop = _stopped() if pause is not None else threading.Event()
    failures, early_at = 0, time.monotonic()
    while True:
        try:
            _round(shipper, line, stop, tell_nothing=pause is None)
            if pause is not None and time.monotonic() >= early_at:
                early_at = time.monotonic() + _EARLY_S
                shipper.ship_early(dt.datetime.now(dt.UTC))
            failures = 0
        except UnavailableError as error:
            if pause is None:
                raise
            failures += 1
            line.note(f"{error.message}; trying again. {error.hint}")
        wait = _backed_off(pause, failures) if pause is not None else 0.0
        if pause is None or stop.wait(wait):
            return


def _round(shipper: Shipper, line: Line, stop: threading.Event, *, tell_nothing: bool) -> None:
    """Ship what is due."""
    due = shipper.due()
    wanted, here = sum(one.size for one in due), 0
    with line:
        for number, one in enumerate(due, 1):
            if stop.is_set():
                return
            shipper.ship(one)
            here += one.size
            line.show(f"shipped {number} of {plural(len(due), 'file')}, {size(here)}")
    shrink(shipper.store)
    if due:
        hours = plural(len({one.hour for one in due}), "hour")
        line.note(f"shipped {plural(len(due), 'file')} of {hours}, {size(wanted)}, "
                  f"to {shipper.remote.url}")  # fmt: skip
    elif tell_nothing:
        line.note(f"nothing to ship: {shipper.remote.url} has every finished hour of this store")


def _backed_off(pause: float, failures: int) -> float:
    """Seconds to the next look: longer after each failure, and not at the same time everywhere."""
    if not failures:
        return pause
    return float(min(_LONGEST_S, pause * 2.0**failures) * random.uniform(0.5, 1.0))


def _stopped() -> threading.Event:
    """Set once somebody wants the command to end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextlib.contextmanager
def shipping(url: str, store: Path) -> Iterator[None]:
    """Ship in a process of its own while a recording runs; started again where it ends."""
    # -P and "/": nothing is imported from the working directory
    command = [sys.executable, "-P", "-m", "qrec", "ship", url, "--every", "1m"]
    command += ["--store", str(store.absolute())]
    done = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        failures = 0
        while not done.wait(_backed_off(1.0, failures) if failures else 0.0):
            running[:] = [subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd="/")]
            if running[0].wait() == _USAGE:
                return
            failures += 1

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        for process in running:
            process.terminate()
        thread.join(_END_S)
        for process in running:
            process.kill()

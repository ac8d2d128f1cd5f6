"""A seal in a process of its own: `python -m recorder.write.seal_process`.

Sealing takes hundreds of megabytes; the process gives all of that back when it ends, and whatever
ends it does not end the recorder. It reads one line, `Order`, and writes one document, `Outcome`.
When its stdin closes, the recorder is gone that holds the lock, and it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from recorder.write.seal import Housekeeper
from recorder.write.segments import keep
from store.layout import Store

_ALL = 1 << 62  # more segments than there are


class Order(msgspec.Struct):
    """An hour of a recorder's table, up to the number `settled`."""

    store: str
    recorder: str
    policy: str
    table: str
    hour: str
    settled: int
    whole: bool


class Outcome(msgspec.Struct):
    """Lines for people, how many files were written, and what went wrong."""

    notes: list[str]
    files: int = 0
    error: str = ""
    errno: int | None = None  # of an OSError


class Sealer:
    """Runs one such process at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def seal(self, keeper: Housekeeper, table: str, hour: str, whole: bool = True) -> int:
        """Seal an hour of the keeper's (Housekeeper.seal); how many files were written.

        What goes wrong there is raised here: an OSError as one, RuntimeError for anything else.
        """
        settled = int(min(keeper.settled(), _ALL))
        order = Order(
            str(keeper.store.path.resolve()), keeper.recorder, keeper.policy, table, hour, settled,
            whole,
        )  # fmt: skip
        # Like the recorder's other processes: no module of the working directory is run.
        command = [sys.executable, "-P", "-m", "recorder.write.seal_process"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, cwd="/"
        )
        self._process = process
        if self._ended:  # meanwhile
            process.kill()
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # then it says nothing, either
                process.stdin.write(msgspec.json.encode(order) + b"\n")
            answer = process.stdout.read()
        if answer:
            return _heard(keeper, msgspec.json.decode(answer, type=Outcome))
        for path in keeper.temporaries(table):
            path.unlink(missing_ok=True)
        if self._ended:
            return 0
        raise RuntimeError(f"the process that seals ended with {process.returncode}")

    def end(self) -> None:
        """Break off the seal that is under way, if one is, and those to come: from any thread."""
        self._ended = True
        if self._process is not None:
            self._process.kill()


def _heard(keeper: Housekeeper, outcome: Outcome) -> int:
    for note in outcome.notes:
        keeper.note(note)
    if outcome.errno is not None:
        raise OSError(outcome.errno, outcome.error)
    if outcome.error:
        raise RuntimeError(outcome.error)
    return outcome.files


def main() -> None:
    """Seal what stdin's line orders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the recorder decides
        signal.signal(number, signal.SIG_IGN)
    keep()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    outcome = Outcome([])
    keeper = Housekeeper(
        Store(Path(order.store)), order.recorder, order.policy,
        note=outcome.notes.append, settled=lambda: order.settled,
    )  # fmt: skip
    try:
        outcome.files = len(keeper.seal(order.table, order.hour, order.whole))
    except OSError as error:
        outcome.error, outcome.errno = error.strerror or str(error), error.errno
    except Exception as error:
        outcome.error = str(error)
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()

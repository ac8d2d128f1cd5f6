"""A seal in a process of its own: `python -m recorder.write.seal_process`.

Sealing takes hundreds of megabytes; the process gives all of that back when it ends, and whatever
ends it does not end the recorder. It reads what to seal, and writes lines for people with how many
files there are, or what went wrong. When its stdin closes, the recorder is gone that holds the
lock, and it ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading

from recorder.write.seal import Housekeeper
from recorder.write.segments import keep
from store.layout import Store


class Sealer:
    """Runs one such process at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def seal(self, keeper: Housekeeper, table: str, hour: str, whole: bool = True) -> int:
        """Seal an hour of the keeper's (Housekeeper.seal); how many files were written.

        What goes wrong there is raised here: an OSError as one, RuntimeError for anything else.
        """
        order = (
            keeper.store.path.resolve(), keeper.recorder, keeper.policy, keeper.settled(),
            table, hour, whole,
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
                process.stdin.write(pickle.dumps(order))
            answer = process.stdout.read()
        if answer:
            notes, outcome = pickle.loads(answer)
            for note in notes:
                keeper.note(note)
            if isinstance(outcome, Exception):
                raise outcome
            return int(outcome)
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


def main() -> None:
    """Seal what stdin's line orders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the recorder decides
        signal.signal(number, signal.SIG_IGN)
    keep()
    path, recorder, policy, settled, *hour = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    notes: list[str] = []
    keeper = Housekeeper(Store(path), recorder, policy, note=notes.append, settled=lambda: settled)
    outcome: int | Exception
    try:
        outcome = len(keeper.seal(*hour))
    except OSError as error:
        outcome = OSError(error.errno, error.strerror or str(error))
    except Exception as error:
        outcome = RuntimeError(str(error))
    sys.stdout.buffer.write(pickle.dumps((notes, outcome)))


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()

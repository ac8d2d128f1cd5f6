"""The recorder's other processes, one that reads and some that work: started, listened to, ended.

The recorder itself takes what they send off the pipes, when it has time for it. A thread for that
would wait for the interpreter's lock at every piece of a frame: it halved what was recorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from recorder.pipeline.frames import Alive, Down, Gaps, Handed, Receiver, Up, frames, from_bytes
from recorder.pipeline.reader import Options
from recorder.source.subscription import Subscription
from recorder.write.intake import Part
from store.errors import QrecError

# How long a process may be silent. The reading one has something to tell at least as often as it
# asks a silent source whether it lives, or tries to reach it; names may resolve slowly.
_PATIENCE_S = 120.0
_END_S = 5.0
_PIPE_BYTES = 1 << 20  # what more there is waits in the reading process, bounded and counted there


class Answer(NamedTuple):
    """What a block of events came to; the rest is as in frames.Handed."""

    mono: int
    parts: list[Part]
    queued: int
    dropped: int


Message = Answer | Up | Alive | Down | Gaps


def default_workers() -> int:
    """How many workers: two where there are two processors, since one is not enough for
    a busy source, and more would wait for the one that reads and the one that writes."""
    return min(2, os.cpu_count() or 1)


class Workers:
    """One reading process at a time and its workers; `get` gives None once the former has ended.

    Nothing here waits without limit: a process that is stopped or stuck must not keep this one
    from writing what it has, from its signals and from its end.
    """

    def __init__(self, settings: bytes, count: int) -> None:
        self._settings = settings
        self._count = count
        self._workers: list[subprocess.Popen[bytes]] = []
        self._reader: subprocess.Popen[bytes] | None = None
        self._control: Receiver | None = None
        self._answers: list[Receiver] = []
        self._handed: Handed | None = None  # a block whose rows have not come yet
        self._waited_s = 0.0

    def start(self, subscription: Subscription, gather_s: float) -> None:
        """Start reading; what was started before is ended first.

        `gather_s`: how long the events of a quiet stream are gathered before they are handed on.
        """
        self.close()
        self._workers = [_process("recorder.pipeline.worker") for _ in range(self._count)]
        for process in self._workers:
            _tell(process, self._settings)
        ends = [process.stdin.fileno() for process in self._workers if process.stdin]
        self._reader = _process("recorder.pipeline.reader", ends)
        options = Options(subscription, workers=ends, gather_s=gather_s)
        _tell(self._reader, msgspec.json.encode(options) + b"\n")
        for process in self._workers:  # the reader alone may hold these open
            assert process.stdin is not None
            process.stdin.close()
        assert self._reader.stdout is not None
        self._control = Receiver(self._reader.stdout, frames)
        self._answers = [Receiver(one.stdout, from_bytes) for one in self._workers if one.stdout]
        self._waited_s = 0.0

    def get(self, timeout: float) -> Message | None:
        """The next frame; None when the reading process has ended.

        TimeoutError after `timeout` seconds without one; QrecError when a worker has ended, or a
        process has been silent for longer than anything can take.
        """
        if self._control is None:
            return None
        end = time.monotonic() + timeout
        try:
            if self._handed is None:
                frame = self._control.receive(timeout)
                self._waited_s = 0.0
                if not isinstance(frame, Handed):
                    return frame  # type: ignore[no-any-return]
                self._handed = frame
            handed = self._handed
            parts = self._answers[handed.to].receive(max(0.0, end - time.monotonic()))
        except TimeoutError:
            # Counted here, not by a clock: a machine that slept has not waited.
            self._waited_s += timeout
            if self._waited_s > _PATIENCE_S:
                raise QrecError(
                    f"a process of this recorder has been silent for {_PATIENCE_S:g} s",
                    "Start the recorder again; see whether this machine has memory to spare.",
                ) from None
            raise
        self._handed, self._waited_s = None, 0.0
        if parts is None:
            raise QrecError("a process of this recorder ended", "Start the recorder again.")
        return Answer(handed.mono, parts, handed.queued, handed.dropped)

    def finish(self) -> None:
        """Ask the process to read no more; what it holds still comes, then None."""
        if self._reader is not None and self._reader.stdin is not None:
            with contextlib.suppress(OSError):
                self._reader.stdin.close()

    def close(self) -> None:
        """End the processes now and give back what they used."""
        self.finish()
        processes = [self._reader, *self._workers]
        self._reader, self._workers = None, []
        self._control, self._answers, self._handed = None, [], None
        for process in processes:
            if process is None:
                continue
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
                process.wait(timeout=_END_S)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _process(module: str, keep: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    # -P and "/": with -m, Python looks for modules in the working directory before its own
    # library, and whoever owns that directory must not decide what a recorder runs.
    command = [sys.executable, "-P", "-m", module]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, pass_fds=keep, cwd="/")
    for end in (process.stdin, process.stdout):
        assert end is not None
        with contextlib.suppress(OSError, AttributeError):  # Linux only, and only so much a user
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _tell(process: subprocess.Popen[bytes], options: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(options)

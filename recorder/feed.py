"""The recorder's other processes, one that reads and some that refine: started, listened to, ended.

The recorder itself takes what they send off the pipes, when it has time for it. A thread for that
would wait for the interpreter's lock at every piece of a frame: it halved what was recorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from recorder import link
from recorder.link import Alive, Down, Gaps, Handed, Up
from recorder.reader import Options
from recorder.refine import Part, Refining, from_bytes
from recorder.subscription import Subscription

_PIPE_BYTES = 1 << 20  # what more there is waits in the reading process, bounded and counted there


class Batch(NamedTuple):
    """What a block of events came to; the rest is as in link.Handed."""

    mono: int
    parts: list[Part]
    queued: int
    dropped: int


Frame = Batch | Up | Alive | Down | Gaps


def default_refiners() -> int:
    """How many processes refine: two where there are two processors, since one is not enough for
    a busy source, and more would wait for the one that reads and the one that writes."""
    return min(2, os.cpu_count() or 1)


class Feed:
    """Frames of one reading process at a time; `get` gives None once it has ended."""

    def __init__(self, refining: Refining, refiners: int) -> None:
        self._refining = refining
        self._count = refiners
        self._refiners: list[subprocess.Popen[bytes]] = []
        self._reader: subprocess.Popen[bytes] | None = None

    def start(self, subscription: Subscription) -> None:
        """Start reading; what was started before is ended first."""
        self.close()
        self._refiners = [_process("recorder.refiner") for _ in range(self._count)]
        for process in self._refiners:
            _tell(process, msgspec.json.encode(self._refining))
        ends = [process.stdin.fileno() for process in self._refiners if process.stdin]
        self._reader = _process("recorder.reader", ends)
        _tell(self._reader, msgspec.json.encode(Options(subscription, refiners=ends)))
        for process in self._refiners:  # the reader alone may hold these open
            assert process.stdin is not None
            process.stdin.close()

    def get(self, timeout: float) -> Frame | None:
        """The next frame; None when the reading process has ended, or one that refines.

        TimeoutError after `timeout` seconds without one.
        """
        if self._reader is None or self._reader.stdout is None:
            return None
        if not select.select([self._reader.stdout], [], [], timeout)[0]:
            raise TimeoutError
        frame = link.receive(self._reader.stdout, link.frames)
        if not isinstance(frame, Handed):
            return frame  # type: ignore[no-any-return]
        refiner = self._refiners[frame.to].stdout
        assert refiner is not None
        parts = link.receive(refiner, from_bytes)
        return None if parts is None else Batch(frame.mono, parts, frame.queued, frame.dropped)

    def finish(self) -> None:
        """Ask the process to read no more; what it holds still comes, then None."""
        if self._reader is not None and self._reader.stdin is not None:
            with contextlib.suppress(OSError):
                self._reader.stdin.close()

    def close(self) -> None:
        """End the processes now and give back what they used."""
        self.finish()
        processes = [self._reader, *self._refiners]
        self._reader, self._refiners = None, []
        for process in processes:
            if process is None:
                continue
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _process(module: str, keep: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, pass_fds=keep)
    for end in (process.stdin, process.stdout):
        assert end is not None
        with contextlib.suppress(OSError, AttributeError):  # Linux only, and only so much a user
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _tell(process: subprocess.Popen[bytes], options: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(options + b"\n")

"""The recorder's end of the reading process: started, listened to, stopped, never left behind.

The recorder itself takes the frames off the pipe, when it has time for them. A thread for that
would wait for the interpreter's lock at every piece of a frame: it halved what was recorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import subprocess
import sys

import msgspec

from recorder.link import Frame, receive
from recorder.reader import Options
from recorder.subscription import Subscription

_PIPE_BYTES = 1 << 20  # what more there is waits in the reading process, bounded and counted there


class Feed:
    """Frames of one reading process at a time; `get` gives None once it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, subscription: Subscription) -> None:
        """Start reading; a process started before is ended first."""
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recorder.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, AttributeError):  # Linux only, and only so much a user
            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._process.stdin.write(msgspec.json.encode(Options(subscription)) + b"\n")

    def get(self, timeout: float) -> Frame | None:
        """The next frame; None when the process has ended. TimeoutError after `timeout` seconds."""
        if self._process is None or self._process.stdout is None:
            return None
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            raise TimeoutError
        return receive(self._process.stdout)

    def finish(self) -> None:
        """Ask the process to read no more; what it holds still comes, then None."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End the process now and give back what it used."""
        if self._process is None:
            return
        self.finish()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

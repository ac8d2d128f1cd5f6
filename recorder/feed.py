"""The recorder's end of the reading process: started, listened to, stopped, never left behind."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading

import msgspec

from recorder.link import Frame, receive
from recorder.reader import Options
from recorder.subscription import Subscription

_FRAMES = 8  # what more there is waits in the reading process, bounded and counted there


class Feed:
    """Frames of one reading process at a time; `get` gives None once it has ended."""

    def __init__(self) -> None:
        self._frames: queue.Queue[Frame | None] = queue.Queue(maxsize=_FRAMES)
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def start(self, subscription: Subscription) -> None:
        """Start reading; a process started before is ended first."""
        self.close()
        self._closed = threading.Event()
        self._frames = queue.Queue(maxsize=_FRAMES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recorder.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=1 << 20,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(Options(subscription)) + b"\n")
        self._process.stdin.flush()
        self._thread = threading.Thread(
            target=self._receive, args=(self._process, self._frames, self._closed), daemon=True
        )
        self._thread.start()

    def get(self, timeout: float) -> Frame | None:
        """The next frame; None when the process has ended. queue.Empty after `timeout` seconds."""
        return self._frames.get(timeout=timeout)

    def finish(self) -> None:
        """Ask the process to read no more; what it holds still comes, then None."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End the process now and give back what it used."""
        if self._process is None or self._thread is None:
            return
        self.finish()
        self._closed.set()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    @staticmethod
    def _receive(
        process: subprocess.Popen[bytes],
        frames: queue.Queue[Frame | None],
        closed: threading.Event,
    ) -> None:
        assert process.stdout is not None
        frame: Frame | None
        while True:
            frame = receive(process.stdout)
            while not closed.is_set():
                with contextlib.suppress(queue.Full):
                    frames.put(frame, timeout=0.1)
                    break
            if frame is None:
                return

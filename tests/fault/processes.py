"""A recorder's processes, for tests that disturb them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import psutil

from tests.fault.scripted import HEAD, Script
from tests.fault.test_source import event, hello


def child(module: str, pid: int | None = None) -> psutil.Process:
    children = psutil.Process(pid).children()
    return next(one for one in children if module in one.cmdline())


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("what the test waits for did not come")


def disturbed(
    folder: Path, disturb: Callable[[psutil.Process], object], module: str = "worker"
) -> Script:
    """Two events, of which the first is on the disk when a process is disturbed, and more."""

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a"))
        # Where the recording ends before, what the test expects of it fails, not this thread.
        with contextlib.suppress(AssertionError, StopIteration, psutil.Error):
            wait_until(lambda: has_rows(folder))
            disturb(child(f"recorder.pipeline.{module}"))
        for number in range(1, 5):
            client.sendall(event(f"{'abcde'[number]}", number))
            time.sleep(0.05)
        client.recv(1)

    return script


def has_rows(folder: Path) -> bool:
    return any((folder / "s" / "_live").glob("**/*.parquet"))


def recording(
    url: str,
    folder: Path,
    stderr: TextIO | int = subprocess.DEVNULL,
    cwd: Path | None = None,
    nohup: bool = False,
) -> subprocess.Popen[bytes]:
    """`qrec record` into folder/s, as recorder r, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "qrec", "record", url, "--recorder", "r",
             "--store", str(folder / "s")],
            stderr=stderr, cwd=cwd, env={**os.environ, "QREC_CONFIG": ""},
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, before)

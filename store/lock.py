"""One recorder a name: the lock that keeps two processes from writing the same live folder.

The kernel drops an flock when its process dies, however it dies, so no lock is ever stale. The file
says who holds it: `<pid>` of a recorder, `<pid> sealing` of who only seals what another one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from store.errors import UnavailableError, unwritable
from store.files import make_folder
from store.layout import Store

SEALING = "sealing"
_MOMENT_S = 0.5  # who only asks whether a recorder runs holds its lock for less
_SEAL_S = 60.0  # about the longest seal


@contextlib.contextmanager
def recorder_lock(store: Store, recorder: str, purpose: str = "") -> Iterator[None]:
    """Hold the name `recorder` in this store. UnavailableError names the pid that holds it.

    A recorder waits for one who is sealing its hours; sealing waits for nobody.
    """
    folder = store.live(recorder)
    try:
        make_folder(folder)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise unwritable(store.path, error) from None
    try:
        _take(descriptor, store, recorder, purpose)
        yield
    finally:
        os.close(descriptor)


def holder(store: Store, recorder: str) -> int | None:
    """The pid that records under this name now; None when nobody does."""
    try:
        descriptor = os.open(store.live(recorder) / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        if _is_free(descriptor):
            return None
        pid, purpose = _who(descriptor)
        return int(pid) if pid.isdigit() and purpose != SEALING else None
    finally:
        os.close(descriptor)


def _take(descriptor: int, store: Store, recorder: str, purpose: str) -> None:
    started = time.monotonic()
    while not _is_free(descriptor):
        pid, holders = _who(descriptor)
        patience = _SEAL_S if holders == SEALING else _MOMENT_S
        if purpose == SEALING or time.monotonic() - started > patience:
            raise UnavailableError(
                f"a recorder named {recorder!r} is already writing to {store.path} (pid {pid})",
                "Stop that one, or give this one a name of its own with --recorder NAME.",
            )
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {purpose}".strip().encode() + b"\n", 0)


def _is_free(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _who(descriptor: int) -> tuple[str, str]:
    pid, _, purpose = os.pread(descriptor, 64, 0).decode(errors="replace").strip().partition(" ")
    return pid or "unknown", purpose

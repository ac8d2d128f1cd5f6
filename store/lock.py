"""One recorder a name: the lock that keeps two processes from writing the same live folder.

The kernel drops an flock when its process dies, however it dies, so no lock is ever stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from store.errors import UnavailableError, unwritable
from store.files import make_folder
from store.layout import Store


@contextlib.contextmanager
def recorder_lock(store: Store, recorder: str) -> Iterator[None]:
    """Hold the name `recorder` in this store. UnavailableError names the pid that holds it."""
    folder = store.live(recorder)
    try:
        make_folder(folder)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise unwritable(store.path, error) from None
    try:
        _take(descriptor, store, recorder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, store: Store, recorder: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        raise UnavailableError(
            f"a recorder named {recorder!r} is already writing to {store.path} (pid {pid})",
            "Stop that one, or give this one a name of its own with --recorder NAME.",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def holder(store: Store, recorder: str) -> int | None:
    """The pid that records under this name now; None when nobody does."""
    try:
        descriptor = os.open(store.live(recorder) / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None

"""DuckDB, and watching its connections: whoever waits for an answer can stop them."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from store.errors import QrecError

if TYPE_CHECKING:
    import duckdb as duckdb
else:
    # DuckDB without the Python around it, which builds statements and knows Arrow: that takes twice
    # as long to load as the engine. Of versions that were tried so.
    try:
        duckdb = importlib.import_module("_duckdb")
    except ImportError:
        duckdb = None
    if duckdb is None or not duckdb.__version__.startswith("2.0."):
        duckdb = importlib.import_module("duckdb")


def with_arrow(con: Any) -> Any:
    """A connection, after what of DuckDB's package gives and takes Arrow's tables was loaded."""
    importlib.import_module("duckdb")
    return con


class StoppedError(QrecError):
    """The one who asked does not want the answer any more."""


class Watch:
    """The open connections of one question. `stop` and `percent` may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[Any] = []
        self._stopped = False

    def begin(self, con: Any) -> None:
        """Take a connection under watch."""
        con.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        with self._lock:
            self._connections.append(con)

    def end(self, con: Any) -> None:
        """It is about to be closed."""
        with self._lock:
            self._connections = [one for one in self._connections if one is not con]

    def check(self) -> None:
        """Before each query. Raises StoppedError once nobody waits any more."""
        if self._stopped:
            raise StoppedError("the question was withdrawn", "Ask again.")

    def stop(self) -> bool:
        """Interrupt what runs, and let nothing more begin. True once no connection is left.

        DuckDB forgets an interruption that comes just before a query begins: call it again.
        """
        with self._lock:
            self._stopped = True
            for con in self._connections:
                con.interrupt()
            return not self._connections

    def percent(self) -> float | None:
        """How far the running query is; None while that is not known."""
        with self._lock:
            known = [con.query_progress() for con in self._connections]
        return max((part for part in known if part >= 0), default=None)


CURRENT: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextlib.contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Readers opened here, and in threads that copy this context, are under `watch`."""
    token = CURRENT.set(watch)
    try:
        yield
    finally:
        CURRENT.reset(token)


def still_wanted() -> None:
    """For long work between queries. Raises StoppedError once nobody waits for the answer."""
    watch = CURRENT.get()
    if watch is not None:
        watch.check()

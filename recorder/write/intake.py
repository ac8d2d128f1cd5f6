"""What workers made of events comes in: told to the ledger, kept from coming twice, held for a
flush. Several processes may have worked on it; here everything is in the order of the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

from recorder.write.coverage import Ledger

# Qtap gives each transaction one id; a repeat within so many is the same transaction again.
_REMEMBERED = 100_000
_FLUSH_ROWS, _FLUSH_BYTES = 10_000, 32 << 20
_ROW_BYTES = 512  # about what a connection or a statement takes


class Rejected(msgspec.Struct, array_like=True):
    """An event that gave no row: why, how large it was, and how it began (redacted)."""

    event: str
    reason: str
    size: int
    sample: str


class Connected(msgspec.Struct, tag="connected", array_like=True):
    """system.connected: a stream begins. `data` echoes the topics that the source understood."""

    ts: int | None
    data: str


class Rows(msgspec.Struct, tag="rows", array_like=True):
    """Clean rows of some events. `times`: when each was broadcast, µs; `counts`: as coverage."""

    times: list[int] = []
    counts: dict[str, int] = {}
    transactions: pa.RecordBatch | None = None
    connections: list[dict[str, Any]] = []
    database: list[dict[str, Any]] = []
    rejected: list[Rejected] = []


Part = Connected | Rows


@dataclass
class Pending:
    """Clean rows and rejected events that wait for the next flush; `rows` and `size` of them."""

    transactions: list[pa.RecordBatch] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    database: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether they are to be written before they become more."""
        return self.rows >= _FLUSH_ROWS or self.size >= _FLUSH_BYTES


class Intake:
    """Takes the rows of workers in; `pending` is what to write next."""

    def __init__(self, ledger: Ledger, on_connected: Callable[[str], None] | None = None) -> None:
        self.ledger = ledger
        self.on_connected = on_connected
        self.pending = Pending()
        self._seen: set[str] = set()
        self._seen_before: set[str] = set()
        self._known: set[str] = set()  # taken by the run that this one goes on for

    def take(self, parts: Iterable[Part], mono: int) -> None:
        """Take what a block came to that arrived at `mono` (µs, monotonic)."""
        for part in parts:
            if isinstance(part, Connected):
                self._connected(part.ts, mono)
                if self.on_connected is not None:
                    self.on_connected(part.data)
            else:
                self._rows(part, mono)
        self.ledger.alive(mono)

    def remember(self, request_ids: Iterable[str]) -> None:
        """Treat these transactions as already taken (a replay that goes on after a crash)."""
        self._known.update(request_ids)

    def _connected(self, ts: int | None, mono: int) -> None:
        """A stream begins: Qtap says so first, with an echo of the topics it understood."""
        if ts is None:
            ts = time.time_ns() // 1000
        if self.ledger.connection:  # a recording of several connections, one after the other
            self.ledger.alive(mono)
            self.ledger.lost("the recording was interrupted here", mono)
        self.ledger.connected(ts, mono)

    def _rows(self, part: Rows, mono: int) -> None:
        ledger = self.ledger
        if not ledger.connection:  # a stream that does not say how it begins
            self._connected(part.times[0] if part.times else None, mono)
        for ts in part.times:
            ledger.observe(ts, mono)
        for name, amount in part.counts.items():
            ledger.count(name, amount)
        pending = self.pending
        pending.rejected += part.rejected
        if part.transactions is not None:
            batch = self._new(part.transactions)
            pending.transactions.append(batch)
            pending.rows += batch.num_rows
            pending.size += batch.nbytes
        database = [row for row in part.database if not self._is_repeat(row["request_id"])]
        ledger.count("duplicates", len(part.database) - len(database))
        pending.connections += part.connections
        pending.database += database
        pending.rows += len(part.connections) + len(database)
        pending.size += _ROW_BYTES * (len(part.connections) + len(database))

    def _new(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of `batch` that did not come before."""
        new = [not self._is_repeat(one) for one in batch.column("request_id").to_pylist()]
        if all(new):
            return batch
        self.ledger.count("duplicates", len(new) - sum(new))
        return batch.filter(pa.array(new))

    def _is_repeat(self, request_id: str | None) -> bool:
        """Two generations of ids: forgetting the oldest costs nothing."""
        if not request_id:
            return False
        if request_id in self._seen or request_id in self._seen_before:
            return True
        if request_id in self._known:
            return True
        if len(self._seen) >= _REMEMBERED // 2:
            self._seen_before, self._seen = self._seen, set()
        self._seen.add(request_id)
        return False

"""From raw events to clean rows: decode, filter, drop repeats, redact, name the route.

One pass, in this order, so that nothing unredacted lives longer than a batch, and nothing that
the filter refuses costs more than its decoding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from recorder.coverage import Ledger
from recorder.decode import decode
from recorder.model import Transaction
from recorder.routes import Router
from recorder.signatures import error_signature
from recorder.statements import normalise

# Qtap gives each transaction one id; a repeat within so many is the same transaction again.
_REMEMBERED = 100_000
BODY_LIMIT = 64 << 10
CONNECTED = "system.connected"


class Cleaner(Protocol):
    """What the intake needs of redaction."""

    policy: str

    def redact(self, tx: Transaction) -> None: ...

    def text(self, text: str) -> str: ...


@dataclass
class Rejected:
    """An event that gave no row: why, how large it was, and how it began (redacted)."""

    event: str
    reason: str
    size: int
    sample: str


@dataclass
class Pending:
    """Clean rows and rejected events that wait for the next flush."""

    transactions: list[Transaction] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    database: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    size: int = 0

    def rows(self) -> int:
        return len(self.transactions) + len(self.connections) + len(self.database)


class Intake:
    """Takes events in, batch by batch; `pending` is what to write next."""

    def __init__(
        self,
        ledger: Ledger,
        cleaner: Cleaner,
        router: Router,
        *,
        accepts: Callable[[Transaction], bool] | None = None,
        connections: bool = False,
        body_limit: int = BODY_LIMIT,
        store_bodies: str = "all",
        on_connected: Callable[[str], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.cleaner = cleaner
        self.router = router
        self.accepts = accepts
        self.connections = connections
        self.body_limit = body_limit
        self.store_bodies = store_bodies
        self.on_connected = on_connected
        self.shedding = False
        self.shift_us = 0
        self.pending = Pending()
        self._seen: set[str] = set()
        self._seen_before: set[str] = set()
        self._known: set[str] = set()  # taken by the run that this one goes on for

    def take(self, events: Iterable[tuple[str, str]], mono: int) -> None:
        """Take a batch that arrived at `mono` (µs, monotonic)."""
        ledger, shift = self.ledger, self.shift_us
        for name, data in events:
            ts, table, row, reason = decode(name, data)
            if name == CONNECTED or not ledger.connection:
                self._connected(name, data, ts, mono)
            elif ts is not None:
                ledger.observe(ts + shift, mono)
            if table == "transactions":
                self._transaction(row)
            elif row is not None:
                self._other(str(table), row)
            elif reason is not None:
                ledger.count("events")
                self._reject(name, data, reason)
            else:
                ledger.count("other")
        ledger.alive(mono)

    def take_rows(self, rows: Iterable[Transaction], mono: int) -> None:
        """Take transactions that are decoded already (out of a HAR file), the last at `mono`."""
        for tx in rows:
            self._transaction(tx)
        self.ledger.alive(mono)

    def _connected(self, name: str, data: str, ts: int | None, mono: int) -> None:
        """A stream begins: Qtap says so first, with an echo of the topics it understood."""
        if ts is None:
            ts = time.time_ns() // 1000
        if self.ledger.connection:  # a recording of several connections, one after the other
            self.ledger.alive(mono)
            self.ledger.lost("the recording was interrupted here", mono)
        self.ledger.connected(ts + self.shift_us, mono)
        if name == CONNECTED and self.on_connected is not None:
            self.on_connected(data)

    def _transaction(self, tx: Transaction) -> None:
        count = self.ledger.count
        count("events")
        if self.accepts is not None and not self.accepts(tx):
            count("filtered")
            return
        if tx.request_id is not None and self._repeated(tx.request_id):
            count("duplicates")
            return
        tx.ts += self.shift_us
        if self.shedding:
            tx.req_body = tx.res_body = None
            count("bodies_shed")
        before = tx.findings
        self.cleaner.redact(tx)
        if before:  # an export of ours: redacted once already
            tx.findings = list(dict.fromkeys([*before, *tx.findings]))
        tx.route = self.router.route(tx.path or "", tx.host)
        failed = tx.status is None or tx.status >= 400 or bool(tx.grpc_status)
        if failed and tx.error_signature is None:
            tx.error_signature = error_signature(
                tx.status, tx.res_content_type, tx.res_body, tx.grpc_status
            )
        self._cut(tx)
        self.pending.transactions.append(tx)
        self.pending.size += 1024 + len(tx.req_body or b"") + len(tx.res_body or b"")

    def _cut(self, tx: Transaction) -> None:
        failed = tx.status is None or tx.status >= 400
        if self.store_bodies == "none" or (self.store_bodies == "errors" and not failed):
            tx.req_body = tx.res_body = None
            return
        limit = self.body_limit
        if tx.req_body is not None and len(tx.req_body) > limit:
            tx.req_body = tx.req_body[:limit]
        if tx.res_body is not None and len(tx.res_body) > limit:
            tx.res_body = tx.res_body[:limit]

    def _other(self, table: str, row: dict[str, Any]) -> None:
        if table == "connections" and not self.connections:
            self.ledger.count("other")
            return
        self.ledger.count("events")
        row["ts"] += self.shift_us
        if table == "database":
            if row["request_id"] and self._repeated(row["request_id"]):
                self.ledger.count("duplicates")
                return
            row["statement"] = normalise(row["database_type"], row["statement"])
            row["error_message"] = row["error_message"] and self.cleaner.text(row["error_message"])
        getattr(self.pending, table).append(row)
        self.pending.size += 512

    def _reject(self, name: str, data: str, reason: str) -> None:
        self.ledger.count("rejected")
        self.pending.rejected.append(
            Rejected(name[:100], reason, len(data), self.cleaner.text(data[:400]))
        )

    def _repeated(self, request_id: str) -> bool:
        """Two generations of ids: forgetting the oldest costs nothing."""
        if request_id in self._seen or request_id in self._seen_before:
            return True
        if request_id in self._known:
            return True
        if len(self._seen) >= _REMEMBERED // 2:
            self._seen_before, self._seen = self._seen, set()
        self._seen.add(request_id)
        return False

    def remember(self, request_ids: Iterable[str]) -> None:
        """Treat these transactions as already taken (a replay that goes on after a crash)."""
        self._known.update(request_ids)


def filter_predicate(
    accepts: Callable[[Mapping[str, Any]], bool], fields: Callable[[Any], Mapping[str, Any]]
) -> Callable[[Transaction], bool]:
    """A filter over the fields that a row has, as a filter over rows."""
    return lambda tx: accepts(fields(tx))

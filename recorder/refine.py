"""From raw events to clean rows: decode, filter, redact, name the route.

One pass, in this order, so that nothing unredacted lives longer than a block, and nothing that the
filter refuses costs more than its decoding. It knows neither the store nor what came before, so
that it can be done in processes of its own (recorder.refiner).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pyarrow as pa

from recorder.decode.columns import transactions_batch
from recorder.decode.events import CONNECTED, decode
from recorder.decode.row import Transaction
from recorder.normalize.error_text import error_signature
from recorder.normalize.routes import Router
from recorder.normalize.statements import normalise
from recorder.redact import BODY_LIMIT, RedactConfig, Redactor


class Refining(msgspec.Struct, frozen=True):
    """What refining needs to know; it travels to other processes as JSON."""

    key: bytes  # of the store's fingerprints
    redact: RedactConfig
    filter: str | None = None
    connections: bool = False
    body_limit: int = BODY_LIMIT
    store_bodies: str = "all"  # all | errors | none
    routes: tuple[str, ...] = ()


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


class Refined(msgspec.Struct, tag="refined", array_like=True):
    """What a run of events came to. `times`: when each was broadcast, µs; `counts`: as coverage."""

    times: list[int] = []
    counts: dict[str, int] = {}
    transactions: pa.RecordBatch | None = None
    connections: list[dict[str, Any]] = []
    database: list[dict[str, Any]] = []
    rejected: list[Rejected] = []


Part = Connected | Refined


def _packed(batch: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(_kind: type, data: Any) -> pa.RecordBatch:
    return pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()


to_bytes = msgspec.msgpack.Encoder(enc_hook=_packed)  # a list of parts, for another process
from_bytes = msgspec.msgpack.Decoder(list[Part], dec_hook=_unpacked)


class Refinery:
    """Refines events, block by block. For one thread at a time: it remembers what it has seen.

    `shedding`: bodies are dropped (there is more to do than time); `shift_us` moves all times.
    Raises UsageError for a filter, rule or route template that is none.
    """

    def __init__(self, refining: Refining) -> None:
        self.cleaner = Redactor(refining.key, refining.redact, refining.body_limit)
        self.router = Router(refining.routes)
        self.accepts = _predicate(refining.filter)
        self.connections = refining.connections
        self.store_bodies = refining.store_bodies
        self.shedding = False
        self.shift_us = 0
        self._rows: list[Transaction] = []
        self._open = Refined()

    def refine(self, events: Iterable[tuple[str, str]]) -> list[Part]:
        """The events in order: each beginning of a stream, and what came between two of them."""
        parts: list[Part] = []
        self._begin()
        for name, data in events:
            ts, table, row, reason = decode(name, data)
            if ts is not None:
                ts += self.shift_us
            if name == CONNECTED:
                parts += [self._end(), Connected(ts, data)]
                self._begin()
            elif ts is not None:
                self._open.times.append(ts)
            if table == "transactions":
                self._transaction(row)
            elif row is not None:
                self._other(str(table), row)
            elif reason is not None:
                self._reject(name, data, reason)
            else:
                self._counts["other"] += 1
        parts.append(self._end())
        return [part for part in parts if isinstance(part, Connected) or part.counts]

    def refine_rows(self, rows: Iterable[Transaction]) -> list[Part]:
        """The same for transactions that are decoded already (out of a HAR file)."""
        self._begin()
        for tx in rows:
            self._transaction(tx)
        return [self._end()]

    def _begin(self) -> None:
        self._rows = []
        self._counts: Counter[str] = Counter()
        self._open = Refined([], {}, None, [], [], [])

    def _end(self) -> Refined:
        self._open.counts = dict(self._counts)
        if self._rows:
            self._open.transactions = transactions_batch(self._rows)
        return self._open

    def _transaction(self, tx: Transaction) -> None:
        counts = self._counts
        counts["events"] += 1
        if self.accepts is not None and not self.accepts(tx):
            counts["filtered"] += 1
            return
        tx.ts += self.shift_us
        if self.shedding:
            tx.req_body = tx.res_body = None
            counts["bodies_shed"] += 1
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
        self._drop_bodies(tx)
        self._rows.append(tx)

    def _drop_bodies(self, tx: Transaction) -> None:
        failed = tx.status is None or tx.status >= 400
        if self.store_bodies == "none" or (self.store_bodies == "errors" and not failed):
            tx.req_body = tx.res_body = None

    def _other(self, table: str, row: dict[str, Any]) -> None:
        if table == "connections" and not self.connections:
            self._counts["other"] += 1
            return
        self._counts["events"] += 1
        row["ts"] += self.shift_us
        if table == "database":
            row["statement"] = normalise(row["database_type"], row["statement"])
            row["error_message"] = row["error_message"] and self.cleaner.text(row["error_message"])
        getattr(self._open, table).append(row)

    def _reject(self, name: str, data: str, reason: str) -> None:
        self._counts["events"] += 1
        self._counts["rejected"] += 1
        sample = self.cleaner.text(data[:400])
        self._open.rejected.append(Rejected(name[:100], reason, len(data), sample))


def _predicate(text: str | None) -> Callable[[Transaction], bool] | None:
    if not text:
        return None
    import filters  # the grammar costs time; most recordings have no filter

    accepts = filters.predicate(filters.parse(text), "qrec")
    return lambda tx: accepts(filters.row_fields(tx))

"""From raw events to clean rows: decode, filter, redact, name the route.

One pass, in this order, so that nothing unredacted lives longer than a block, and nothing that the
filter refuses costs more than its decoding. It knows neither the store nor what came before, so
that it can be done in processes of its own (recorder.pipeline.refiner).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import msgspec
import pyarrow as pa

from recorder.decode.columns import transactions_batch
from recorder.decode.events import CONNECTED, DATABASE, decode
from recorder.decode.row import Transaction
from recorder.normalize.error_text import error_signature
from recorder.normalize.routes import Router
from recorder.normalize.statements import normalise
from recorder.redact import BODY_LIMIT, RedactConfig, Redactor
from store.derived import failed
from store.schema import DATABASE as DATABASE_ROWS


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
        self.filter = _Filter(refining.filter) if refining.filter else None
        self.connections = refining.connections
        self.store_bodies = refining.store_bodies
        self.shedding = False
        self.shift_us = 0
        self._rows: list[Transaction] = []
        self._open = Refined()

    def refine(self, events: Iterable[tuple[str, str]]) -> list[Part]:
        """The events in order: each beginning of a stream, and what came between two of them.

        An event that nobody foresaw is rejected like one that cannot be read: the next version of
        the source must not be able to end a recording.
        """
        parts: list[Part] = []
        self._begin()
        for name, data in events:
            events_before = self._counts["events"]
            try:
                self._event(name, data, parts)
            except Exception as error:
                self._counts["events"] = events_before
                self._reject(name, data, _internal(error))
        parts.append(self._end())
        return [part for part in parts if isinstance(part, Connected) or part.counts]

    def _event(self, name: str, data: str, parts: list[Part]) -> None:
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

    def refine_rows(self, rows: Iterable[Transaction]) -> list[Part]:
        """The same for transactions that are decoded already (out of a HAR file)."""
        self._begin()
        for tx in rows:
            self._transaction(tx)
        return [self._end()]

    def _begin(self) -> None:
        self._rows = []
        self._grpc_calls: dict[str, int] = {}  # request id -> place in the rows
        self._counts: Counter[str] = Counter()
        self._open = Refined([], {}, None, [], [], [])

    def _end(self) -> Refined:
        if self._rows:
            self._open.transactions = self._batch()
        self._open.counts = dict(self._counts)
        return self._open

    def _batch(self) -> pa.RecordBatch | None:
        try:
            return transactions_batch(self._rows)
        except Exception:  # one row that fits no column must not cost the others
            rows = [tx for tx in self._rows if self._fits(tx)]
            return transactions_batch(rows) if rows else None

    def _fits(self, tx: Transaction) -> bool:
        try:
            transactions_batch([tx])
        except Exception as error:
            self._counts["rejected"] += 1
            self._open.rejected.append(Rejected("transaction", _internal(error), 0, ""))
            return False
        return True

    def _transaction(self, tx: Transaction) -> None:
        counts = self._counts
        counts["events"] += 1
        if self.filter is not None and not self.filter.accepts(tx):
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
        if tx.error_signature is None and failed(tx.status, tx.grpc_status):
            tx.error_signature = error_signature(
                tx.status, tx.res_content_type, tx.res_body, tx.grpc_status
            )
        self._drop_bodies(tx)
        self._keep(tx)

    def _keep(self, tx: Transaction) -> None:
        """A gRPC call may come twice, as an event and as an artifact that tells more of it."""
        if tx.protocol == "grpc" and tx.request_id:
            at = self._grpc_calls.setdefault(tx.request_id, len(self._rows))
            if at < len(self._rows):
                self._counts["duplicates"] += 1
                if tx.req_headers and not self._rows[at].req_headers:
                    self._rows[at] = tx
                return
        self._rows.append(tx)

    def _drop_bodies(self, tx: Transaction) -> None:
        keep = self.store_bodies == "all" or (
            self.store_bodies == "errors" and failed(tx.status, tx.grpc_status)
        )
        if not keep:
            tx.req_body = tx.res_body = None

    def _other(self, table: str, row: dict[str, Any]) -> None:
        if table == "connections" and not self.connections:
            self._counts["other"] += 1
            return
        self._counts["events"] += 1
        if table == "database" and self.filter and not self.filter.accepts_call(row):
            self._counts["filtered"] += 1
            return
        row["ts"] += self.shift_us
        if table == "database":
            row["statement"] = normalise(row["database_type"] or "", row["statement"])
            row["error_message"] = row["error_message"] and self.cleaner.text(row["error_message"])
        getattr(self._open, table).append(row)

    def _reject(self, name: str, data: str, reason: str) -> None:
        self._counts["events"] += 1
        self._counts["rejected"] += 1
        self._open.rejected.append(
            Rejected(name[:100], reason, len(data), self._sample(name, data))
        )

    def _sample(self, name: str, data: str) -> str:
        """How the event begins, redacted; nothing of a statement: no pattern knows its values."""
        if name == DATABASE:
            return ""
        try:
            return self.cleaner.text(data[:400])
        except Exception:
            return ""


def _internal(error: Exception) -> str:
    """The reason for an event on which our own code failed; its values stay out of it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f" in {at.tb_frame.f_code.co_name}" if at else ""
    return f"internal: {type(error).__name__}{place}"


class _Filter:
    """The whole filter, in our own meaning. FilterError for a text that is none."""

    def __init__(self, text: str) -> None:
        import filters  # most recordings have no filter

        self._passes = filters.predicate(filters.parse(text), "qrec")
        self._fields = filters.row_fields
        self._call_fields = {
            name: spec.read
            for name, spec in filters.FIELDS.items()
            if "record" in spec.uses and set(spec.columns) <= set(DATABASE_ROWS.names)
        }

    def accepts(self, tx: Transaction) -> bool:
        return self._passes(self._fields(tx))

    def accepts_call(self, row: dict[str, Any]) -> bool:
        """A database call is filtered by the fields that it has; it has no req and no res."""
        call = SimpleNamespace(**row)
        values = {name: read(call) for name, read in self._call_fields.items()}
        return self._passes({name: value for name, value in values.items() if value is not None})

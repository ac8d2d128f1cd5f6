"""A worker: blocks of raw events in, clean rows on the disk.

One pass decodes, filters, redacts and names the route, in this order, so that nothing unredacted
lives longer than a block, and nothing that the filter refuses costs more than its decoding. One
interpreter decodes and redacts on one core only (bench/README.md has the figures); so there may be
several of these processes, which know nothing of one another. Run it as
`python -m recorder.pipeline.worker`: its settings come as one JSON line on stdin, then blocks; what
became of them goes to stdout; the end of stdin is the end. A descriptor may be named of memory that
all workers share, to know one another's rows.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import mmap
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from recorder.decode.columns import Who, transactions_batch
from recorder.decode.events import CONNECTED, Decoded, Transaction, decode
from recorder.native import Batch, Failed, Native, load
from recorder.normalize.error_text import error_signature
from recorder.normalize.routes import Router
from recorder.normalize.statements import normalise
from recorder.options import RecordOptions, RowFilter, decode_settings
from recorder.pipeline import frames
from recorder.pipeline.frames import At, Block, Done, Refused
from recorder.redact.redactor import Redactor
from recorder.source.blocks import events_in
from recorder.write.intake import (
    REPEATS_BYTES,
    Connected,
    Part,
    Rejected,
    Repeats,
    Rows,
    without_rows,
)
from recorder.write.loss import Numbers
from recorder.write.segments import Writer, Written, give_back
from store.derived import failed
from store.layout import Store

_NICE = 3  # reading goes first: what it misses nobody has, what waits here is only late
AT_ONCE = 300  # events that become columns together, while they are still in the cache
_BATCH, _BATCH_BYTES = 4096, 8 << 20  # of events in the compiled part
_SMALL = 512 << 10  # bytes of a block for which columns save 3 ms at most (under 256 KB, nothing)
_BEGINS = b"event: " + CONNECTED.encode() + b"\n"
_TELL_S = 1.0
_AGAIN_S = 0.5  # between two tries to write to a disk that refuses
# Rows make no circles, and what is remembered stays: looking for garbage as often as Python does
# takes 3 % of the time, 6 % where headers do not repeat.
_GC_THRESHOLD = 20_000
_KILLED = "internal: a process died or hung over it"


class Worker:
    """Makes rows of events, some at a time. For one thread.

    `shedding`: bodies are dropped (there is more to do than time); `shift_us` moves all times;
    `watch` hears of each event before it is looked at; events at the places `skip` are rejected.
    `native`: the compiled part, for blocks (a filter wants each event by itself). Raises UsageError
    for a filter, rule or route template that is none.
    """

    def __init__(self, key: bytes, options: RecordOptions, native: Native | None = None) -> None:
        self.options = options
        self.cleaner = Redactor(key, options.redact, options.body_limit)
        self.router = Router(options.routes)
        self.filter = RowFilter(options.filter) if options.filter else None
        self.shedding = False
        self.shift_us = 0
        self.watch: Callable[[int], None] = lambda place: None
        self.skip: frozenset[int] = frozenset()
        self.repeats = Repeats()
        self._numbers = Numbers()
        self._place = 0  # of the event in its block
        self._rows: list[Transaction] = []
        self._places: list[int] = []  # of the rows
        self._open = Rows()
        self._timed: list[tuple[int, int]] = []  # the block's events: place, time
        self._columns_failed = False
        self._native = native if self.filter is None and options.redact.enabled else None

    @functools.cached_property
    def _columnar(self) -> Any:
        from recorder.pipeline.columnar import Columnar  # 8 MB for who gets no large block

        return Columnar(self.cleaner, self.router, self.options)

    def process_block(self, data: bytes, one_by_one: bool = False) -> list[Part]:
        """The events of a block; in columns, as far as the compiled part takes them."""
        parts: list[Part] = []
        at = place = 0
        self._timed = []
        # A stream's beginning comes between what was before it and what is after.
        begins = data.startswith(_BEGINS) or b"\n" + _BEGINS in data
        in_columns = len(data) > _SMALL and b"\r" not in data and not (begins or one_by_one)
        while self._native and in_columns and at < len(data):
            try:
                batch = self._native.read(data, at, _BATCH, _BATCH_BYTES, self.cleaner.body_limit)
            except Failed as error:
                self._note_failure(error)
                break
            parts += self._batch_parts(batch, data, place)
            at, place, in_columns = batch.at, place + batch.events, not batch.stopped
        events = events_in(data, at)
        while some := list(itertools.islice(events, 1 if one_by_one else AT_ONCE)):
            parts += self.process(some, range(place, place + len(some)))
            place += len(some)
        return parts

    def _batch_parts(self, batch: Batch, data: bytes, first: int) -> list[Part]:
        """The rows of a batch, and what came of the events that were left, by themselves."""
        parts: list[Part] = []
        self.watch(first)
        left = np.ones(batch.rows, bool)
        begun = len(self._timed)
        try:
            clean = self._columnar.clean(batch, first, self.shift_us, self.shedding)
            parts.append(clean.part_without(self.repeats))
            left = clean.left
            self._timed += zip((place for _, _, place in clean.keys), clean.part.times, strict=True)
        except Exception as error:  # then event by event, each with its own reason
            self._note_failure(error)
        events = batch.events_left(data, np.flatnonzero(left))
        for start in range(0, len(events), AT_ONCE):
            places, *some = zip(*events[start : start + AT_ONCE], strict=True)
            parts += self.process(list(zip(*some, strict=True)), [first + p for p in places])
        times = [ts for _, ts in sorted(self._timed[begun:])]  # coverage follows the source's clock
        for part in parts:
            assert isinstance(part, Rows)
            part.times, times = times, []
        return parts

    def _note_failure(self, error: Exception) -> None:
        """Say once that columns fail: what they fail over is done event by event."""
        if not self._columns_failed:
            print(f"the compiled part is no help: {_internal(error)}", file=sys.stderr)
        self._columns_failed = True

    def process(
        self, events: Sequence[tuple[str, str]], places: Sequence[int] | None = None
    ) -> list[Part]:
        """The events in order: each beginning of a stream, and what came between two of them.
        `places`: of the events in their block.

        All are decoded before any is looked at: what one step needs stays in the processor's cache.
        An event that nobody foresaw is rejected like one that cannot be read: the next version of
        the source must not be able to end a recording.
        """
        parts: list[Part] = []
        places = range(len(events)) if places is None else places
        self._begin()
        self.watch(places[0] if places else 0)
        decoded = [
            self._decoded(place, *event) for place, event in zip(places, events, strict=True)
        ]
        for self._place, (name, data), event in zip(places, events, decoded, strict=True):
            self.watch(self._place)
            if event is None:
                self._reject(name, data, _KILLED)
                continue
            events_before = self._counts["events"]
            try:
                self._event(name, data, event, parts)
            except Exception as error:
                self._counts["events"] = events_before
                self._reject(name, data, _internal(error))
        parts.append(self._end())
        return [part for part in parts if isinstance(part, Connected) or part.counts]

    def _decoded(self, place: int, name: str, data: str) -> Decoded | None:
        if place in self.skip:
            return None
        try:
            return decode(name, data)
        except Exception as error:
            return Decoded(None, reason=_internal(error))

    def _event(self, name: str, data: str, event: Decoded, parts: list[Part]) -> None:
        ts, table, row, reason = event
        if ts is not None:
            ts += self.shift_us
        if name == CONNECTED:
            parts += [self._end(), Connected(ts, data)]
            self._begin()
        elif ts is not None:
            self._open.times.append(ts)
            self._timed.append((self._place, ts))
        if table == "transactions":
            self._numbers.add(row.request_id, row.connection_id)
            self._transaction(row)
        elif row is not None:
            self._numbers.add(row.get("request_id"), row["connection_id"])
            self._other(str(table), row)
        elif reason is not None:
            self._reject(name, data, reason)
        else:
            self._counts["other"] += 1

    def process_rows(self, rows: Iterable[Transaction], first: int = 0) -> list[Part]:
        """The same for transactions that are decoded already (out of a HAR file)."""
        self._begin()
        for self._place, tx in enumerate(rows, first):
            self._transaction(tx)
        return [self._end()]

    def _begin(self) -> None:
        self._rows, self._places = [], []
        self._grpc_calls: dict[str, int] = {}  # request id -> place in the rows
        self._counts: Counter[str] = Counter()
        self._open = Rows([], {}, None, [], [], [])

    def _end(self) -> Rows:
        if self._rows:
            self._open.transactions = self._batch()
        self._open.counts = dict(self._counts)
        self._open.numbers = self._numbers.take()
        return self._open

    def _batch(self) -> pa.RecordBatch | None:
        try:
            return transactions_batch(self._rows, self._places)
        except Exception:  # one row that fits no column must not cost the others
            fitting = [
                (tx, place)
                for tx, place in zip(self._rows, self._places, strict=True)
                if self._fits(tx)
            ]
            return transactions_batch(*zip(*fitting, strict=True)) if fitting else None

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
        if self.filter is not None and not self._passes(self.filter.accepts(tx)):
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

    def _passes(self, answer: bool | None) -> bool:
        if not answer:
            self._counts["filtered"] += 1
        if answer is None:
            self._counts["undecided"] += 1
        return answer is True

    def _keep(self, tx: Transaction) -> None:
        """A gRPC call may come twice, as an event and as an artifact that tells more of it, each
        with a time of its own."""
        is_grpc = tx.protocol == "grpc" and bool(tx.request_id)
        at = self._grpc_calls.get(tx.request_id or "") if is_grpc else None
        if at is not None:
            self._counts["duplicates"] += 1
            if tx.req_headers and not self._rows[at].req_headers:
                self._rows[at] = tx
            return
        table = "grpc" if is_grpc else "transactions"
        if self.repeats.has(table, tx.request_id, None if is_grpc else tx.ts, self._place):
            self._counts["duplicates"] += 1
            return
        if is_grpc:
            self._grpc_calls[tx.request_id or ""] = len(self._rows)
        self._rows.append(tx)
        self._places.append(self._place)

    def _drop_bodies(self, tx: Transaction) -> None:
        kept = self.options.store_bodies
        if kept == "none" or (kept == "errors" and not failed(tx.status, tx.grpc_status)):
            tx.req_body = tx.res_body = None

    def _other(self, table: str, row: dict[str, Any]) -> None:
        if table == "connections" and not self.options.connections:
            self._counts["other"] += 1
            return
        self._counts["events"] += 1
        if table == "database" and self.filter and not self._passes(self.filter.accepts_call(row)):
            return
        row["ts"] += self.shift_us
        row["order"] = self._place
        if table == "database":
            if self.repeats.has(table, row["request_id"], row["ts"], self._place):
                self._counts["duplicates"] += 1
                return
            row["statement"] = normalise(row["database_type"] or "", row["statement"])
        self.cleaner.fields(row)
        getattr(self._open, table).append(row)

    def _reject(self, name: str, data: str, reason: str) -> None:
        self._counts["events"] += 1
        self._counts["rejected"] += 1
        sample = ""  # what the event begins with: keys and types, no values
        if reason != _KILLED:  # over that one nothing may look again
            with contextlib.suppress(Exception):
                sample = self.cleaner.outline(data[:400])
        self._open.rejected.append(Rejected(name[:100], reason, len(data), sample))


def _internal(error: Exception) -> str:
    """The reason for an event on which our own code failed; its values stay out of it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f" in {at.tb_frame.f_code.co_name}" if at else ""
    return f"internal: {type(error).__name__}{place}"


def shedding(queued: int, now: bool) -> bool:
    """Whether to let bodies go with so many bytes waiting: rows matter more."""
    if queued > frames.QUEUE_BYTES // 2:
        return True
    return now and queued >= frames.QUEUE_BYTES // 8


class _Process:
    """The process around a worker: a block in, its rows on the disk, word of it out."""

    def __init__(self) -> None:
        self.source, self.out = sys.stdin.buffer, sys.stdout.buffer
        key, options, session = decode_settings(self.source.readline())
        self.worker = Worker(key, options, load()[0])
        if len(sys.argv) > 1:
            self.worker.repeats = Repeats(mmap.mmap(int(sys.argv[1]), REPEATS_BYTES))
        who, policy = Who(options.name(), session), self.worker.cleaner.policy
        self.writer = Writer(Store(options.store), who, policy, self._end_if_orphaned)
        self.worker.watch = self._watch
        self._parent = os.getppid()
        self._block = Block(0, [], 0)
        self._told_at = 0.0
        give_back()  # what compiling the patterns took
        self._tell(At(0, frames.READY))

    def run(self) -> None:
        while (block := frames.receive(self.source)) is not None:
            self._block, self._told_at = block, 0.0
            self._watch(0)
            self.worker.skip = frozenset(block.skip or ())
            self.worker.repeats.block = block.first
            self.worker.shedding = shedding(block.queued, self.worker.shedding)
            parts = self.worker.process_block(block.data(), block.skip is not None)
            began = time.monotonic()
            rows, size = self._write(parts, block)
            spent = time.monotonic() - began
            self._tell(Done(block.first, without_rows(parts), dict(rows), size, spent))
            with contextlib.suppress(OSError):  # housekeeping merges them
                self.writer.gather()

    def _watch(self, place: int) -> None:
        """Tell now and then that this goes on; of every event, where one of the block was fatal."""
        now = time.monotonic()
        if now - self._told_at > _TELL_S or self._block.skip is not None:
            self._tell(At(self._block.first, place))
            self._told_at = now

    def _write(self, parts: list[Part], block: Block) -> Written:
        """Write a block, however long the disk refuses: it waits here and in the reader."""
        last = block.first + max(block.events, 1) - 1
        while True:
            self._tell(At(block.first, frames.WRITING))
            try:
                return self.writer.write(parts, block.first, last)
            except OSError as error:
                self._tell(Refused(block.first, error.strerror or str(error)))
                time.sleep(_AGAIN_S)
            except Exception as error:  # rows that fit no file must not hold up what comes after
                for part in parts:
                    if isinstance(part, Rows):
                        part.give_up(_internal(error))

    def _tell(self, frame: At | Refused | Done) -> None:
        try:
            frames.send(self.out, frame)
        except OSError:  # the recorder is gone, and so is our purpose
            os._exit(0)

    def _end_if_orphaned(self) -> None:
        """Another recorder may have taken over: nothing of this one may appear among its files."""
        if os.getppid() != self._parent:
            os._exit(0)


def main() -> None:
    frames.obey_recorder()
    os.nice(_NICE)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    _Process().run()


if __name__ == "__main__":
    main()

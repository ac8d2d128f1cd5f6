"""What several tests need: events as they come on the wire, a writer without a network, counts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from recorder.decode.columns import Who
from recorder.options import RecordOptions, redaction_key
from recorder.pipeline.worker import Worker
from recorder.write.coverage import Ledger, count
from recorder.write.intake import Part
from recorder.write.segments import Numbers, Writer, new_session
from store.hours import from_us
from store.layout import Store
from store.marks import mend

S = 1_000_000
NOON = 1_795_348_800 * S  # 2026-11-22T12:00:00Z, µs

Event = tuple[str, str]
Cli = Callable[..., tuple[int, str, str]]  # words -> exit code, stdout, stderr

# How long a test waits for what must come: it is there at once on an idle machine, and only a
# fault, never a busy machine, lets this pass.
PATIENCE_S = 90.0


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until the condition holds. AssertionError when it never does."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not come"
        time.sleep(0.02)


def connected(ts: int = NOON, topics: Any = None) -> Event:
    echo = {"http": "*"} if topics is None else topics
    return "system.connected", json.dumps({"data": {"topics": echo}, "ts": stamp(ts)})


def stamp(ts: int) -> str:
    return from_us(ts).isoformat().replace("+00:00", "Z")


def transaction(
    request_id: str, ts: int = NOON, *, sent: int | None = None, status: int = 200, **request: Any
) -> Event:
    """A request.http_transaction that ended at `ts` and was broadcast at `sent` (else `ts`)."""
    inner = {
        "metadata": {"process_id": "1", "process_exe": "/app", "container_name": "web"},
        "request": {
            "method": "GET",
            "url": "https://api.example.com/v1/things/1",
            "scheme": "https",
            "path": "/v1/things/1",
            "authority": "api.example.com",
            "request_id": request_id,
            "headers": {":authority": "api.example.com"},
            **request,
        },
        "response": {"status": status, "headers": {":status": str(status)}},
        "transaction_time": stamp(ts),
        "duration_ms": 20,
        "direction": "egress-external",
    }
    packed = base64.b64encode(json.dumps(inner).encode()).decode()
    outer = {"requestId": request_id, "type": "http_transaction", "data": packed}
    data = json.dumps({"data": {"data": outer}, "ts": stamp(ts if sent is None else sent)})
    return "request.http_transaction", data


def frame(event: Event) -> bytes:
    """An event as bytes on the wire."""
    return f"event: {event[0]}\ndata: {event[1]}\n\n".encode()


class Desk:
    """A recorder without a network: events go in by hand, flushes happen when told."""

    def __init__(self, path: Path, recorder: str = "r") -> None:
        self.store = Store.create(path)
        self.recorder = recorder
        self.session = new_session()
        self.ledger = Ledger(self.store, recorder, self.session)
        options = RecordOptions(store=path, recorder=recorder)
        self.worker = Worker(redaction_key(self.store, options), options)
        self.numbers = Numbers(self.store, recorder)
        self.policy = self.worker.cleaner.policy
        self.writer = Writer(self.store, Who(recorder, self.session), self.policy)
        self.waiting: list[tuple[list[Part], int, int]] = []

    def take(self, *events: Event, mono: int = 0) -> None:
        parts = self.worker.process(events)
        first = self.numbers.last + 1
        self.numbers.last += len(events)
        self.waiting.append((parts, first, self.numbers.last))
        count(self.ledger, parts, mono)

    def flush(self, mono: int = 0) -> None:
        try:
            mend(self.store, self.policy, self.recorder)
            while self.waiting:
                self.writer.write(*self.waiting[0])
                del self.waiting[0]
            self.ledger.accepted(mono)
            self.ledger.flush()
        except OSError as error:
            self.ledger.refused(error.strerror or "", mono)


def visible_ids(path: Path) -> list[str]:
    """The request ids that a query sees, with repeats, sorted."""
    return rows_of(Store.open(path))


def rows_of(store: Store) -> list[str]:
    """The same of a store that may be a bucket."""
    paths = [f for hour in store.hours("transactions")
             for _, f in store.visible("transactions", hour)]  # fmt: skip
    store.fetch(paths)
    files = list(map(str, paths))
    if not files:
        return []
    with duckdb.connect() as con:
        rows = con.execute("SELECT request_id FROM read_parquet($files, union_by_name = true)"
                           " ORDER BY 1", {"files": files}).fetchall()  # fmt: skip
    return [row[0] for row in rows]

"""From events to rows: no event ends the work, a filter means all kinds of calls, bodies are kept
by outcome, and a gRPC call that comes twice is one row."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.decode.events import decode
from recorder.options import RecordOptions
from recorder.pipeline.worker import Worker
from recorder.pipeline.workers import checked
from recorder.redact.config import ExtraRule, RedactConfig
from recorder.write.intake import REPEATS_BYTES, Repeats, Rows
from recorder.write.segments import FAN_IN
from store.cover import segment_name
from store.errors import UsageError
from tests.kit import NOON, Desk, Event, connected, stamp, transaction, visible_ids


def working(**options: Any) -> Worker:
    return Worker(b"k" * 32, RecordOptions(store=Path(), **options))


def made(worker: Worker, *events: Event) -> Rows:
    (part,) = worker.process(events)
    assert isinstance(part, Rows)
    return part


def rows(part: Rows) -> list[dict[str, Any]]:
    return [] if part.transactions is None else part.transactions.to_pylist()


def call(kind: str, **fields: Any) -> Event:
    """request.grpc or request.database."""
    item = {"requestId": "c", "timestamp": stamp(NOON), "direction": "egress-internal", **fields}
    return f"request.{kind}", json.dumps({"data": {"data": item}, "ts": stamp(NOON)})


def grpc_call(request_id: str, status: str = "0") -> Event:
    return call("grpc", requestId=request_id, path="/pkg.Svc/Call", status=200, grpcStatus=status)


def grpc_artifact(request_id: str, status: str = "0", **inner: Any) -> Event:
    document = {
        "metadata": {"process_id": "7", "process_exe": "/app", "bytes_sent": 90},
        "service": "pkg.Svc",
        "method": "Call",
        "grpc_status": status,
        "request": {
            "content_type": "application/grpc",
            "headers": {":authority": "svc.example:8443", ":scheme": "https",
                        ":path": "/pkg.Svc/Call", ":method": "POST", "X-Team": "pay"},
            "body": base64.b64encode(b"question").decode(),
        },
        "response": {"grpc_status": status, "headers": {":status": "200"},
                     "body": base64.b64encode(b"answer").decode()},
        "transaction_time": stamp(NOON),
        "duration_ms": 12,
        "direction": "egress-internal",
        **inner,
    }  # fmt: skip
    packed = base64.b64encode(json.dumps(document).encode()).decode()
    outer = {"requestId": request_id, "type": "grpc_transaction", "data": packed}
    return "artifact.created", json.dumps({"data": {"data": outer}, "ts": stamp(NOON)})


def test_a_database_call_without_its_type_is_a_row_like_any_other() -> None:
    part = made(working(), call("database", statement="SELECT 'x'"), transaction("a"))
    assert [row["statement"] for row in part.database] == ["SELECT ?"]
    assert len(rows(part)) == 1


def test_an_event_that_nobody_foresaw_is_rejected_and_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = working()
    redact = worker.cleaner.redact

    def fails(tx: Any) -> None:
        if tx.request_id == "bad":
            raise AttributeError("secret-value")
        redact(tx)

    monkeypatch.setattr(worker.cleaner, "redact", fails)
    part = made(worker, transaction("bad"), transaction("good"))
    assert [row["request_id"] for row in rows(part)] == ["good"]
    assert part.counts == {"events": 2, "rejected": 1}
    assert part.rejected[0].reason == "internal: AttributeError in fails"


def test_redaction_that_fails_leaves_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> str:
        raise ValueError("no")

    worker = working()
    monkeypatch.setattr(worker.cleaner, "outline", fails)
    part = made(worker, ("request.http_transaction", "{not json"))
    assert (part.rejected[0].sample, part.counts["rejected"]) == ("", 1)


def test_a_row_that_fits_no_column_costs_no_other() -> None:
    worker = working()
    worker._begin()
    for name, data in (transaction("a"), transaction("b"), transaction("c")):
        worker._event(name, data, decode(name, data), [])
    worker._rows[1].bytes_sent = 1 << 80  # decoding leaves such out; another field might not
    part = worker._end()
    assert sorted(row["request_id"] for row in rows(part)) == ["a", "c"]
    assert part.counts["rejected"] == 1


def test_nothing_of_a_statement_is_kept_when_its_event_is_rejected() -> None:
    bad = call("database", databaseType="mysql", duration="3ms",
               statement="INSERT INTO patients VALUES ('Jane Doe', '1985-03-02')")  # fmt: skip
    part = made(working(), bad)
    assert part.counts["rejected"] == 1
    assert '"statement":"…"' in part.rejected[0].sample
    assert "Jane" not in part.rejected[0].sample


def test_the_sample_of_a_rejected_event_has_keys_and_types_alone() -> None:
    secret = "AKIAQ7PLM2NRSTUVWX4Y"
    data = f'{{"data": {{"n": 12.5, "ok": true, "{secret}": "hunter2", "list": ["a", null, "b'
    part = made(working(), ("request.http_transaction", data))
    assert part.rejected[0].sample == ('{"data":{"n":0,"ok":true,"…":"…","list":["…",null,"…"')


def test_bodies_of_failed_grpc_calls_are_kept_where_errors_are() -> None:
    events = [grpc_artifact("ok"), grpc_artifact("failed", "14")]
    part = made(working(store_bodies="errors"), *events)
    assert {row["request_id"]: row["res_body"] for row in rows(part)} == {
        "ok": None,
        "failed": b"answer",
    }


def test_a_grpc_artifact_is_a_transaction_with_address_headers_and_bodies() -> None:
    (row,) = rows(made(working(), grpc_artifact("g", "5")))
    assert (row["host"], row["path"], row["method"]) == (
        "svc.example:8443",
        "/pkg.Svc/Call",
        "POST",
    )
    assert (row["protocol"], row["status"], row["grpc_status"]) == ("grpc", 200, "5")
    assert (row["req_body"], row["res_body"]) == (b"question", b"answer")
    assert (row["duration_ms"], row["bytes_sent"], row["process_exe"]) == (12, 90, "/app")
    assert dict(row["req_headers"])["X-Team"] == "pay"


@pytest.mark.parametrize("artifact_first", [True, False])
def test_a_call_that_comes_as_event_and_artifact_is_one_row_and_the_fuller(
    artifact_first: bool,
) -> None:
    events = [grpc_artifact("g"), grpc_call("g")]
    part = made(working(), *(events if artifact_first else reversed(events)))
    (row,) = rows(part)
    assert row["host"] == "svc.example:8443"
    assert part.counts == {"events": 2, "duplicates": 1}


def test_a_summary_without_headers_and_a_call_without_an_answer() -> None:
    bare = grpc_artifact("g", "0", request={}, response={})
    (row,) = rows(made(working(), bare))
    assert (row["host"], row["path"], row["status"]) == (None, "/pkg.Svc/Call", 200)
    (row,) = rows(made(working(), grpc_artifact("g", "", response={})))
    assert (row["status"], row["duration_ms"]) == (None, None)


def test_other_artifacts_are_counted_and_unreadable_ones_rejected() -> None:
    other = {"type": "llm_conversation", "data": base64.b64encode(b"{}").decode()}
    text = {"type": "grpc_transaction", "data": base64.b64encode(b"gRPC Transaction").decode()}
    events = [("artifact.created", json.dumps({"data": {"data": one}, "ts": stamp(NOON)}))
              for one in (other, text)]  # fmt: skip
    part = made(working(), *events)
    assert (part.counts["other"], part.counts["rejected"]) == (1, 1)


@pytest.mark.parametrize(
    ("filter_", "kept"),
    [
        ('container.name == "payment-service"', True),
        ('container.name == "checkout"', False),
        ('process.binary == "app" and direction contains "egress"', True),
        ("process.pid == 7", True),
        ("res.status >= 400", False),  # a database call has no status, not 422
        ('not (req.host == "a")', False),  # nor a host: missing is an error here as everywhere
        ('req.method == "GET" or container.name == "payment-service"', True),
    ],
)
def test_database_calls_are_filtered_by_the_fields_that_they_have(filter_: str, kept: bool) -> None:
    event = call("database", databaseType="redis", statement="GET a",
                 process={"exe": "/usr/bin/app", "pid": 7,
                          "containerName": "payment-service"})  # fmt: skip
    part = made(working(filter=filter_), event)
    assert len(part.database) == kept
    assert part.counts.get("filtered", 0) == (not kept)


def test_rows_that_fit_no_file_are_rejected_events() -> None:
    part = made(working(), transaction("a"), transaction("b"))
    part.give_up("internal: ArrowInvalid in write")
    assert part.size() == (0, 0)
    assert part.counts == {"events": 2, "rejected": 2}
    assert [one.event for one in part.rejected] == ["2 rows"]


def test_rows_of_a_part_that_then_fails_are_no_repeats_of_themselves() -> None:
    repeats = Repeats()
    repeats.block = 100
    rows = [("a", 5, 0), ("b", 6, 1), ("a", 5, 2)]
    assert [repeats.has("t", *row) for row in rows] == [False, False, True]
    # What comes after that may fail (Clean.part_without): then they are done one by one.
    assert [repeats.has("t", *row) for row in rows] == [False, False, True]
    assert repeats.has("t", "a", 5, 3)


def test_one_id_with_two_times_or_in_two_tables_is_no_repeat() -> None:
    repeats = Repeats()
    assert not repeats.has("transactions", "id", NOON)
    assert not repeats.has("transactions", "id", NOON + 1)
    assert not repeats.has("database", "id", NOON)
    assert repeats.has("transactions", "id", NOON)


def test_a_block_that_is_tried_again_is_no_repeat_of_itself() -> None:
    memory = bytearray(REPEATS_BYTES)
    first, second = Repeats(memory), Repeats(memory)
    first.block = second.block = 17
    assert not first.has("transactions", "id", NOON, 3)
    assert not second.has("transactions", "id", NOON, 3)  # the first of the two died over it
    assert second.has("transactions", "id", NOON, 4)
    second.block = 90
    assert second.has("transactions", "id", NOON, 3)


def test_of_many_rows_the_oldest_are_forgotten() -> None:
    repeats = Repeats(bytearray(1 << 12))
    for number in range(10_000):
        assert not repeats.has("transactions", f"id{number}", NOON)
    assert repeats.has("transactions", "id9990", NOON)
    assert not repeats.has("transactions", "id0", NOON)


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("recorder.pipeline.worker", {"httpx", "duckdb", "pyarrow.compute"}),
        ("recorder.pipeline.reader", {"duckdb", "re2", "httpx", "pyarrow", "numpy"}),
        ("recorder.record", {"httpx", "duckdb", "recorder.redact.redactor"}),
    ],
)
def test_a_process_of_a_recorder_loads_nothing_that_others_need(
    module: str, without: set[str]
) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not without & set(ran.stdout.split())


def test_the_first_process_merges_and_keeps_coverage_without_numpy(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON))
    for number in range(FAN_IN):
        desk.take(transaction(f"id{number}", NOON + number))
        desk.flush()
    code = (
        "import sys, pathlib; sys.modules['numpy'] = None\n"
        "from recorder import native, record\n"
        "from recorder.write.coverage import Ledger\n"
        "from recorder.write.seal import Housekeeper\n"
        "from store.layout import Store\n"
        "native.remarks()\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "Housekeeper(store, 'r', 'p', grace_s=0).round(int(sys.argv[2]))\n"
        "ledger = Ledger(store, 'r', 's')\n"
        "ledger.connected(int(sys.argv[2]), 1)\n"
        "ledger.estimate({7: list(range(40, 80))}, 2)\n"
        "ledger.flush()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s"), str(NOON)], check=True)
    assert list(desk.store.live("r").rglob(segment_name(2, FAN_IN + 1)))
    assert len(visible_ids(tmp_path / "s")) == FAN_IN


def test_what_a_worker_is_made_of_is_checked_without_making_one() -> None:
    options = RecordOptions(store=Path(), filter="res.status >= 400")
    assert checked(options) == Worker(b"k" * 32, options).cleaner.policy
    assert checked(replace(options, redact=RedactConfig(enabled=False))) == "off"
    for wrong in (
        replace(options, filter="res.status >="),
        replace(options, routes=("users",)),
        replace(options, redact=RedactConfig(allow_values=("(",))),
        replace(options, redact=RedactConfig(rules=(ExtraRule("badge", "("),))),
    ):
        with pytest.raises(UsageError) as made_of:
            Worker(b"k" * 32, wrong)
        with pytest.raises(UsageError, match=re.escape(str(made_of.value))):
            checked(wrong)


@pytest.mark.parametrize("module", ["record", "pipeline.worker", "write.seal"])
def test_each_process_takes_memory_from_the_system_in_arrow_s_own_code_too(module: str) -> None:
    code = f"import recorder.{module}, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    environment = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "system\n"

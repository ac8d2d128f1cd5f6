"""The wire as written: what a client of Qtap relies on, frame by frame."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import pytest

from fixtures.standin import events as wire
from tests.world import events
from tests.world.events import Actor, Transaction
from tests.world.xids import XidMaker, make_xid, xid_seconds

_TS = 1_795_348_800_120_000_000  # 2026-11-22T12:00:00.12Z
_ACTOR = Actor(4242, "/usr/bin/curl", "api", "acme/api:1", "api-0", "prod")


def _transaction(**changes: Any) -> Transaction:
    tx = Transaction(
        ended=_TS, direction="egress-external", actor=_ACTOR, method="POST",
        host="httpbin.org", target="/post?a=1", request_id="d3t55gg7p3qr49f84870",
        connection_id="d3t55gg7p3qr49f8485g", status=200, duration_ms=98,
        request_headers={"User-Agent": "curl/8.10.1", "Accept": "*/*"},
        response_headers={"Content-Type": "application/json"},
        request_body=b'{"a":1}', response_body=b"{}",
    )  # fmt: skip
    for name, value in changes.items():
        setattr(tx, name, value)
    return tx


def _payload(frame: bytes) -> Any:
    name, data, end = frame.split(b"\n", 2)
    assert name.startswith(b"event: ")
    assert end == b"\n"
    return json.loads(data.removeprefix(b"data: "))


def _document(frame: bytes) -> Any:
    return json.loads(base64.b64decode(_payload(frame)["data"]["data"]["data"], validate=True))


def test_a_transaction_is_base64_in_base64_with_a_summary() -> None:
    frame = events.http_transaction(_transaction(), _TS)
    artifact = _payload(frame)["data"]["data"]
    assert frame.startswith(b"event: request.http_transaction\ndata: {")
    assert artifact["type"] == "http_transaction"
    assert artifact["summary"]["request_host"] == "httpbin.org"
    assert artifact["summary"]["response_status"] == 200
    document = _document(frame)
    assert document["metadata"]["process_id"] == "4242"
    assert document["request"]["path"] == "/post?a=1"
    assert document["request"]["url"] == "https://httpbin.org/post?a=1"
    assert base64.b64decode(document["request"]["body"]) == b'{"a":1}'
    assert document["transaction_time"] == "2026-11-22T12:00:00.12Z"


def test_without_a_response_it_is_a_422_that_has_no_response_headers() -> None:
    frame = events.http_transaction(_transaction(status=None), _TS)
    document = _document(frame)
    assert document["response"] == {"status": 422}
    assert "duration_ms" not in document
    assert "bytes_received" not in document["metadata"]
    assert _payload(frame)["data"]["data"]["summary"]["response_status"] == 422


def test_what_is_empty_is_left_out() -> None:
    bare = _transaction(
        actor=Actor(7, "/bin/x"), request_headers={}, request_body=b"", response_body=b""
    )
    document = _document(events.http_transaction(bare, _TS))
    assert set(document["metadata"]) == {
        "process_id", "process_exe", "bytes_received", "connection_id"
    }  # fmt: skip
    assert "headers" not in document["request"]
    assert "body" not in document["response"]


def test_text_is_escaped_as_go_escapes_it() -> None:
    assert wire.go_json({"a": "<b>&\u2028é"}) == '{"a":"\\u003cb\\u003e\\u0026\\u2028é"}'


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (_TS, "2026-11-22T12:00:00.12Z"),
        (_TS + 3_456_789, "2026-11-22T12:00:00.123456789Z"),
    ],
)
def test_times_have_no_trailing_zeros(ns: int, text: str) -> None:
    assert wire.rfc3339(ns) == text


def test_an_xid_carries_its_time_and_can_be_moved() -> None:
    made = make_xid(1_795_348_800, 0xDEADBEEFCAFE1234)
    assert len(made) == 20
    assert xid_seconds(made) == 1_795_348_800
    later = wire.moved_xid(made, 7200)
    assert xid_seconds(later) == 1_795_356_000
    assert later[7:] == made[7:]
    assert wire.moved_xid(later, -7200) == made


def test_the_ids_of_one_process_differ_and_count_on() -> None:
    ids = XidMaker(Random(1))
    made = [ids(1_795_348_800) for _ in range(50)]
    assert len(set(made)) == 50


def test_other_events_have_their_payload_where_qtap_puts_it() -> None:
    process = events.Process(_ACTOR, "root", 0, "web-1", "0123456789abcdef")
    started = _payload(events.process_started(process, _TS, _TS))
    assert started["data"]["pid"] == 4242
    assert started["data"]["user"] == {"name": "root"}
    assert started["data"]["container"]["id"] == "0123456789ab"
    stopped = _payload(events.process_stopped(4242, _TS, _TS, _TS))
    assert set(stopped["data"]) == {"pid", "createdAt", "closedAt"}
    call = events.Grpc(_TS, "ingress", _ACTOR, "pkg.Svc", "Call", "r", "c", code=14)
    grpc = _payload(events.grpc(call, _TS))["data"]["data"]
    assert (grpc["path"], grpc["status"], grpc["grpcStatus"]) == ("/pkg.Svc/Call", 200, "14")
    statement = events.Statement(_TS, _ACTOR, "mysql", "SELECT 1", "r", "c")
    assert _payload(events.database(statement, _TS))["data"]["data"]["statement"] == "SELECT 1"
    assert _payload(wire.system_connected(None, _TS))["data"] == {"topics": None}


def test_the_local_process_of_an_ingress_connection_is_its_destination() -> None:
    process = events.Process(_ACTOR, "root", 0, "web-1")
    link = events.Connection(
        "c", "visitors", "ingress", process, ("10.0.0.1", 8080), ("203.0.113.9", 40000), _TS
    )
    opened = _payload(events.connection("connection.opened", link, _TS))["data"]["data"]
    assert opened["destination"]["exe"] == "/usr/bin/curl"
    assert "exe" not in opened["source"]
    assert "part" not in opened
    assert "finalized" not in opened
    closed = events.connection("connection.closed", link, _TS, part=3, closed=_TS)
    assert _payload(closed)["data"]["data"]["finalized"] is True

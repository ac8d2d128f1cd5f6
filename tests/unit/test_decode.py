"""The wire's traps, one by one: what a transaction becomes as a row."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from recorder.decode.events import Transaction, decode

TS = "2026-11-22T13:00:00.123456789+01:00"


def row(
    request: dict[str, Any], response: dict[str, Any] | None = None, **rest: Any
) -> Transaction:
    inner = {
        "request": {"method": "GET", "url": "https://a.example/x", **request},
        "response": response if response is not None else {"status": 200, "headers": {"A": "b"}},
        "transaction_time": TS,
        "metadata": {},
        **rest,
    }
    packed = base64.b64encode(json.dumps(inner).encode()).decode()
    data = json.dumps({"data": {"data": {"requestId": "outer", "data": packed}}, "ts": TS})
    decoded = decode("request.http_transaction", data)
    assert decoded.reason is None, decoded.reason
    tx = decoded.row
    assert isinstance(tx, Transaction)
    return tx


def test_422_without_response_headers_means_no_response() -> None:
    tx = row({}, {"status": 422}, duration_ms=12)
    assert tx.status is None
    assert tx.duration_ms is None


def test_a_real_422_stays() -> None:
    assert row({}, {"status": 422, "headers": {":status": "422"}}).status == 422


@pytest.mark.parametrize("status", [0, -1, 70000, None])
def test_a_status_that_is_none_is_no_response(status: int | None) -> None:
    assert row({}, {"status": status, "headers": {"A": "b"}}).status is None


def test_hosts_lose_case_default_port_and_userinfo() -> None:
    def host(authority: str, scheme: str) -> str | None:
        return row({"authority": authority, "scheme": scheme, "path": "/x"}).host

    assert host("API.Example.com:443", "https") == "api.example.com"
    assert host("api.example.com:8443", "https") == "api.example.com:8443"
    assert host("user:secret@api.example.com", "https") == "api.example.com"
    assert host("[::1]:80", "http") == "[::1]"


@pytest.mark.parametrize("host", ["shop.example:8443", "host", "shop.example"])
def test_a_name_and_password_before_a_host_are_kept_nowhere(host: str) -> None:
    """The scan would take `secret@shop.example` for an address, and the host with it."""
    sent = {":authority": f"u:secret@{host}", "Host": f"u:secret@{host}", "A": "b"}
    tx = row({"authority": f"u:secret@{host}", "scheme": "https", "path": "/x", "headers": sent})
    assert (tx.host, tx.authority) == (host, host)
    assert tx.req_headers == {":authority": host, "Host": host, "A": "b"}


def test_path_and_query_come_apart_and_the_url_fills_in() -> None:
    tx = row({"url": "https://api.example.com/v1/x?a=1&b=2"})
    assert (tx.host, tx.path, tx.query, tx.scheme) == (
        "api.example.com", "/v1/x", "a=1&b=2", "https",
    )  # fmt: skip


def test_process_ids_are_text_in_every_version() -> None:
    assert row({}, metadata={"process_id": 12}).process_id == "12"
    assert row({}, metadata={"process_id": "12"}).process_id == "12"


def test_the_trace_id_is_the_middle_of_traceparent() -> None:
    headers = {"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    assert row({"headers": headers}).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_times_are_utc_to_the_nearest_microsecond() -> None:
    assert row({}).ts == 1_795_348_800_123_457  # of .123456789


def test_a_negative_duration_is_none_and_the_request_id_falls_back() -> None:
    tx = row({}, duration_ms=-5)
    assert tx.duration_ms is None
    assert tx.request_id == "outer"


def test_a_time_far_from_the_broadcast_is_refused_with_the_reason() -> None:
    inner = {"request": {"method": "GET", "url": "https://a/x"},
             "transaction_time": "2020-01-01T00:00:00Z"}  # fmt: skip
    packed = base64.b64encode(json.dumps(inner).encode()).decode()
    decoded = decode(
        "request.http_transaction",
        json.dumps({"data": {"data": {"data": packed}}, "ts": "2026-11-22T13:00:00Z"}),
    )
    assert decoded.row is None
    assert "48 h" in str(decoded.reason)


@pytest.mark.parametrize("name", ["Grpc-Status", "grpc-status", "GRPC-STATUS"])
def test_a_grpc_status_in_an_answer_of_trailers_only_counts(name: str) -> None:
    headers = {":status": "200", name: "14"}
    response = {"status": 200, "content_type": "application/grpc+proto", "headers": headers}
    assert row({"path": "/shop.Cart/Add"}, response).grpc_status == "14"


def test_a_header_of_that_name_in_an_answer_that_is_no_grpc_is_a_header() -> None:
    response = {"status": 200, "content_type": "text/html", "headers": {"grpc-status": "x"}}
    assert row({}, response).grpc_status is None


@pytest.mark.parametrize(("name", "call"), [
    ("request.grpc", {"url": "https://shop/shop.Cart/Add", "status": 200}),
    ("request.database", {"databaseType": "redis", "statement": "PING"}),
])  # fmt: skip
@pytest.mark.parametrize(("duration", "expected"), [(0, None), (1, 1), (None, None), (-1, None)])
def test_a_duration_of_nothing_is_one_that_is_not_known(
    name: str, call: dict[str, Any], duration: int | None, expected: int | None
) -> None:
    event = {"data": {"data": {**call, "duration": duration}}, "ts": TS}
    decoded = decode(name, json.dumps(event))
    assert decoded.reason is None, decoded.reason
    made = decoded.row
    assert (made["duration_ms"] if isinstance(made, dict) else made.duration_ms) == expected

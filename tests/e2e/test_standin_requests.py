"""What a client asks of the stand-in: topics, filters, dialects, and the words of a refusal."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.standin.request import Refused, parse
from fixtures.standin.server import running
from tests.e2e.standin_client import (
    HTTP,
    PATH,
    document_of,
    events_of,
    lines_of,
    names_of,
    original,
    read,
)
from tests.kit import PATIENCE_S, wait_for
from tests.world import events
from tests.world.events import Connection, Statement
from tests.world.scenarios import START, write_stream
from tests.world.shop import SERVICES


def test_get_without_a_body_brings_the_default_topics(stream: Path) -> None:
    with running([stream]) as standin:
        events = read(standin, method="GET")
    assert events[0][1]["data"]["topics"] == {"connection": "*", "http": "*", "process": "*"}
    assert {"process.started", "connection.opened", "request.grpc"} <= names_of(events)


def test_topics_choose_what_comes(stream: Path) -> None:
    with running([stream], end="abrupt", clients=2, hold=True) as standin:
        lines = lines_of(standin)
        assert next(lines) == "event: system.connected"  # the first of the two
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            body = {"TOPICS": {"process": "*", "request": "*"}, "unknown": 1}
            with http.stream("POST", standin.url + PATH, json=body) as response:
                wait_for(lambda: standin.stats()["state"] == "quiet")
                standin.stop()
                events = events_of(response.read().decode())
    assert names_of(events) == {"system.connected", "process.started"}  # `request` is no topic


def test_the_snapshot_can_be_skipped(stream: Path) -> None:
    with running([stream]) as standin:
        events = read(standin, {"topics": {"process": "*"}, "skip_process_snapshot": True})
    assert "process.started" not in names_of(events)
    with running([stream]) as standin:
        events = read(standin, {"topics": {"process": '"nginx" == binary'}})
    assert [e["data"]["binary"] for n, e in events if n == "process.started"] == ["nginx"]


def test_the_older_dialect_echoes_a_list_and_knows_no_filter(stream: Path) -> None:
    with running([stream], qtap="0.13") as standin:
        events = read(standin, {"topics": {"http": "res.status == 1"}})
    assert events[0][1]["data"] == {"topics": None}
    assert {"request.http_transaction", "connection.opened", "process.started"} <= names_of(events)
    with running([stream], qtap="0.13") as standin:
        events = read(standin, {"filter_topics": ["request"], "topics": {"process": "*"}})
    assert events[0][1]["data"] == {"topics": ["request"]}
    assert "process.started" not in names_of(events)
    assert "request.http_transaction" in names_of(events)


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("res.status >= 400", lambda tx: tx["response"]["status"] >= 400),
        ('req.host == "api.stripe.com"', lambda tx: tx["request"]["authority"] == "api.stripe.com"),
        ("not (res.status >= 400)", lambda tx: tx["response"]["status"] >= 400),  # as Qtap does
        ('container.name == "payment-service"', lambda tx: False),
        ('req.path contains "/"', lambda tx: False),
        ("nope(req.host)", lambda tx: False),
    ],
)
def test_filters_are_evaluated_as_qtap_does(
    stream: Path, expression: str, passes: Callable[[Any], bool]
) -> None:
    with running([stream], keep_times=True) as standin:
        events = read(standin, {"topics": {"http": expression}})
    expected = [event for _, event in original(stream) if passes(document_of(event))]
    found = [event for name, event in events if name == "request.http_transaction"]
    assert found == expected


def test_calls_know_their_connection(tmp_path: Path) -> None:
    """Unlike transactions, gRPC calls and statements carry the fields of their connection."""
    service, ts = SERVICES["search-service"], START
    link = Connection("c" * 20, "redis", "egress-internal", service.process,
                      (service.ip, 40000), ("10.42.0.99", 6379), ts)  # fmt: skip
    made = [
        events.connection("connection.opened", link, ts),
        *(
            events.database(Statement(ts, service.process.actor, "redis", text, "r", where), ts)
            for text, where in (("GET a", "c" * 20), ("GET b", "d" * 20))
        ),
    ]
    write_stream(tmp_path / "calls.sse", made)
    with running([tmp_path / "calls.sse"]) as standin:
        answered = read(standin, {"topics": {"http": 'process.binary == "search"'}})
    calls = [event["data"]["data"] for name, event in answered if name == "request.database"]
    assert [item["statement"] for item in calls] == ["GET a"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"topics":{"http":"res.status = 5"}}', "err: parsing filter for topic http: syntax err"),
        (
            b'{"topics":{"http":" *"}}',
            "err: parsing filter for topic http: syntax error at line 1:",
        ),
        (b'{"topics":["http"]}', "cannot unmarshal array into Go struct field"),
        (b'{"topics":{"http":7}}', "cannot unmarshal number into Go struct field"),
        (b"nope", "err: reading request body: "),
        (b'{"topics":{"http":7}}', "APIEventsRequest.topics.http of type string"),
        (b'{"topics":', "err: reading request body: "),
        (b"[1]", "cannot unmarshal array into Go value"),
        (b"x" * (2 << 20), "err: reading request body: "),
    ],
)
def test_a_bad_request_gets_qtaps_words(stream: Path, body: bytes, words: str) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.post(standin.url + PATH, content=body)
        assert response.status_code == 400
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert words in response.text
        assert http.get(standin.url + "/stats").json()["state"] == "waiting"


def test_what_follows_the_first_value_of_a_body_is_ignored(stream: Path) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.post(standin.url + PATH, content=b'{"topics":{"process":""}} trailing')
    assert events_of(response.text)[0][1]["data"] == {"topics": {"process": ""}}


def test_a_topic_of_null_is_all_of_it(stream: Path) -> None:
    with running([stream]) as standin:
        events = read(standin, {"topics": {"http": None}})
    assert events[0][1]["data"] == {"topics": {"http": ""}}
    assert "request.http_transaction" in names_of(events)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "res.status = 404",
            "syntax error at line 1:12:\nres.status = 404\n           ^\n"
            'syntax error: unexpected symbol, expecting "&&" or "||"\n',
        ),
        ("n == 5 and", ":11:\nn == 5 and\n          ^\nsyntax error: unexpected $end\n"),
        ("(a", 'syntax error: unexpected $end, expecting "&&" or "||" or ")"\n'),
        ("a b = 5", ':4:\na b = 5\n   ^\nsyntax error: unexpected "field name", expecting "&&"'),
        ("starts_with(req.host)", ':22:\n'),
        ("starts_with(req.host)", 'function "starts_with" expects 2 arguments, got 1\n'),
        ("req.path =~ /(/", ":16:\n"),
        ("req.path =~ /(/", 'value "/(/": error parsing regexp: missing closing ): `('),
        ("n == 08", ':8:\n'),
        ("n == 08", 'parsing integer value "08": '),
        ('"ü" = 1', ":6:\n"),
    ],
)  # fmt: skip
def test_a_bad_filter_gets_rulekits_words(text: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(json.dumps({"topics": {"http": text}}).encode(), "0.14")
    assert str(caught.value).startswith("err: parsing filter for topic http: syntax error at line ")
    assert words in str(caught.value)
    assert "suggestion" not in str(caught.value)


def test_headers_are_qtaps_but_for_the_open_door(stream: Path) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        options = http.request("OPTIONS", standin.url + PATH)
        refused = http.post(standin.url + PATH, content=b"nope")
        streamed = http.post(standin.url + PATH, json=HTTP)
    assert "content-type" not in options.headers
    assert streamed.headers["connection"] == "keep-alive"
    for answer in (options, refused, streamed):
        assert "server" not in answer.headers
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "Content-Type"
        assert answer.headers["access-control-allow-origin"] == standin.url  # Qtap: *


def test_the_other_pages_answer(stream: Path) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        for path in ("/healthz", "/readyz", "/metrics", "/stats", "/devtools/"):
            assert http.get(standin.url + path).status_code == 200
        for path in ("/", "/devtools"):
            moved = http.get(standin.url + path)
            assert (moved.status_code, moved.headers["location"]) == (307, "/devtools/")
            assert "Temporary Redirect" in moved.text
        for path in (PATH + "/", "/devtools/api", "/nothing"):
            assert http.post(standin.url + path).status_code == 404
        answer = http.request("OPTIONS", standin.url + PATH)
        assert (answer.status_code, answer.content) == (200, b"")
        assert http.get(standin.url, headers={"Host": "evil.example"}).status_code == 400
        assert http.get(standin.url + "/stats").json()["clients"] == 0


def test_a_user_that_is_empty_is_there(tmp_path: Path) -> None:
    line = '{"data":{"pid":7,"binary":"b","user":{}},"ts":"2026-11-22T12:00:00Z"}'
    write_stream(tmp_path / "one.sse", [f"event: process.started\ndata: {line}\n\n".encode()])
    for expression, count in (("user", 1), ("hostname", 0)):
        with running([tmp_path / "one.sse"]) as standin:
            events = read(standin, {"topics": {"process": expression}})
        assert sum(name == "process.started" for name, _ in events) == count


def _call(url: str, request_id: str) -> bytes:
    data = {"requestId": request_id, "url": url, "path": "/pkg.Svc/Call", "method": "",
            "status": 200, "grpcStatus": "0"}  # fmt: skip
    document = {"data": {"data": data}, "ts": "2026-11-22T12:00:00Z"}
    text = json.dumps(document, separators=(",", ":"))
    return f"event: request.grpc\ndata: {text}\n\n".encode()


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ('req.method == ""', ["a", "b"]),
        ('req.host == ""', ["a"]),
        ('req.url == ""', ["a"]),
        ('req.host == "svc.example"', ["b"]),
        ('req.host == "svc.example:8443"', []),
        ('req.host != "httpbin.org"', ["a", "b"]),
        ("res.status == 200", ["a", "b"]),
    ],
)
def test_what_is_empty_of_a_grpc_call_is_there_and_its_host_has_no_port(
    tmp_path: Path, expression: str, passes: list[str]
) -> None:
    write_stream(tmp_path / "grpc.sse", [_call("", "a"), _call("https://svc.example:8443/x", "b")])
    with running([tmp_path / "grpc.sse"]) as standin:
        events = read(standin, {"topics": {"http": expression}})
    calls = [event["data"]["data"] for name, event in events if name == "request.grpc"]
    assert [call["requestId"] for call in calls] == passes


def test_artifacts_come_where_they_are_asked_for_and_no_filter_matches_them(
    tmp_path: Path,
) -> None:
    started = "2026-11-22T12:00:00Z"
    inner = json.dumps({"transaction_time": started}, separators=(",", ":")).encode()
    data = {"requestId": "r", "type": "grpc_transaction", "data": base64.b64encode(inner).decode()}
    document = {"data": {"data": data}, "ts": started}
    text = json.dumps(document, separators=(",", ":"))
    frame = f"event: artifact.created\ndata: {text}\n\n".encode()
    write_stream(tmp_path / "artifact.sse", [frame])
    found = {}
    for expression in ("*", 'req.host != "x"', None):
        with running([tmp_path / "artifact.sse"]) as standin:
            body = {"topics": {"artifact": expression}} if expression else None
            events = [event for name, event in read(standin, body) if name == "artifact.created"]
        found[expression] = events
    assert [len(events) for events in found.values()] == [1, 0, 0]
    assert document_of(found["*"][0])["transaction_time"] == found["*"][0]["ts"] != started

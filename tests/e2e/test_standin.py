"""The stand-in over real HTTP: it behaves as Qtap does, also where Qtap is unkind."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.files import bundled_stream
from fixtures.standin.hub import Hub
from fixtures.standin.producer import Plan
from fixtures.standin.request import Refused, parse
from fixtures.standin.server import Standin, running
from store.errors import UnavailableError, UsageError
from tests.kit import PATIENCE_S, wait_for
from tests.world import events
from tests.world.events import Connection, Statement
from tests.world.incidents import QUIET
from tests.world.scenarios import START, frames, scenario, write_stream
from tests.world.shop import SERVICES
from tests.world.xids import xid_seconds

_PATH = "/devtools/api/events"
_HTTP = {"topics": {"http": "*"}}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "small.sse"
    write_stream(path, frames(QUIET, requests=300))
    return path


def _read(standin: Standin, body: Any = None, method: str = "POST") -> list[tuple[str, Any]]:
    """All events of one subscription, as (name, JSON)."""
    content = b"" if body is None else json.dumps(body).encode()
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.request(method, standin.url + _PATH, content=content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    return _events(response.text)


def _events(text: str) -> list[tuple[str, Any]]:
    events = []
    for frame in text.split("\n\n")[:-1]:
        name, data = frame.split("\n", 1)
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def _lines(standin: Standin) -> Iterator[str]:
    with (
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
        http.stream("POST", standin.url + _PATH, json=_HTTP) as response,
    ):
        yield from response.iter_lines()


def _inner(event: Any) -> Any:
    return json.loads(base64.b64decode(event["data"]["data"]["data"]))


def _names(events: list[tuple[str, Any]]) -> set[str]:
    return {name for name, _ in events}


def _original(stream: Path, name: str = "request.http_transaction") -> list[tuple[str, Any]]:
    return [pair for pair in _events(stream.read_text()) if pair[0] == name]


def test_a_healthy_client_loses_nothing(stream: Path) -> None:
    with running([stream], keep_times=True, end="announce") as standin:
        events = _read(standin, _HTTP)
    assert [pair for pair in events if pair[0] == "request.http_transaction"] == _original(stream)
    assert events[0][0] == "system.connected"
    assert events[0][1]["data"] == {"topics": {"http": "*"}}
    assert events[-1][0] == "system.disconnected"
    stats = standin.stats()
    assert stats["dropped"] == 0
    assert stats["sent"] == len(events) - 2
    assert stats["sent"] + stats["subscriptions"][0]["filtered"] == stats["produced"]


def test_get_without_a_body_brings_the_default_topics(stream: Path) -> None:
    with running([stream]) as standin:
        events = _read(standin, method="GET")
    assert events[0][1]["data"]["topics"] == {"connection": "*", "http": "*", "process": "*"}
    assert {"process.started", "connection.opened", "request.grpc"} <= _names(events)


def test_topics_choose_what_comes(stream: Path) -> None:
    with running([stream], end="abrupt", clients=2, hold=True) as standin:
        lines = _lines(standin)
        assert next(lines) == "event: system.connected"  # the first of the two
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            body = {"TOPICS": {"process": "*", "request": "*"}, "unknown": 1}
            with http.stream("POST", standin.url + _PATH, json=body) as response:
                wait_for(lambda: standin.stats()["state"] == "quiet")
                standin.stop()
                events = _events(response.read().decode())
    assert _names(events) == {"system.connected", "process.started"}  # `request` is no topic


def test_the_snapshot_can_be_skipped(stream: Path) -> None:
    with running([stream]) as standin:
        events = _read(standin, {"topics": {"process": "*"}, "skip_process_snapshot": True})
    assert "process.started" not in _names(events)
    with running([stream]) as standin:
        events = _read(standin, {"topics": {"process": '"nginx" == binary'}})
    assert [e["data"]["binary"] for n, e in events if n == "process.started"] == ["nginx"]


def test_the_older_dialect_echoes_a_list_and_knows_no_filter(stream: Path) -> None:
    with running([stream], qtap="0.13") as standin:
        events = _read(standin, {"topics": {"http": "res.status == 1"}})
    assert events[0][1]["data"] == {"topics": None}
    assert {"request.http_transaction", "connection.opened", "process.started"} <= _names(events)
    with running([stream], qtap="0.13") as standin:
        events = _read(standin, {"filter_topics": ["request"], "topics": {"process": "*"}})
    assert events[0][1]["data"] == {"topics": ["request"]}
    assert "process.started" not in _names(events)
    assert "request.http_transaction" in _names(events)


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
        events = _read(standin, {"topics": {"http": expression}})
    expected = [event for _, event in _original(stream) if passes(_inner(event))]
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
        answered = _read(standin, {"topics": {"http": 'process.binary == "search"'}})
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
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
        (b'{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b'{"a":"\\q"}', "invalid character 'q' in string escape code"),
        (b'{"topics":{"http":7}}', "APIEventsRequest.topics.http of type string"),
        (b'{"topics":', "err: reading request body: unexpected EOF"),
        (b"[1]", "cannot unmarshal array into Go value"),
        (b"x" * (2 << 20), "err: reading request body: "),
    ],
)
def test_a_bad_request_gets_qtaps_words(stream: Path, body: bytes, words: str) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.post(standin.url + _PATH, content=body)
        assert response.status_code == 400
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert words in response.text
        assert http.get(standin.url + "/stats").json()["state"] == "waiting"


def test_what_follows_the_first_value_of_a_body_is_ignored(stream: Path) -> None:
    with running([stream]) as standin, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
        response = http.post(standin.url + _PATH, content=b'{"topics":{"process":""}} trailing')
    assert _events(response.text)[0][1]["data"] == {"topics": {"process": ""}}


def test_a_topic_of_null_is_all_of_it(stream: Path) -> None:
    with running([stream]) as standin:
        events = _read(standin, {"topics": {"http": None}})
    assert events[0][1]["data"] == {"topics": {"http": ""}}
    assert "request.http_transaction" in _names(events)


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
        options = http.request("OPTIONS", standin.url + _PATH)
        refused = http.post(standin.url + _PATH, content=b"nope")
        streamed = http.post(standin.url + _PATH, json=_HTTP)
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
        for path in (_PATH + "/", "/devtools/api", "/nothing"):
            assert http.post(standin.url + path).status_code == 404
        answer = http.request("OPTIONS", standin.url + _PATH)
        assert (answer.status_code, answer.content) == (200, b"")
        assert http.get(standin.url, headers={"Host": "evil.example"}).status_code == 421
        assert http.get(standin.url + "/stats").json()["clients"] == 0


def test_who_does_not_read_loses_events_and_nobody_else_does() -> None:
    options: Any = {"clients": 2, "patience": 2.0, "keep_times": True, "end": "abrupt"}
    with running([bundled_stream("quiet")], **options) as standin:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", standin.port))
        deaf.sendall(f"GET {_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for(lambda: standin.stats()["clients"] == 1)
        events = _read(standin, _HTTP)
        deaf.close()
    healthy, lost = standin.stats()["subscriptions"][::-1], standin.stats()["dropped"]
    by_reading = sorted(healthy, key=lambda entry: int(entry["dropped"]))
    assert by_reading[0]["dropped"] == 0
    assert by_reading[0]["sent"] == len(events) - 1
    assert by_reading[1]["dropped"] == lost > 1000


def test_times_are_moved_so_that_the_last_event_is_now(stream: Path) -> None:
    begin = datetime.now(UTC)
    with running([stream], end="announce") as standin:
        events = _read(standin, _HTTP)
    now = datetime.now(UTC)
    times = [datetime.fromisoformat(event["ts"]) for _, event in events]
    assert max(times) <= now
    assert begin - times[-2] < timedelta(seconds=60)
    span = (times[-1] - times[0]).total_seconds()
    assert 7190 < span < 7260  # the first frame carries the time at which the stream begins
    originals = _original(stream)
    moved = [event for name, event in events if name == "request.http_transaction"]
    shifts = set()
    for (_, before), after in zip(originals, moved, strict=True):
        old, new = _inner(before), _inner(after)
        ended = datetime.fromisoformat(new["transaction_time"])
        shift = (ended - datetime.fromisoformat(old["transaction_time"])).total_seconds()
        ids = old["request"]["request_id"], new["request"]["request_id"]
        assert xid_seconds(ids[1]) - xid_seconds(ids[0]) == shift
        assert after["data"]["data"]["requestId"] == ids[1]
        assert old["transaction_time"][19:] == new["transaction_time"][19:]
        assert old["response"] == new["response"]
        shifts.add(shift)
    assert len(shifts) == 1


def test_a_loop_goes_on_with_later_times_and_other_ids(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.sse"
    some = [f for f in frames(QUIET, requests=300) if f.startswith(b"event: request.http")][:3]
    write_stream(tiny, some)
    with running([tiny], loop=True, keep_times=True) as standin:
        seen = []
        for line in _lines(standin):
            if line.startswith("data: ") and '"requestId"' in line:
                seen.append(_inner(json.loads(line[6:])))
            if len(seen) == 9:
                break
    ids = [document["request"]["request_id"] for document in seen]
    assert len(set(ids)) == 9
    times = [document["transaction_time"] for document in seen]
    assert times == sorted(times)


def test_at_a_pace_nothing_comes_from_the_future(stream: Path) -> None:
    with running([stream], speed=14_400.0) as standin:  # two hours in half a second
        for line in _lines(standin):
            if line.startswith("data: "):
                ts = datetime.fromisoformat(json.loads(line[6:])["ts"])
                assert ts <= datetime.now(UTC)
    assert standin.stats()["produced"] > 300


def test_held_open_it_stays_quiet_until_stopped(stream: Path) -> None:
    with running([stream], hold=True, end="announce") as standin:
        lines = _lines(standin)
        assert next(lines) == "event: system.connected"
        rest = iter(lines)
        wait_for(lambda: next(rest, "") != "" and standin.stats()["state"] == "quiet")
        before = datetime.now(UTC)
        late = _lines(standin)
        assert next(late) == "event: system.connected"
        connected = datetime.fromisoformat(json.loads(next(late)[6:])["ts"])
        assert before <= connected <= datetime.now(UTC)
        standin.stop()
        assert [line for line in late if line.startswith("event")] == ["event: system.disconnected"]
        assert [line for line in rest if line.startswith("event")][-1] == (
            "event: system.disconnected"
        )


def test_it_says_good_bye_unless_told_otherwise(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.sse"
    write_stream(tiny, list(frames(QUIET, requests=20))[-2:-1])
    with running([tiny]) as standin:
        assert "system.disconnected" in _names(_read(standin))
    with running([tiny], end="abrupt") as standin:
        assert "system.disconnected" not in _names(_read(standin))


def test_who_is_still_reading_when_it_is_stopped_loses_what_waits() -> None:
    hub = Hub()
    client = hub.subscribe(parse(b"", "0.14"))
    client.offer(b"event: request.created\n\n")
    hub.end_streams(announce=True, drop=True)
    last = asyncio.run(client.take())
    assert last is not None
    assert last.startswith(b"event: system.disconnected\n")
    assert client.buffered == 0


def test_a_snapshot_of_many_processes_breaks_off_in_silence(tmp_path: Path) -> None:
    """The real server delivered 101 to 216 of 300."""
    told = [
        f'event: process.started\ndata: {{"data":{{"pid":{pid},"binary":"b"}},'
        f'"ts":"2026-11-22T12:00:00Z"}}\n\n'
        for pid in range(1, 301)
    ]
    write_stream(tmp_path / "many.sse", [text.encode() for text in told])
    with running([tmp_path / "many.sse"], speed=1.0) as standin:
        events = _read(standin, {"topics": {"process": "*"}})
    assert 100 < sum(name == "process.started" for name, _ in events) < 217


def test_a_user_that_is_empty_is_there(tmp_path: Path) -> None:
    line = '{"data":{"pid":7,"binary":"b","user":{}},"ts":"2026-11-22T12:00:00Z"}'
    write_stream(tmp_path / "one.sse", [f"event: process.started\ndata: {line}\n\n".encode()])
    for expression, count in (("user", 1), ("hostname", 0)):
        with running([tmp_path / "one.sse"]) as standin:
            events = _read(standin, {"topics": {"process": expression}})
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
        events = _read(standin, {"topics": {"http": expression}})
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
            events = [event for name, event in _read(standin, body) if name == "artifact.created"]
        found[expression] = events
    assert [len(events) for events in found.values()] == [1, 0, 0]
    assert _inner(found["*"][0])["transaction_time"] == found["*"][0]["ts"] != started


def test_a_hostile_stream_passes_through_as_it_is() -> None:
    path = bundled_stream("hostile")
    with (
        running([path], qtap="0.13", keep_times=True, end="announce") as standin,
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
    ):
        served = http.get(standin.url + _PATH).content
    expected = b"".join(frames(scenario("hostile")))
    same = served.partition(b"\n\n")[2] == expected.partition(b"\n\n")[2]
    assert same  # 40 MB: pytest must not try to show the difference


def test_a_hostile_stream_can_be_moved() -> None:
    with (
        running([bundled_stream("hostile")]) as standin,
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
    ):
        served = http.post(standin.url + _PATH, json=_HTTP).content
    assert served.endswith(b'"requestId":"d3t5')
    assert len(served) > 30_000_000


def test_a_cut_connection_breaks_and_the_next_one_works(stream: Path) -> None:
    with running([stream], hold=True) as standin:
        lines = _lines(standin)
        assert next(lines) == "event: system.connected"
        wait_for(lambda: standin.stats()["state"] == "quiet")
        standin.cut()
        with pytest.raises(httpx.TransportError):
            list(lines)
        wait_for(lambda: standin.stats()["clients"] == 0)
        again = _lines(standin)
        assert next(again) == "event: system.connected"
        standin.stop()
        list(again)


def test_a_port_in_use_is_told_with_a_way_out(stream: Path) -> None:
    with running([stream]) as standin, pytest.raises(UnavailableError) as caught:
        Standin(Plan((stream,), port=standin.port))
    assert "in use" in caught.value.message
    assert "--port" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [{"host": "0.0.0.0"}, {"host": "example.org"}, {"speed": 0}, {"speed": -1.0}, {"qtap": "0.9"}],
)
def test_what_makes_no_sense_is_refused(stream: Path, options: Any) -> None:
    with pytest.raises(UsageError):
        Standin(Plan((stream,), **{"port": 0, **options}))


def test_files_that_cannot_be_served_are_told(stream: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.sse").write_bytes(b"")
    packed = bundled_stream("quiet").read_bytes()
    (tmp_path / "cut.sse.gz").write_bytes(packed[: len(packed) // 2])
    for name in ("missing.sse", "empty.sse", "cut.sse.gz"):
        with pytest.raises(UnavailableError) as caught:
            Standin(Plan((tmp_path / name,), port=0))
        assert name in caught.value.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_good_order(stream: Path, number: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from fixtures.standin.producer import Plan\n"
        "from fixtures.standin.server import serve\n"
        "plan = Plan((Path(sys.argv[1]),), port=0, hold=True)\n"
        "serve(plan, lambda port: print(port, flush=True))\n"
        "print('done')"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(stream)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stdout.readline())
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            url = f"http://127.0.0.1:{port}{_PATH}"
            with http.stream("POST", url, json=_HTTP) as response:
                next(response.iter_raw())
                process.send_signal(number)
                assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read() == b"done\n"
        assert process.stderr.read() == b""

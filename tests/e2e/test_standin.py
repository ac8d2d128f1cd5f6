"""The stand-in over real HTTP: it behaves as Qtap does, also where Qtap is unkind."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures import bundled_stream
from fixtures.standin.hub import Hub, Plan
from fixtures.standin.request import parse
from fixtures.standin.server import Standin, running
from store.errors import UnavailableError, UsageError
from tests.e2e.standin_client import (
    HTTP,
    PATH,
    document_of,
    lines_of,
    names_of,
    original,
    read,
)
from tests.kit import PATIENCE_S, wait_for
from tests.world.incidents import QUIET
from tests.world.scenarios import frames, scenario, write_stream
from tests.world.xids import xid_seconds


def test_a_healthy_client_loses_nothing(stream: Path) -> None:
    with running([stream], keep_times=True, end="announce") as standin:
        events = read(standin, HTTP)
    assert [pair for pair in events if pair[0] == "request.http_transaction"] == original(stream)
    assert events[0][0] == "system.connected"
    assert events[0][1]["data"] == {"topics": {"http": "*"}}
    assert events[-1][0] == "system.disconnected"
    stats = standin.stats()
    assert stats["dropped"] == 0
    assert stats["sent"] == len(events) - 2
    assert stats["sent"] + stats["subscriptions"][0]["filtered"] == stats["produced"]


def test_who_does_not_read_loses_events_and_nobody_else_does() -> None:
    options: Any = {"clients": 2, "patience": 2.0, "keep_times": True, "end": "abrupt"}
    with running([bundled_stream("quiet")], **options) as standin:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", standin.port))
        deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for(lambda: standin.stats()["clients"] == 1)
        events = read(standin, HTTP)
        deaf.close()
    healthy, lost = standin.stats()["subscriptions"][::-1], standin.stats()["dropped"]
    by_reading = sorted(healthy, key=lambda entry: int(entry["dropped"]))
    assert by_reading[0]["dropped"] == 0
    assert by_reading[0]["sent"] == len(events) - 1
    assert by_reading[1]["dropped"] == lost > 1000


def test_times_are_moved_so_that_the_last_event_is_now(stream: Path) -> None:
    begin = datetime.now(UTC)
    with running([stream], end="announce") as standin:
        events = read(standin, HTTP)
    now = datetime.now(UTC)
    times = [datetime.fromisoformat(event["ts"]) for _, event in events]
    assert max(times) <= now
    assert begin - times[-2] < timedelta(seconds=60)
    span = (times[-1] - times[0]).total_seconds()
    assert 7190 < span < 7260  # the first frame carries the time at which the stream begins
    originals = original(stream)
    moved = [event for name, event in events if name == "request.http_transaction"]
    shifts = set()
    for (_, before), after in zip(originals, moved, strict=True):
        old, new = document_of(before), document_of(after)
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
        for line in lines_of(standin):
            if line.startswith("data: ") and '"requestId"' in line:
                seen.append(document_of(json.loads(line[6:])))
            if len(seen) == 9:
                break
    ids = [document["request"]["request_id"] for document in seen]
    assert len(set(ids)) == 9
    times = [document["transaction_time"] for document in seen]
    assert times == sorted(times)


def test_at_a_pace_nothing_comes_from_the_future(stream: Path) -> None:
    with running([stream], speed=14_400.0) as standin:  # two hours in half a second
        for line in lines_of(standin):
            if line.startswith("data: "):
                ts = datetime.fromisoformat(json.loads(line[6:])["ts"])
                assert ts <= datetime.now(UTC)
    assert standin.stats()["produced"] > 300


def test_held_open_it_stays_quiet_until_stopped(stream: Path) -> None:
    with running([stream], hold=True, end="announce") as standin:
        lines = lines_of(standin)
        assert next(lines) == "event: system.connected"
        rest = iter(lines)
        wait_for(lambda: next(rest, "") != "" and standin.stats()["state"] == "quiet")
        before = datetime.now(UTC)
        late = lines_of(standin)
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
        assert "system.disconnected" in names_of(read(standin))
    with running([tiny], end="abrupt") as standin:
        assert "system.disconnected" not in names_of(read(standin))


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
        events = read(standin, {"topics": {"process": "*"}})
    assert 100 < sum(name == "process.started" for name, _ in events) < 217


def test_a_hostile_stream_passes_through_as_it_is() -> None:
    path = bundled_stream("hostile")
    with (
        running([path], qtap="0.13", keep_times=True, end="announce") as standin,
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
    ):
        served = http.get(standin.url + PATH).content
    expected = b"".join(frames(scenario("hostile")))
    same = served.partition(b"\n\n")[2] == expected.partition(b"\n\n")[2]
    assert same  # 40 MB: pytest must not try to show the difference


def test_a_hostile_stream_can_be_moved() -> None:
    with (
        running([bundled_stream("hostile")]) as standin,
        httpx.Client(trust_env=False, timeout=PATIENCE_S) as http,
    ):
        served = http.post(standin.url + PATH, json=HTTP).content
    assert served.endswith(b'"requestId":"d3t5')
    assert len(served) > 30_000_000


def test_a_cut_connection_breaks_and_the_next_one_works(stream: Path) -> None:
    with running([stream], hold=True) as standin:
        lines = lines_of(standin)
        assert next(lines) == "event: system.connected"
        wait_for(lambda: standin.stats()["state"] == "quiet")
        standin.cut()
        with pytest.raises(httpx.TransportError):
            list(lines)
        wait_for(lambda: standin.stats()["clients"] == 0)
        again = lines_of(standin)
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
    [{"speed": 0}, {"speed": -1.0}, {"qtap": "0.9"}],
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
        "import sys; from pathlib import Path; from fixtures.standin.hub import Plan\n"
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
            url = f"http://127.0.0.1:{port}{PATH}"
            with http.stream("POST", url, json=HTTP) as response:
                next(response.iter_raw())
                process.send_signal(number)
                assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read() == b"done\n"
        assert process.stderr.read() == b""

"""A source that refuses, hangs, breaks off, floods or lies costs at most what it did not send."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest

from recorder.decode.events import OVERSIZED
from recorder.options import Status
from recorder.pipeline import frames
from recorder.pipeline.frames import Options
from recorder.pipeline.reader import Reader
from recorder.source.blocks import EVENT_LIMIT, whole_events
from recorder.source.request import PATH, Subscription
from recorder.source.subscription import answers, hang_up
from store.coverage import read_stretches
from store.errors import UnavailableError, UsageError
from store.layout import Store
from tests.fault.scripted import HEAD, answer, run, source, staying, stream
from tests.kit import (
    NOON,
    PATIENCE_S,
    Desk,
    S,
    connected,
    frame,
    stamp,
    transaction,
    visible_ids,
    wait_for,
)

NOW = int(time.time()) * S


def event(name: str, after: int = 0) -> bytes:
    return frame(transaction(name, NOW + after * S))


def hello() -> bytes:
    return frame(connected(NOW))


def states(store: Path) -> list[str]:
    opened = Store.open(store)
    rows = []
    for hour in opened.hours("coverage"):
        rows += read_stretches(opened.sealed_hour("coverage", hour) / "r.parquet")
    return [row.state for row in rows]


def test_a_refused_connection_at_the_start_is_said_with_the_address(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9") as caught:
        run("http://127.0.0.1:9", tmp_path / "s", lambda s: False)
    assert "--wait" in caught.value.hint


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "503 not ready"])
def test_an_http_error_at_the_start_ends_with_what_was_said(status: str, tmp_path: Path) -> None:
    with source(answer(status)) as bad, pytest.raises(UnavailableError, match=status[:3]):
        run(bad.url, tmp_path / "s", lambda s: False)


def test_waiting_goes_through_errors_until_the_stream_is_there(tmp_path: Path) -> None:
    starting = [answer("404 Not Found"), answer("503 not ready"), staying(hello(), event("a"))]
    with source(*starting) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 1, wait=True)
    assert visible_ids(tmp_path / "s") == ["a"]


def test_a_bad_filter_is_the_users_error_and_tells_what_qtap_said(tmp_path: Path) -> None:
    said = (
        "err: parsing filter for topic http: syntax error at line 1:12:\nsyntax error: unexpected"
    )
    with source(answer("400 Bad Request", said)) as qtap, pytest.raises(UsageError) as caught:
        run(
            qtap.url, tmp_path / "s", lambda s: False,
            filter="res.status >= 400", wait=True, push="all",
        )  # fmt: skip
    assert "line 1:12" in caught.value.message


def test_a_source_that_does_not_take_the_filter_is_recorded_in_full_and_filtered_here(
    tmp_path: Path,
) -> None:
    said = answer("400 Bad Request", "err: parsing filter for topic http")
    good = staying(hello(), event("good"), frame(transaction("bad", NOW, status=500)))

    def choosy(client: socket.socket) -> None:
        (said if b"res.status" in qtap.subscriptions[-1] else good)(client)

    with source(choosy) as qtap:
        _, listener = run(
            qtap.url, tmp_path / "s", lambda s: s.written >= 1, filter="res.status >= 400"
        )
    assert visible_ids(tmp_path / "s") == ["bad"]
    assert any("parsing filter" in note for note in listener.notes)


def test_events_that_lack_a_field_of_the_filter_are_told_of_once(tmp_path: Path) -> None:
    """The exclusion that everybody writes, and a process outside of any container."""
    kind, data = transaction("host", NOW)
    outer = json.loads(data)
    inner = json.loads(base64.b64decode(outer["data"]["data"]["data"]))
    del inner["metadata"]["container_name"]
    outer["data"]["data"]["data"] = base64.b64encode(json.dumps(inner).encode()).decode()
    outside = frame((kind, json.dumps(outer))) * 3
    with source(staying(hello(), outside, event("web"))) as qtap:
        _, listener = run(
            qtap.url, tmp_path / "s", lambda s: s.written >= 1, filter='container.name != "noisy"'
        )
    assert listener.last is not None
    assert (listener.last.filtered, listener.last.filter_errors) == (3, 3)
    assert sum("an event lacks" in note for note in listener.notes) == 1


def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for_without_end(tmp_path: Path) -> None:
    def dribble(client: socket.socket) -> None:
        for byte in HEAD * 3:
            client.sendall(bytes([byte]))
            time.sleep(0.1)

    with (
        source(dribble) as slow,
        pytest.raises(UnavailableError, match="no answer in time"),
    ):
        run(slow.url, tmp_path / "s", lambda s: False, headers_s=1.0)


def test_a_line_without_end_is_a_broken_stream_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recorder.source.blocks._SKIPPING_S", 0.0)
    chunks = [b"data: 1\n\n", b"x" * 101, b"x", b"x"]
    blocks = whole_events(chunks, limit=100)
    assert [next(blocks), next(blocks)] == [chunks[0], f"event: {OVERSIZED}\n\n".encode()]
    with pytest.raises(ValueError, match="has no end"):
        next(blocks)


def pauses(
    url: str, lived: float, up: bool, kind: str, monkeypatch: pytest.MonkeyPatch, count: int = 3
) -> list[float]:
    """The longest pauses between connections that all end alike."""
    reader = Reader(Options(Subscription(url)), io.BytesIO())
    clock, waited = [0.0], list[float]()

    def connection() -> tuple[bool, str, str]:
        clock[0] += lived
        return up, kind, "it ended"

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == count:
            reader._stopping.set()

    monkeypatch.setattr("recorder.pipeline.reader.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("recorder.pipeline.reader.random.uniform", lambda _, most: most)
    monkeypatch.setattr(reader, "_read_once", connection)
    monkeypatch.setattr(reader._stopping, "wait", wait)
    reader._read_forever()
    return waited


@pytest.mark.parametrize(
    ("lived", "expected"), [(0.0, [0.25, 0.5, 1.0]), (31.0, [0.25, 0.25, 0.25])]
)
def test_a_connection_must_live_for_a_while_to_set_the_pause_back(
    lived: float, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pauses("http://127.0.0.1:9", lived, True, "ended", monkeypatch) == expected


@pytest.mark.parametrize(
    ("url", "kind", "longest"),
    [
        ("http://localhost:9", "refused", 1.0),
        ("http://[::1]:9", "refused", 1.0),
        ("http://10.0.0.7:9", "refused", 15.0),
        ("http://localhost:9", "status", 15.0),
    ],
)
def test_a_source_of_this_host_that_starts_again_is_not_waited_for_long(
    url: str, kind: str, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(pauses(url, 0.0, False, kind, monkeypatch, count=20)) == longest


def test_a_storm_of_connections_is_told_as_it_was(tmp_path: Path) -> None:
    """The pause between them grows, so that there are not many of them in an hour."""
    ledger = Desk(tmp_path / "s").ledger
    for second in range(500):
        ledger.connected(NOON + second * S, second * S)
        ledger.count("events")
        ledger.lost("the source ended the stream", second * S + S // 2)
    ledger.flush()
    rows = [row for path in (tmp_path / "s" / "coverage").glob("*/*.parquet")
            for row in read_stretches(path)]  # fmt: skip
    assert sum(row.events for row in rows) == 500
    assert all(a.to_ts == b.from_ts for a, b in pairwise(rows))


def test_what_is_no_event_stream_is_refused(tmp_path: Path) -> None:
    page = answer("200 OK", "<html>", "text/html")
    with source(page) as web, pytest.raises(UnavailableError, match="text/html"):
        run(web.url, tmp_path / "s", lambda s: False)


def test_a_source_that_ends_after_each_event_loses_none(tmp_path: Path) -> None:
    scripts = [stream(hello(), event(f"e{n}", n)) for n in range(4)]
    with source(*scripts, staying(hello())) as flapping:
        summary, _ = run(flapping.url, tmp_path / "s", lambda s: s.written >= 4)
    assert visible_ids(tmp_path / "s") == ["e0", "e1", "e2", "e3"]
    assert summary.gaps >= 4
    assert states(tmp_path / "s").count("disconnected") >= 3


def test_half_an_event_is_not_an_event(tmp_path: Path) -> None:
    half = event("lost")[:-40]
    with source(stream(hello(), event("kept"), half), staying(hello(), event("next", 1))) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 2)
    assert visible_ids(tmp_path / "s") == ["kept", "next"]


def test_one_byte_at_a_time_is_slow_and_right(tmp_path: Path) -> None:
    def dribble(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(HEAD)
        for byte in hello() + event("a"):
            client.sendall(bytes([byte]))

    with source(dribble, staying(hello())) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 1)
    assert visible_ids(tmp_path / "s") == ["a"]


def test_a_line_without_end_is_cut_counted_and_skipped(tmp_path: Path) -> None:
    def huge(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + b"event: request.http_transaction\ndata: ")
        for _ in range((EVENT_LIMIT >> 20) + 20):
            client.sendall(b"x" * (1 << 20))
        client.sendall(b"\n\n" + event("after"))

    with source(huge, staying(hello())) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", lambda s: s.written >= 1)
    assert visible_ids(tmp_path / "s") == ["after"]
    assert listener.last is not None
    assert listener.last.rejected == 1


def test_a_silent_source_that_answers_is_quiet_not_deaf(tmp_path: Path) -> None:
    since: list[float] = []

    def for_two_seconds(status: Status) -> bool:
        if status.state == "receiving":
            since.append(time.monotonic())
        return bool(since) and since[-1] - since[0] > 2

    with source(staying(hello())) as quiet:
        run(quiet.url, tmp_path / "s", for_two_seconds, probe_after_s=0.5)
    rows = states(tmp_path / "s")
    assert "disconnected" not in rows


@pytest.mark.parametrize("again", ["stream", "refusal"])
def test_a_stream_that_was_silent_for_long_is_subscribed_to_anew(
    again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy keeps it open, and answers every question whether the source lives."""
    monkeypatch.setattr("recorder.pipeline.reader._ANEW_S", 0.3)
    second = staying(hello() + event("b", 1)) if again == "stream" else answer("502 Bad Gateway")
    with source(staying(hello(), event("a")), second) as proxy:
        reader = Reader(Options(Subscription(proxy.url, probe_after_s=0.2)), io.BytesIO())
        threads = [threading.Thread(target=work) for work in (reader._watch, reader._read_forever)]
        for thread in threads:
            thread.start()
        taken: list[object] = []

        def came(condition: Callable[[object], bool]) -> bool:
            while len(reader.queue):
                taken.append(reader.queue.take())
            return any(map(condition, taken))

        def is_b(entry: object) -> bool:
            return isinstance(entry, tuple) and b'"b"' in entry[0][-1].data

        try:
            if again == "stream":
                wait_for(lambda: came(is_b))
                assert not came(lambda entry: isinstance(entry, frames.Down))
                blocks = [entry[0] for entry in taken if isinstance(entry, tuple)]
                data = b"".join(piece.data for pieces in blocks for piece in pieces)
                assert data == hello() + event("a") + event("b", 1)
            else:
                wait_for(lambda: came(lambda entry: getattr(entry, "kind", "") == "dead"))
            assert len(proxy.subscriptions) >= 2
        finally:
            reader._stopping.set()
            if reader._response is not None:
                hang_up(reader._response)
            for thread in threads:
                thread.join(PATIENCE_S)


def test_an_answer_without_end_to_whether_it_lives_is_not_read() -> None:
    sent = [0]

    def endless(client: socket.socket) -> None:
        client.sendall(HEAD)
        while True:
            sent[0] += client.send(b"x" * (1 << 16))

    with source(endless) as qtap:
        assert answers(qtap.url, PATH, 2.0)
    assert sent[0] < 32 << 20  # what the sockets hold


def test_another_version_after_a_restart_is_noticed(tmp_path: Path) -> None:
    old = frame(("system.connected", '{"data":{"topics":null},"ts":"2026-11-22T12:00:00Z"}'))
    with source(stream(hello(), event("a")), staying(old, event("b", 1))) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", lambda s: s.written >= 2)
    assert any("0.14 or newer" in note for note in listener.notes)
    assert any("before 0.14" in note for note in listener.notes)


def test_a_flood_of_snapshots_on_each_connect_hides_no_transaction(tmp_path: Path) -> None:
    flood = frame(("process.started", f'{{"data":{{"pid":1}},"ts":"{stamp(NOW)}"}}')) * 20_000
    with source(stream(hello(), flood, event("a")), staying(hello(), flood, event("b", 1))) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 2)
    assert visible_ids(tmp_path / "s") == ["a", "b"]


def test_one_body_serves_both_dialects(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 1)
        asked = qtap.subscriptions[0]
    assert b'"topics"' in asked
    assert b'"filter_topics"' in asked
    assert b'"artifact":"*"' in asked.replace(b" ", b"")  # with more of gRPC calls, where sent
    assert b'"skip_process_snapshot":true' in asked


def test_a_name_and_password_in_the_address_are_sent(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        run(qtap.url.replace("//", "//u:p%40@"), tmp_path / "s", lambda s: s.written >= 1)
    assert b"authorization: basic dtpwqa==" in qtap.subscriptions[0].lower()


def test_a_source_that_never_answers_is_given_up_on(tmp_path: Path) -> None:
    with (
        source(staying_mute) as mute,
        pytest.raises(UnavailableError, match="no answer in time"),
    ):
        run(mute.url, tmp_path / "s", lambda s: False, headers_s=0.5)


def staying_mute(client: socket.socket) -> None:
    client.recv(1)


def test_a_dead_link_is_told_from_a_quiet_one_and_taken_up_again(tmp_path: Path) -> None:
    scripts = [staying(hello(), event("a")), staying(hello(), event("b", 1))]
    with source(*scripts, healthy=False) as dead:  # the stream is open, and nothing answers
        _, listener = run(dead.url, tmp_path / "s", lambda s: s.written >= 2, probe_after_s=0.4)
    assert visible_ids(tmp_path / "s") == ["a", "b"]
    assert any("stopped answering" in note for note in listener.notes)
    assert "disconnected" in states(tmp_path / "s")


def test_a_stop_ends_reading_though_more_comes_and_is_no_end_of_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(Options(Subscription("http://127.0.0.1:9")), io.BytesIO())

    class Flood:
        def iter_bytes(self) -> Iterator[bytes]:
            for number in range(10):
                if number == 3:
                    reader._stopping.set()
                assert number < 5, "it goes on reading"
                yield hello()

    monkeypatch.setattr("recorder.pipeline.reader.open_stream", lambda *_: nullcontext(Flood()))
    monkeypatch.setattr("recorder.pipeline.reader._REST_S", 0.0)
    reader._read_forever()
    taken = [reader.queue.take() for _ in range(3)]
    assert isinstance(taken[0], frames.Up)
    assert isinstance(taken[1], tuple)
    assert taken[2] == frames.Ended()  # what waits is still handed on before it


def test_a_signal_to_the_whole_group_is_a_stop_like_any_other(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        command = [sys.executable, "-m", "qrec", "record", qtap.url, "--store", str(tmp_path / "s")]
        process = subprocess.Popen(command, start_new_session=True)
        wait_for(lambda: _written(tmp_path / "s"))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert visible_ids(tmp_path / "s") == ["a"]


def _written(store: Path) -> bool:
    return any((store / "_live").glob("**/*.parquet"))


def test_a_packed_stream_is_refused_with_a_word(tmp_path: Path) -> None:
    head = HEAD.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
    with (
        source(lambda client: client.sendall(head)) as qtap,
        pytest.raises(UnavailableError, match="packs the stream with gzip"),
    ):
        run(qtap.url, tmp_path / "s", lambda s: False)
    assert b"accept-encoding: identity" in qtap.subscriptions[0].lower()

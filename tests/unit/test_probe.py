"""Asking a source who it is: an answer in bounded time, whatever the other side does."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from fixtures import bundled_stream
from fixtures.standin.server import running
from qrec.doctor.source import Condition, Honoured, Probe, conditions, greet, meaning
from recorder.source.subscription import LinkError
from tests.fault.scripted import HEAD, Script, Source, answer, source, staying, stream
from tests.kit import PATIENCE_S, connected, frame, transaction

HELLO = frame(connected())
SAFE = [
    Condition("nothing", 'req.method == "NONE"'),
    Condition("req.method", 'req.method != "NONE"'),
    Condition("res.status", "res.status != 1"),
]


def silent(client: socket.socket) -> None:
    client.recv(1)


def silent_after_the_head(client: socket.socket) -> None:
    client.sendall(HEAD)
    client.recv(1)


def a_byte_at_a_time(client: socket.socket) -> None:
    client.sendall(HEAD)
    for _ in range(1000):
        client.sendall(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (silent, "timeout"),
        (silent_after_the_head, "timeout"),
        (a_byte_at_a_time, "timeout"),
        (answer("404 Not Found"), "status"),
        (answer("400 Bad Request", "to an HTTPS server"), "status"),
        (answer("400 Bad Request", "err: parsing filter"), "filter"),
        (answer("200 OK", "<html>", "text/html"), "not_sse"),
        (stream(), "ended"),
    ],
)
def test_what_is_no_source_is_known_for_it_in_time(script: object, kind: str) -> None:
    condition = "res.status > 1" if kind == "filter" else None
    with source(script) as there, pytest.raises(LinkError) as caught:  # type: ignore[arg-type]
        greet(there.url, condition, seconds=0.3 if kind == "timeout" else PATIENCE_S)
    assert caught.value.kind == kind


def test_a_greeting_tells_the_dialect_and_the_clock() -> None:
    here = int(time.time() * 1e6)
    with source(staying(frame(connected(here + 90_000_000)))) as there:
        greeting = greet(there.url)
    took = time.time() - here / 1e6
    assert greeting.connected
    assert greeting.filters
    assert greeting.ahead_s is not None
    assert 90 - took - 1 < greeting.ahead_s < 91
    with source(staying(frame(connected(here, topics=["request"])))) as there:
        assert not greet(there.url).filters
    with source(staying(frame(transaction("a")))) as there:
        assert not greet(there.url).connected


def test_a_probe_never_asks_for_the_snapshot() -> None:
    with source(staying(frame(connected()))) as there:
        greet(there.url)
        assert b'"skip_process_snapshot":true' in there.subscriptions[0].replace(b" ", b"")


def honoured(conditions: Sequence[Condition], qtap: str) -> Iterator[Honoured]:
    with running(
        [bundled_stream("quiet")], clients=len(conditions) + 1, speed="max", hold=True, qtap=qtap
    ) as standin:  # fmt: skip
        count, results = Probe(standin.url, conditions).run(20.0)
    assert count >= 300
    yield from results


def test_a_probe_sees_which_filters_work() -> None:
    tried = [*SAFE, Condition("container.name", 'container.name != "x"')]
    nothing, method, status, container = honoured(tried, "0.14")
    assert (nothing.expected, nothing.extra) == (0, 0)
    assert method.expected >= 300
    assert status.expected >= 300
    assert method.missing == status.missing == method.extra == status.extra == 0
    assert container.missing == container.expected >= 300


def test_a_probe_sees_that_nothing_is_filtered() -> None:
    nothing, *_ = honoured(SAFE, "0.13")
    assert nothing.extra > 0


def test_a_probe_hangs_up_when_it_has_seen_enough() -> None:
    ended: list[float] = []

    def stays(client: socket.socket) -> None:
        client.sendall(HEAD + HELLO)
        client.recv(1)
        ended.append(time.monotonic())

    with source(stays) as there:
        started = time.monotonic()
        Probe(there.url, SAFE).run(1.0)
        assert time.monotonic() - started < 1.0 + 1.5  # a second more for each one, without
        deadline = time.monotonic() + 5
        while len(ended) < len(SAFE) + 1 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(ended) == len(SAFE) + 1


class Choosy(Source):
    """Answers by what is asked: all of the traffic, or what passes a filter."""

    def __init__(self, everything: Script, filtered: Script) -> None:
        self.everything, self.filtered = everything, filtered
        super().__init__([])

    def _handle(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            asked = client.recv(65536)
            while b"http" not in asked.partition(b"\r\n\r\n")[2]:
                asked += client.recv(65536)
            (self.everything if b'"*"' in asked else self.filtered)(client)


def tried(filtered: Script) -> tuple[int, Honoured]:
    """What becomes of a condition that both of two transactions fulfil."""
    there = Choosy(staying(HELLO, frame(transaction("a")), frame(transaction("b"))), filtered)
    try:
        count, [result] = Probe(there.url, [SAFE[1]]).run(1.0)
    finally:
        there.close()
    return count, result


def test_a_probe_counts_what_a_source_withholds() -> None:
    count, method = tried(staying(HELLO, frame(transaction("a"))))
    assert (count, method.expected, method.missing) == (2, 2, 1)


def test_a_refused_condition_is_told() -> None:
    _, method = tried(answer("400 Bad Request", "err: parsing filter"))
    assert "parsing filter" in method.refused


def test_a_probe_of_what_does_not_answer_says_so() -> None:
    with source(answer("404 Not Found")) as there, pytest.raises(LinkError):
        Probe(there.url, SAFE).run(1.0)


def results_of(**counts: Any) -> list[Honoured]:
    """What a probe found: all as it should be, but for one condition."""
    name = counts.pop("name", "")
    return [
        Honoured(one, **counts) if one.name == name
        else Honoured(one, 0 if one.name == "nothing" else 100)
        for one in conditions("res.status >= 400")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("results", "status", "said"),
    [
        (
            results_of(),
            "ok",
            "honours req.method, req.host, res.status; container.name works as well",
        ),
        (results_of(name="direction", expected=9, missing=9), "ok", "direction never matches"),
        (results_of(name="direction"), "ok", "nothing had direction"),
        (results_of(name="nothing", extra=9), "warning", "applies none"),
        (results_of(name="req.host", expected=9, missing=2), "problem", "2 of 9 not sent"),
        (results_of(name="your filter", expected=9, missing=9), "problem", "9 of 9 not sent"),
        (results_of(name="res.status", refused="HTTP 400"), "problem", "is refused"),
    ],
)
def test_what_a_probe_means(results: list[Honoured], status: str, said: str) -> None:
    [check] = meaning(results, "by 100 transactions", {})
    assert check.status == status
    assert said in check.text


def test_a_probe_tries_what_a_recording_would_push() -> None:
    assert Condition("your filter", "res.status == 500") in conditions("res.status == 500")

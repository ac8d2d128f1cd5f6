"""However a stream is cut on its way, its events come out whole, once, and in order."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.decode.events import OVERSIZED
from recorder.pipeline.frames import Block, Queue
from recorder.source.blocks import count_events, events_in, whole_events
from recorder.source.subscription import unchunked

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
EVENTS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(LINES, min_size=1, max_size=3)))
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def wire(events: list[tuple[str, list[str]]], end: str) -> bytes:
    return "".join(
        f"event: {name}{end}" + "".join(f"data: {line}{end}" for line in lines) + end
        for name, lines in events
    ).encode()


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return (data[a:b] for a, b in pairwise(edges) if b > a)


@given(EVENTS, LINE_ENDS, st.lists(st.integers(0, 10**6)), st.binary(max_size=9))
@example([("a", ["1"]), ("a", ["2"])], "\r\n", [3, 21, 22, 23], b"data: x")
def test_blocks_are_whole_events(
    events: list[tuple[str, list[str]]], end: str, places: list[int], half: bytes
) -> None:
    begun = b"data: " + half.replace(b"\n", b"").replace(b"\r", b"")
    blocks = list(whole_events(cut(wire(events, end) + begun, places)))
    found = [event for block in blocks for event in events_in(block)]
    assert found == [(name, "\n".join(lines)) for name, lines in events]


_PIECES = st.sampled_from(
    (b"event: a\ndata: {}\n\n", b"event: ", b"event:", b"data: ", b"data:", b"\n", b"\n\n", b"\r\n",
     b": note\n", b"id: 7\n", b"x", b" ", b"\xff", b"\xef\xbb\xbf", "é\u2028".encode())
)  # fmt: skip


@given(st.lists(_PIECES, max_size=12).map(b"".join))
def test_whatever_a_block_holds_is_read_as_httpx_sse_reads_it(block: bytes) -> None:
    response = httpx.Response(
        200, headers={"content-type": "text/event-stream"}, stream=httpx.ByteStream(block)
    )
    expected = [(sse.event, sse.data) for sse in EventSource(response).iter_sse()]
    assert list(events_in(block)) == expected


@given(EVENTS, LINE_ENDS)
def test_an_event_that_has_ended_does_not_wait_for_the_next_byte(
    events: list[tuple[str, list[str]]], end: str
) -> None:
    data = wire(events, end)
    one_by_one = whole_events(data[i : i + 1] for i in range(len(data)))
    assert len(list(one_by_one)) == len(events)


@given(st.integers(101, 400), st.lists(st.integers(0, 10**6), max_size=20))
def test_an_event_that_is_too_long_is_named_and_the_next_one_comes(
    size: int, places: list[int]
) -> None:
    events = [("a", ["before"]), ("a", ["x" * size]), ("b", ["after"])]
    stream = [b for event in events for b in cut(wire([event], "\n"), places)]
    found = [e for block in whole_events(stream, limit=100) for e in events_in(block)]
    assert found in (
        [("a", "before"), (OVERSIZED, ""), ("b", "after")],
        [("a", "before"), ("a", "x" * size), ("b", "after")],  # it was there in one piece
    )


@given(
    st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 60), st.sampled_from(["", ";x=1"])
)
def test_chunks_are_taken_apart_wherever_reads_end(
    chunks: list[bytes], step: int, extension: str
) -> None:
    body = b"".join(f"{len(c):x}{extension}\r\n".encode() + c + b"\r\n" for c in chunks)
    reads = Reads(body + b"0\r\n\r\n", step)
    assert b"".join(unchunked(reads)) == b"".join(chunks)


@pytest.mark.parametrize("body", [b"", b"5\r\nab", b"zz\r\n", b"-5\r\n", b"1" * 5000, b"1\r\nab"])
def test_a_body_that_is_not_chunked_right_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"body|chunk"):
        list(unchunked(Reads(body, 100)))


@given(st.lists(st.integers(1, 60_000), max_size=40))
def test_a_pressed_queue_gives_back_what_it_took_in_order(sizes: list[int]) -> None:
    queue = Queue(limit=1 << 30)
    queue._bytes_in = 17 << 20  # as if that much were waiting: from here on it is compressed
    taken: list[bytes] = []
    for number, size in enumerate(sizes):
        queue.put(bytes([number % 251]) * size)
    while queue:
        taken.append(_taken(queue))
    assert b"".join(taken) == b"".join(bytes([n % 251]) * size for n, size in enumerate(sizes))


def test_a_full_queue_counts_the_events_that_it_turns_away() -> None:
    queue = Queue(limit=100)
    queue.put(b"data: 1\n\n" * 10)
    queue.put(b"data: 2\n\ndata: 3\n\n")
    assert queue.dropped == 2
    assert _taken(queue) == b"data: 1\n\n" * 10


def _taken(queue: Queue) -> bytes:
    taken = queue.take()
    assert isinstance(taken, tuple)
    return Block(1, taken[0], 0).data()


@given(EVENTS, LINE_ENDS)
def test_no_block_holds_more_events_than_it_has_numbers_for(
    events: list[tuple[str, list[str]]], end: str
) -> None:
    assert count_events(wire(events, end)) >= len(events)
    if end == "\n":
        assert count_events(wire(events, end)) == len(events)


class Reads(io.BytesIO):
    """A body of which each read brings at most `step` bytes."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(self._step, size if size and size > 0 else self._step))

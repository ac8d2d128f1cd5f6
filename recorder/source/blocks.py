"""A stream of events in blocks of whole events: what is handed on, counted, and cut when too long.

An event ends with an empty line. Looking for the last one in what a read brought is all that the
reading process does with the stream; httpx-sse takes the blocks apart where there is time for it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from recorder.decode.events import OVERSIZED

# Bytes; an event of Qtap's own limits is 7.2 MB, and one here becomes five times as much in memory.
EVENT_LIMIT = 16 << 20
_SKIPPING_S = 10.0  # what is skipped for so long is no event any more, but a broken stream
# Qtap ends lines with \n; the others are what the standard allows besides.
_ENDS = (b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r")
_ANY_END = re.compile(rb"\n\n|\r\n\r\n|\n\r\n|\r\r")
_EVENT, _DATA = b"event: ", b"data: "
_EDGE = 3  # bytes of an end that can stand before the chunk which completes it


def whole_events(chunks: Iterable[bytes], limit: int = EVENT_LIMIT) -> Iterator[bytes]:
    """The same bytes in blocks that end where an event ends; half an event at the end is left out.

    An event longer than `limit` is thrown away as it comes; an event of the name OVERSIZED with
    no data stands in its place. ValueError for one that goes on for seconds after that.
    """
    kept: list[bytes] = []
    size = 0
    skipping = False
    since = 0.0
    edge = b""
    for chunk in chunks:
        at = _first_end(edge, chunk) if skipping else _last_end(edge, chunk)
        edge = (edge + chunk)[-_EDGE:] if len(chunk) < _EDGE else chunk[-_EDGE:]
        if at and skipping:
            chunk, skipping = chunk[at:], False
            at = _last_end(b"", chunk)
        if at:
            kept.append(chunk[:at])
            yield b"".join(kept)
            kept, size, chunk = [], 0, chunk[at:]
        if skipping and time.monotonic() - since > _SKIPPING_S:
            raise ValueError(f"an event goes on for more than {limit >> 20} MB and has no end")
        if chunk and not skipping:
            kept.append(chunk)
            size += len(chunk)
            if size > limit:
                yield f"event: {OVERSIZED}\n\n".encode()
                kept, size, skipping, since = [], 0, True, time.monotonic()


def count_events(block: bytes) -> int:
    """How many events a block of whole events holds; never less than httpx-sse finds in it.

    From line end to line end, since looking for one byte is 60 times as fast as counting two.
    """
    if b"\r" in block:
        return len(_ANY_END.findall(block))
    count, at = 0, block.find(b"\n")
    while at >= 0:
        if block[at + 1 : at + 2] == b"\n":
            count += 1
            at += 1
        at = block.find(b"\n", at + 1)
    return count


def _last_end(edge: bytes, chunk: bytes) -> int:
    """How far into `chunk` the last event that ends in it reaches; 0 where none does."""
    for end in _ENDS:
        if (found := chunk.rfind(end)) >= 0:
            return found + len(end)
    return _first_end(edge, chunk[:_EDGE])


def _first_end(edge: bytes, chunk: bytes) -> int:
    joined = edge + chunk
    found = [at + len(end) for end in _ENDS if (at := joined.find(end)) >= 0]
    return max(0, min(found, default=0) - len(edge))


def events_in(block: bytes, at: int = 0) -> Iterator[tuple[str, str]]:
    """(name, data) of each event of a block, of those from the byte `at` on. From the first that is
    not written as Qtap writes them, httpx-sse reads them."""
    is_plain = b"\r" not in block
    while is_plain and (event := _plain_event(block, at)):
        name, data, at = event
        yield name, data
    if at < len(block):
        import httpx  # a worker that has never met such an event does without them: 8 MB
        from httpx_sse import EventSource

        headers = {"content-type": "text/event-stream"}
        response = httpx.Response(200, headers=headers, stream=httpx.ByteStream(block[at:]))
        for sse in EventSource(response).iter_sse():
            yield sse.event, sse.data


def _plain_event(block: bytes, at: int) -> tuple[str, str, int] | None:
    """The event that begins at `at`, and where the next one does, if it is a line with its name
    and one with its data: in a fifth of the time that httpx-sse takes for it."""
    line = block.find(b"\n", at)
    end = block.find(b"\n", line + 1)
    if not (
        block.startswith(_EVENT, at)
        and block.startswith(_DATA, line + 1)
        and block.startswith(b"\n", end + 1)
        and at + len(_EVENT) < line
        and line + len(_DATA) + 1 < end
    ):
        return None
    try:
        name, data = block[at + len(_EVENT) : line], block[line + len(_DATA) + 1 : end]
        return name.decode(), data.decode(), end + 2
    except UnicodeDecodeError:
        return None

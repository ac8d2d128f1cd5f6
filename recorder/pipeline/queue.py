"""The bounded queue between the socket and everything else; under pressure it holds compressed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

import pyarrow as pa

QUEUE_BYTES = 128 << 20
BUSY_BYTES = 64 << 10  # waiting: the stream is not a quiet one
_PRESSED = 16 << 20  # bytes waiting from which on what comes is compressed
_WORTHWHILE = 16 << 10  # a piece smaller than that is left as it is
_BLOCK_BYTES = 1 << 20  # some hundred events: enough to spread what each block costs

# Imported and made at the start: in the middle of a burst that would be a gap of its own.
_CODEC = pa.Codec("zstd", compression_level=1)

Piece = tuple[bytes, int]  # and the size before compression; 0: it is not compressed


class Queue:
    """Pieces of a stream, each of whole events, bounded in bytes; one thread puts, one takes.

    A burst is a few seconds long and its events are much alike: compressed, four times as much of
    it finds room, for a tenth of what decoding it will cost.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: deque[Piece] = deque()
        self.bytes_in = self.bytes_out = 0
        self.dropped = 0  # events
        self.ready = threading.Event()  # there is something to take
        self.filling = threading.Event()  # there is so much that it should not wait

    def put(self, events: bytes) -> None:
        waiting = self.waiting()
        piece = (events, 0)
        if waiting > _PRESSED and len(events) >= _WORTHWHILE:
            piece = (_CODEC.compress(events, asbytes=True), len(events))
        if waiting + len(piece[0]) > self._limit and self._pieces:
            self.dropped += max(1, events.count(b"\n\n"))
            return
        self._pieces.append(piece)
        self.bytes_in += len(piece[0])
        if not self.ready.is_set():
            self.ready.set()
        if waiting + len(piece[0]) > BUSY_BYTES and not self.filling.is_set():
            self.filling.set()

    def take(self) -> list[Piece]:
        """About a block's worth of what has waited longest."""
        taken: list[Piece] = []
        size = 0
        while self._pieces and size < _BLOCK_BYTES:
            taken.append(self._pieces.popleft())
            size += taken[-1][1] or len(taken[-1][0])
            self.bytes_out += len(taken[-1][0])
        return taken

    def waiting(self) -> int:
        return self.bytes_in - self.bytes_out


def joined(pieces: Iterable[Piece]) -> bytes:
    """The events of some pieces, as they came."""
    return b"".join(
        _CODEC.decompress(data, size, asbytes=True) if size else data for data, size in pieces
    )

"""What the recorder's processes tell one another, as length-prefixed MessagePack frames.

The reading process hands blocks of events to the refining ones, in turn, and tells the recorder of
each; so the recorder knows whose answer comes next, and takes everything in the stream's order.
"""

from __future__ import annotations

import select
import struct
import time
from typing import IO, Any

import msgspec

_LENGTH = struct.Struct(">I")


class Block(msgspec.Struct, array_like=True):
    """Reading to refining: some whole events, and how many bytes still wait behind them.

    `pieces`: bytes and, where they were compressed while they waited, their size before (else 0).
    """

    pieces: list[tuple[bytes, int]]
    queued: int


class Handed(msgspec.Struct, tag="handed", array_like=True):
    """A block, read up to `mono` (µs, the machine's monotonic clock), went to refiner `to`."""

    mono: int
    to: int
    queued: int  # bytes still waiting in the reading process
    dropped: int  # events that its queue had no room for, in all


class Up(msgspec.Struct, tag="up", array_like=True):
    """The stream is open."""

    mono: int


class Alive(msgspec.Struct, tag="alive", array_like=True):
    """No event came, and the source answers: quiet, not deaf."""

    mono: int


class Down(msgspec.Struct, tag="down", array_like=True):
    """The stream is gone. `was_up`: it had been open; `kind` as LinkError's, or `ended`."""

    mono: int
    kind: str
    text: str
    was_up: bool
    good_until: int  # the last moment (mono) at which the link is known to have been good
    retry_s: float


class Gaps(msgspec.Struct, tag="gaps", array_like=True):
    """The longest waits between two socket reads while data was there, ms (for the benchmark)."""

    p999: float
    largest: float
    reads: int


Frame = Handed | Up | Alive | Down | Gaps


_encoder = msgspec.msgpack.Encoder()
blocks = msgspec.msgpack.Decoder(Block)
frames = msgspec.msgpack.Decoder(Frame)


def send(pipe: IO[bytes], what: Block | Frame) -> None:
    send_bytes(pipe, _encoder.encode(what))


def send_bytes(pipe: IO[bytes], payload: bytes) -> None:
    for piece in (_LENGTH.pack(len(payload)), payload):
        left = memoryview(piece)
        while left:  # an unbuffered pipe may take a part
            left = left[pipe.write(left) :]
    pipe.flush()


class Receiver:
    """The frames that come through a pipe, waited for no longer than the caller can wait."""

    def __init__(self, pipe: IO[bytes], decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self.pipe = pipe
        self._decoder = decoder
        self._expect(_LENGTH.size, head=True)

    def _expect(self, size: int, head: bool) -> None:
        self._data, self._at, self._head = bytearray(size), 0, head

    def receive(self, timeout: float | None = None) -> Any:
        """The next frame; None when its sender is gone.

        TimeoutError after so many seconds without a whole one: what came of it is kept.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            while self._at < len(self._data):
                if end is not None:
                    ready = select.poll()  # select takes no descriptor beyond 1,023
                    ready.register(self.pipe, select.POLLIN)
                    if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
                        raise TimeoutError
                view = memoryview(self._data)[self._at :]
                count = self.pipe.readinto(view)  # type: ignore[attr-defined]
                if not count:
                    return None
                self._at += count
            data, head = self._data, self._head
            if not head:
                self._expect(_LENGTH.size, head=True)
                return self._decoder.decode(data)
            self._expect(_LENGTH.unpack(data)[0], head=False)

"""What the recorder's processes tell one another, as length-prefixed MessagePack frames.

The reading process hands blocks of events to the workers, in turn, and tells the recorder of each;
so the recorder knows whose answer comes next, and takes everything in the stream's order.
"""

from __future__ import annotations

import select
import struct
import time
from typing import IO, Any

import msgspec
import pyarrow as pa

from recorder.write.intake import Part

QUEUE_BYTES = 128 << 20  # what may wait in the reading process
_LENGTH = struct.Struct(">I")
# Imported and made at the start: in the middle of a burst that would be a gap of its own.
_CODEC = pa.Codec("zstd", compression_level=1)

# Some events and, where they were compressed while they waited, their size before (else 0).
Piece = tuple[bytes, int]


def compressed(events: bytes) -> Piece:
    return _CODEC.compress(events, asbytes=True), len(events)


class Block(msgspec.Struct, array_like=True):
    """Reader to worker: some whole events, and how many bytes still wait behind them."""

    pieces: list[Piece]
    queued: int

    def events(self) -> bytes:
        """The events, as they came."""
        return b"".join(
            _CODEC.decompress(data, size, asbytes=True) if size else data
            for data, size in self.pieces
        )


class Handed(msgspec.Struct, tag="handed", array_like=True):
    """A block, read up to `mono` (µs, the machine's monotonic clock), went to worker `to`."""

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


def _packed(batch: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(_kind: type, data: Any) -> pa.RecordBatch:
    return pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()


to_bytes = msgspec.msgpack.Encoder(enc_hook=_packed)  # a worker's list of parts
from_bytes = msgspec.msgpack.Decoder(list[Part], dec_hook=_unpacked)
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

"""What the reading process tells the recording one, as length-prefixed MessagePack frames."""

from __future__ import annotations

import struct
from typing import IO

import msgspec

_LENGTH = struct.Struct(">I")
LARGEST = 1 << 30


class Batch(msgspec.Struct, tag="batch", array_like=True):
    """Events that arrived up to `mono` (µs, the machine's monotonic clock)."""

    mono: int
    names: list[str]
    data: list[str]
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


Frame = Batch | Up | Alive | Down | Gaps
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def send(pipe: IO[bytes], frame: Frame) -> None:
    payload = _encoder.encode(frame)
    pipe.write(_LENGTH.pack(len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Frame | None:
    """The next frame of an unbuffered pipe; None when the other side is gone."""
    head = _exactly(pipe, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    payload = _exactly(pipe, length)
    return None if payload is None else _decoder.decode(payload)


def _exactly(pipe: IO[bytes], length: int) -> bytearray | None:
    data = bytearray(length)
    view = memoryview(data)
    at = 0
    while at < length:
        got = pipe.readinto(view[at:])  # type: ignore[attr-defined]
        if not got:
            return None
        at += got
    return data

"""What the recorder's processes tell one another, as length-prefixed MessagePack frames.

The reading process numbers events as it hands them out, in blocks, to the workers. It keeps a block
until the recorder says that it is on the disk; so a block whose worker dies is given to another
one, which writes the same rows under the same numbers into files of the same names.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from typing import IO, Any

import msgspec

from recorder.source.blocks import count_events
from recorder.source.request import Subscription
from recorder.write.intake import Part

QUEUE_BYTES = 128 << 20  # what may wait in the reading process
_PRESSED = 16 << 20  # bytes waiting from which on what comes is compressed
_WORTHWHILE = 16 << 10  # a piece smaller than that is left as it is
# A block costs some 10 ms whatever it holds, mostly for its file: so it gathers for about a flush
# interval, unless there is enough to spread that cost over (and where there is little, in the
# kernel, for up to two: Reader).
_ENOUGH_BYTES = 4 << 20
_BLOCK_BYTES = 8 << 20
_LENGTH = struct.Struct(">I")
_READ = 1 << 16
_PR_SET_PDEATHSIG = 1


@functools.cache
def _codec() -> Any:
    """zstd, out of Arrow: a reading process whose queue stays short does without its 8 MB."""
    import pyarrow as pa

    return pa.Codec("zstd", compression_level=1)


class Options(msgspec.Struct, frozen=True):
    """To the reader, as the first line: what to read, and how to hand it on."""

    subscription: Subscription
    first: int = 1  # the number of the first event
    gather_s: float = 0.9  # how long a block gathers when there is little
    queue_bytes: int = QUEUE_BYTES


class Piece(msgspec.Struct, array_like=True, gc=False):
    """Some whole events. `size`: where they are compressed, their size before (else 0)."""

    data: bytes
    size: int
    events: int

    def compressed(self) -> Piece:
        return Piece(_codec().compress(self.data, asbytes=True), len(self.data), self.events)


class Block(msgspec.Struct, array_like=True):
    """Reader to worker: events with the numbers from `first` on; `queued` bytes wait behind them.

    skip: not None where a worker has died over the block: it is tried event by event, and without
    these (by their place in the block).
    """

    first: int
    pieces: list[Piece]
    queued: int
    skip: list[int] | None = None

    @property
    def events(self) -> int:
        return sum(piece.events for piece in self.pieces)

    def data(self) -> bytes:
        """The events, as they came."""
        return b"".join(
            _codec().decompress(piece.data, piece.size, asbytes=True) if piece.size else piece.data
            for piece in self.pieces
        )


class Waiting(msgspec.Struct, tag="waiting", array_like=True):
    """Reader: what waits in it, and how many events it had no room for, in all. Told with each
    block and else every five seconds, so that its silence means something."""

    queued: int
    events: int
    dropped: int


class Handed(msgspec.Struct, tag="handed", array_like=True):
    """Reader: the block of `events` numbers from `first` on goes to worker `to`. The last of it
    came at `mono` (µs, the machine's monotonic clock)."""

    first: int
    events: int
    mono: int
    to: int
    waiting: Waiting


class Up(msgspec.Struct, tag="up", array_like=True):
    """Reader: the stream is open."""

    mono: int


class Alive(msgspec.Struct, tag="alive", array_like=True):
    """Reader: no event came, and the source answers: quiet, not deaf."""

    mono: int


class Down(msgspec.Struct, tag="down", array_like=True):
    """Reader: the stream is gone. `was_up`: it had been open; `kind` as LinkError's, or `ended`."""

    mono: int
    kind: str
    text: str
    was_up: bool
    good_until: int  # the last moment (mono) at which the link is known to have been good


class Ended(msgspec.Struct, tag="ended", array_like=True):
    """Reader: everything that was read has been handed out, and no more comes."""


class At(msgspec.Struct, tag="at", array_like=True):
    """Worker: it goes on, and is at this event of block `first`; WRITING or READY in its place."""

    first: int
    event: int


class Refused(msgspec.Struct, tag="refused", array_like=True):
    """Worker: the disk does not take a block; it is tried again."""

    first: int
    why: str


class Done(msgspec.Struct, tag="done", array_like=True):
    """Worker: a block is on the disk. `parts`: what is to be counted of it, without rows."""

    first: int
    parts: list[Part]
    rows: dict[str, int]  # written, by table
    size: int  # bytes written
    seconds: float  # that writing took


class Hire(msgspec.Struct, tag="hire", array_like=True):
    """To the reader, with the pipe's descriptor: give blocks to this worker, too."""

    worker: int


class Settled(msgspec.Struct, tag="settled", array_like=True):
    """To the reader: forget this block."""

    first: int


class Again(msgspec.Struct, tag="again", array_like=True):
    """To the reader: this worker is gone; give its blocks to others. `first`: the one over which
    it may have died, `skip` as in Block."""

    worker: int
    first: int
    skip: list[int]


class Stop(msgspec.Struct, tag="stop", array_like=True):
    """To the reader: read no more, hand out what waits."""


FromReader = Handed | Waiting | Up | Alive | Down | Ended
FromWorker = At | Refused | Done
Command = Hire | Settled | Again | Stop
READY, WRITING = -1, -2

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def mono_us() -> int:
    """A clock that no one sets; it goes on while the machine sleeps."""
    return time.clock_gettime_ns(_CLOCK) // 1000


class Queue:
    """Pieces of a stream, each of whole events, bounded in bytes, and what happened between them.

    A burst is a few seconds long and its events are much alike: compressed, four times as much of
    it finds room, for a tenth of what decoding it will cost. One thread puts, one at a time takes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[tuple[Piece, int] | FromReader] = deque()
        self._bytes_in = self._bytes_out = self._events_in = self._events_out = 0
        self._packs = False  # whether what packs it is loaded, or about to be
        self.dropped = 0  # events
        self.ready = threading.Event()  # there may be something to take
        self.filling = threading.Event()  # there is so much that it should not wait

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, data: bytes) -> None:
        queued = self.queued()
        piece = Piece(data, 0, count_events(data))
        if queued > _PRESSED and len(data) >= _WORTHWHILE:
            piece = piece.compressed()
        if queued + len(piece.data) > self._limit and queued:
            self.dropped += piece.events
            return
        self._entries.append((piece, mono_us()))
        self._bytes_in += len(piece.data)
        self._events_in += piece.events
        if not self.ready.is_set():
            self.ready.set()
        if queued + len(piece.data) > _ENOUGH_BYTES and not self.filling.is_set():
            self.filling.set()
            if not self._packs:  # in time, and beside: in the middle of a burst it would be a gap
                self._packs = True
                threading.Thread(target=_codec, daemon=True).start()

    def mark(self, frame: FromReader) -> None:
        """What happened here in the stream: told when everything before it is handed out."""
        self._entries.append(frame)
        self.wake()

    def wake(self) -> None:
        self.ready.set()
        self.filling.set()

    def take(self) -> FromReader | tuple[list[Piece], int]:
        """A mark, or about a block's worth of what has waited longest and when the last came."""
        if not isinstance(self._entries[0], tuple):
            return self._entries.popleft()  # type: ignore[return-value]
        pieces: list[Piece] = []
        size = 0
        while self._entries and size < _BLOCK_BYTES and isinstance(self._entries[0], tuple):
            piece, mono = self._entries.popleft()  # type: ignore[misc]
            pieces.append(piece)
            size += piece.size or len(piece.data)
            self._bytes_out += len(piece.data)
            self._events_out += piece.events
        if self.queued() < _ENOUGH_BYTES:
            self.filling.clear()
        return pieces, mono

    def queued(self) -> int:
        return self._bytes_in - self._bytes_out

    def waiting(self) -> Waiting:
        return Waiting(self.queued(), self._events_in - self._events_out, self.dropped)


def obey_recorder() -> None:
    """The recorder alone decides when this process ends. Signals reach the whole process group; and
    once the recorder is gone, one that is stopped would keep Qtap's connection (only Linux ends
    it then; elsewhere it ends when it goes on)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, AttributeError):  # a Python or libc without it
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_encoder = msgspec.msgpack.Encoder()
blocks = msgspec.msgpack.Decoder(Block)
from_reader = msgspec.msgpack.Decoder(FromReader)
from_worker = msgspec.msgpack.Decoder(FromWorker)
_commands = msgspec.msgpack.Decoder(Command)


def send(pipe: IO[bytes], frame: Block | FromReader | FromWorker) -> None:
    """Write a frame, however long that takes; OSError when nobody reads any more."""
    payload = _encoder.encode(frame)
    head = _LENGTH.pack(len(payload))
    # In one piece where it is small: each write wakes who reads.
    for piece in (head + payload,) if len(payload) < _READ else (head, payload):
        left = memoryview(piece)
        while left:  # an unbuffered pipe may take a part
            left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: IO[bytes]) -> Block | None:
    """The next block, however long that takes; None when nobody sends any more."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    payload = pipe.read(size)
    return blocks.decode(payload) if len(payload) == size else None


def command(to: socket.socket, frame: Command, descriptor: int | None = None) -> None:
    """Send a command. OSError when the reader takes none (in the socket's time)."""
    payload = _encoder.encode(frame)
    data = _LENGTH.pack(len(payload)) + payload
    socket.send_fds(to, [data], [] if descriptor is None else [descriptor])


def receive_command(source: socket.socket) -> tuple[Command | None, int | None]:
    """The next command and the descriptor that comes with it; (None, None) at the end.

    TimeoutError after the socket's own time.
    """
    head, descriptors, _, _ = socket.recv_fds(source, _LENGTH.size, 1)
    if len(head) < _LENGTH.size:
        return None, None
    (size,) = _LENGTH.unpack(head)
    payload = source.recv(size, socket.MSG_WAITALL)
    return _commands.decode(payload), descriptors[0] if descriptors else None


class Receiver:
    """The frames that have come through a pipe, without ever waiting for the rest of one."""

    def __init__(self, pipe: IO[bytes], decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self.pipe = pipe
        self.ended = False  # nobody sends any more
        self._decoder = decoder
        self._data = bytearray()
        os.set_blocking(pipe.fileno(), False)

    def frames(self) -> list[Any]:
        try:
            while chunk := os.read(self.pipe.fileno(), _READ):
                self._data += chunk
            self.ended = True
        except BlockingIOError:
            pass
        frames, at = [], 0
        while len(self._data) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._data, at)[0]
            if end > len(self._data):
                break
            frames.append(self._decoder.decode(self._data[at + _LENGTH.size : end]))
            at = end
        del self._data[:at]
        return frames

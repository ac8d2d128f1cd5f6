"""The compiled part: transactions of a block as columns, without an object an event in between.

Optional: `python -m recorder.native.build` makes it out of the Rust beside this file, which needs
nothing but a compiler. It takes what is plainly right, in exactly the meaning of recorder.decode,
and leaves every other event to that; so without it, or with QREC_NATIVE=off, the same rows come
out, only slower. This module loads it and wraps its memory.
"""

from __future__ import annotations

import base64
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

ABI = 2  # as in src/lib.rs: the order of the buffers, and what they hold
FILE = Path(__file__).with_name(
    {"darwin": "libqrec_native.dylib", "win32": "qrec_native.dll"}.get(
        sys.platform, "libqrec_native.so"
    )
)
# In the order of src/batch.rs.
INTS = (
    "ts", "broadcast", "duration_ms", "status", "req_body_bytes", "res_body_bytes", "bytes_sent",
    "bytes_received", "request_process", "request_number", "connection_process",
    "connection_number", "place", "start", "end",
)  # fmt: skip
TEXTS = ("path", "query", "request_id", "connection_id", "trace_id")
BODIES = ("req_body", "res_body")
FEW = (
    "direction", "method", "scheme", "host", "protocol", "req_content_type", "res_content_type",
    "user_agent", "process_id", "process_exe", "container_name", "container_image", "pod_name",
    "pod_namespace", "endpoint_id", "authority",
)  # fmt: skip
IN_USE, NOT_BUILT = "is used", "is not built"
_ROOM = 256  # buffers
_TAKEN, _DATA = b"request.http_transaction", b"data: "
_PLAIN = b"""event: request.http_transaction
data: {"data":{"data":{"data":"%s"}},"ts":"2026-11-22T12:00:00Z"}

""" % base64.b64encode(b'{"request":{"path":"/","authority":"a","headers":{"Cookie":"a=1"}}}')


class _Limits(ctypes.Structure):
    _fields_ = (("events", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("body", ctypes.c_uint64))


class _Progress(ctypes.Structure):
    _fields_ = (
        ("at", ctypes.c_uint64), ("events", ctypes.c_uint64), ("stopped", ctypes.c_uint64)
    )  # fmt: skip


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_uint64))


class Unusable(Exception):
    """There is a compiled part, and it cannot be used; the text says why."""


class Failed(Exception):
    """The compiled part came upon something that nobody foresaw (a panic): what it was about is to
    be done without it."""


class Headers(NamedTuple):
    """The headers of one side: those of row n are `pairs[offsets[n]:offsets[n + 1]]`, numbers of
    the batch's pairs. `looked`: rows whose bodies may not be what they look like; `encodings`: the
    pairs that name their encodings, -1 for none."""

    offsets: Any
    pairs: Any
    looked: Any
    encodings: Any


class Scan(NamedTuple):
    """Texts to be scanned, each behind a separator: the n-th is data[starts[n]:ends[n]]. Its kind
    is the number of a column of few values (its owner: the value), then one for headers (a pair),
    then those of TEXTS and BODIES (a row)."""

    data: pa.Buffer
    starts: Any
    ends: Any
    kinds: Any
    owners: Any


class Named(NamedTuple):
    """The headers (pairs) that are judged by their names. `unsure` are those that were not; the
    n-th of `changed` consists of what `sequence` has from offsets[n] to offsets[n + 1]: `pieces`,
    each by its number, and `secrets`, each as -1 less its number; a secret's `kinds` is the number
    of its kind. `cookies`: of each secret in the sequence, the number of its cookie's name, -1 for
    none. What is left of cookies is to be scanned: `rest`, whose owners are pairs."""

    rest: Scan
    unsure: Any
    changed: Any
    cookies: Any
    offsets: Any
    sequence: Any
    kinds: Any
    pieces: pa.Array
    secrets: pa.Array


class _Memory:
    """What the compiled part holds for a batch. Nothing of it may lead back to it: it goes with the
    last one who looks, and not when Python looks for circles."""

    def __init__(self, library: Any, handle: int) -> None:
        self.handle = handle
        self._free = library.qrec_free

    def __del__(self) -> None:
        self._free(self.handle)


class Batch:
    """Some events of a block. `events` of them were read, up to the byte `at`; `stopped` where
    what comes next is written in another way than Qtap's."""

    def __init__(self, library: Any, memory: _Memory, progress: _Progress) -> None:
        self._library, self._memory = library, memory
        self.at, self.events = progress.at, progress.events
        self.stopped = bool(progress.stopped)
        out = (_Buffer * _ROOM)()
        count = library.qrec_columns(memory.handle, out, _ROOM)
        buffers = self._owned(out, count)
        ints = {name: (next(buffers), next(buffers)) for name in INTS}
        self.rows = ints["ts"][0].size // 8
        self.values = {name: _numbers(both[0]) for name, both in ints.items()}
        self.ints = {
            name: pa.Array.from_buffers(pa.int64(), self.rows, [valid, values])
            for name, (values, valid) in ints.items()
        }
        self.texts = {name: _texts(pa.string(), buffers) for name in TEXTS}
        self.texts |= {name: _texts(pa.binary(), buffers) for name in BODIES}
        self.few = {name: self._few(buffers) for name in FEW}
        self.sides = tuple(self._headers(buffers) for _ in range(2))
        self.tags = _numbers(next(buffers), "uint32")
        self.pair_values = _texts(pa.string(), buffers)
        self.names = _texts(pa.string(), buffers)
        self.cookie_names = _texts(pa.binary(), buffers)
        self._left = _numbers(next(buffers)).reshape(-1, 4).tolist()

    def _owned(self, out: Any, count: int) -> Iterator[pa.Buffer]:
        """Buffers that keep their memory for as long as anybody looks into them."""
        for buffer in out[:count]:
            if buffer.size:
                yield pa.foreign_buffer(buffer.data, buffer.size, base=self._memory)
            else:
                yield pa.py_buffer(b"")

    def _few(self, buffers: Iterator[pa.Buffer]) -> tuple[pa.Array, pa.Array]:
        numbers, valid = next(buffers), next(buffers)
        return (
            pa.Array.from_buffers(pa.int32(), self.rows, [valid, numbers]),
            _texts(pa.string(), buffers),
        )

    def _headers(self, buffers: Iterator[pa.Buffer]) -> Headers:
        looked = _numbers(next(buffers))
        encodings = _numbers(next(buffers))
        offsets = _numbers(next(buffers), "int32")
        return Headers(offsets, _numbers(next(buffers), "int32"), looked, encodings)

    def events_left(self, block: bytes, rows: Any) -> list[tuple[int, str, str]]:
        """(place in the batch, name, data) of the events that were not taken, and of `rows`."""
        places = [self.values[name][rows].tolist() for name in ("place", "start", "end")]
        left = [
            (place, block[name : start - len(_DATA) - 1], block[start:end])
            for place, name, start, end in self._left
        ]
        left += [(place, _TAKEN, block[at:end]) for place, at, end in zip(*places, strict=True)]
        return [(place, name.decode(), data.decode()) for place, name, data in sorted(left)]

    def column(self, name: str) -> pa.DictionaryArray:
        """A column of few values, the whole of it."""
        return pa.DictionaryArray.from_arrays(*self.few[name])

    def scan(self, orders: bytes, with_bodies: bool) -> tuple[Scan, Named]:
        """The texts to be scanned, and the headers judged. `orders`, a byte for each of `names`: 1
        if it is to be scanned as a header of a request, 2 of a response; then three bytes for each
        of them as a header of a request and of a response, and for each of `cookie_names`: the
        verdict on it (src/named.rs). What it gave before is gone. Raises Failed."""
        out = (_Buffer * _ROOM)()
        count = self._library.qrec_texts(
            self._memory.handle, orders, len(orders), with_bodies, out, _ROOM
        )
        if not count:
            raise Failed
        buffers = self._owned(out, count)
        scan, rest = (
            Scan(next(buffers), *(_numbers(next(buffers)) for _ in range(4))) for _ in range(2)
        )
        kinds = ("int64", "int64", "int64", "int32", "int32", "uint32")
        arrays = [_numbers(next(buffers), kind) for kind in kinds]
        texts = [_texts(kind, buffers) for kind in (pa.string(), pa.binary())]
        return scan, Named._make([rest, *arrays, *texts])


def _numbers(buffer: pa.Buffer, kind: str = "int64") -> Any:
    import numpy as np  # 6 MB that who only looks whether there is a compiled part has no use for

    return np.frombuffer(buffer, kind)


def _texts(kind: pa.DataType, buffers: Iterator[pa.Buffer]) -> pa.Array:
    offsets, data, valid = next(buffers), next(buffers), next(buffers)
    return pa.Array.from_buffers(kind, offsets.size // 4 - 1, [valid, offsets, data])


class Native:
    """The compiled part, loaded. Unusable where it is another version's, or no library at all."""

    def __init__(self, file: Path) -> None:
        try:
            library = ctypes.CDLL(str(file))
            abi = library.qrec_abi()
        except (OSError, AttributeError) as error:
            raise Unusable(f"{file.name} cannot be loaded: {error}") from error
        if abi != ABI:
            raise Unusable(f"{file.name} is of another version ({abi}, not {ABI}): build it again")
        word = ctypes.c_uint64
        library.qrec_read.argtypes = [
            ctypes.c_char_p, word, word, ctypes.POINTER(_Limits), ctypes.POINTER(_Progress)
        ]  # fmt: skip
        library.qrec_read.restype = ctypes.c_void_p
        library.qrec_columns.argtypes = [ctypes.c_void_p, ctypes.c_void_p, word]
        library.qrec_texts.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, word, ctypes.c_uint32, ctypes.c_void_p, word
        ]  # fmt: skip
        library.qrec_columns.restype = library.qrec_texts.restype = word
        library.qrec_free.argtypes = [ctypes.c_void_p]
        library.qrec_free.restype = None
        self._library = library

        try:
            memory, _ = self._read(_PLAIN, 0, _Limits(1, len(_PLAIN), 0))
            out = (_Buffer * _ROOM)()
            if not library.qrec_texts(memory.handle, b"", 0, True, out, _ROOM):
                raise Failed
        except Failed as error:
            raise Unusable(f"{file.name} fails over a plain event: build it again") from error

    def read(self, block: bytes, at: int, events: int, size: int, body: int) -> Batch:
        """The events of `block` from `at` on, at most so many, or of about so many bytes; a body
        longer than `body` is one to be looked at. Raises Failed."""
        return Batch(self._library, *self._read(block, at, _Limits(events, size, body)))

    def _read(self, block: bytes, at: int, limits: _Limits) -> tuple[_Memory, _Progress]:
        progress = _Progress()
        handle = self._library.qrec_read(
            block, len(block), at, ctypes.byref(limits), ctypes.byref(progress)
        )
        if not handle:
            raise Failed
        return _Memory(self._library, handle), progress


def load(file: Path = FILE) -> tuple[Native | None, str]:
    """The compiled part, or None; and what there is to say of it."""
    if os.environ.get("QREC_NATIVE", "").lower() in ("off", "0", "no"):
        return None, "is off (QREC_NATIVE)"
    if not file.exists():
        return None, NOT_BUILT
    try:
        return Native(file), IN_USE
    except Unusable as error:
        return None, f"is not used: {error}"


def remarks(file: Path = FILE) -> list[str]:
    """What somebody should hear who records: nothing where none was built."""
    note = load(file)[1]
    return [] if note == NOT_BUILT else [f"the compiled part {note}"]

"""The reading process: it drains the socket, and does nothing else that could keep it from that.

A process of its own, since decoding and reading under one interpreter lock would wait for each
other (bench/README.md has both figures). The bounded queue between socket and recorder lives here.
Run as `python -m recorder.pipeline.reader`: options come as one JSON line on stdin, blocks of
events go to the workers and word of them to stdout, and the end of stdin is the order to stop.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, BinaryIO

import httpx
import msgspec

from recorder.pipeline.frames import (
    QUEUE_BYTES,
    Alive,
    Block,
    Down,
    Frame,
    Gaps,
    Handed,
    Piece,
    Up,
    compressed,
    send,
)
from recorder.source.subscription import (
    LinkError,
    Subscription,
    Waits,
    client,
    hang_up,
    open_stream,
)

BUSY_BYTES = 64 << 10  # waiting: the stream is not a quiet one
_PRESSED = 16 << 20  # bytes waiting from which on what comes is compressed
_WORTHWHILE = 16 << 10  # a piece smaller than that is left as it is
_BLOCK_BYTES = 1 << 20  # some hundred events: enough to spread what each block costs
_BUSY_S = 0.002  # how long a block gathers when there is much
# How long it gathers when there is little. A block costs 2 ms whatever it holds, which is most of
# what an idle recorder uses; rows are on the disk after a flush interval of 1 s at the earliest,
# so that gathering for less of it makes nothing visible sooner.
QUIET_S = 0.9
_SWITCH_S = 0.0005
_PROBE_TIMEOUT_S, _PROBES = 5.0, 3
_BACKOFF_S, _BACKOFF_MAX_S = 0.25, 15.0


class Options(msgspec.Struct, frozen=True):
    subscription: Subscription
    workers: list[int]  # file descriptors, to write blocks to in turn
    queue_bytes: int = QUEUE_BYTES
    gather_s: float = QUIET_S


def mono_us() -> int:
    return time.monotonic_ns() // 1000


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
            piece = compressed(events)
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


class Reader:
    """Three threads: one reads the socket, one hands blocks on, one watches a silent link."""

    def __init__(self, options: Options, out: BinaryIO) -> None:
        self.options = options
        self.queue = Queue(options.queue_bytes)
        self._out = out
        self._workers = [os.fdopen(end, "wb", buffering=0) for end in options.workers]
        self._sending = threading.Lock()
        self._stopping = threading.Event()
        self._heard = mono_us()  # when the link was last known to be good
        self._response: httpx.Response | None = None
        self._waits = Waits() if os.environ.get("QREC_MEASURE_READS") else None

    def run(self) -> None:
        pump, *_ = [_started(work) for work in (self._pump, self._read_forever, self._watch)]
        sys.stdin.buffer.read()  # until the recorder closes it, or is gone
        self._stopping.set()
        self.queue.ready.set()
        self.queue.filling.set()
        pump.join()
        if self._waits is not None:
            self._send(Gaps(self._waits.p999(), self._waits.largest, self._waits.reads))

    def _send(self, frame: Frame) -> None:
        with self._sending:
            _write(self._out, frame)

    def _pump(self) -> None:
        queue, turn = self.queue, 0
        while True:
            queue.ready.wait()
            queue.ready.clear()
            queue.filling.clear()
            sent = 0
            while queue.waiting():
                with self._sending:  # taken and sent as one: a frame behind it stays behind it
                    pieces = queue.take()
                    _write(self._workers[turn], Block(pieces, queue.waiting()))
                    _write(self._out, Handed(mono_us(), turn, queue.waiting(), queue.dropped))
                sent += sum(len(piece) for piece, _ in pieces)
                if sent > BUSY_BYTES:  # a quiet stream wakes one process, not all in turn
                    turn = (turn + 1) % len(self._workers)
            if self._stopping.is_set():
                return
            if sent > BUSY_BYTES:
                time.sleep(_BUSY_S)
            else:
                queue.filling.wait(self.options.gather_s)

    def _read_forever(self) -> None:
        backoff = _BACKOFF_S
        with client(self.options.subscription.headers_s) as http:
            while not self._stopping.is_set():
                got_event, was_up, kind, text = self._read_once(http)
                if self._stopping.is_set():  # what waits is still handed on; the rest is no end
                    return
                if got_event:
                    backoff = _BACKOFF_S
                wait = random.uniform(backoff / 2, backoff)
                self._drained()
                good = self._heard if kind == "dead" else mono_us()
                self._send(Down(mono_us(), kind, text, was_up, good, wait))
                if was_up and self.options.subscription.once:
                    return
                self._stopping.wait(wait)
                backoff = min(backoff * 2, _BACKOFF_MAX_S)

    def _read_once(self, http: httpx.Client) -> tuple[bool, bool, str, str]:
        """Read one connection to its end: (any event, was open, kind of the end, its words)."""
        got = up = False
        put = self.queue.put
        try:
            with open_stream(http, self.options.subscription, self._waits) as response:
                self._response = response
                self._heard = mono_us()
                up = True
                self._send(Up(mono_us()))
                for block in response.iter_bytes():
                    if self._stopping.is_set():  # or a flood would keep a stop from ending
                        break
                    put(block)
                    got = True
                    self._heard = mono_us()
            return got, up, *self._ended("ended", "the source ended the stream")
        except LinkError as error:
            return got, up, *self._ended(error.kind, error.text)
        except Exception as error:  # one connection that nobody foresaw is one broken connection
            text = f"the stream broke: {type(error).__name__}: {str(error)[:200]}"
            return got, up, *self._ended("broken", text)
        finally:
            self._response = None

    def _ended(self, kind: str, text: str) -> tuple[str, str]:
        if self._dead:
            self._dead = False
            return "dead", "the source stopped answering"
        return kind, text

    _dead = False

    def _drained(self) -> None:
        """Wait until what came before is sent: frames keep the order of what happened."""
        while self.queue.waiting() and not self._stopping.is_set():
            self.queue.ready.set()
            self.queue.filling.set()
            time.sleep(0.005)

    def _watch(self) -> None:
        """While the stream is silent, ask /healthz whether the source still lives."""
        failures = 0
        after = self.options.subscription.probe_after_s
        url = self.options.subscription.url.rstrip("/") + "/healthz"
        with httpx.Client(timeout=min(_PROBE_TIMEOUT_S, after), trust_env=False) as http:
            while not self._stopping.wait(min(1.0, after / 4)):
                response = self._response
                silent = (mono_us() - self._heard) / 1e6
                if response is None or silent < after:
                    failures = 0
                    continue
                if _answers(http, url):
                    failures = 0
                    self._heard = mono_us()
                    self._send(Alive(self._heard))
                    continue
                failures += 1
                if failures >= _PROBES:
                    failures = 0
                    self._dead = True
                    hang_up(response)


def _started(work: Callable[[], None]) -> threading.Thread:
    """A thread that does the work. An exception in it ends the process, for everybody to see: a
    process that lives on with one of its threads gone is deaf, and nobody would know."""

    def run() -> None:
        try:
            work()
        except BaseException as error:
            with contextlib.suppress(OSError, ValueError):
                print(f"qrec: the reading process failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _write(out: IO[bytes], frame: Block | Frame) -> None:
    try:
        send(out, frame)
    except OSError:  # who would take it is gone, and so is our purpose
        os._exit(0)


def _answers(http: httpx.Client, url: str) -> bool:
    """Any answer counts: a Qtap without /healthz says 404, and lives."""
    try:
        with http.stream("GET", url):  # its head is enough: the rest may be without end
            return True
    except httpx.HTTPError:
        return False


def main() -> None:
    # Signals reach the whole process group; only the recorder decides when reading ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The thread that reads must not wait for the one that hands on: 5 ms, Python's own measure,
    # is more than Qtap's buffer holds at 40,000 events a second.
    sys.setswitchinterval(_SWITCH_S)
    options = msgspec.json.decode(sys.stdin.buffer.readline(), type=Options)
    Reader(options, sys.stdout.buffer).run()


if __name__ == "__main__":
    main()

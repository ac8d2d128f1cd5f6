"""The reading process: it drains the socket, and does nothing else that could keep it from that.

A process of its own, since decoding and reading under one interpreter lock would wait for each
other (bench/README.md has both figures). The bounded queue between socket and recorder lives here.
Run as `python -m recorder.reader`: options come as one JSON line on stdin, blocks of events go to
the refining processes and word of them to stdout, and the end of stdin is the order to stop.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import threading
import time
from typing import IO, BinaryIO

import httpx
import msgspec

from recorder.link import Alive, Block, Down, Frame, Gaps, Handed, Up, send
from recorder.queue import QUEUE_BYTES, Queue
from recorder.subscription import LinkError, Subscription, Waits, client, open_stream

_BUSY_BYTES = 64 << 10
_BUSY_S, _QUIET_S = 0.002, 0.25  # how long a block gathers, when there is much and when little
_SWITCH_S = 0.0005
_PROBE_TIMEOUT_S, _PROBES = 5.0, 3
_BACKOFF_S, _BACKOFF_MAX_S = 0.25, 15.0


class Options(msgspec.Struct, frozen=True):
    subscription: Subscription
    refiners: list[int]  # file descriptors, to write blocks to in turn
    queue_bytes: int = QUEUE_BYTES


def mono_us() -> int:
    return time.monotonic_ns() // 1000


class Reader:
    """Three threads: one reads the socket, one hands blocks on, one watches a silent link."""

    def __init__(self, options: Options, out: BinaryIO) -> None:
        self.options = options
        self.queue = Queue(options.queue_bytes)
        self._out = out
        self._refiners = [os.fdopen(end, "wb", buffering=0) for end in options.refiners]
        self._sending = threading.Lock()
        self._stopping = threading.Event()
        self._heard = mono_us()  # when the link was last known to be good
        self._response: httpx.Response | None = None
        self._waits = Waits() if os.environ.get("QREC_MEASURE_READS") else None

    def run(self) -> None:
        pump = threading.Thread(target=self._pump, daemon=True)
        for thread in (
            pump,
            threading.Thread(target=self._read_forever, daemon=True),
            threading.Thread(target=self._watch, daemon=True),
        ):
            thread.start()
        sys.stdin.buffer.read()  # until the recorder closes it, or is gone
        self._stopping.set()
        self.queue.ready.set()
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
            sent = 0
            while queue.waiting():
                with self._sending:  # taken and sent as one: a frame behind it stays behind it
                    pieces = queue.take()
                    _write(self._refiners[turn], Block(pieces, queue.waiting()))
                    _write(self._out, Handed(mono_us(), turn, queue.waiting(), queue.dropped))
                sent += sum(len(piece) for piece, _ in pieces)
                if sent > _BUSY_BYTES:  # a quiet stream wakes one process, not all in turn
                    turn = (turn + 1) % len(self._refiners)
            if self._stopping.is_set():
                return
            time.sleep(_BUSY_S if sent > _BUSY_BYTES else _QUIET_S)

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
                    _hang_up(response)


def _write(out: IO[bytes], frame: Block | Frame) -> None:
    try:
        send(out, frame)
    except OSError:  # who would take it is gone, and so is our purpose
        os._exit(0)


def _answers(http: httpx.Client, url: str) -> bool:
    """Any answer counts: a Qtap without /healthz says 404, and lives."""
    try:
        http.get(url)
    except httpx.HTTPError:
        return False
    return True


def _hang_up(response: httpx.Response) -> None:
    """Wake the thread that waits in a read on a dead link."""
    with contextlib.suppress(OSError, KeyError):
        response.extensions["socket"].shutdown(socket.SHUT_RDWR)


def main() -> None:
    # Signals reach the whole process group; only the recorder decides when reading ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The thread that reads must not wait for the one that hands on: 5 ms, Python's own measure,
    # is more than Qtap's buffer holds at 40,000 events a second.
    sys.setswitchinterval(_SWITCH_S)
    options = msgspec.json.decode(sys.stdin.buffer.readline(), type=Options)
    Reader(options, sys.stdout.buffer).run()


if __name__ == "__main__":
    main()

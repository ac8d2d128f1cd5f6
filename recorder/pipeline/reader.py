"""The reading process: it drains the socket, and does nothing else that could keep it from that.

A process of its own, since decoding and reading under one interpreter lock would wait for each
other (bench/README.md has both figures). The bounded queue between socket and workers lives here,
and each block until it is on the disk. Run as `python -m recorder.pipeline.reader`: options come as
one JSON line and then commands over the socket that is its stdin, blocks go to the workers and word
of them to stdout.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, BinaryIO

if __name__ == "__main__":  # Arrow, if it comes to that, takes 6 MB for arrays
    sys.modules["numpy"] = None  # type: ignore[assignment]

import msgspec

from recorder.pipeline.frames import (
    Again,
    Alive,
    Block,
    Down,
    Ended,
    FromReader,
    Handed,
    Hire,
    Options,
    Queue,
    Settled,
    Up,
    mono_us,
    obey_recorder,
    receive_command,
    send,
)
from recorder.source.request import is_near
from recorder.source.subscription import LinkError, Stream, answers, hang_up, open_stream

_IN_HAND = 2  # blocks of a worker that are not settled: in work, and what it finds next
_SWITCH_S = 0.0005
_TELL_S = 5.0
_MUCH_BYTES = 64 << 10  # so much is read at once, however long it would have to wait then
_LITTLE = 2  # times as long as a block gathers, where it is less: half as many blocks
_REST_S = 1.0  # in which a connection that is hung up has to come to its end
_PROBE_TIMEOUT_S, _PROBES = 5.0, 3
_ANEW_S = 600.0  # of silence in which the source answers: after it, subscribe once more
_GREETING = b"event: system.connected\n"
_BACKOFF_S, _BACKOFF_MAX_S = 0.25, 15.0
_NEAR_MAX_S = 1.0  # for a source on this host that is not there: it costs nobody to look
_LIVED_S = 30.0  # a connection that was open for less does not set the pause back


class _Worker:
    """A worker as the reader sees it: its pipe, and its blocks that are not settled."""

    def __init__(self, number: int, pipe: IO[bytes]) -> None:
        self.number = number
        self.pipe = pipe
        self.blocks: dict[int, tuple[Block, int]] = {}
        self.room = threading.Semaphore(_IN_HAND)
        self.gone = False


class Reader:
    """A thread reads the socket, one watches a silent link, one a worker hands blocks to it; the
    main one takes commands."""

    def __init__(
        self, options: Options, out: BinaryIO, commands: socket.socket | None = None
    ) -> None:
        self.options = options
        self.queue = Queue(options.queue_bytes)
        self._commands = commands
        self._out = out
        self._sending = threading.Lock()
        self._workers: dict[int, _Worker] = {}
        self._turn = threading.Lock()  # of the one worker that gets the next block
        self._books = threading.Lock()  # over which blocks are whose
        self._again: deque[tuple[Block, int]] = deque()
        self._next_number = options.first
        self._taken_at = self._read_at = 0.0
        self._stopping = threading.Event()
        self._heard = mono_us()  # when the link was last known to be good
        self._came = mono_us()  # when something last came through it
        self._response: Stream | None = None
        self._successor: Stream | None = None  # a subscription made anew
        self._dead = False

    def run(self) -> None:
        assert self._commands is not None
        self._commands.settimeout(_TELL_S)
        for work in (self._read_forever, self._watch):
            _started(work)
        while True:
            try:
                command, descriptor = receive_command(self._commands)
            except TimeoutError:
                self._send(self.queue.waiting())
                continue
            match command:
                case Hire():
                    assert descriptor is not None
                    pipe = os.fdopen(descriptor, "wb", buffering=0)
                    worker = self._workers[command.worker] = _Worker(command.worker, pipe)
                    _started(functools.partial(self._hand_to, worker))
                case Settled():
                    self._settle(command.first)
                case Again():
                    self._take_back(command)
                case None:  # the recorder is gone, and so is our purpose
                    os._exit(0)
                case _:
                    self._stopping.set()
                    if self._response is not None:
                        hang_up(self._response)
                    self.queue.wake()
                    self._send(self.queue.waiting())

    def _send(self, frame: FromReader) -> None:
        try:
            with self._sending:
                send(self._out, frame)
        except OSError:
            os._exit(0)

    def _settle(self, first: int) -> None:
        for worker in self._workers.values():
            if worker.blocks.pop(first, None) is not None:
                worker.room.release()

    def _take_back(self, command: Again) -> None:
        worker = self._workers.pop(command.worker)
        with self._books:
            worker.gone = True
            for first, (block, mono) in sorted(worker.blocks.items()):
                if first == command.first:
                    block.skip = command.skip
                self._again.append((block, mono))
        worker.room.release()
        self.queue.wake()

    def _hand_to(self, worker: _Worker) -> None:
        """Give a worker a block whenever it has room for one, until it is gone."""
        while True:
            worker.room.acquire()
            with self._turn:
                block = self._next(worker)
            if block is None:
                return
            try:
                send(worker.pipe, block)
            except OSError:  # the recorder notices, and has its blocks taken back
                return

    def _next(self, worker: _Worker) -> Block | None:
        """The next block, on its way to a worker; None once that is gone."""
        queue = self.queue
        while True:
            queue.ready.clear()
            if worker.gone:
                return None
            if not self._again and not queue:
                queue.ready.wait()
                continue
            if not self._again and not self._stopping.is_set():
                self._gather()
            if self._again:
                block, mono = self._again.popleft()
            elif not queue:
                continue
            else:
                taken = queue.take()
                if not isinstance(taken, tuple):
                    self._send(taken)
                    continue
                pieces, mono = taken
                self._taken_at = time.monotonic()
                block = Block(self._next_number, pieces, queue.queued())
                self._next_number += block.events
            with self._books:
                if worker.gone:
                    self._again.appendleft((block, mono))
                    queue.wake()
                else:
                    worker.blocks[block.first] = block, mono
            # Told in any case: the recorder has to hear of blocks in their order.
            handed = Handed(block.first, block.events, mono, worker.number, queue.waiting())
            self._send(handed)
            return None if worker.gone else block

    def _gather(self) -> None:
        """Let a block grow, from the time on when the one before it was taken."""
        filling, gather_s = self.queue.filling, self.options.gather_s
        filling.wait(self._taken_at + gather_s - time.monotonic())

    def _pace(self, line: socket.socket) -> None:
        """Leave what comes in the kernel while it would only gather here: of ten events a second,
        each would wake this process. TLS keeps some of it out of the kernel's sight."""
        left = self._read_at + _LITTLE * self.options.gather_s - time.monotonic()
        if left <= 0 or self._stopping.is_set() or type(line) is not socket.socket:
            return
        poll = select.poll()
        poll.register(line, select.POLLIN)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _MUCH_BYTES)
        poll.poll(left * 1000)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _read_forever(self) -> None:
        backoff = _BACKOFF_S
        near = is_near(self.options.subscription.url)
        while not self._stopping.is_set():
            began = time.monotonic()
            was_up, kind, text = self._read_once()
            if self._stopping.is_set():  # what waits is still handed on; the rest is no end
                break
            if was_up and time.monotonic() - began > _LIVED_S:
                backoff = _BACKOFF_S
            elif kind == "refused" and near:
                backoff = min(backoff, _NEAR_MAX_S)
            good = self._heard if kind == "dead" else mono_us()
            self.queue.mark(Down(mono_us(), kind, text, was_up, good))
            if was_up and self.options.subscription.once:
                break
            self._stopping.wait(random.uniform(backoff / 2, backoff))
            backoff = min(backoff * 2, _BACKOFF_MAX_S)
        self.queue.mark(Ended())

    def _read_once(self) -> tuple[bool, str, str]:
        """Read one connection to its end: (was open, kind of the end, its words)."""
        up = False
        try:
            with open_stream(self.options.subscription, self._pace) as response:
                self._response = response
                self._came = self._heard = mono_us()
                up = True
                self.queue.mark(Up(mono_us()))
                self._drain(response)
            return up, *self._ended("ended", "the source ended the stream")
        except LinkError as error:
            return up, *self._ended(error.kind, error.text)
        except Exception as error:  # one connection that nobody foresaw is one broken connection
            text = f"the stream broke: {type(error).__name__}: {str(error)[:200]}"
            return up, *self._ended("broken", text)
        finally:
            self._response = self._successor = None

    def _drain(self, response: Stream, greeting: bytes = b"") -> None:
        """Read what comes, until the stream ends; and on in one that took its place, without the
        `greeting` with which that begins."""
        rest_until = 0.0
        try:
            for block in response.iter_bytes():
                self._came = self._heard = mono_us()
                if greeting and block.startswith(greeting):
                    block = block.partition(b"\n\n")[2]
                greeting = b""
                if block:
                    self.queue.put(block)
                    self._read_at = time.monotonic()
                if self._stopping.is_set():  # what the kernel holds still counts; a flood does not
                    rest_until = rest_until or time.monotonic() + _REST_S
                    if time.monotonic() >= rest_until:
                        return
        except LinkError:
            if self._successor is None:
                raise
        if self._successor is not None:
            with self._successor as successor:
                self._response, self._successor = successor, None
                if not self._stopping.is_set():
                    self._drain(successor, _GREETING)

    def _subscribe_anew(self, old: Stream) -> None:
        """After a long silence: a proxy may answer, and keep a stream open that nobody fills. The
        old one is let go of when the new one is there, so that nothing is missed between them."""
        try:
            successor = open_stream(self.options.subscription, self._pace)
        except LinkError:
            self._dead = True
        else:
            self._came, self._successor = mono_us(), successor
            if self._response is not old:  # it ended meanwhile
                self._successor = None
        hang_up(old)

    def _ended(self, kind: str, text: str) -> tuple[str, str]:
        if self._dead:
            self._dead = False
            return "dead", "the source stopped answering"
        return kind, text

    def _watch(self) -> None:
        """While the stream is silent, ask /healthz whether the source still lives."""
        failures = 0
        subscription = self.options.subscription
        pause = after = subscription.probe_after_s
        while not self._stopping.wait(pause):
            response = self._response
            silent = (mono_us() - self._heard) / 1e6
            pause = max(after - silent, min(1.0, after / 4))
            if response is None or silent < after:
                failures = 0
                continue
            if answers(subscription.url, "/healthz", min(_PROBE_TIMEOUT_S, after)):
                failures = 0
                self._heard = mono_us()
                self.queue.mark(Alive(self._heard))
                if self._heard - self._came > _ANEW_S * 1e6 and not subscription.once:
                    self._subscribe_anew(response)
                continue
            failures += 1
            if failures >= _PROBES:
                failures = 0
                self._dead = True
                hang_up(response)


def _started(work: Callable[[], None]) -> None:
    """Do the work in a thread. An exception in it ends the process, for everybody to see: a
    process that lives on with one of its threads gone is deaf, and nobody would know."""

    def run() -> None:
        try:
            work()
        except BaseException as error:
            with contextlib.suppress(OSError, ValueError):
                print(f"qrec: the reading process failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)

    threading.Thread(target=run, daemon=True).start()


def main() -> None:
    obey_recorder()
    # The thread that reads must not wait for one that hands on: 5 ms, Python's own measure,
    # is more than Qtap's buffer holds at 40,000 events a second.
    sys.setswitchinterval(_SWITCH_S)
    commands = socket.socket(fileno=sys.stdin.fileno())
    options = msgspec.json.decode(commands.makefile("rb", buffering=0).readline(), type=Options)
    Reader(options, sys.stdout.buffer, commands).run()


if __name__ == "__main__":
    main()

"""The recorder's other processes, one that reads and some that work: started, watched, replaced.

Every block is in one of three places: on the disk, in a worker, or waiting in the reader, which
keeps it until it is on the disk. A worker that dies or says nothing for some seconds is replaced,
and its blocks go to others; the one over which it died is tried again event by event. An event that
costs a worker again is set aside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from recorder.normalize.routes import Router
from recorder.options import RecordOptions, RowFilter
from recorder.pipeline import frames
from recorder.pipeline.frames import (
    READY,
    WRITING,
    Again,
    Alive,
    At,
    Done,
    Down,
    Ended,
    FromReader,
    FromWorker,
    Handed,
    Hire,
    Options,
    Receiver,
    Refused,
    Settled,
    Stop,
    Up,
    Waiting,
    mono_us,
)
from recorder.redact.rules import policy_of
from recorder.source.request import Subscription
from recorder.write.intake import REPEATS_BYTES
from store.errors import QrecError

_SILENT_S = 5.0  # a worker has something to tell once a second
_STARTING_S, _DISK_S = 60.0, 30.0  # until it is there; until a file is on the disk
_READER_S = 20.0  # the reader has something to tell every five seconds
_TICK_S = 1.0  # of the time between two looks, what counts at most: a machine may have slept
_TRIES = 6  # workers that one block may cost
_HIGH_BYTES, _HIGH_S = 8 << 20, 1.0  # so much waiting for so long is worth another worker
# So many readers, and workers as they start, may end within so long without a block on the disk.
_LIVES, _LIFE_S = 5, 60.0
_END_S = 1.0
_MORE_S = 0.02  # what is told of a small block comes within it: one look instead of four
_PIPE_BYTES = 1 << 20  # what more there is waits in the reading process, bounded and counted there


@dataclass
class Handout:
    """A block that was handed out: `events` numbers from `first` on. `done` once it is on the
    disk; `lost` when it never will be."""

    first: int
    events: int
    mono: int
    to: int
    tries: int = 0
    skip: list[int] = field(default_factory=list)
    done: Done | None = None
    lost: bool = False

    @property
    def last(self) -> int:
        return self.first + max(self.events, 1) - 1

    @property
    def open(self) -> bool:
        return self.done is None and not self.lost


Message = Handout | Up | Alive | Down | Ended


class _Process:
    """A process of ours, what it tells, and for how long it has told nothing."""

    def __init__(self, module: str, source: int, memory: int | None = None, seed: int = 0) -> None:
        # -P and "/": with -m, Python looks for modules in the working directory before its own
        # library, and whoever owns that directory must not decide what a recorder runs.
        command = [sys.executable, "-P", "-m", module]
        shared = () if memory is None else (memory,)
        self.popen = subprocess.Popen(
            [*command, *map(str, shared)], stdin=source, stdout=subprocess.PIPE, bufsize=0, cwd="/",
            pass_fds=shared, env=os.environ | {"PYTHONHASHSEED": str(seed) if shared else "random"},
        )  # fmt: skip
        assert self.popen.stdout is not None
        self.pipe: IO[bytes] = self.popen.stdout
        self.silent_s = self._waited_s = 0.0

    def is_silent(self, patience_s: float) -> bool:
        """Whether it told nothing for so long, of the time in which it could: one that waits for a
        processor, on a machine full of work, is no better replaced by one that has to start."""
        if self.silent_s > patience_s:
            waited_s = _waited_s(self.popen.pid)
            self.silent_s -= min(self.silent_s, waited_s - self._waited_s)
            self._waited_s = waited_s
        return self.silent_s > patience_s

    def end(self) -> None:
        self.popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
            self.popen.wait(timeout=_END_S)


def _waited_s(pid: int) -> float:
    """How long a process was ready and not run, in all; 0 where no kernel tells (Linux does)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class _Worker(_Process):
    def __init__(self, number: int, settings: bytes, memory: int | None, seed: int) -> None:
        source, self.blocks = os.pipe()
        for end in (source, self.blocks):
            with contextlib.suppress(OSError, AttributeError):  # Linux only, so much a user
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        super().__init__("recorder.pipeline.worker", source, memory, seed)
        os.close(source)
        with contextlib.suppress(OSError):  # it ended already
            os.write(self.blocks, settings)
        self.number = number
        self.hired = self.wrote = False  # hired: the reader knows of it, and alone holds its pipe
        self.frames = Receiver(self.pipe, frames.from_worker)
        self.at: At | None = None

    def patience_s(self, has_work: bool) -> float:
        if self.at is None:
            return _STARTING_S
        if not has_work:
            return float("inf")
        return _DISK_S if self.at.event == WRITING else _SILENT_S


class _Reader(_Process):
    def __init__(self, options: Options) -> None:
        self.commands, source = socket.socketpair()
        super().__init__("recorder.pipeline.reader", source.fileno())
        source.close()
        self.commands.sendall(msgspec.json.encode(options) + b"\n")
        self.commands.settimeout(_END_S)
        self.frames = Receiver(self.pipe, frames.from_reader)
        self.heard = False

    def command(self, frame: frames.Command, descriptor: int | None = None) -> None:
        with contextlib.suppress(OSError):  # it is gone or stopped, which is noticed elsewhere
            frames.command(self.commands, frame, descriptor)


def checked(options: RecordOptions) -> str:
    """The id of the redaction that workers will do, from a process that does none. UsageError for
    what a worker would not be made of."""
    Router(options.routes)
    if options.filter:
        RowFilter(options.filter)
    return policy_of(options.redact)


class Workers:
    """One reading process and its workers; `poll` tells what became of the stream, in its order.

    settings: for workers, a line; most: how many there may be; first: the next event's number.
    Nothing here waits without limit for a process: neither for its word nor for its end.
    """

    def __init__(self, settings: bytes, most: int, first: int) -> None:
        self.queued = 0  # bytes that wait in the reader
        self.dropped = 0  # events that never reached a worker, in all
        self.refused = ""  # why the disk takes no blocks
        self.moved_at = 0.0  # when a worker last came further, by the monotonic clock
        self.settled = first - 1  # all numbers up to here are on the disk or never will be
        self._settings = settings
        self._most = max(1, most)
        self._next = first
        self._reader: _Reader | None = None
        self._options = Options(Subscription(""))
        self._workers: dict[int, _Worker] = {}
        self._left: list[_Worker] = []  # whose reader is gone: they finish what they have
        self._order: deque[Handout | FromReader] = deque()
        self._handouts: dict[int, Handout] = {}
        self._waiting = Waiting(0, 0, 0)
        self._high_s = 0.0
        self._numbered = 0
        self._ended_at: deque[float] = deque(maxlen=_LIVES)
        self._looked_at = time.monotonic()
        self.woken: int | None = None  # a descriptor: what comes there ends a wait
        # What the workers know of the rows that came: of whoever comes in another one's place, too.
        self._memory: int | None = None
        self._seed = secrets.randbelow(1 << 32)
        if sys.platform == "linux":  # elsewhere each knows its own
            self._memory = os.memfd_create("repeats")
            os.ftruncate(self._memory, REPEATS_BYTES)

    @property
    def starting(self) -> bool:
        """Whether a worker has written no rows yet: it comes up, or loads what it writes with."""
        return not all(worker.wrote for worker in self._workers.values())

    def start(self, subscription: Subscription, gather_s: float) -> None:
        """Start reading; a process that read before is ended, and its workers finish."""
        self._options = Options(subscription, 0, gather_s, frames.QUEUE_BYTES)
        self._read_anew()

    def poll(self, timeout: float) -> Iterator[Message]:
        """What has come in the order of the stream, after waiting for it for so many seconds.

        QrecError where processes end as soon as they are started.
        """
        self._wait(timeout)
        now = time.monotonic()
        spent, self._looked_at = min(now - self._looked_at, _TICK_S), now
        if self._reader is not None:
            self._look_at_reader(self._reader, spent)
        for worker in [*self._workers.values(), *self._left]:
            self._look_at(worker, spent)
        self._grow(spent)
        while self._order:
            entry = self._order[0]
            if isinstance(entry, Handout):
                if entry.open:
                    return
                del self._handouts[entry.first]
                self.settled = entry.last
            self._order.popleft()
            yield entry  # type: ignore[misc]

    def stop(self) -> None:
        """Ask for no more to be read; what was read still comes, then Ended."""
        if self._reader is not None:
            self._reader.command(Stop())

    def close(self) -> int:
        """End the processes now; how many events that were read are not on the disk."""
        lost = self._waiting.events
        processes: list[_Process] = [*self._workers.values(), *self._left]
        if self._reader is not None:
            processes.insert(0, self._reader)
            self._reader.commands.close()
        self._reader, self._workers, self._left = None, {}, []
        for process in processes:
            process.popen.kill()
        for process in processes:
            process.end()
            if isinstance(process, _Worker):
                for frame in process.frames.frames():
                    self._told(process, frame)
                if not process.hired:
                    os.close(process.blocks)
            process.pipe.close()
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None
        return lost + sum(one.events for one in self._handouts.values() if one.open)

    def rest(self) -> list[Handout]:
        """After the end: the blocks that are settled behind one that never was."""
        return [one for one in self._order if isinstance(one, Handout) and not one.open]

    def _wait(self, timeout: float) -> None:
        poll = select.poll()  # select takes no descriptor beyond 1,023
        processes: list[_Process] = [*self._workers.values(), *self._left]
        for process in [*processes, self._reader]:
            if process is not None:
                poll.register(process.pipe, select.POLLIN)
        if self.woken is not None:
            poll.register(self.woken, select.POLLIN)
        found = poll.poll(timeout * 1000)
        if (self.woken, select.POLLIN) in found:
            os.read(self.woken or 0, _PIPE_BYTES)
        elif found:
            time.sleep(_MORE_S)

    def _look_at_reader(self, reader: _Reader, spent: float) -> None:
        heard = reader.frames.frames()
        reader.silent_s = 0.0 if heard else reader.silent_s + spent
        reader.heard = reader.heard or bool(heard)
        patience_s = _READER_S if reader.heard else _STARTING_S
        if ended := reader.frames.ended or reader.is_silent(patience_s):
            reader.end()
            heard += reader.frames.frames()  # a number that it handed out is not given again
        for frame in heard:
            match frame:
                case Waiting():
                    self._take_stock(frame)
                case Handed():
                    self._handed(frame)
                    self._take_stock(frame.waiting)
                case _:
                    self._order.append(frame)
        if ended:
            self._lost_a_life("reads")
            self.dropped += self._waiting.events
            text = "the reading process ended and was replaced"
            self._order.append(Down(mono_us(), "broken", text, True, 0))
            self._read_anew()

    def _take_stock(self, waiting: Waiting) -> None:
        self.dropped += waiting.dropped - self._waiting.dropped
        self._waiting, self.queued = waiting, waiting.queued

    def _handed(self, frame: Handed) -> None:
        if handout := self._handouts.get(frame.first):
            handout.to = frame.to
            return
        handout = Handout(frame.first, frame.events, frame.mono, frame.to)
        self._handouts[frame.first] = handout
        self._order.append(handout)
        self._next = handout.last + 1

    def _look_at(self, worker: _Worker, spent: float) -> None:
        heard = worker.frames.frames()
        worker.silent_s = 0.0 if heard else worker.silent_s + spent
        for frame in heard:
            self._told(worker, frame)
        work = [one for one in self._handouts.values() if one.open and one.to == worker.number]
        if work and worker.silent_s > _TICK_S and not worker.is_silent(_TICK_S):
            self.moved_at = time.monotonic()  # as far as it could: it waits for a processor
        left = worker in self._left
        silent = worker.is_silent(worker.patience_s(bool(work))) or (left and not work)
        if not silent and not worker.frames.ended:
            return
        worker.end()
        for frame in worker.frames.frames():  # its last words
            self._told(worker, frame)
        worker.pipe.close()
        if not worker.hired:
            os.close(worker.blocks)
        if left:
            self._left.remove(worker)
            for one in work:
                one.lost = one.open
            return
        del self._workers[worker.number]
        if worker.at is None:
            self._lost_a_life("works")
        self._give_back(worker, [one for one in work if one.open])
        self._start_worker()

    def _told(self, worker: _Worker, frame: FromWorker) -> None:
        match frame:
            case At():
                if frame != worker.at:  # a write that is tried again comes no further
                    self.moved_at = time.monotonic()
                worker.at = frame
                if frame.event == READY:
                    self._hire(worker)
            case Refused():
                self.refused = frame.why
            case Done():
                self.refused = ""
                self._ended_at.clear()
                worker.wrote = worker.wrote or bool(frame.rows)
                worker.at = At(frame.first, READY)
                if (handout := self._handouts.get(frame.first)) and handout.open:
                    handout.done = frame
                    self._settle(handout)

    def _settle(self, handout: Handout) -> None:
        self.moved_at = time.monotonic()
        if self._reader is not None:
            self._reader.command(Settled(handout.first))

    def _give_back(self, worker: _Worker, work: list[Handout]) -> None:
        """Let others have the blocks of a worker that is gone, the suspicious one with care."""
        at, first, skip = worker.at, 0, list[int]()
        if work and at is not None and at.event != READY:
            suspect = min(work, key=lambda one: one.first)
            suspect.tries += 1
            if suspect.tries > 1 and at.first == suspect.first and at.event >= 0:
                suspect.skip.append(at.event)
            first, skip = suspect.first, suspect.skip
            if suspect.tries > _TRIES:
                suspect.lost = True
                self._settle(suspect)
        if self._reader is not None and worker.hired:
            self._reader.command(Again(worker.number, first, skip))

    def _read_anew(self) -> None:
        """A new reading process, with a worker of its own."""
        if self._reader is not None:
            self._reader.end()
            self._reader.commands.close()
            self._reader.pipe.close()
        self._left += self._workers.values()
        self._workers, self._waiting, self.queued = {}, Waiting(0, 0, 0), 0
        self._reader = _Reader(msgspec.structs.replace(self._options, first=self._next))
        self._start_worker()

    def _start_worker(self) -> None:
        self._numbered += 1
        self._workers[self._numbered] = _Worker(
            self._numbered, self._settings, self._memory, self._seed
        )

    def _hire(self, worker: _Worker) -> None:
        """Let the reader give blocks to a worker that has started."""
        if self._reader is not None and worker.number in self._workers:
            self._reader.command(Hire(worker.number), worker.blocks)
            os.close(worker.blocks)
            worker.hired = True

    def _grow(self, spent: float) -> None:
        self._high_s = self._high_s + spent if self.queued > _HIGH_BYTES else 0.0
        if self._high_s > _HIGH_S and len(self._workers) < self._most:
            self._high_s = 0.0
            self._start_worker()

    def _lost_a_life(self, task: str) -> None:
        self._ended_at.append(time.monotonic())
        if len(self._ended_at) == _LIVES and self._ended_at[-1] - self._ended_at[0] < _LIFE_S:
            raise QrecError(
                f"the process that {task} ends again and again",
                "See what it says above; whether this machine has memory to spare.",
            )

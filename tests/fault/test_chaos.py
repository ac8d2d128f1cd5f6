"""Everything goes wrong at once, for a minute: what the source sent is in the store once, or is
counted as dropped or rejected, or lies in a gap of coverage. Nothing else is a pass."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from recorder.source.blocks import EVENT_LIMIT
from store.coverage import SEEING, Stretch, read_stretches
from store.hours import HOUR_US
from store.layout import Store
from tests.fault.scripted import HEAD, Source, answer
from tests.fault.test_disk import disk, fill
from tests.kit import S, connected, frame, transaction, visible_ids, wait_for

# Another worker is started for very little that waits, so that there are several of them.
_PROGRAM = """
import os, sys
from pathlib import Path
from recorder.options import RecordOptions
from recorder.pipeline import workers
from recorder.record import record
class Quiet:
    def status(self, status): pass
    def note(self, text): print(text, file=sys.stderr, flush=True)
workers._HIGH_BYTES, workers._HIGH_S = 20_000, 0.5
record(RecordOptions(store=Path(sys.argv[2]), url=sys.argv[1], recorder=sys.argv[3], wait=True,
                     flush_interval=0.3, probe_after_s=1.0, headers_s=2.0, workers=3), Quiet())
os._exit(0)  # as the command does where a seal is under way
"""
# In each process of a recorder: while there is a file `eio` nothing, or not all, reaches the disk;
# the file `step` says how many seconds the clock on the wall is wrong.
_SITE = """
import errno, os, pathlib, random, time
folder = pathlib.Path(__file__).parent
fsync, time_ns = os.fsync, time.time_ns
def failing(descriptor):
    if (folder / "eio").exists() and random.random() < 0.7:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    fsync(descriptor)
def stepped():
    return time_ns() + int((folder / "step").read_text() or 0) * 10**9
os.fsync, time.time_ns, time.time = failing, stepped, lambda: stepped() / 1e9
"""
_YEAR_S = 365 * 24 * 3600
_STEPS_S = (0, -60, 60, -3 * 3600, 3600, 20 * _YEAR_S, -50 * _YEAR_S)
_EDGE_US = S // 20  # an event is sent a moment after its time is taken
_GIANT = b"data: " + b"x" * (EVENT_LIMIT + (1 << 20)) + b"\n\n"


class Liar:
    """Sends numbered events, and ends each connection in one of the ways in which they end.

    Its clock steps from one stretch of hours to another that it was never in: so a time tells an
    event's place in coverage. An event goes to who connected last: a reading process that is
    stopped when its recorder is killed keeps a connection that nobody reads.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.sent: dict[str, int] = {}  # id -> time, µs
        self.quiet = threading.Event()
        self.newest: socket.socket | None = None
        self.echo = False  # everything is sent twice
        self.storm_until = 0.0  # each connection ends as soon as it has begun
        self.source = Source([self.serve])
        self.url = self.source.url
        self._steps = [2 * n * HOUR_US for n in range(-15, 15) if n]
        self.rng.shuffle(self._steps)
        self._off = 0

    def step(self) -> None:
        self._off = self._steps.pop() if self._steps else self._off

    def now(self) -> int:
        return time.time_ns() // 1000 + self._off

    def serve(self, client: socket.socket) -> None:
        if self.rng.random() < 0.2 and not self.quiet.is_set():
            self._refuse(client)
            return
        client.sendall(HEAD + frame(connected(self.now())))
        self.newest = client
        end = time.monotonic() + self.rng.choice([0.0, 1.0, 5.0, 20.0])
        while time.monotonic() < end or self.quiet.is_set():
            if time.monotonic() < self.storm_until or self.newest is not client:
                return
            if not self.quiet.is_set():
                self._send(client)
            time.sleep(0.005)
        self._misbehave(client)

    def _refuse(self, client: socket.socket) -> None:
        chunked = HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
        match self.rng.randrange(5):
            case 0:
                answer("503 not ready")(client)
            case 1:
                answer("200 OK", "<html>", "text/html")(client)
            case 2:
                client.sendall(HEAD.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection"))
            case 3:
                client.sendall(chunked + b"no length\r\n" + frame(connected(self.now())))
            case _:
                client.sendall("HTTP/1.1 200 Grüße\r\n".encode("latin-1") + b"X" * 70_000)

    def _send(self, client: socket.socket) -> None:
        name, now = f"{self.name}{len(self.sent):07d}", self.now()
        client.sendall(frame(transaction(name, now)) * (2 if self.echo else 1))
        self.sent[name] = now

    def _misbehave(self, client: socket.socket) -> None:
        match self.rng.randrange(5):
            case 0:  # half an event
                client.sendall(frame(transaction("half", self.now()))[:-40])
            case 1:  # one that is too long, and more after it
                client.sendall(_GIANT)
                self._send(client)
            case 2:  # no end of a line
                for _ in range(30):
                    client.sendall(b"y" * (1 << 20))
                    time.sleep(0.01)
            case 3:  # half open: nothing comes, and nothing answers
                self.source.healthy = False
                with contextlib.suppress(OSError):
                    client.recv(1)
                self.source.healthy = True
            case _:
                pass


class Recorder:
    """A recorder that is started again whenever it ends."""

    def __init__(self, liar: Liar, store: Path, folder: Path) -> None:
        self.name = liar.name
        self._command = [sys.executable, "-c", _PROGRAM, liar.url, str(store), liar.name]
        paths = (str(folder / "site"), os.environ.get("PYTHONPATH", ""))
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.log = folder / f"log-{liar.name}"
        self._log = self.log.open("ab")
        self.start()

    def start(self) -> None:
        self.process = psutil.Popen(self._command, stderr=self._log, env=self._environment)

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return [self.process, *self.process.children()]
        return [self.process]

    def stop(self) -> None:
        if self.process.poll() is not None:
            self.start()
        self.process.resume()
        wait_for(self.process.children)  # before it has any, it hears no signal
        self.process.terminate()
        assert self.process.wait(60) == 0
        self._log.close()


@pytest.mark.parametrize("seconds", [45, pytest.param(600, marks=[pytest.mark.long])])
@pytest.mark.timeout(900)
def test_whatever_was_sent_is_stored_once_or_told_to_be_missing(
    seconds: int, tmp_path: Path
) -> None:
    rng = random.Random(20261122 + int(os.environ.get("CHAOS", 0)))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_SITE)
    (tmp_path / "site" / "step").write_text("")
    liars = [Liar("r", 7), Liar("q", 8)]
    with disk(tmp_path / "disk", "size=200m") as folder:
        store = folder / "store"
        recorders = [Recorder(liar, store, tmp_path) for liar in liars]
        wait_for(lambda: all(len(liar.sent) > 100 for liar in liars))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(rng.uniform(0.3, 2.0))
            one = rng.randrange(2)
            _disturb(rng, recorders[one], liars[one], folder, tmp_path / "site")
        for liar in liars:
            liar.quiet.set()
        time.sleep(5)
        for recorder in recorders:
            recorder.stop()
        for liar, recorder in zip(liars, recorders, strict=True):
            liar.source.close()
            _check(store, liar, recorder.log.read_text(errors="replace"))


def _disturb(rng: random.Random, recorder: Recorder, liar: Liar, folder: Path, site: Path) -> None:
    if recorder.process.poll() is not None:
        recorder.start()
        return
    one = rng.choice(recorder.family())
    with contextlib.suppress(psutil.Error, OSError):
        match rng.randrange(9):
            case 0 | 1:
                one.kill()
            case 2:
                one.suspend()
                time.sleep(rng.uniform(0.1, 1.0))
                one.resume()
            case 3:
                if one != recorder.process:  # a supervisor that is stopped for good is systemd's
                    one.suspend()
            case 4:
                fill(folder)
                time.sleep(rng.uniform(0.1, 2.0))
                (folder / "filler").unlink()
            case 5:
                (site / "eio").touch()
                time.sleep(rng.uniform(0.1, 2.0))
                (site / "eio").unlink()
            case 6:
                (site / "step").write_text(str(rng.choice(_STEPS_S)))
            case 7:
                liar.step()
            case _:
                liar.echo = not liar.echo
                liar.storm_until = time.monotonic() + rng.choice([0.0, 3.0])


def _check(store: Path, liar: Liar, log: str) -> None:
    sent = liar.sent
    stored = Counter(name for name in visible_ids(store) if name.startswith(liar.name))
    twice = [name for name, times in stored.items() if times > 1]
    assert not twice, f"{len(twice)} rows count twice, such as {twice[:3]}\n{log[-3000:]}"
    assert len(stored) > len(sent) // 10, "hardly anything was recorded"
    rows = _stretches(store, liar.name)
    seen = [(row.from_ts, row.to_ts) for row in rows if row.state in SEEING]
    told = sum(row.dropped + row.rejected for row in rows)
    missing = [name for name in sent if name not in stored]
    silent = [
        name
        for name in missing
        if any(start + _EDGE_US < sent[name] < end - _EDGE_US for start, end in seen)
    ]
    print(f"{liar.name}: {len(sent)} sent, {len(stored)} stored, {told} told of, "
          f"{len(missing) - len(silent)} in gaps, {len(rows)} stretches")  # fmt: skip
    assert len(silent) <= told, (
        f"{len(silent)} of {len(missing)} missing events ({len(sent)} sent) lie in time that counts"
        f" as seen, {told} are told of; such as {silent[:3]}, {silent[-3:]}\n{log[-3000:]}"
    )


def _stretches(store: Path, recorder: str) -> list[Stretch]:
    opened = Store.open(store)
    files = [
        opened.sealed_hour("coverage", hour) / f"{recorder}.parquet"
        for hour in opened.hours("coverage")
    ]
    return [row for path in files if path.exists() for row in read_stretches(path)]

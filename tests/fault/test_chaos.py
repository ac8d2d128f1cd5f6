"""Everything goes wrong at once, for a minute: what the source sent is in the store once, or is
counted as dropped or rejected, or lies in a gap of coverage. Nothing else is a pass."""

from __future__ import annotations

import contextlib
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
from store.layout import Store
from tests.fault.scripted import HEAD, Source, answer
from tests.fault.test_disk import disk, fill
from tests.kit import S, connected, frame, transaction, visible_ids, wait_for

_PROGRAM = """
import sys
from pathlib import Path
from recorder.options import RecordOptions
from recorder.record import record
class Quiet:
    def status(self, status): pass
    def note(self, text): print(text, file=sys.stderr, flush=True)
record(RecordOptions(store=Path(sys.argv[2]), url=sys.argv[1], recorder="r", wait=True,
                     flush_interval=0.3, probe_after_s=1.0, headers_s=2.0), Quiet())
"""
_EDGE_US = S // 20  # an event is sent a moment after its time is taken


class Liar:
    """Sends numbered events, and ends each connection in one of the ways in which they end."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sent: dict[str, int] = {}  # id -> time, µs
        self.quiet = threading.Event()
        self.source = Source([self.serve])
        self.url = self.source.url

    def serve(self, client: socket.socket) -> None:
        refusals = [answer("503 not ready"), answer("200 OK", "<html>", "text/html")]
        if self.rng.random() < 0.2 and not self.quiet.is_set():
            self.rng.choice(refusals)(client)
            return
        client.sendall(HEAD + frame(connected(_now())))
        end = time.monotonic() + self.rng.choice([0.0, 1.0, 5.0, 20.0])
        while time.monotonic() < end or self.quiet.is_set():
            if not self.quiet.is_set():
                self._send(client)
            time.sleep(0.005)
        self._misbehave(client)

    def _send(self, client: socket.socket) -> None:
        name, now = f"e{len(self.sent):07d}", _now()
        client.sendall(frame(transaction(name, now)))
        self.sent[name] = now

    def _misbehave(self, client: socket.socket) -> None:
        match self.rng.randrange(5):
            case 0:  # half an event
                client.sendall(frame(transaction("half", _now()))[:-40])
            case 1:  # one that is too long, and more after it
                client.sendall(b"data: " + b"x" * (EVENT_LIMIT + (1 << 20)) + b"\n\n")
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


def _now() -> int:
    return time.time_ns() // 1000


class Recorder:
    """A recorder that is started again whenever it ends."""

    def __init__(self, url: str, store: Path, log: Path) -> None:
        self._command = [sys.executable, "-c", _PROGRAM, url, str(store)]
        self._log = log.open("ab")
        self.start()

    def start(self) -> None:
        self.process = psutil.Popen(self._command, stderr=self._log)

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return [self.process, *self.process.children()]
        return [self.process]

    def stop(self) -> None:
        if self.process.poll() is not None:
            self.start()
            time.sleep(2)
        self.process.resume()
        self.process.terminate()
        assert self.process.wait(60) == 0
        self._log.close()


@pytest.mark.parametrize("seconds", [45, pytest.param(600, marks=[pytest.mark.long])])
@pytest.mark.timeout(900)
def test_whatever_was_sent_is_stored_once_or_told_to_be_missing(
    seconds: int, tmp_path: Path
) -> None:
    rng = random.Random(20261122)
    liar = Liar(7)
    with disk(tmp_path / "disk", "size=200m") as folder:
        store = folder / "store"
        recorder = Recorder(liar.url, store, tmp_path / "log")
        wait_for(lambda: len(liar.sent) > 100)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(rng.uniform(0.3, 2.0))
            _disturb(rng, recorder, folder)
        liar.quiet.set()
        time.sleep(5)
        recorder.stop()
        liar.source.close()
        _check(store, liar.sent, (tmp_path / "log").read_text(errors="replace"))


def _disturb(rng: random.Random, recorder: Recorder, folder: Path) -> None:
    if recorder.process.poll() is not None:
        recorder.start()
        return
    one = rng.choice(recorder.family())
    with contextlib.suppress(psutil.Error, OSError):
        match rng.randrange(4):
            case 0:
                one.kill()
            case 1:
                one.suspend()
                time.sleep(rng.uniform(0.1, 1.0))
                one.resume()
            case 2:
                if one != recorder.process:  # a supervisor that is stopped for good is systemd's
                    one.suspend()
            case _:
                fill(folder)
                time.sleep(rng.uniform(0.1, 2.0))
                (folder / "filler").unlink()


def _check(store: Path, sent: dict[str, int], log: str) -> None:
    stored = Counter(visible_ids(store))
    twice = [name for name, times in stored.items() if times > 1]
    assert not twice, f"{len(twice)} rows count twice, such as {twice[:3]}\n{log[-3000:]}"
    assert len(stored) > len(sent) // 10, "hardly anything was recorded"
    rows = _stretches(store)
    seen = [(row.from_ts, row.to_ts) for row in rows if row.state in SEEING]
    told = sum(row.dropped + row.rejected for row in rows)
    missing = [name for name in sent if name not in stored]
    silent = [
        name
        for name in missing
        if any(start + _EDGE_US < sent[name] < end - _EDGE_US for start, end in seen)
    ]
    assert len(silent) <= told, (
        f"{len(silent)} of {len(missing)} missing events ({len(sent)} sent) lie in time that counts"
        f" as seen, {told} are told of; such as {silent[:3]}, {silent[-3:]}\n{log[-3000:]}"
    )


def _stretches(store: Path) -> list[Stretch]:
    opened = Store.open(store)
    return [
        row
        for hour in opened.hours("coverage")
        for row in read_stretches(opened.sealed_hour("coverage", hour) / "r.parquet")
    ]

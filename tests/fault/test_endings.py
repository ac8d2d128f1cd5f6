"""How a recording ends: in time and in good order, whatever hangs and whoever has gone away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil
import pytest

from recorder import record
from recorder.options import Status
from recorder.pipeline import workers
from recorder.pipeline.frames import mono_us
from recorder.source.request import Subscription
from recorder.write import retention, seal
from store.coverage import last_stretch
from store.errors import QrecError, UnavailableError
from store.layout import Store
from tests.fault.certificates import authority
from tests.fault.processes import child, disturbed, has_rows, recording, wait_until
from tests.fault.scripted import HEAD, answer, run, source, staying
from tests.fault.test_source import NOW, event, hello
from tests.kit import PATIENCE_S, S, visible_ids


def test_a_duration_ends_in_time_whatever_hangs(tmp_path: Path) -> None:
    def stop_all(worker: psutil.Process) -> None:
        child("recorder.pipeline.reader").suspend()
        worker.suspend()

    with source(disturbed(tmp_path, stop_all)) as qtap:
        summary, _ = run(qtap.url, tmp_path / "s", lambda s: False, duration=12.0)
    assert summary.seconds < 12.0 + 2.0 + 3.0  # and a busy machine, on which it begins late as well
    assert summary.reason.startswith("after 12 s")
    last = last_stretch(Store.open(tmp_path / "s"), "r")
    assert last is not None
    assert last.state == "stopped"


def test_an_end_does_not_wait_for_a_seal_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing, done = threading.Event(), threading.Event()

    def seal_for_long(*_: object) -> list[str]:
        sealing.set()
        done.wait(PATIENCE_S)
        return []

    monkeypatch.setattr(retention, "_ROUND_S", 0.1)
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(seal.Housekeeper, "round", seal_for_long)
    began: list[float] = []

    def enough(status: Status) -> bool:
        if status.written >= 1 and sealing.is_set():
            began.append(time.monotonic())
        return bool(began)

    with source(staying(hello(), event("a"))) as qtap:
        run(qtap.url, tmp_path / "s", enough)
    ended = time.monotonic()
    done.set()
    assert ended - began[0] < 2.0 + 2.0 + 3.0  # for what is to be written, the seal, a busy machine


def test_an_end_beside_a_seal_is_a_clean_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ends the threads that are left where they ask for its lock, and C++ aborts then."""
    (tmp_path / "sitecustomize.py").write_text(
        "import io, sys, time\n"
        "if 'record' in sys.orig_argv:\n"
        "    import pyarrow as pa, pyarrow.parquet as pq\n"
        "    from recorder.write import retention, seal\n"
        "    class Slow(io.BytesIO):\n"
        "        def write(self, data): time.sleep(0.001); return len(data)\n"
        "    def round(*_):\n"
        f"        open({str(tmp_path / 'sealing')!r}, 'w').close()\n"
        "        with pq.ParquetWriter(Slow(), pa.schema({'a': pa.int64()})) as writer:\n"
        "            while True: writer.write_table(pa.table({'a': [1]}))\n"
        "    retention._ROUND_S, seal.Housekeeper.round = 0.1, round\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workers.__file__).parents[2]}")
    with source(staying(hello(), event("a"))) as qtap:
        process = recording(qtap.url, tmp_path)
        wait_until(lambda: has_rows(tmp_path) and (tmp_path / "sealing").exists())
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_the_kernel_holds_at_a_stop_is_read_to_its_end(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader stands still while several reads' worth of events comes. It goes on when the order
    to stop waits for it, so that it knows of that before it has read them all."""
    trusted, tls = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    head = HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
    names = [f"e{number}" for number in range(1, 1200)]
    standing, filled = threading.Event(), threading.Event()
    told_to_stop = workers.Workers.stop

    def script(client: socket.socket) -> None:
        client.sendall(head)
        for number, name in enumerate(["e0", *names]):
            part = hello() + event("e0") if not number else event(name)
            client.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            assert number or standing.wait(PATIENCE_S)
        while unacknowledged(client):
            time.sleep(0.01)
        filled.set()
        client.recv(1)

    def enough(status: Status) -> bool:
        if status.written and not standing.is_set():
            child("recorder.pipeline.reader").suspend()
            standing.set()
        return standing.is_set() and filled.wait(PATIENCE_S)

    def stop(self: workers.Workers) -> None:
        told_to_stop(self)
        child("recorder.pipeline.reader").resume()

    monkeypatch.setattr(workers.Workers, "stop", stop)
    with source(script, tls=tls if scheme == "https" else None) as qtap:
        summary, _ = run(qtap.url, tmp_path / "s", enough)
    assert summary.reason == "as asked"
    assert visible_ids(tmp_path / "s") == sorted(["e0", *names])


def test_what_is_written_after_the_order_to_stop_was_seen_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk may take seconds for the rest, in which nobody reads what the source sends."""
    began, ordered = mono_us(), list[int]()
    told_to_stop = workers.Workers.stop

    def stop(self: workers.Workers) -> None:
        told_to_stop(self)
        ordered.append(mono_us())

    monkeypatch.setattr(workers.Workers, "stop", stop)
    monkeypatch.setattr(record, "mono_us", lambda: mono_us() + (5 * S if ordered else 0))
    with source(staying(hello(), event("a"))) as qtap:
        run(qtap.url, tmp_path / "s", lambda status: status.written >= 1)
    last = last_stretch(Store.open(tmp_path / "s"), "r")
    assert last is not None
    assert last.from_ts - NOW <= ordered[0] - began


def test_a_worker_that_is_slow_and_comes_further_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a block takes longer than a disk that hangs is waited for."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'recorder.pipeline.worker' in sys.orig_argv:\n"
        "    from recorder.redact.redactor import Redactor\n"
        "    redact = Redactor.redact\n"
        "    Redactor.redact = lambda *given: (time.sleep(0.08), redact(*given))[1]\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workers.__file__).parents[2]}")
    names = [f"e{number}" for number in range(50)]
    begun, came = threading.Event(), threading.Event()

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("first"))
        assert begun.wait(PATIENCE_S)
        client.sendall(b"".join(map(event, names)))
        while unacknowledged(client):
            time.sleep(0.01)
        came.set()
        client.recv(1)

    def enough(status: Status) -> bool:
        begun.set() if status.written else None
        return begun.is_set() and came.wait(PATIENCE_S)

    with source(script) as qtap:
        run(qtap.url, tmp_path / "s", enough)
    assert visible_ids(tmp_path / "s") == sorted(["first", *names])


def test_a_stop_waits_for_a_worker_that_gets_no_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_waited_s", lambda _: time.monotonic())
    came = threading.Event()

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a"))
        wait_until(lambda: has_rows(tmp_path), PATIENCE_S)
        worker = child("recorder.pipeline.worker")
        worker.suspend()
        client.sendall(event("b", 1) + event("c", 2))
        while unacknowledged(client):
            time.sleep(0.01)
        came.set()
        threading.Timer(5.0, worker.resume).start()
        client.recv(1)

    with source(script) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", lambda _: came.is_set())
    assert visible_ids(tmp_path / "s") == ["a", "b", "c"]
    assert not [note for note in listener.notes if "lost" in note]


@pytest.mark.parametrize("seconds", [3, 60])
def test_a_stop_waits_for_a_worker_that_comes_up_late_or_says_what_is_lost(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it may take longer to come up than an end waits for what does not move."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, sys, time\n"
        "if 'recorder.pipeline.worker' in sys.orig_argv:\n"
        f"    while not pathlib.Path({str(tmp_path / 'stopped')!r}).exists(): time.sleep(0.01)\n"
        f"    time.sleep({seconds})\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workers.__file__).parents[2]}")
    told_to_stop = workers.Workers.stop

    def stop(self: workers.Workers) -> None:
        told_to_stop(self)
        (tmp_path / "stopped").touch()

    monkeypatch.setattr(workers.Workers, "stop", stop)
    if seconds == 60:
        monkeypatch.setattr("recorder.record._STARTING_S", 2.0)
    sent = threading.Event()

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a") + event("b"))
        sent.set()
        client.recv(1)

    with source(script) as qtap:
        summary, listener = run(qtap.url, tmp_path / "s", lambda _: sent.is_set())
    if seconds == 3:
        assert visible_ids(tmp_path / "s") == ["a", "b"]
        assert not [note for note in listener.notes if "lost" in note]
    else:
        assert summary.written == 0
        assert "lost: 3 events that were read never reached the disk" in listener.notes


def unacknowledged(client: socket.socket) -> int:
    """Bytes that the other side's kernel does not have yet."""
    return int.from_bytes(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_recording_whose_reader_is_stopped(
    number: signal.Signals, tmp_path: Path
) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        process = recording(qtap.url, tmp_path)
        wait_until(lambda: has_rows(tmp_path))
        child("recorder.pipeline.reader", process.pid).suspend()
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
    assert visible_ids(tmp_path / "s") == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they end once they go on")
def test_stopped_processes_end_with_a_recorder_that_is_killed(tmp_path: Path) -> None:
    """They would hold the connection to Qtap, which fills a buffer for them, for good."""
    let_go = threading.Event()

    def script(client: socket.socket) -> None:
        staying(hello(), event("a"))(client)
        let_go.set()

    with source(script) as qtap:
        process = recording(qtap.url, tmp_path)
        wait_until(lambda: has_rows(tmp_path))
        others = [child(f"recorder.pipeline.{one}", process.pid) for one in ("reader", "worker")]
        for one in others:
            one.suspend()
        process.kill()
        process.wait(timeout=60)
        try:
            assert let_go.wait(30)
            assert not psutil.wait_procs(others, timeout=30)[1]
        finally:
            for one in others:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


def test_nohup_is_respected(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        process = recording(qtap.url, tmp_path, nohup=True)
        wait_until(lambda: has_rows(tmp_path))
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("place", ["a full disk", "a pipe that nobody reads"])
def test_narration_that_fails_ends_nothing(place: str, tmp_path: Path) -> None:
    scripts = [lambda client: client.sendall(HEAD + hello() + event("a")),
               staying(hello(), event("b", 1))]  # fmt: skip
    reads, writes = os.pipe()
    os.close(reads)
    path = "/dev/full" if place == "a full disk" else f"/dev/fd/{writes}"
    with source(*scripts) as qtap, Path(path).open("w") as stderr:
        process = recording(qtap.url, tmp_path, stderr=stderr)
        wait_until(lambda: has_rows(tmp_path) and visible_ids(tmp_path / "s") == ["a", "b"])
        process.terminate()
        process.wait(timeout=60)
    os.close(writes)
    last = last_stretch(Store.open(tmp_path / "s"), "r")
    assert last is not None
    assert last.reason == "by SIGTERM"


def test_closing_gives_up_on_a_process_that_cannot_be_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_END_S", 0.1)
    crew = workers.Workers(b"no settings\n", 1, 1)
    crew.start(Subscription("http://127.0.0.1:9"), 0.1)
    assert crew._reader is not None
    process = crew._reader.popen
    process.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(process, "kill", lambda: None)
        thread = threading.Thread(target=crew.close)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    process.kill()
    process.wait()


def test_processes_that_end_as_soon_as_they_start_end_the_recording_with_a_word() -> None:
    crew = workers.Workers(b"no settings\n", 1, 1)
    crew.start(Subscription("http://127.0.0.1:9"), 0.1)
    with pytest.raises(QrecError, match="ends again and again"):
        wait_until(lambda: list(crew.poll(0.1)) and False)
    crew.close()


def test_a_recording_that_never_connected_leaves_no_store_behind(tmp_path: Path) -> None:
    with source(answer("404 Not Found")) as qtap:
        with pytest.raises(UnavailableError):
            run(qtap.url, tmp_path / "new" / "s", lambda s: False)
        assert not (tmp_path / "new" / "s").exists()
        Store.create(tmp_path / "old")
        with pytest.raises(UnavailableError):
            run(qtap.url, tmp_path / "old", lambda s: False)
    assert (tmp_path / "old" / "store.json").exists()


def test_what_others_keep_there_stays(tmp_path: Path) -> None:
    def put_a_file(client: socket.socket) -> None:
        (tmp_path / "s" / "marks.jsonl").write_text("{}\n")
        answer("404 Not Found")(client)

    with source(put_a_file) as qtap, pytest.raises(UnavailableError):
        run(qtap.url, tmp_path / "s", lambda s: False)
    assert (tmp_path / "s" / "marks.jsonl").exists()
    assert (tmp_path / "s" / "store.json").exists()


def test_a_signal_ends_a_wait_at_once(tmp_path: Path) -> None:
    waiting, said = workers.Workers(b"{}", 1, 1), list[str]()
    with record._ending_signals(said.append) as waiting.woken:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert not list(waiting.poll(10 * PATIENCE_S))  # or the test's own limit of time ends it
        assert said == ["by SIGTERM"]
    waiting.close()

"""The recorder's processes: hung, killed, misled or without a terminal, none is alive and deaf."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import psutil
import pytest

from recorder.options import Status
from recorder.pipeline import workers
from recorder.pipeline.reader import Options, Reader
from recorder.source.subscription import Subscription, check_url
from recorder.write import seal
from store.coverage import last_stretch, read_stretches
from store.errors import QrecError, UnavailableError, UsageError
from store.layout import Store
from tests.fault.scripted import HEAD, Script, answer, run, source, staying
from tests.fault.test_source import event, hello
from tests.kit import PATIENCE_S, visible_ids


def child(module: str, pid: int | None = None) -> psutil.Process:
    children = psutil.Process(pid).children()
    return next(one for one in children if module in one.cmdline())


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("what the test waits for did not come")


def disturbed(
    folder: Path, disturb: Callable[[psutil.Process], object], module: str = "worker"
) -> Script:
    """Two events, of which the first is on the disk when a process is disturbed, and more."""

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a"))
        # Where the recording ends before, what the test expects of it fails, not this thread.
        with contextlib.suppress(AssertionError, StopIteration, psutil.Error):
            wait_until(lambda: _rows(folder))
            disturb(child(f"recorder.pipeline.{module}"))
        for number in range(1, 5):
            client.sendall(event(f"{'abcde'[number]}", number))
            time.sleep(0.05)
        client.recv(1)

    return script


def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_SILENT_S", 2.0)


@pytest.mark.parametrize("disturb", [psutil.Process.suspend, psutil.Process.kill])
def test_a_worker_that_hangs_or_dies_is_replaced_and_nothing_is_lost(
    disturb: Callable[[psutil.Process], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried(monkeypatch)
    with source(disturbed(tmp_path, disturb)) as qtap:
        summary, listener = run(qtap.url, tmp_path / "s", lambda s: s.written >= 5)
    assert visible_ids(tmp_path / "s") == ["a", "b", "c", "d", "e"]
    assert summary.gaps == 0
    assert listener.last is not None
    assert listener.last.dropped == 0
    left = [" ".join(one.cmdline()) for one in psutil.Process().children()]
    assert not [command for command in left if "recorder." in command]


def test_what_comes_again_is_stored_once_whichever_worker_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers, and one that took the place of another, which had seen the first."""
    monkeypatch.setattr(workers, "_HIGH_BYTES", -1)
    names = [f"e{number}" for number in range(12)]

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + b"".join(map(event, names)))
        with contextlib.suppress(AssertionError, StopIteration, psutil.Error):
            wait_until(lambda: _rows(tmp_path))
            child("recorder.pipeline.worker").kill()
        for _ in range(3):
            for name in names:
                client.sendall(event(name))
                time.sleep(0.05)
        client.sendall(event("end"))
        client.recv(1)

    with source(script) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: "end" in visible_ids(tmp_path / "s"), workers=3)
    assert visible_ids(tmp_path / "s") == sorted([*names, "end"])
    coverage = read_stretches(*(tmp_path / "s" / "coverage").glob("*/r.parquet"))
    assert sum(row.duplicates for row in coverage) == 36


@pytest.mark.parametrize("harm", ["time.sleep(600)", "os._exit(9)"])
def test_an_event_over_which_workers_hang_or_die_is_set_aside_and_the_others_stay(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried(monkeypatch)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "if 'recorder.pipeline.worker' in sys.orig_argv:\n"
        "    from recorder.decode import events\n"
        "    def harmed(name, data, decode=events.decode):\n"
        f"        if '\"bad\"' in data: {harm}\n"
        "        return decode(name, data)\n"
        "    events.decode = harmed\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workers.__file__).parents[2]}")
    events = [event(f"e{number}", number) for number in range(6)]
    events[3] = event("bad", 3)
    with source(staying(hello(), b"".join(events))) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", lambda s: s.written >= 5)
    assert visible_ids(tmp_path / "s") == ["e0", "e1", "e2", "e4", "e5"]
    assert listener.last is not None
    assert (listener.last.rejected, listener.last.dropped) == (1, 0)
    (rejected,) = (tmp_path / "s" / "_rejected").glob("*/*.jsonl")
    assert "a process died or hung over it" in rejected.read_text()


def test_a_block_that_costs_every_worker_is_dropped_with_an_exact_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_TRIES", 1)
    killed: list[int] = []

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a"))
        wait_until(lambda: _rows(tmp_path))
        child("recorder.pipeline.worker").suspend()
        client.sendall(event("b", 1) + event("c", 2) + event("d", 3))
        while len(killed) < 2:  # the one that has the block, again and again
            time.sleep(0.5)
            with contextlib.suppress(StopIteration, psutil.Error):
                worker = child("recorder.pipeline.worker")
                worker.suspend()
                worker.kill()
                killed.append(worker.pid)
        client.sendall(event("e", 4))
        client.recv(1)

    with source(script) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", lambda s: s.written + s.dropped >= 5)
    written = visible_ids(tmp_path / "s")
    assert listener.last is not None
    assert len(written) + listener.last.dropped == 5
    coverage = read_stretches(*(tmp_path / "s" / "coverage").glob("*/r.parquet"))
    assert sum(row.dropped for row in coverage) == listener.last.dropped


def test_connecting_again_waits_for_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_SILENT_S", PATIENCE_S)
    stuck: list[psutil.Process] = []

    def first(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("a"))
        wait_until(lambda: _rows(tmp_path))
        stuck.append(child("recorder.pipeline.worker"))
        stuck[0].suspend()
        client.sendall(event("b", 1))

    def second(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + event("c", 2))
        stuck[0].resume()
        client.recv(1)

    with source(first, second) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 3)
    assert visible_ids(tmp_path / "s") == ["a", "b", "c"]


@pytest.mark.parametrize("disturb", [psutil.Process.suspend, psutil.Process.kill])
def test_a_reading_process_that_ends_is_replaced_and_what_it_missed_is_a_gap(
    disturb: Callable[[psutil.Process], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_READER_S", 3.0)
    first = disturbed(tmp_path, disturb, "reader")
    with source(first, staying(hello(), event("f", 9))) as qtap:
        summary, listener = run(
            qtap.url, tmp_path / "s", lambda s: "f" in visible_ids(tmp_path / "s")
        )
    assert summary.gaps == 1
    assert any("the reading process ended" in note for note in listener.notes)
    states = [row.state for row in read_stretches(*(tmp_path / "s").glob("coverage/*/r.parquet"))]
    assert "disconnected" in states


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

    monkeypatch.setattr(seal, "_EVERY_S", 0.1)
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
        "    from recorder.write import seal\n"
        "    class Slow(io.BytesIO):\n"
        "        def write(self, data): time.sleep(0.001); return len(data)\n"
        "    def round(*_):\n"
        f"        open({str(tmp_path / 'sealing')!r}, 'w').close()\n"
        "        with pq.ParquetWriter(Slow(), pa.schema({'a': pa.int64()})) as writer:\n"
        "            while True: writer.write_table(pa.table({'a': [1]}))\n"
        "    seal._EVERY_S, seal.Housekeeper.round = 0.1, round\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(workers.__file__).parents[2]}")
    with source(staying(hello(), event("a"))) as qtap:
        process = _record(qtap.url, tmp_path)
        wait_until(lambda: _rows(tmp_path) and (tmp_path / "sealing").exists())
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_a_recorder_may_open_as_many_files_as_the_system_lets_it() -> None:
    program = (
        "import resource, sys, pathlib\n"
        "from recorder.options import RecordOptions\n"
        "from recorder.record import record\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))\n"
        "try: record(RecordOptions(pathlib.Path('/dev/null/none')), None)\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["UnavailableError", "True"]


def test_processes_that_end_now_and_then_end_no_quiet_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crew, now = workers.Workers(b"", 1, 1), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(20):
        now[0] += 20.0
        crew._lost_a_life("reads")
    now[0] += 600.0
    for _ in range(4):
        crew._lost_a_life("reads")
    with pytest.raises(QrecError):
        crew._lost_a_life("reads")
    crew.close()


def test_processes_that_end_as_soon_as_they_start_end_the_recording_with_a_word() -> None:
    crew = workers.Workers(b"no settings\n", 1, 1)
    crew.start(Subscription("http://127.0.0.1:9"), 0.1)
    with pytest.raises(QrecError, match="ends again and again"):
        wait_until(lambda: list(crew.poll(0.1)) and False)
    crew.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_recording_whose_reader_is_stopped(
    number: signal.Signals, tmp_path: Path
) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        process = _record(qtap.url, tmp_path)
        wait_until(lambda: _rows(tmp_path))
        child("recorder.pipeline.reader", process.pid).suspend()
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
    assert visible_ids(tmp_path / "s") == ["a"]


def test_nohup_is_respected(tmp_path: Path) -> None:
    with source(staying(hello(), event("a"))) as qtap:
        process = _record(qtap.url, tmp_path, ignore=signal.SIGHUP)
        wait_until(lambda: _rows(tmp_path))
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
        process = _record(qtap.url, tmp_path, stderr=stderr)
        wait_until(lambda: _rows(tmp_path) and visible_ids(tmp_path / "s") == ["a", "b"])
        process.terminate()
        process.wait(timeout=60)
    os.close(writes)
    last = last_stretch(Store.open(tmp_path / "s"), "r")
    assert last is not None
    assert last.reason == "by SIGTERM"


def test_the_working_directory_decides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "cloned"
    folder.mkdir()
    for name in ("random.py", "queue.py", "signal.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with source(staying(hello(), event("a"))) as qtap:
        process = _record(qtap.url, Path("../"), cwd=folder)  # a relative store still works
        wait_until(lambda: _rows(tmp_path))
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert not (tmp_path / "ran").exists()


def test_a_header_beyond_ascii_is_read_like_any_other(tmp_path: Path) -> None:
    head = HEAD.replace(b"Connection", "X-Proxy: Grüße\r\nConnection".encode("latin-1"))

    def script(client: socket.socket) -> None:
        client.sendall(head + hello() + event("a"))
        client.recv(1)

    with source(script) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 1)
    assert visible_ids(tmp_path / "s") == ["a"]


def test_an_exception_that_nobody_foresaw_is_one_broken_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb+") as out:
        reader = Reader(Options(Subscription("http://127.0.0.1:9")), out)

        def fails(*_: object) -> None:
            raise RuntimeError("new")

        monkeypatch.setattr("recorder.pipeline.reader.open_stream", fails)
        assert reader._read_once(None) == (  # type: ignore[arg-type]
            False, "broken", "the stream broke: RuntimeError: new",
        )  # fmt: skip


@pytest.mark.parametrize("work", ["_hand_to", "_read_forever", "_watch"])
def test_a_thread_that_fails_ends_its_process(work: str) -> None:
    program = (
        "import os, socket, sys\n"
        "from recorder.pipeline import frames\n"
        "from recorder.pipeline.reader import Options, Reader, Subscription\n"
        "class Failing(Reader):\n"
        f"    def {work}(self, *_): raise RuntimeError('new')\n"
        "ours, its = socket.socketpair()\n"
        "frames.command(ours, frames.Hire(1), os.open(os.devnull, os.O_WRONLY))\n"
        "options = Options(Subscription('http://127.0.0.1:9'))\n"
        "Failing(options, sys.stdout.buffer, its).run()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stderr is not None
        assert "RuntimeError('new')" in process.stderr.read()
        assert process.wait(timeout=60) == 1


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("htp://localhost:10001", "Did you mean http://localhost:10001?"),
        ("localhost:10001", "http://HOST:PORT"),
        ("http://[::1", "http://HOST:PORT"),
        (f"http://{'a' * 64}.example", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("http://a:99999", "http://HOST:PORT"),
    ],
)
def test_an_address_at_which_nothing_can_answer_is_a_usage_error(
    url: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        run(url, tmp_path / "s", lambda s: False)
    assert hint in caught.value.hint
    assert not (tmp_path / "s").exists()


def test_good_addresses_pass() -> None:
    for url in ("http://localhost:10001", "https://[::1]:1/", "http://bücher.example"):
        check_url(url)


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


def test_a_file_in_the_place_of_a_store_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(UnavailableError, match="is a file; a store is a folder"):
        run("http://127.0.0.1:9", tmp_path / "s", lambda s: False)


def _rows(folder: Path) -> bool:
    return any((folder / "s" / "_live").glob("**/*.parquet"))


def _record(
    url: str,
    folder: Path,
    stderr: TextIO | int = subprocess.DEVNULL,
    cwd: Path | None = None,
    ignore: signal.Signals | None = None,
) -> subprocess.Popen[bytes]:
    """`qrec record` into folder/s, as recorder r."""
    if ignore is not None:
        before = signal.signal(ignore, signal.SIG_IGN)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "qrec", "record", url, "--recorder", "r",
             "--store", str(folder / "s")],
            stderr=stderr, cwd=cwd, env={**os.environ, "QREC_CONFIG": ""},
        )  # fmt: skip
    finally:
        if ignore is not None:
            signal.signal(ignore, before)


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

"""The recorder's processes: hung, killed, misled or without a terminal, none is alive and deaf."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from recorder.options import Status
from recorder.pipeline import workers
from recorder.pipeline.frames import Options
from recorder.pipeline.reader import Reader
from recorder.source.request import Subscription, check_url
from store.coverage import read_stretches
from store.errors import QrecError, UnavailableError, UsageError
from tests.fault.processes import child, disturbed, has_rows, recording, wait_until
from tests.fault.scripted import HEAD, run, source, staying
from tests.fault.test_source import event, hello
from tests.kit import PATIENCE_S, visible_ids


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


def test_a_worker_that_gets_no_processor_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is started in its place gets none either, and has more to do before it works."""
    hurried(monkeypatch)
    monkeypatch.setattr(workers, "_waited_s", lambda _: time.monotonic())
    pids: list[int] = []

    def starve(worker: psutil.Process) -> None:
        pids.append(worker.pid)
        worker.suspend()
        threading.Timer(5.0, worker.resume).start()

    def enough(status: Status) -> bool:
        if status.written >= 5:
            pids.append(child("recorder.pipeline.worker").pid)
        return status.written >= 5

    with source(disturbed(tmp_path, starve)) as qtap:
        _, listener = run(qtap.url, tmp_path / "s", enough)
    assert len(set(pids)) == 1
    assert visible_ids(tmp_path / "s") == ["a", "b", "c", "d", "e"]
    assert listener.last is not None
    assert listener.last.dropped == 0


def test_how_long_a_process_waits_for_a_processor_is_read_where_that_is_told() -> None:
    assert workers._waited_s(os.getpid()) >= 0.0
    assert workers._waited_s(0) == 0.0


def test_what_comes_again_is_stored_once_whichever_worker_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers, and one that took the place of another, which had seen the first."""
    monkeypatch.setattr(workers, "_HIGH_BYTES", -1)
    names = [f"e{number}" for number in range(12)]

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello() + b"".join(map(event, names)))
        with contextlib.suppress(AssertionError, StopIteration, psutil.Error):
            wait_until(lambda: has_rows(tmp_path))
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
    # "end" may be on the disk before a block that another worker has: on a busy machine the end
    # does not wait for that one, and its events are counted as dropped.
    assert sum(row.duplicates + row.dropped for row in coverage) == 36


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
        wait_until(lambda: has_rows(tmp_path))
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
        wait_until(lambda: has_rows(tmp_path))
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


def test_the_working_directory_decides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "cloned"
    folder.mkdir()
    for name in ("random.py", "queue.py", "signal.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with source(staying(hello(), event("a"))) as qtap:
        process = recording(qtap.url, Path("../"), cwd=folder)  # a relative store still works
        wait_until(lambda: has_rows(tmp_path))
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
        assert reader._read_once() == (
            False, "broken", "the stream broke: RuntimeError: new",
        )  # fmt: skip


@pytest.mark.parametrize("work", ["_hand_to", "_read_forever", "_watch"])
def test_a_thread_that_fails_ends_its_process(work: str) -> None:
    program = (
        "import os, socket, sys\n"
        "from recorder.pipeline import frames\n"
        "from recorder.pipeline.frames import Options\n"
        "from recorder.pipeline.reader import Reader\n"
        "from recorder.source.request import Subscription\n"
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
        ("http://a\n:1", "http://HOST:PORT"),
        ("http://a:1/?filter=x", "http://HOST:PORT"),
    ],
)
def test_an_address_at_which_nothing_can_answer_is_a_usage_error(
    url: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        run(url, tmp_path / "s", lambda s: False)
    assert hint in caught.value.hint
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("url", ["http://999.1.1.1:1", "http://xn--zz--:1"])
def test_an_address_that_only_the_reader_finds_wrong_ends_a_recording_as_well(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="no stream from"):
        run(url, tmp_path / "s", lambda s: False)


def test_good_addresses_pass() -> None:
    for url in ("http://localhost:10001", "https://[::1]:1/", "http://bücher.example"):
        check_url(url)


def test_a_file_in_the_place_of_a_store_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(UnavailableError, match="is a file; a store is a folder"):
        run("http://127.0.0.1:9", tmp_path / "s", lambda s: False)


def test_what_is_on_the_disk_behind_a_block_that_never_came_is_counted() -> None:
    ended = workers.Workers(b"{}", 1, 1)
    stuck, after = workers.Handout(1, 5, 0, 0), workers.Handout(6, 3, 0, 0)
    after.lost = True  # settled, as one that is on the disk is
    ended._handouts |= {1: stuck, 6: after}
    ended._order.extend([stuck, after])
    assert ended.close() == 5
    assert ended.rest() == [after]


@pytest.mark.parametrize("module", ["record", "pipeline.worker", "write.seal"])
def test_a_process_leaves_pandas_alone_that_is_installed_for_others(
    module: str, tmp_path: Path
) -> None:
    """Arrow imports it for each first array, in each process: 27 MB."""
    (tmp_path / "pandas.py").write_text("raise SystemExit('pandas is imported')")
    code = f"import recorder.{module}, pyarrow as pa; pa.array(['a']); pa.table({{'a': ['b']}})"
    path = f"{tmp_path}{os.pathsep}{Path(workers.__file__).parents[2]}"
    command = [sys.executable, "-c", code]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, cwd="/", check=True)

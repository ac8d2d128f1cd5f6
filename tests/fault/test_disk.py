"""A disk that is full, read-only, out of inodes or gone: the stream is drained all the same,
coverage says disk_full, and writing resumes by itself."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.options import Status
from recorder.redact.config import load_key
from recorder.write.coverage import Ledger
from store.coverage import read_stretches
from store.errors import UnavailableError
from store.files import append_line, write_text
from store.layout import Store, holder, recorder_lock
from tests.fault.scripted import HEAD, run, source
from tests.fault.test_source import event, hello
from tests.kit import NOON, Desk, S, connected, transaction, visible_ids, wait_for


def mount(folder: Path, options: str) -> None:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs rights that this user lacks")


@contextlib.contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    mount(folder, options)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def desk_with_a_row(store: Path) -> Desk:
    desk = Desk(store)
    desk.take(connected(NOON))
    desk.take(transaction("first", NOON), mono=S)
    desk.flush(S)
    assert visible_ids(store) == ["first"]
    return desk


def states(store: Path) -> list[str]:
    opened = Store.open(store)
    rows = []
    for hour in opened.hours("coverage"):
        rows += read_stretches(opened.sealed_hour("coverage", hour) / "r.parquet")
    return [row.state for row in rows]


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def keeps_on(desk: Desk) -> None:
    """While the disk refuses, events are taken and nothing raises; the state says why."""
    for n in range(3):
        desk.take(transaction(f"during{n}", NOON + (2 + n) * S), mono=(2 + n) * S)
        desk.flush((2 + n) * S)
    assert desk.ledger.state() == "disk_full"


def resumes(desk: Desk, store: Path) -> None:
    desk.take(transaction("after", NOON + 9 * S), mono=9 * S)
    desk.flush(9 * S)
    desk.flush(10 * S)
    assert desk.ledger.state() == "receiving"
    assert visible_ids(store) == ["after", "during0", "during1", "during2", "first"]
    assert "disk_full" in states(store)


def test_a_full_disk_costs_no_row_when_it_has_room_again(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=400k") as folder:
        store = folder / "store"
        desk = desk_with_a_row(store)
        fill(folder)
        keeps_on(desk)
        (folder / "filler").unlink()
        resumes(desk, store)


def test_a_disk_without_inodes_is_a_full_disk(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=4m,nr_inodes=40") as folder:
        store = folder / "store"
        desk = desk_with_a_row(store)
        fillers = []
        with contextlib.suppress(OSError):
            for n in range(100):
                fillers.append(folder / f"f{n}")
                fillers[-1].touch()
        keeps_on(desk)
        for filler in fillers:
            filler.unlink(missing_ok=True)
        resumes(desk, store)


def test_a_disk_that_turns_read_only_is_survived(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=4m") as folder:
        store = folder / "store"
        desk = desk_with_a_row(store)
        remount(folder, "ro")
        keeps_on(desk)
        remount(folder, "rw")
        resumes(desk, store)


def test_a_store_deleted_under_the_recorder_is_made_anew(tmp_path: Path) -> None:
    store = tmp_path / "store"
    desk = desk_with_a_row(store)
    shutil.rmtree(store)
    desk.take(transaction("after", NOON + 2 * S), mono=2 * S)
    desk.flush(2 * S)
    desk.flush(3 * S)
    assert visible_ids(store) == ["after"]


def test_what_memory_cannot_hold_is_counted_as_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.pipeline.frames.QUEUE_BYTES", 20_000)
    with disk(tmp_path / "disk", "size=4m") as folder:
        store = folder / "store"

        def script(client: socket.socket) -> None:
            client.sendall(HEAD + hello() + event("first"))
            wait_for(lambda: any((store / "_live").glob("**/*.parquet")))
            fill(folder)
            for n in range(60):
                client.sendall(event(f"lost{n}", n))
            wait_for(lambda: "disk_full" in seen)
            (folder / "filler").unlink()
            client.recv(1)

        seen: set[str] = set()

        def enough(status: Status) -> bool:
            seen.add(status.state)
            return status.written + status.dropped >= 61

        with source(script) as qtap:
            _, listener = run(qtap.url, store, enough)
        kept = [name for name in visible_ids(store) if name.startswith("lost")]
        assert listener.last is not None
        assert 0 < len(kept) < 60
        assert listener.last.dropped == 60 - len(kept)


def test_coverage_that_cannot_be_written_is_tried_once_a_flush_and_not_with_each_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    def refuse(ledger: Ledger) -> None:
        tried.append(time.monotonic())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def script(client: socket.socket) -> None:
        client.sendall(HEAD + hello())
        for n in range(40):
            client.sendall(event(f"e{n}", n))
            time.sleep(0.05)
        client.recv(1)

    monkeypatch.setattr("recorder.record._GATHERED", 0.01)  # a block an event
    monkeypatch.setattr(Ledger, "flush", refuse)
    with source(script) as qtap:
        run(qtap.url, tmp_path / "s", lambda s: s.written >= 40, flush_interval=1.0)
    assert len(tried) <= 2 + tried[-1] - tried[0] + 2  # two at the end


def test_who_deletes_a_store_lets_no_second_recorder_of_the_name_in(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    with recorder_lock(store, "r") as keep:
        shutil.rmtree(store.path)
        keep()
        with pytest.raises(UnavailableError), recorder_lock(store, "r"):
            pass
        shutil.rmtree(store.path)
        with recorder_lock(store, "r"), pytest.raises(UnavailableError, match="already writing"):
            keep()


def test_a_deleted_manifest_is_made_again(tmp_path: Path) -> None:
    desk = desk_with_a_row(tmp_path / "s")
    desk.store.manifest.unlink()
    desk.take(transaction("second", NOON + S), mono=2 * S)
    desk.flush(2 * S)
    assert desk.ledger.state() == "receiving"
    assert visible_ids(tmp_path / "s") == ["first", "second"]


@pytest.mark.parametrize("place", [".", "_live", "_live/r"])
def test_a_store_that_somebody_else_could_change_is_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "s")
    with recorder_lock(store, "r"):
        pass
    folder = store.path / place
    folder.chmod(0o777)
    with pytest.raises(UnavailableError, match="by everybody"):
        recorder_lock(store, "r").__enter__()
    folder.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(UnavailableError, match="belongs to user") as caught:
        recorder_lock(store, "r").__enter__()
    assert f"sudo -u '#{folder.stat().st_uid}' qrec record" in caught.value.hint  # root, too


@pytest.mark.parametrize("place", ["_live", "_live/r", "_live/r/lock"])
def test_nothing_is_written_through_a_symbolic_link(place: str, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    with recorder_lock(store, "r"):
        pass
    elsewhere = tmp_path / "elsewhere"
    (store.path / place).rename(elsewhere)
    (store.path / place).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*")), elsewhere.stat().st_mtime_ns
    with pytest.raises(UnavailableError):
        recorder_lock(store, "r").__enter__()
    assert (sorted(elsewhere.rglob("*")), elsewhere.stat().st_mtime_ns) == before


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    (tmp_path / f".a.json.{writer}.tmp").symlink_to(victim)
    write_text(tmp_path / "a.json", "ours")
    (tmp_path / "lines").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        append_line(tmp_path / "lines", "ours")
    assert victim.read_text() == "mine"
    assert (tmp_path / "a.json").read_text() == "ours"


def test_a_key_is_made_where_a_file_system_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    key = load_key(tmp_path / "key")
    assert len(key) == 32
    assert load_key(tmp_path / "key") == key
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_file_system_without_locks_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    store = Store.create(tmp_path / "s")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UnavailableError, match="No locks available"):
        recorder_lock(store, "r").__enter__()
    assert holder(store, "r") is None


def test_who_asks_whether_a_recorder_runs_keeps_none_from_starting(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            holder(store, "r")
            time.sleep(0.001)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    with recorder_lock(store, "r"):
        pass
    for asker in askers:
        asker.start()
    try:
        for _ in range(50):
            with recorder_lock(store, "r"):
                assert holder(store, "r") == os.getpid()
    finally:
        done.set()
        for asker in askers:
            asker.join()

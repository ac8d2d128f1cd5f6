"""`qrec doctor`: each thing that can be wrong is named, with what to do, and never a traceback."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qrec.__main__ import main
from qrec.cli import command
from recorder.write.rollup import rebuild, rollups
from store.cover import segment_name
from store.hours import hour_key, to_us
from store.layout import Store, recorder_lock
from store.marks import mark_unredacted
from tests.contract.stored import build, row, stretch
from tests.fault.scripted import answer, source, staying
from tests.kit import Cli, connected, frame

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path, now: datetime) -> Store:
    """A healthy store of the last hours, whose recorder stopped of its own will."""
    rows = [row(now - timedelta(hours=hour)) for hour in range(1, 4)]
    ended = stretch(now - timedelta(hours=1), now, state="stopped")
    store = build(tmp_path / "store", rows, [ended])
    store.key_file.write_bytes(b"k" * 32)
    store.live("web").mkdir(parents=True)
    assert all(rebuild(store, one) for one in rollups(store))
    tidy(store)
    return store


def tidy(store: Store) -> None:
    for path in [store.path, *store.path.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.fixture
def url() -> Iterator[str]:
    """A Qtap that greets, and has nothing to tell."""
    command("doctor")  # imported before the greeting has its time, which the check of clocks reads
    with source(staying(frame(connected(int(time.time() * 1e6))))) as there:
        yield there.url


@pytest.fixture
def doctor(store: Store, url: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("QREC_URL", url)

    def call(*argv: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = cli("doctor", "--json", *argv)
        return code, json.loads(out)

    return call


def found(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The worst finding of a check."""
    own = [check for check in document["checks"] if check["check"] == name]
    assert own, f"no check {name} in {[check['check'] for check in document['checks']]}"
    worst: dict[str, Any] = max(
        own, key=lambda check: ("ok", "warning", "problem").index(check["status"])
    )
    if worst["status"] != "ok":
        assert worst["remedy"], worst
    return worst


def test_all_is_well(doctor: Doctor, store: Store) -> None:
    with recorder_lock(store, "web"):
        tidy(store)
        code, document = doctor()
    assert code == 0, document
    assert {check["check"] for check in document["checks"]} >= {
        "settings", "source", "clock", "compiled", "filter", "store", "writable", "space",
        "permissions", "recorders", "leftovers", "files", "rollups", "redaction",
    }  # fmt: skip
    wrong = [check for check in document["checks"] if check["status"] != "ok"]
    assert wrong == []
    assert document["verdict"] == "ok"


def test_a_compiled_part_that_cannot_be_used_is_a_warning(
    doctor: Doctor, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "native.so"
    monkeypatch.setattr("recorder.native.load.__defaults__", (broken,))
    assert found(doctor()[1], "compiled")["text"].startswith(
        "the recorder's compiled part is not built"
    )
    broken.write_bytes(b"no library")
    check = found(doctor()[1], "compiled")
    assert (check["status"], check["facts"]) == ("warning", {"in_use": False})
    assert check["remedy"] == "python -m recorder.native.build"


def test_it_changes_nothing(doctor: Doctor, store: Store) -> None:
    def seen() -> list[tuple[str, int, int]]:
        paths = sorted(path for path in store.path.rglob("*") if path.is_file())
        return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]

    before = seen()
    doctor("--probe", "--probe-for", "1s")
    assert seen() == before


def test_people_get_a_line_a_finding_and_what_to_do(
    doctor: Doctor, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.key_file.unlink()
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "warning  redaction" in out
    assert "-> Restore it from a copy" in out
    assert out.splitlines()[-1].startswith("it works, with warnings: 0 problems, ")


@pytest.mark.parametrize(
    ("script", "said", "remedy"),
    [
        (answer("404 Not Found"), "HTTP 404", "--enable-dev-tools"),
        (answer("500 Oops"), "HTTP 500", "--enable-dev-tools"),
        (answer("200 OK", "<html>", "text/html"), "text/html", "--httpd-listen"),
    ],
)
def test_a_source_that_is_none(doctor: Doctor, script: Any, said: str, remedy: str) -> None:
    with source(script) as there:
        code, document = doctor("--url", there.url)
    assert (code, document["verdict"]) == (3, "problem")
    assert said in found(document, "source")["text"]
    assert remedy in found(document, "source")["remedy"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "localhost:10001", "http://[::1", "ftp://x"])
def test_addresses_that_lead_nowhere(doctor: Doctor, url: str) -> None:
    code, document = doctor("--url", url)
    assert code == 3
    assert found(document, "source")["status"] == "problem"
    assert found(document, "store")["status"] == "ok"  # the rest is looked at all the same


def test_an_older_qtap_and_a_wrong_clock(doctor: Doctor) -> None:
    late = int((time.time() - 3600) * 1e6)
    with source(staying(frame(connected(late, topics=["request"])))) as there:
        code, document = doctor("--url", there.url, "--probe")
    assert code == 0
    assert "before 0.14" in found(document, "source")["text"]
    assert "1 h behind" in found(document, "clock")["text"]
    assert "nothing to probe" in found(document, "probe")["text"]


def test_a_quiet_source_cannot_be_probed(doctor: Doctor) -> None:
    code, document = doctor("--probe", "--probe-for", "1s")
    assert code == 0
    assert "no transaction came by" in found(document, "probe")["text"]


def test_a_probe_is_bounded(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--probe", "--probe-for", "1h"]) == 2
    assert "at most 60s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("filter_", "status", "said"),
    [
        ("res.status >= 400", "ok", "Qtap gets res.status >= 400"),
        ('container.name == "a"', "ok", "Qtap gets none of it"),
        ("res.status >= 400 AND req.method == 'A' OR req.method == 'B'", "ok", "read as"),
        ("res.status >=", "problem", "res.status >="),
        ("res.statu == 1", "problem", "res.statu"),
        ("route == '/a'", "problem", "route"),
    ],
)
def test_filters(doctor: Doctor, filter_: str, status: str, said: str) -> None:
    code, document = doctor("--filter", filter_)
    assert found(document, "filter")["status"] == status
    assert said in found(document, "filter")["text"]
    assert code == (3 if status == "problem" else 0)


def test_no_store_yet_is_no_fault(doctor: Doctor, tmp_path: Path) -> None:
    code, document = doctor("--store", str(tmp_path / "new" / "store"))
    assert code == 0
    assert "no store" in found(document, "store")["text"]
    assert str(tmp_path) in found(document, "writable")["text"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("manifest", "said"), [("{", "not readable"), ('{"format": 99}', "format 99"), ("[]", "not")]
)
def test_a_store_that_cannot_be_used(
    doctor: Doctor, store: Store, manifest: str, said: str
) -> None:
    store.manifest.write_text(manifest)
    code, document = doctor()
    assert code == 3
    assert said in found(document, "store")["text"]


def test_a_file_in_the_place_of_a_store(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, document = doctor("--store", str(tmp_path / "file"))
    assert code == 3
    assert found(document, "store")["status"] == "problem"


def test_a_folder_that_takes_no_file(
    doctor: Doctor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.open

    def refuse(path: Any, *args: Any, **more: Any) -> int:
        if ".qrec-doctor." in str(path):
            raise OSError(30, "Read-only file system")
        return honest(path, *args, **more)

    monkeypatch.setattr(os, "open", refuse)
    code, document = doctor()
    assert code == 3
    assert "Read-only file system" in found(document, "writable")["text"]


@contextmanager
def disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> Iterator[None]:
    class Usage:
        def __init__(self) -> None:
            self.free = free

    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: Usage())
        yield


def test_room_at_the_present_rate(
    doctor: Doctor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hours of 100 MB each."""
    for hour in store.hours("transactions"):
        with (store.sealed_hour("transactions", hour) / "other-000000000001.parquet").open(
            "wb"
        ) as file:
            file.truncate(100_000_000)
    tidy(store)

    def space(free: int, *argv: str) -> tuple[str, str]:
        with disk_with(monkeypatch, free):
            check = found(doctor(*argv)[1], "space")
        return check["status"], check["text"]

    assert space(100_000_000_000)[0] == "ok"
    assert "no limit is set" in space(100_000_000_000)[1]
    status, text = space(2_000_000_000)
    assert status == "warning"
    assert "full in" in text
    assert space(500_000_000)[0] == "problem"
    assert space(1_000_000)[0] == "problem"
    monkeypatch.setenv("QREC_KEEP", "8h")
    status, text = space(2_000_000_000)
    assert status == "ok"
    assert "the limits" in text


def test_open_files_are_named_with_the_chmod(doctor: Doctor, store: Store) -> None:
    store.key_file.chmod(0o644)
    code, document = doctor()
    assert code == 0  # nobody gets past the folder
    check = found(document, "permissions")
    assert "redaction.key 0644" in check["text"]
    assert check["remedy"] == f"chmod -R go= {store.path}"
    store.path.chmod(0o755)
    code, document = doctor()
    assert code == 3
    os.system(check["remedy"])
    assert found(doctor()[1], "permissions")["status"] == "ok"


def test_who_records(doctor: Doctor, store: Store, now: datetime) -> None:
    assert "nobody is recording" in found(doctor()[1], "recorders")["text"]
    with recorder_lock(store, "web"):
        facts = found(doctor()[1], "recorders")["facts"]
    assert facts["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("state", "alive", "ago_s", "said"),
    [
        ("receiving", False, 60, "ended without a word"),
        ("disconnected", True, 60, "is disconnected: why"),
        ("disk_full", True, 60, "is disk_full: why"),
        ("receiving", True, 3600, "last wrote 1 h"),
    ],
)
def test_recorders_that_are_not_well(
    doctor: Doctor, store: Store, now: datetime, state: str, alive: bool, ago_s: int, said: str
) -> None:
    for hour in store.hours("coverage"):
        (store.sealed_hour("coverage", hour) / "web.parquet").unlink()
    to = now - timedelta(seconds=ago_s)
    last = stretch(to - timedelta(minutes=1), to, state=state, reason="why")
    build(store.path, [], [last])
    tidy(store)
    written(store, to)
    if alive:
        with recorder_lock(store, "web"):
            document = doctor()[1]
    else:
        document = doctor()[1]
    texts = [c["text"] for c in document["checks"] if c["check"] == "recorders"]
    assert any(said in text for text in texts), texts


def written(store: Store, at: datetime) -> None:
    """All coverage was last written at this time, by the clock of the file system."""
    for path in store.path.glob("coverage/*/*.parquet"):
        os.utime(path, (at.timestamp(), at.timestamp()))


def test_a_source_whose_clock_is_behind_does_not_make_its_recorder_look_dead(
    doctor: Doctor, store: Store, now: datetime
) -> None:
    for hour in store.hours("coverage"):
        (store.sealed_hour("coverage", hour) / "web.parquet").unlink()
    behind = now - timedelta(hours=2)
    build(store.path, [], [stretch(behind - timedelta(minutes=1), behind, state="receiving")])
    with recorder_lock(store, "web"):
        check = found(doctor()[1], "recorders")
    assert (check["status"], check["remedy"]) == ("ok", None)
    ended = found(doctor()[1], "recorders")["text"]
    assert "2 h" not in ended


@pytest.mark.parametrize("age_s", [0, 7200])  # a recorder that was killed just now, and long ago
def test_hours_that_nobody_seals_are_named_with_the_command(
    age_s: int, doctor: Doctor, store: Store, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(doctor()[1], "unsealed")["status"] == "ok"
    hour = hour_key(to_us(now - timedelta(hours=5)))
    folder = store.live_hour("web", "transactions", hour)
    folder.mkdir(parents=True)
    rows = next(store.path.glob("transactions/*/*.parquet"))
    segment = folder / segment_name(10, 19)
    shutil.copyfile(rows, segment)
    os.utime(segment, (time.time() - age_s,) * 2)
    check = found(doctor()[1], "unsealed")
    assert (check["status"], check["facts"]["count"]) == ("warning", 1)
    assert hour in check["text"]
    assert "qrec rollup --seal" in check["remedy"]
    with recorder_lock(store, "web"):
        assert found(doctor()[1], "unsealed")["status"] == "ok"
    assert main(["rollup", "--seal"]) == 0
    assert "sealed 1 hour" in capsys.readouterr().err
    assert found(doctor()[1], "unsealed")["status"] == "ok"
    assert list(store.sealed_hour("transactions", hour).glob("web-*.parquet"))


def test_what_a_crash_left_behind(doctor: Doctor, store: Store) -> None:
    fresh, old = (store.live("web") / f".{name}.parquet.7.tmp" for name in ("fresh", "old"))
    for path in (fresh, old):
        path.write_bytes(b"x" * 2048)
    os.utime(old, (time.time() - 7200,) * 2)
    check = found(doctor()[1], "leftovers")
    assert "1 temporary file of a crash, 2.0 KiB" in check["text"]
    os.system(check["remedy"])
    assert (fresh.exists(), old.exists()) == (True, False)


def test_files_that_cannot_be_read(doctor: Doctor, store: Store) -> None:
    hour = store.hours("transactions")[0]
    bad = store.sealed_hour("transactions", hour) / "odd name-000000000009.parquet"
    good = next(store.sealed_hour("transactions", hour).glob("*.parquet"))
    good.write_bytes(b"PAR1 cut short")
    bad.write_bytes(b"")  # not a name of ours: no query opens it
    code, document = doctor()
    assert code == 3
    check = found(document, "files")
    assert check["facts"]["paths"] == [str(good)]
    assert f"mv {good}" in check["remedy"]


def test_an_hour_without_its_cells_is_named_with_the_remedy(
    doctor: Doctor, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    [path, *_] = (store.path / "rollups/keys").glob("*/*.parquet")
    path.write_bytes(b"PAR1")
    code, document = doctor()
    check = found(document, "rollups")
    assert (code, check["status"]) == (0, "warning")
    assert f"{path.parent.name.removeprefix('hour=')} (unreadable)" in check["text"]
    assert main(shlex.split(check["remedy"])[1:]) == 0
    capsys.readouterr()
    assert found(doctor()[1], "rollups")["status"] == "ok"


@pytest.mark.parametrize(("key", "status"), [(None, "warning"), (b"short", "problem")])
def test_a_key_that_is_gone_or_broken(
    doctor: Doctor, store: Store, key: bytes | None, status: str
) -> None:
    store.key_file.unlink()
    if key is not None:
        store.key_file.write_bytes(key)
    assert found(doctor()[1], "redaction")["status"] == status


def test_a_store_without_redaction_is_said_to_be_one(doctor: Doctor, store: Store) -> None:
    mark_unredacted(store, "web")
    assert "without redaction (recorder web" in found(doctor()[1], "redaction")["text"]


def test_a_check_that_breaks_is_a_finding(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Store) -> None:
        raise KeyError("x")

    monkeypatch.setattr("qrec.doctor.store.files", broken)
    code, document = doctor()
    assert code == 3
    assert "broke off: KeyError" in found(document, "files")["text"]
    assert found(document, "redaction")["status"] == "ok"


def test_misspelt_variables_and_limits(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QREC_STOER", "x")
    assert "QREC_STOER" in found(doctor()[1], "settings")["text"]
    monkeypatch.setenv("QREC_KEEP", "long")
    code, document = doctor()
    assert code == 3
    assert "QREC_KEEP" in found(document, "settings")["text"]

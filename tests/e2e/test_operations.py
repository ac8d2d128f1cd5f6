"""Running qrec for good, as processes: health for machines, keeping, dying, redaction left off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.files import bundled_stream
from fixtures.standin import Standin, running
from store import Store
from store.coverage import last_stretch
from store.files import make_folder

ROOT = Path(__file__).parents[2]
_WAIT_S = 30.0


@pytest.fixture
def source() -> Iterator[Standin]:
    """A Qtap that has told all that it has, and holds the line."""
    with running([bundled_stream("quiet")], speed="max", patience=20.0, hold=True) as standin:
        yield standin


def environ(tmp_path: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("QREC_")}
    folders = {"XDG_CONFIG_HOME": str(tmp_path), "QREC_STORE": str(tmp_path / "store")}
    return {**plain, **folders, "PYTHONPATH": str(ROOT)}


def qrec(tmp_path: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "qrec", *argv], env=environ(tmp_path), cwd=tmp_path,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


@contextlib.contextmanager
def recording(tmp_path: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "qrec", "record", "--flush-interval", "0.2s", *argv],
        env=environ(tmp_path), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def scraped(port: int) -> dict[str, float]:
    """The samples of the metrics, with their labels but the recorder's."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    except httpx.TransportError:
        return {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {name.replace('{recorder="web"}', ""): float(value) for name, value in pairs}


def doctor(tmp_path: Path, url: str) -> dict[str, list[str]]:
    document = json.loads(qrec(tmp_path, "doctor", "--url", url, "--json").stdout)
    found: dict[str, list[str]] = {}
    for check in document["checks"]:
        found.setdefault(check["check"], []).append(f"{check['status']}: {check['text']}")
    return found


def test_health_for_machines_and_for_people(tmp_path: Path, source: Standin) -> None:
    port = free_port()
    with recording(tmp_path, source.url, "--recorder", "web", "--metrics", str(port)) as process:
        until(lambda: scraped(port).get("qrec_written_rows_total", 0) > 6000)
        until(
            lambda: scraped(port)["qrec_written_rows_total"] == scraped(port)["qrec_events_total"]
        )
        figures = scraped(port)
        assert figures['qrec_state{recorder="web",state="receiving"}'] == 1
        assert figures["qrec_dropped_total"] == figures["qrec_rejected_total"] == 0
        assert figures["qrec_written_bytes_total"] > 0
        assert figures["qrec_flush_seconds_count"] > 0
        assert doctor(tmp_path, source.url)["recorders"] == [
            f"ok: recorder web (pid {process.pid}) is receiving"
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(_WAIT_S) == 0
    [after] = doctor(tmp_path, source.url)["recorders"]
    assert "nobody is recording" in after
    stopped = last_stretch(Store.open(tmp_path / "store"), "web")
    assert stopped is not None
    assert stopped.state == "stopped"  # so that the next run does not take it for a crash


def test_a_recorder_that_was_killed_is_told_of(tmp_path: Path, source: Standin) -> None:
    with recording(tmp_path, source.url, "--recorder", "web") as process:
        until(lambda: list((tmp_path / "store").glob("coverage/*/web.parquet")))
        process.kill()
        process.wait(_WAIT_S)
    assert "ended without a word" in doctor(tmp_path, source.url)["recorders"][0]


def test_a_recording_keeps_what_it_is_told_to(tmp_path: Path, source: Standin) -> None:
    store = Store.create(tmp_path / "store")
    now = datetime.now(UTC)
    old, young = (
        (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H") for hours in (80, 1)
    )  # fmt: skip
    for hour in (old, young):
        folder = make_folder(store.sealed_hour("transactions", hour))
        (folder / "other-000000000001.parquet").write_bytes(b"x")
    with recording(tmp_path, source.url, "--keep", "3d") as process:
        until(lambda: old not in store.hours("transactions"))
        process.send_signal(signal.SIGINT)
        assert process.wait(_WAIT_S) == 0
        assert process.stderr is not None
        assert f"deleted hour {old}" in process.stderr.read()
    assert young in store.hours("transactions")


def test_redaction_is_left_off_only_when_said_twice(tmp_path: Path) -> None:
    refused = qrec(tmp_path, "replay", "quiet", "--no-redact")
    assert refused.returncode == 2
    assert "--i-know" in refused.stderr
    assert not (tmp_path / "store").exists()
    agreed = qrec(tmp_path, "replay", "quiet", "--no-redact", "--i-know")
    assert agreed.returncode == 0
    assert "nothing is redacted" in agreed.stderr
    info = json.loads(qrec(tmp_path, "info", "--json").stdout)
    assert "unredacted" in [note["code"] for note in info["store"]["notes"]]
    assert "without redaction" in qrec(tmp_path, "info").stdout
    assert "without redaction" in doctor(tmp_path, "http://127.0.0.1:1")["redaction"][0]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--metrics", "here"], "no address to serve metrics"),
        (["--keep", "0d"], "--keep: "),
        (["--max-size", "20"], "--max-size: "),
        (["--body-limit", "big"], "not a size"),
    ],
)
def test_limits_that_cannot_be_meant(tmp_path: Path, argv: list[str], said: str) -> None:
    done = qrec(tmp_path, "record", "http://127.0.0.1:1", *argv)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_port_that_is_taken_ends_no_recording(tmp_path: Path, source: Standin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = qrec(tmp_path, "record", source.url, "--metrics", port, "--duration", "1s")
    assert done.returncode == 0
    assert "cannot serve metrics" in done.stderr

"""Running qrec for good, as processes: health for machines, keeping, dying, redaction left off."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures import bundled_stream
from fixtures.standin.server import Standin, running
from store.coverage import last_stretch
from store.files import make_folder
from store.layout import Store
from tests.e2e.shell import background, free_port, qrec, scraped
from tests.kit import PATIENCE_S, wait_for


@pytest.fixture
def source() -> Iterator[Standin]:
    """A Qtap that has told all that it has, and holds the line."""
    with running([bundled_stream("quiet")], speed="max", patience=20.0, hold=True) as standin:
        yield standin


@contextlib.contextmanager
def recording(tmp_path: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    with background("record", "--flush-interval", "0.2s", *argv, home=tmp_path) as process:
        yield process


def doctor(tmp_path: Path, url: str) -> dict[str, list[str]]:
    document = json.loads(qrec("doctor", "--url", url, "--json", home=tmp_path).stdout)
    found: dict[str, list[str]] = {}
    for check in document["checks"]:
        found.setdefault(check["check"], []).append(f"{check['status']}: {check['text']}")
    return found


def test_health_for_machines_and_for_people(tmp_path: Path, source: Standin) -> None:
    port = free_port()
    with recording(tmp_path, source.url, "--recorder", "web", "--metrics", str(port)) as process:
        wait_for(lambda: scraped(port).get("qrec_written_rows_total", 0) > 6000)
        wait_for(
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
        assert process.wait(PATIENCE_S) == 0
    [after] = doctor(tmp_path, source.url)["recorders"]
    assert "nobody is recording" in after
    stopped = last_stretch(Store.open(tmp_path / "store"), "web")
    assert stopped is not None
    assert stopped.state == "stopped"  # so that the next run does not take it for a crash


def test_a_recorder_that_was_killed_is_told_of(tmp_path: Path, source: Standin) -> None:
    with recording(tmp_path, source.url, "--recorder", "web") as process:
        wait_for(lambda: list((tmp_path / "store").glob("coverage/*/web.parquet")))
        process.kill()
        process.wait(PATIENCE_S)
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
        wait_for(lambda: old not in store.hours("transactions"))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout is not None
        assert f"deleted hour {old}" in process.stdout.read()
    assert young in store.hours("transactions")


def test_redaction_is_left_off_only_when_said_twice(tmp_path: Path) -> None:
    refused = qrec("replay", "quiet", "--no-redact", home=tmp_path)
    assert refused.returncode == 2
    assert "--i-know" in refused.stderr
    assert not (tmp_path / "store").exists()
    agreed = qrec("replay", "quiet", "--no-redact", "--i-know", home=tmp_path)
    assert agreed.returncode == 0
    assert "nothing is redacted" in agreed.stderr
    info = json.loads(qrec("info", "--json", home=tmp_path).stdout)
    assert "unredacted" in [note["code"] for note in info["store"]["notes"]]
    assert "without redaction" in qrec("info", home=tmp_path).stdout
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
    done = qrec("record", "http://127.0.0.1:1", *argv, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_port_that_is_taken_ends_no_recording(tmp_path: Path, source: Standin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        asked = "--metrics", port, "--duration", "1s", "--wait"
        done = qrec("record", source.url, *asked, home=tmp_path)
    assert done.returncode == 0
    assert "cannot serve metrics" in done.stderr

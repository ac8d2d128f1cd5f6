"""A source behind TLS: recorded like any other; refused where its certificate is not trusted."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.options import RecordOptions, Status
from recorder.record import record
from tests.fault.certificates import authority
from tests.fault.processes import has_rows, recording, wait_until
from tests.fault.scripted import HEAD, Listener, run, source, staying
from tests.fault.test_source import event, hello, states
from tests.kit import PATIENCE_S, visible_ids

_CHUNKED = HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")


def test_a_stream_over_tls_is_recorded_from_begin_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    names = [f"e{number}" for number in range(300)]
    with source(staying(hello(), *map(event, names)), tls=tls) as qtap:
        process = recording(qtap.url, tmp_path)
        try:
            wait_until(
                lambda: has_rows(tmp_path) and len(visible_ids(tmp_path / "s")) == 300,
                PATIENCE_S,
            )
        finally:
            process.terminate()
        assert process.wait(timeout=60) == 0
    assert visible_ids(tmp_path / "s") == sorted(names)
    assert "disconnected" not in states(tmp_path / "s")


def test_a_stop_amid_a_stream_over_tls_keeps_all_that_came_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a record of TLS, half a chunk and half an event are under way at any time."""
    trusted, tls = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    handed_over: list[str] = []
    before_the_stop: list[int] = []

    def endless(client: socket.socket) -> None:
        client.sendall(_CHUNKED)
        for number in itertools.count():
            part = (b"" if number else hello()) + event(f"e{number}")
            client.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            handed_over.append(f"e{number}")

    def enough(status: Status) -> bool:
        if status.written >= 2_000 and not before_the_stop:
            before_the_stop.append(status.written)
        return bool(before_the_stop)

    with source(endless, tls=tls) as qtap:
        run(qtap.url, tmp_path / "s", enough)
    kept = visible_ids(tmp_path / "s")
    assert len(kept) >= before_the_stop[0]
    assert kept == sorted(f"e{number}" for number in range(len(kept)))  # each once, no hole
    assert "disconnected" not in states(tmp_path / "s")


def test_a_certificate_of_another_authority_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, _ = authority(tmp_path)
    _, other = authority(tmp_path, "another")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with source(staying(hello(), event("a")), tls=other) as qtap:
        place = ["--store", str(tmp_path / "s")]
        for command in (["record", qtap.url], ["doctor", "--url", qtap.url]):
            outcome = subprocess.run(
                [sys.executable, "-m", "qrec", *command, *place], capture_output=True, text=True
            )
            assert outcome.returncode == 3
            text = outcome.stdout + outcome.stderr
            assert "certificate verify failed" in text
            assert "SSL_CERT_FILE=FILE" in text
        notes: list[str] = []

        class Waiting(Listener):
            def note(self, text: str) -> None:
                notes.append(text)
                if "certificate verify failed" in text:
                    self.stop.set()

        listener = Waiting()
        options = RecordOptions(store=tmp_path / "s", url=qtap.url, wait=True, duration=PATIENCE_S)
        record(options, listener, listener.stop)
        assert listener.stop.is_set(), notes
        assert qtap.subscriptions == []
    assert not (tmp_path / "s").exists()

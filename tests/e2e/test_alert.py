"""A fault that hits a tenth of the requests is told within a minute of its first failing minute."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fixtures.standin.server import running
from store.hours import to_us
from tests.contract.stored import build, row, stretch
from tests.e2e.shell import background, qrec
from tests.kit import frame, transaction, wait_for

PER_S = 100
PAST = timedelta(minutes=6)


@contextmanager
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web hook: its address, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        server.server_close()


def traffic(begin: datetime, seconds: int, failing: bool) -> Iterator[dict[str, Any]]:
    """PER_S requests a second, a tenth of them to the endpoint that may fail."""
    for at in range(seconds * PER_S):
        pays = at % 10 == 0
        yield row(
            begin + timedelta(seconds=at / PER_S),
            path="/v1/charges" if pays else f"/v1/things/{at % 7}",
            route="/v1/charges" if pays else "/v1/things/{id}",
            status=500 if failing and pays else 404 if at % 97 == 0 else 200,
            duration_ms=50 + at * 7919 % 100,
        )


def store_until(path: Path, onset: datetime, failing_s: int) -> None:
    rows = [*traffic(onset - PAST, int(PAST.total_seconds()), False),
            *traffic(onset, failing_s, True)]  # fmt: skip
    build(path, rows, [stretch(onset - PAST, onset + timedelta(seconds=failing_s))])


def told(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in messages if one["event"] == "new"
            and one["finding"]["key"].get("route") == "/v1/charges"]  # fmt: skip


def test_it_is_told_by_the_end_of_its_first_minute_and_once(tmp_path: Path) -> None:
    onset = datetime(2026, 11, 22, 13, 50, tzinfo=UTC)
    store_until(tmp_path / "store", onset, 60)
    now = (onset + timedelta(seconds=60)).isoformat()
    with hook() as (url, got):
        for _ in range(2):
            done = qrec("alert", "--webhook", url, "--once", "--now", now, home=tmp_path)
            assert (done.returncode, done.stdout) == (0, "")
    [message] = told(got)
    assert message["finding"]["kind"] == "errors"
    assert "/v1/charges failing" in message["text"]


@pytest.mark.long
def test_while_it_is_recorded_it_is_told_within_a_minute_of_its_first_minute(
    tmp_path: Path,
) -> None:
    """Takes up to two minutes: the time is the real one."""
    store, stream, seconds = tmp_path / "store", tmp_path / "stream.sse", 180
    begin = datetime.now(UTC)
    stream.write_bytes(b"".join(
        frame(transaction(
            f"r{at}", to_us(one["ts"]), status=one["status"], path=one["path"],
            url=f"https://api.example.com{one['path']}",
        ))
        for at, one in enumerate(traffic(begin, seconds, True))
    ).replace(b'"ts": ', b'"ts":'))  # fmt: skip
    onset = datetime.now(UTC)
    store_until(store, onset, 0)
    with (
        hook() as (url, got),
        running([stream]) as qtap,
        background("record", qtap.url, "--recorder", "web", home=tmp_path),
        background("alert", "--webhook", url, "--every", "5", home=tmp_path),
    ):
        began = time.monotonic()
        wait_for(lambda: told(got) or time.monotonic() - began > 85)
        if not told(got):
            wait_for(lambda: told(got))
        took = (datetime.now(UTC) - onset).total_seconds()
    assert took <= 120, took
    assert len(told(got)) == 1

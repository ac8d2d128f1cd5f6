"""A source that behaves as badly as a test wants: raw sockets, one script a connection."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recorder.options import RecordOptions, Status, Summary
from recorder.record import record
from tests.kit import PATIENCE_S

Script = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def answer(status: str, body: str = "", kind: str = "text/plain") -> Script:
    """A plain HTTP answer, then the end."""

    def script(client: socket.socket) -> None:
        data = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        client.sendall(head.encode() + b"Connection: close\r\n\r\n" + data)

    return script


def stream(*parts: bytes) -> Script:
    """The parts one after the other, then the end."""

    def script(client: socket.socket) -> None:
        client.sendall(HEAD)
        for part in parts:
            client.sendall(part)

    return script


def staying(*parts: bytes) -> Script:
    """The parts, then silence until the other side hangs up."""

    def script(client: socket.socket) -> None:
        stream(*parts)(client)
        with contextlib.suppress(OSError):
            client.recv(1)

    return script


class Source:
    """Runs the n-th script for the n-th subscription; the last one is repeated."""

    def __init__(
        self, scripts: Sequence[Script], healthy: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.scripts = list(scripts)
        self.healthy = healthy
        self.tls = tls
        self.subscriptions: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        if self.tls is not None:
            try:
                client = self.tls.wrap_socket(client, server_side=True)
            except OSError:  # the other side does not trust it
                return
        with client, contextlib.suppress(OSError):
            request = _request(client)
            if b"/devtools/api/events" not in request.split(b"\r\n", 1)[0]:
                if self.healthy:
                    answer("200 OK", "ok")(client)
                else:
                    client.recv(1)
                return
            number = len(self.subscriptions)
            self.subscriptions.append(request)
            self.scripts[min(number, len(self.scripts) - 1)](client)

    def close(self) -> None:
        self.listener.close()


def _request(client: socket.socket) -> bytes:
    """All of a request: closing a socket with unread bytes would reset the connection."""
    data = client.recv(65536)
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def source(
    *scripts: Script, healthy: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[Source]:
    running = Source(scripts, healthy, tls)
    try:
        yield running
    finally:
        running.close()


@dataclass
class Listener:
    """Hears of a recording, and stops it once a condition holds."""

    enough: Callable[[Status], bool] = lambda status: False
    stop: threading.Event = field(default_factory=threading.Event)
    notes: list[str] = field(default_factory=list)
    last: Status | None = None

    def status(self, status: Status) -> None:
        self.last = status
        if self.enough(status):
            self.stop.set()

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(
    url: str, store: Path, enough: Callable[[Status], bool], **options: object
) -> tuple[Summary, Listener]:
    """Record until `enough`. A test that waits in vain ends after PATIENCE_S, and fails."""
    listener = Listener(enough)
    chosen = {"flush_interval": 0.1, "duration": PATIENCE_S, **options}
    summary = record(
        RecordOptions(store=store, url=url, recorder="r", **chosen),  # type: ignore[arg-type]
        listener,
        listener.stop,
    )
    return summary, listener

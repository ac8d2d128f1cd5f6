"""S3 for tests: moto's server in a process of its own, and a way to it that can be made bad."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.kit import wait_for

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
}  # fmt: skip

# (method, path) -> None: pass it on; an int: answer with it; "cut": hang up; "any": as if new
Fault = Callable[[str, str], int | str | None]


def free_port() -> int:
    """A port of this machine on which nothing listens yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 with an empty bucket `acme`."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def made() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("PUT", "/acme")
            return connection.getresponse().status == 200
        return False

    try:
        wait_for(made)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Way:
    """A proxy before an S3: counts what passes, and does to it what `fault` says.

    delay_s: how long each request is held back.
    """

    def __init__(self, to: str) -> None:
        self.seen: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self.delay_s = 0.0
        host = to.removeprefix("http://")
        way = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                way.seen.append((self.command, self.path))
                time.sleep(way.delay_s)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = way.fault(self.command, self.path)
                if fault == "cut":
                    self.close_connection = True
                    return
                if isinstance(fault, int):
                    self._answer(fault, [], way.body.encode())
                    return
                headers = dict(self.headers)
                if fault == "any":
                    headers.pop("If-None-Match", None)
                    headers.pop("if-none-match", None)
                connection = http.client.HTTPConnection(host, timeout=30)
                with contextlib.closing(connection):
                    connection.request(self.command, self.path, body or None, headers)
                    answer = connection.getresponse()
                    self._answer(answer.status, answer.getheaders(), answer.read())

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length", len(body))
                self.send_header("Content-Length", str(length if body == b"" else len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass

            def log_message(self, *_: Any) -> None:
                pass

        self.body = ""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for m, path in self.seen if m == method and part in path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

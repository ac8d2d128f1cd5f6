"""Health for machines: `qrec record --metrics 127.0.0.1:9464`, in Prometheus' format.

Loopback unless told otherwise; imported only when asked for. It is served from within the process
that writes, so whoever connects can cost it only so much: one thread, a few connections, a second
each.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import selectors
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from recorder.options import Status
from recorder.write.ship import Waiting, waiting
from store.errors import UnavailableError, UsageError
from store.layout import Store

_CLIENTS = 8  # at once; one more, and the oldest is hung up on
_PATIENCE_S = 2.0  # for a request to come, and for its answer to go
_REQUEST_BYTES = 8 << 10
_LOOK_S = 60.0
_NOTHING = Waiting("", 0, 0, None)
STATES = ("receiving", "lagging", "disconnected", "disk_full", "stopped", "waiting")


class Metrics:
    """The figures of one recording, served until its process ends."""

    def __init__(self, address: str, recorder: str, store: Store) -> None:
        host, port = parse_address(address)
        registry = CollectorRegistry()
        label = {"recorder": recorder}

        def gauge(name: str, text: str, *more: str) -> Gauge:
            return Gauge(f"qrec_{name}", text, [*label, *more], registry=registry)

        counted = {
            "events": "Transactions received",
            "written": "Rows on the disk",
            "rejected": "Events that gave no row",
            "filtered": "Events that the filter refused",
            "filter_errors": "Events of those that lack a field of the filter",
            "dropped": "Events this recorder had to let go",
            "bodies_shed": "Rows kept without bodies",
            "gaps": "Stretches that could not be seen",
            "written_bytes": "Bytes of segments",
        }
        names = {"written": "written_rows"}
        self._counters = {
            status: Counter(
                f"qrec_{names.get(status, status)}", text, list(label), registry=registry
            ).labels(recorder)
            for status, text in counted.items()
        }
        self._lag = gauge("lag_seconds", "How late events arrive").labels(recorder)
        self._state = gauge("state", "1 for the state the recording is in", "state")
        self._flush = Histogram(
            "qrec_flush_seconds", "Time of a flush", list(label), registry=registry
        ).labels(recorder)
        self._recorder = recorder
        self._store, self._queue, self._looked = store, _NOTHING, -_LOOK_S
        for name, text, value in (
            ("ship_waiting_hours", "Hours that wait to be shipped", lambda q: q.hours),
            ("ship_waiting_bytes", "Bytes that wait to be shipped", lambda q: q.size),
            ("ship_last_success_timestamp_seconds", "When a file was last shipped; 0: never",
             lambda q: q.last or 0),
        ):  # fmt: skip
            gauge(name, text).labels(recorder).set_function(partial(self._queued, value))
        self._last: dict[str, int] = dict.fromkeys(self._counters, 0)
        try:
            server = _Server(host, port, registry)
        except OSError as error:
            raise UnavailableError(
                f"cannot serve metrics at {address}: {error.strerror}", "Name another port."
            ) from None
        threading.Thread(target=server.run, name="metrics", daemon=True).start()

    def _queued(self, value: Callable[[Waiting], float]) -> float:
        """What waits to be shipped, looked at when somebody asks, and once a minute at most."""
        if time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            with contextlib.suppress(OSError):  # else what was there before
                self._queue = waiting(self._store, dt.datetime.now(dt.UTC)) or _NOTHING
        return value(self._queue)

    def update(self, status: Status) -> None:
        """Take over what a status tells; counters go by the difference to the one before."""
        for name, counter in self._counters.items():
            now = int(getattr(status, name))
            counter.inc(max(0, now - self._last[name]))
            self._last[name] = now
        self._lag.set(status.lag_ms / 1000)
        for state in STATES:
            self._state.labels(self._recorder, state).set(state == status.state)
        self._flush.observe(status.flush_s)


class _Server:
    """The smallest HTTP server that a scraper needs: each request is answered and hung up on."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        """OSError when the address cannot be used."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=_CLIENTS)
        self._registry = registry
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._clients: dict[socket.socket, tuple[float, bytearray]] = {}  # since when, what came

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select(_PATIENCE_S if self._clients else None):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
            late = time.monotonic() - _PATIENCE_S
            for client in [one for one, (since, _) in self._clients.items() if since < late]:
                self._hang_up(client)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptor left: then the next one waits
            time.sleep(0.1)
            return
        client.setblocking(False)
        if len(self._clients) >= _CLIENTS:
            self._hang_up(next(iter(self._clients)))
        self._clients[client] = time.monotonic(), bytearray()
        self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        if client not in self._clients:  # hung up on in this very round
            return
        request = self._clients[client][1]
        try:
            chunk = client.recv(_REQUEST_BYTES)
        except OSError:
            chunk = b""
        request += chunk
        if b"\r\n\r\n" in request:
            self._answer(client, bytes(request))
        elif chunk and len(request) < _REQUEST_BYTES:
            return
        self._hang_up(client)

    def _answer(self, client: socket.socket, request: bytes) -> None:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status, body = "200 OK", b""
        if method not in (b"GET", b"HEAD"):
            status = "405 Method Not Allowed"
        elif path not in (b"/", b"/metrics"):
            status = "404 Not Found"
        else:
            body = generate_latest(self._registry)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        client.settimeout(_PATIENCE_S)
        with contextlib.suppress(OSError):
            client.sendall(head + (body if method == b"GET" else b""))

    def _hang_up(self, client: socket.socket) -> None:
        del self._clients[client]
        self._selector.unregister(client)
        client.close()


def parse_address(text: str) -> tuple[str, int]:
    """`9464`, `:9464`, `127.0.0.1:9464` or `[::1]:9464`; loopback where no host is named."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is no address to serve metrics at", "Write 127.0.0.1:9464.")
    return host.strip("[]") or "127.0.0.1", int(port)

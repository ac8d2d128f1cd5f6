"""Health for machines: `qrec record --metrics 127.0.0.1:9464`, in Prometheus' format.

Loopback unless told otherwise; imported only when asked for. It is served from within the process
that writes, so whoever connects can cost it only so much: one thread, a few connections, a second
each.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recorder.options import Status
from recorder.write.ship import Waiting, waiting
from store.errors import UnavailableError, UsageError
from store.layout import Store

_CLIENTS = 8  # at once; one more, and the oldest is hung up on
_PATIENCE_S = 2.0  # for a request to come, and for its answer to go
_REQUEST_BYTES = 8 << 10
_LOOK_S = 60.0
_NOTHING = Waiting("", 0, 0, None)
_COUNTED = {
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
_NAMES = {"written": "written_rows"}
STATES = ("receiving", "lagging", "disconnected", "disk_full", "stopped", "waiting")


class Metrics(Collector):
    """The figures of one recording, served until its process ends."""

    def __init__(self, address: str, recorder: str, store: Store) -> None:
        host, port = parse_address(address)
        self._recorder, self._store = recorder, store
        self._status = Status("waiting")
        self._queue, self._looked = _NOTHING, -_LOOK_S
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._flush = Histogram(
            "qrec_flush_seconds", "Time of a flush", ["recorder"], registry=self._registry
        ).labels(recorder)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_CLIENTS)
        except OSError as error:
            raise UnavailableError(
                f"cannot serve metrics at {address}: {error.strerror}", "Name another port."
            ) from None
        server = _Server(listener, self._registry)
        threading.Thread(
            target=asyncio.run, args=(server.run(),), name="metrics", daemon=True
        ).start()

    def update(self, status: Status) -> None:
        """Take over what a status tells."""
        self._status = status
        self._flush.observe(status.flush_s)

    def collect(self) -> Iterator[Metric]:
        """What the last status told, and what waits to be shipped, when somebody asks."""
        status, queue = self._status, self._waiting()
        for name, text in _COUNTED.items():
            counter = CounterMetricFamily(
                f"qrec_{_NAMES.get(name, name)}", text, labels=["recorder"]
            )
            counter.add_metric([self._recorder], getattr(status, name))
            yield counter
        for name, text, value in (
            ("lag_seconds", "How late events arrive", status.lag_ms / 1000),
            ("ship_waiting_hours", "Hours that wait to be shipped", queue.hours),
            ("ship_waiting_bytes", "Bytes that wait to be shipped", queue.size),
            ("ship_last_success_timestamp_seconds", "When a file was last shipped; 0: never",
             queue.last or 0),
        ):  # fmt: skip
            gauge = GaugeMetricFamily(f"qrec_{name}", text, labels=["recorder"])
            gauge.add_metric([self._recorder], value)
            yield gauge
        states = GaugeMetricFamily(
            "qrec_state", "1 for the state the recording is in", labels=["recorder", "state"]
        )
        for state in STATES:
            states.add_metric([self._recorder, state], state == status.state)
        yield states

    def _waiting(self) -> Waiting:
        """What waits to be shipped, looked at once a minute at most."""
        if time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            with contextlib.suppress(OSError):  # else what was there before
                self._queue = waiting(self._store, dt.datetime.now(dt.UTC)) or _NOTHING
        return self._queue


class _Server:
    """The smallest HTTP server that a scraper needs: each request is answered and hung up on."""

    def __init__(self, listener: socket.socket, registry: CollectorRegistry) -> None:
        self._listener = listener
        self._registry = registry
        self._clients: list[asyncio.StreamWriter] = []  # in the order in which they came

    async def run(self) -> None:
        await asyncio.start_server(
            self._serve, sock=self._listener, limit=_REQUEST_BYTES, backlog=_CLIENTS
        )
        await asyncio.Event().wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= _CLIENTS:
            self._clients.pop(0).transport.abort()
        self._clients.append(writer)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, asyncio.LimitOverrunError):  # it went, or asks without end
            pass
        finally:
            writer.transport.abort()
            if writer in self._clients:  # none that came later took its place
                self._clients.remove(writer)

    def _answer(self, request: bytes) -> bytes:
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
        return head + (body if method == b"GET" else b"")


def parse_address(text: str) -> tuple[str, int]:
    """`9464`, `:9464`, `127.0.0.1:9464` or `[::1]:9464`; loopback where no host is named."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is no address to serve metrics at", "Write 127.0.0.1:9464.")
    return host.strip("[]") or "127.0.0.1", int(port)

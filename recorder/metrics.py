"""Health for machines: `qrec record --metrics 127.0.0.1:9464`, in Prometheus' format.

Loopback unless told otherwise; imported only when asked for.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from recorder.options import Status
from store.errors import UnavailableError, UsageError

STATES = ("receiving", "lagging", "disconnected", "disk_full", "stopped", "waiting")


class Metrics:
    """The figures of one recording, served until its process ends."""

    def __init__(self, address: str, recorder: str) -> None:
        host, port = parse_address(address)
        registry = CollectorRegistry()
        label = {"recorder": recorder}

        def counter(name: str, text: str) -> Counter:
            return Counter(f"qrec_{name}", text, list(label), registry=registry)

        def gauge(name: str, text: str, *more: str) -> Gauge:
            return Gauge(f"qrec_{name}", text, [*label, *more], registry=registry)

        self._counters = {
            "events": counter("events", "Transactions received").labels(recorder),
            "written": counter("written_rows", "Rows on the disk").labels(recorder),
            "rejected": counter("rejected", "Events that gave no row").labels(recorder),
            "filtered": counter("filtered", "Events that the filter refused").labels(recorder),
            "dropped": counter("dropped", "Events this recorder had to let go").labels(recorder),
            "bodies_shed": counter("bodies_shed", "Rows kept without bodies").labels(recorder),
            "gaps": counter("gaps", "Stretches that could not be seen").labels(recorder),
            "written_bytes": counter("written_bytes", "Bytes of segments").labels(recorder),
        }
        self._lag = gauge("lag_seconds", "How late events arrive").labels(recorder)
        self._state = gauge("state", "1 for the state the recording is in", "state")
        self._flush = Histogram(
            "qrec_flush_seconds", "Time of a flush", list(label), registry=registry
        ).labels(recorder)
        self._recorder = recorder
        self._last: dict[str, int] = dict.fromkeys(self._counters, 0)
        try:
            start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise UnavailableError(
                f"cannot serve metrics at {address}: {error.strerror}", "Name another port."
            ) from None

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


def parse_address(text: str) -> tuple[str, int]:
    """`9464`, `:9464`, `127.0.0.1:9464` or `[::1]:9464`; loopback where no host is named."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is no address to serve metrics at", "Write 127.0.0.1:9464.")
    return host.strip("[]") or "127.0.0.1", int(port)

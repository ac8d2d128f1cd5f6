"""Metrics are served from within the process that records: no client may cost it much."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recorder.metrics import _CLIENTS, Metrics
from recorder.options import Status
from store.errors import UnavailableError
from store.layout import Store


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    metrics = Metrics(f"127.0.0.1:{number}", "web", Store(tmp_path_factory.mktemp("store")))
    metrics.update(Status("receiving", events=7, written=7, per_s=1.0, lag_ms=20, gaps=0))
    return number


@contextlib.contextmanager
def idle(port: int, clients: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            for _ in range(clients)
        ]


def scraped(port: int, path: str = "/metrics", method: str = "GET") -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.request(method, f"http://127.0.0.1:{port}{path}")


def test_what_a_scraper_gets(port: int) -> None:
    answer = scraped(port)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'qrec_events_total{recorder="web"} 7.0' in answer.text
    assert scraped(port, method="HEAD").text == ""
    assert scraped(port, "/other").status_code == 404
    assert scraped(port, method="POST").status_code == 405


def test_clients_that_only_connect_cost_neither_threads_nor_descriptors(port: int) -> None:
    threads, before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    with idle(port, 200) as clients:
        assert scraped(port).status_code == 200
        assert threading.active_count() == threads
        ours = len(list(Path("/proc/self/fd").iterdir())) - len(clients)
        assert ours < before + 2 * _CLIENTS
    assert scraped(port).status_code == 200


def test_a_client_that_never_asks_is_hung_up_on(port: int) -> None:
    with idle(port, 2) as (silent, dripping):
        dripping.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert silent.recv(1) == b""
        with contextlib.suppress(ConnectionError):
            assert dripping.recv(1) == b""


def test_a_request_without_end_is_hung_up_on(port: int) -> None:
    with idle(port, 1) as [client], contextlib.suppress(ConnectionError):
        client.sendall(b"x" * 20_000)
        assert client.recv(1) == b""


def test_a_port_that_is_taken_is_an_error_of_ours(port: int, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot serve metrics"):
        Metrics(f"127.0.0.1:{port}", "web", Store(tmp_path))

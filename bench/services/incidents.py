"""What happens to the shop: how each incident is made, and what a good answer names first."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

SERVICES: Final = ("bank", "payment", "cart", "catalog", "recommend", "auth", "gateway", "load")
DEPLOYED: Final = SERVICES[1:-1]
Change = dict[str, dict[str, Any]]


class Shop(Protocol):
    """The running services."""

    processes: dict[str, subprocess.Popen[bytes]]

    def tell(self, changes: Change) -> None:
        """What ails each service from now on."""

    def start(self, name: str) -> None:
        """Start a service (again)."""


@dataclass(frozen=True)
class Incident:
    """kinds, place: of the first finding; place is a part of its key's text. None: nothing."""

    name: str
    kinds: tuple[str, ...]
    place: str
    make: Callable[[Shop], AbstractContextManager[None]]


@contextmanager
def nothing(shop: Shop) -> Iterator[None]:
    yield


def ails(**changes: dict[str, Any]) -> Callable[[Shop], AbstractContextManager[None]]:
    @contextmanager
    def make(shop: Shop) -> Iterator[None]:
        shop.tell(changes)
        try:
            yield
        finally:
            shop.tell({name: {} for name in changes})

    return make


def killed(name: str) -> Callable[[Shop], AbstractContextManager[None]]:
    @contextmanager
    def make(shop: Shop) -> Iterator[None]:
        shop.processes[name].kill()
        try:
            yield
        finally:
            shop.start(name)

    return make


def stands_still(name: str, stopped_s: float, running_s: float) -> Any:
    """As long collections of garbage do."""

    def round_(shop: Shop, over: threading.Event) -> None:
        os.kill(shop.processes[name].pid, signal.SIGSTOP)
        time.sleep(stopped_s)
        os.kill(shop.processes[name].pid, signal.SIGCONT)
        over.wait(running_s)

    return _again_and_again(round_)


def locked(shop: Shop, over: threading.Event) -> None:
    """Another program holds the cart's database."""
    database = sqlite3.connect("cart.db", timeout=5, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    time.sleep(1.2)
    database.execute("ROLLBACK")
    database.close()
    over.wait(0.6)


def _again_and_again(
    round_: Callable[[Shop, threading.Event], None],
) -> Callable[[Shop], AbstractContextManager[None]]:
    @contextmanager
    def make(shop: Shop) -> Iterator[None]:
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                round_(shop, over)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return make


@contextmanager
def starved(shop: Shop) -> Iterator[None]:
    """Other programs want all cores, and one service comes last: all that runs here is slower."""
    os.setpriority(os.PRIO_PROCESS, shop.processes["recommend"].pid, 19)
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _fails(part: float, status: int, error: str, where: str = "") -> dict[str, Any]:
    return {"fails": part, "status": status, "error": error, "where": where}


_FAILING: Final = ("errors", "statuses", "no_response", "signature", "new")  # a new status
_SLOW: Final = ("latency",)
_BUSY: Final = ("retries", "rate", "broad")
INCIDENTS: Final = (
    Incident("nothing", (), "", nothing),
    Incident("the bank answers 300 ms later", _SLOW, "bank", ails(bank={"sleep_s": 0.3})),
    Incident("the bank is unavailable, 30 %", _FAILING, "bank",
             ails(bank=_fails(0.3, 503, "upstream unavailable"))),
    Incident("catalog is killed", ("errors", "gone", "statuses"), "", killed("catalog")),
    Incident("recommend stands still 1.5 s in 4", _SLOW, "recommend",
             stands_still("recommend", 1.5, 2.5)),
    Incident("the cart's database is locked", (*_SLOW, *_FAILING), "cart",
             _again_and_again(locked)),
    Incident("catalog works 15 ms longer", _SLOW, "catalog", ails(catalog={"burn_ms": 15})),
    Incident("catalog answers []", ("size",), "catalog", ails(catalog={"empty": True})),
    Incident("the gateway asks six times", _BUSY, "catalog", ails(gateway={"calls": 6})),
    Incident("nothing again", (), "", nothing),
    Incident("auth refuses 25 %, 429", _FAILING, "auth",
             ails(auth=_fails(0.25, 429, "too many requests"))),
    Incident("the bank takes one at a time", (*_SLOW, *_FAILING), "bank",
             ails(bank={"one_at_a_time": True})),
    Incident("a release of everything", (), "",
             ails(**{name: {"release": "5c8b6d"} for name in DEPLOYED})),
    Incident("recommend slows down, 3 ms a second", _SLOW, "recommend",
             ails(recommend={"leak": 0.003})),
    Incident("the bank fails, payment retries", (*_FAILING, *_BUSY), "bank",
             ails(bank=_fails(0.5, 500, "internal"), payment={"tries": 4})),
    Incident("twice the traffic", ("broad", "rate"), "", ails(load={"per_s": 24})),
    Incident("recommend fails always", _FAILING, "recommend",
             ails(recommend=_fails(1, 500, "KeyError: model"))),
    Incident("a tenth of what is put into carts", _FAILING, "cart",
             ails(cart=_fails(0.1, 500, "disk I/O error", "POST"))),
    Incident("others take all processors", ("broad",), "", starved),
    Incident("nothing at last", (), "", nothing),
)  # fmt: skip

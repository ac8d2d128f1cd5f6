"""One service of the small shop, a real process: `python -m bench.services.service NAME PORTS`.

It serves HTTP/1.1 in threads, calls the other services, and writes both ends of every exchange to
stdout as frames of Qtap. PORTS is JSON, name -> port. A line of JSON on stdin is what ails it from
then on; `{}` heals it. Durations are what a real scheduler, real sockets and a real SQLite give.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.world import events
from tests.world.xids import XidMaker

BANK: Final = "bank"
HOSTS: Final = {BANK: "api.bank.example"}
_RELEASE: Final = "7d9f4c"
_NS: Final = 1_000_000_000
Answer = tuple[int, bytes]


class Tap:
    """What Qtap would have seen of this process: its requests and its answers."""

    def __init__(self, name: str, rng: Random) -> None:
        self.name, self.release = name, _RELEASE
        self._xid = XidMaker(rng)
        self._lock = threading.Lock()

    def tell(
        self, direction: str, service: str, method: str, target: str, *, status: int | None,
        since: float, sent: bytes, received: bytes, headers: dict[str, str],
    ) -> None:  # fmt: skip
        """An exchange that began at `since` (of the monotonic clock) and is over by now."""
        now, took = time.time_ns(), time.monotonic() - since
        name, pid = self.name, os.getpid()
        actor = events.Actor(
            pid,
            f"/app/{name}",
            name,
            f"shop/{name}:1.4",
            f"{name}-{self.release}-{pid % 97}",
            "prod",
        )
        host = HOSTS.get(service, f"{service}.shop.svc:8080")
        transaction = events.Transaction(
            now, direction, actor, method, host, target, self._id(now), self._id(now),
            scheme="http", status=status, duration_ms=max(1, int(1000 * took)),
            request_headers=headers, request_body=sent, response_body=received,
            response_headers={"Content-Type": "application/json"} if status else {},
        )  # fmt: skip
        frame = events.http_transaction(transaction, now)
        with self._lock:
            sys.stdout.buffer.write(frame)
            sys.stdout.buffer.flush()

    def _id(self, now: int) -> str:
        return self._xid(now // _NS)


class Service:
    """What a service does with a request; `ails` is what is wrong with it now."""

    def __init__(self, name: str, ports: dict[str, int]) -> None:
        self.name, self.ports = name, ports
        self.rng = Random(f"{name} {os.getpid()}")
        self.tap = Tap(name, self.rng)
        self.ails: dict[str, Any] = {}
        self._since = 0.0
        self._slots = threading.Semaphore(1)
        self._mine = threading.local()

    def follow(self) -> None:
        """Read from stdin what ails it, until that ends."""
        for line in sys.stdin:
            self.ails = json.loads(line)
            self._since = time.monotonic()
            self.tap.release = self.ails.get("release", _RELEASE)
        os._exit(0)

    def call(
        self, service: str, method: str, target: str, body: bytes = b"", timeout: float = 5.0
    ) -> tuple[int | None, bytes]:
        """(status, body) of another service; None if it gives no answer."""
        open_ones: dict[str, http.client.HTTPConnection] = self._mine.__dict__
        headers = {"Accept": "application/json", "User-Agent": f"{self.name}/1.4"}
        began = time.monotonic()
        status, received = None, b""
        while True:
            link = open_ones.pop(service, None)
            is_new = link is None
            link = link or http.client.HTTPConnection(
                "127.0.0.1", self.ports[service], timeout=timeout
            )
            try:
                link.request(method, target, body or None, headers)
                response = link.getresponse()
                status, received = response.status, response.read()
                open_ones[service] = link
            except ConnectionRefusedError:
                return None, b""  # no request was made: Qtap sees none
            except (OSError, http.client.HTTPException) as error:
                link.close()
                if not is_new and not isinstance(error, TimeoutError):
                    continue  # it had been closed since
            break
        side = "egress-external" if service == BANK else "egress-internal"
        if self.name != "load":
            self.tap.tell(
                side, service, method, target, status=status, since=began, sent=body,
                received=received, headers=headers,
            )  # fmt: skip
        return status, received

    def answer(self, method: str, target: str) -> Answer:
        ails, rng = self.ails, self.rng
        burn(ails.get("burn_ms", 0))
        if "sleep_s" in ails:
            time.sleep(rng.expovariate(1 / ails["sleep_s"]))
        if "leak" in ails:  # slower by that many seconds a second
            time.sleep(ails["leak"] * (time.monotonic() - self._since))
        if rng.random() < ails.get("fails", 0) and ails.get("where", "") in f"{method} {target}":
            return ails["status"], json.dumps({"error": ails["error"]}).encode()
        handle = getattr(self, f"_{self.name}")
        answer: Answer = handle(method, target, rng.randrange(500))
        return answer

    def _gateway(self, method: str, target: str, user: int) -> Answer:
        if target == "/healthz":
            return 200, b"ok"
        if self.rng.random() < 0.02:
            return 404, b'{"error": "no such page"}'
        status, _ = self.call("auth", "GET", f"/session/{user}")
        if status != 200:
            return (401 if status == 401 else 502), b'{"error": "no session"}'
        if target == "/":
            for _ in range(self.ails.get("calls", 1)):
                answer = self.call("catalog", "GET", f"/products?page={self.rng.randrange(9)}")
            self.call("recommend", "GET", f"/for/{user}")
            return _passed_on(*answer)
        if target.startswith("/product/"):
            product = target.replace("/product/", "/products/")
            return _passed_on(*self.call("catalog", "GET", product))
        verb = "GET" if target == "/checkout" else method
        cart = self.call("cart", verb, f"/carts/{user}", b"{}")
        if target == "/cart" or cart[0] != 200:
            return _passed_on(*cart)
        return _passed_on(*self.call("payment", "POST", "/payments", b'{"amount": 12}'))

    def _auth(self, method: str, target: str, user: int) -> Answer:
        time.sleep(0.001)
        return (401, b'{"error": "expired"}') if self.rng.random() < 0.03 else (200, b'{"user": 1}')

    def _catalog(self, method: str, target: str, user: int) -> Answer:
        is_list = "?" in target
        burn(1.5 if is_list else 0.5)
        if is_list and self.ails.get("empty"):
            return 200, b"[]"
        if self.rng.random() < 0.01:
            return 404, b'{"error": "no such product"}'
        things = [
            {"id": i, "name": f"thing {i}", "price": 3 * i} for i in range(40 if is_list else 1)
        ]
        return 200, json.dumps(things).encode()

    def _recommend(self, method: str, target: str, user: int) -> Answer:
        burn(4)
        return 200, json.dumps([self.rng.randrange(999) for _ in range(12)]).encode()

    def _cart(self, method: str, target: str, user: int) -> Answer:
        database = self._mine.__dict__.get("database")
        if database is None:
            database = self._mine.database = connect(Path("cart.db"))
        try:
            if method == "POST":
                database.execute("INSERT INTO cart VALUES (?)", (user,))
                return 201, b'{"ok": true}'
            [items] = database.execute(
                "SELECT count(*) FROM cart WHERE user = ?", (user,)
            ).fetchone()
            return 200, json.dumps({"items": items}).encode()
        except sqlite3.OperationalError as error:
            return 500, json.dumps({"error": str(error)}).encode()

    def _payment(self, method: str, target: str, user: int) -> Answer:
        for _ in range(self.ails.get("tries", 1)):
            status, _ = self.call(BANK, "POST", "/v2/charges", b'{"amount": 12}', timeout=2.0)
            if status == 200:
                return 201, b'{"id": "p1"}'
        return 502, b'{"error": "the bank declined"}'

    def _bank(self, method: str, target: str, user: int) -> Answer:
        if self.ails.get("one_at_a_time"):
            with self._slots:
                time.sleep(0.4 + self.rng.expovariate(1 / 0.3))
        else:
            time.sleep(0.02 + self.rng.expovariate(1 / 0.015))
        declined = self.rng.random() < 0.04
        return (402, b'{"error": "declined"}') if declined else (200, b'{"charge": "ok"}')

    def drive(self) -> None:
        """The users: they come at random, whatever became of those before; and a health check."""
        jobs = {
            ("GET", "/"): 40, ("GET", "/product/"): 30, ("POST", "/cart"): 12, ("GET", "/cart"): 10,
            ("POST", "/checkout"): 8,
        }  # fmt: skip
        rest = threading.Semaphore(200)  # more do not wait

        def visit(method: str, target: str) -> None:
            with rest:
                self.call("gateway", method, target)

        def check() -> None:
            while True:
                self.call("gateway", "GET", "/healthz")
                time.sleep(5)

        threading.Thread(target=check, daemon=True).start()
        while True:
            time.sleep(self.rng.expovariate(self.ails.get("per_s", 12)))
            [(method, target)] = self.rng.choices(list(jobs), list(jobs.values()))
            if target.endswith("t/"):
                target += str(self.rng.randrange(300))
            threading.Thread(target=visit, args=(method, target), daemon=True).start()


def _passed_on(status: int | None, body: bytes) -> Answer:
    return (status, body) if status in (200, 201, 404) else (502, b'{"error": "bad gateway"}')


def connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=3, isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS cart (user INTEGER)")
    return database


def burn(ms: float) -> None:
    """Work for so long, of the wall's time."""
    end, block = time.perf_counter() + ms / 1000, bytes(2000)
    while time.perf_counter() < end:
        zlib.crc32(block)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    service = Service(sys.argv[1], json.loads(sys.argv[2]))
    if service.name == "load":
        threading.Thread(target=service.drive, daemon=True).start()
        service.follow()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            began = time.monotonic()
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = service.answer(self.command, self.path)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # who asked waits no more
            if service.name != BANK:  # it is somebody else's: only calls to it are seen
                service.tap.tell(
                    "ingress", service.name, self.command, self.path, status=status, since=began,
                    sent=sent, received=body, headers=dict(self.headers.items()),
                )  # fmt: skip

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = _Server(("127.0.0.1", service.ports[service.name]), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.follow()


if __name__ == "__main__":
    main()

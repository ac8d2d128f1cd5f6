"""A stand-in for a busy Qtap: sends events of about 3.6 KB at a rate, and drops as Qtap drops.

Each client has room for 100 events; what finds no room is dropped and counted. Every event is
different (time, id, and bodies out of a large pool). Run as a process of its own, it prints its
port, serves one client after the other, and answers GET /stats with what it offered and dropped.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import select
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.redaction_speed import new_session

BUFFER = 100  # events a client, as in Qtap
_TICK_S = 0.001
_ROUTES = 40
_SESSIONS = 2_000  # who is logged in: cookies come again, as they do
_HEAD = '{"transaction_time":"%s","request":{"request_id":"%s'  # multiples of three for base64


@dataclass
class Stats:
    """What a client was offered and what it missed; `first` and `last` are epoch seconds."""

    offered: int = 0
    dropped: int = 0
    bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    done: bool = False
    times: list[float] = field(default_factory=list)


def make_pool(size: int, sessions: int = 0, seed: int = 7) -> list[tuple[bytes, bytes]]:
    """(before, after) of many different events; time and id go between, already in base64.

    `sessions`: each event is of one of so many browsers, with its own JWT and 2 KB of cookies.
    """
    rng = random.Random(seed)
    return [_pool_event(rng, sessions) for _ in range(size)]


def _pool_event(rng: random.Random, sessions: int) -> tuple[bytes, bytes]:
    route = rng.randrange(_ROUTES)
    host = f"svc-{route % 12}.example.com"
    path = f"/v1/things-{route}/{rng.randrange(10**9)}"
    headers = {f"X-Header-{k}": f"value {k} {rng.randrange(40)}" for k in range(12)}
    headers |= {
        ":authority": host,
        ":path": path,
        "Authorization": f"Bearer token-{rng.randrange(200):08d}-abcdefghijk",
        "Content-Type": "application/json",
        "Traceparent": f"00-{rng.randbytes(16).hex()}-{rng.randbytes(8).hex()}-01",
        "User-Agent": "bench/1.0 (load)",
        "Accept": "application/json",
        "Cookie": f"session=user-{rng.randrange(_SESSIONS):012d}",
    }
    if sessions:
        number = rng.randrange(sessions)
        headers |= new_session(random.Random(number), number).req_headers
    rest = {
        "method": rng.choice(("GET", "POST", "PUT")),
        "url": f"https://{host}{path}",
        "scheme": "https",
        "path": path,
        "authority": host,
        "protocol": "http2",
        "content_type": "application/json",
        "headers": headers,
        "body": base64.b64encode(_body(rng, 330)).decode(),
    }
    tail = {
        "response": {
            "status": rng.choices((200, 404, 500), (96, 3, 1))[0],
            "content_type": "application/json",
            "headers": {"Content-Type": "application/json", "Server": "bench"},
            "body": base64.b64encode(_body(rng, 410)).decode(),
        },
        "metadata": {
            "process_id": str(1000 + route),
            "process_exe": "/usr/bin/app",
            "container_name": f"service-{route % 25}",
            "container_image": "acme/service:1",
            "bytes_sent": rng.randrange(4000),
            "bytes_received": rng.randrange(9000),
            "connection_id": rng.randbytes(10).hex(),
            "endpoint_id": host,
        },
        "duration_ms": int(rng.lognormvariate(4, 0.8)) + 1,
        "direction": "egress-external",
    }
    after = '",' + json.dumps(rest)[1:] + "," + json.dumps(tail)[1:]
    return b"", base64.b64encode(after.encode())


def _body(rng: random.Random, size: int) -> bytes:
    items: list[str] = []
    while sum(map(len, items)) < size:
        word = rng.choice(("order", "invoice", "parcel", "refund"))
        items.append(json.dumps({"id": rng.randrange(10**8), "kind": word, "qty": rng.random()}))
    return ("[" + ",".join(items) + "]").encode()


class Producer:
    """Makes the n-th event: the pool's rest behind a fresh time and id."""

    def __init__(self, pool: list[tuple[bytes, bytes]]) -> None:
        self.pool = pool
        self.run = uuid.uuid4().hex[:9]
        self._second = -1
        self._text = ""

    def event(self, n: int, now: float) -> bytes:
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        stamp = f"{self._text}.{int((now - second) * 1e6):06d}Z"
        head = base64.b64encode((_HEAD % (stamp, f"{self.run}{n:012d}")).encode())
        _, after = self.pool[n % len(self.pool)]
        return b"".join(
            (
                b'event: request.http_transaction\ndata: {"data":{"data":{"requestId":"',
                b'x","type":"http_transaction","contentType":"application/json","data":"',
                head,
                after,
                b'"}},"ts":"',
                stamp.encode(),
                b'"}\n\n',
            )
        )


def pump(
    client: socket.socket, producer: Producer, rate: float, seconds: float, stats: Stats
) -> None:
    """Send to one client: at `rate` a second with Qtap's drop rule, or (0) as fast as it reads."""
    client.setblocking(False)
    waiting: deque[bytes] = deque()
    stats.first = start = time.time()
    while (elapsed := time.time() - start) < seconds:
        now = time.time()
        due = int(elapsed * rate) - stats.offered if rate else BUFFER - len(waiting)
        for _ in range(due):
            stats.offered += 1
            if len(waiting) >= BUFFER:
                stats.dropped += 1
            else:
                waiting.append(_chunk(producer.event(stats.offered, now)))
            if rate:
                _send(client, waiting, stats)
        _send(client, waiting, stats)
        if rate:
            time.sleep(_TICK_S)
        elif waiting:
            select.select([], [client], [], 0.05)
    stats.last = time.time()
    deadline = time.time() + 30
    while waiting and time.time() < deadline:
        select.select([], [client], [], 0.05)
        _send(client, waiting, stats)


def _chunk(event: bytes) -> bytes:
    """One event as Go's server sends it: flushed by itself, so a chunk of its own."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def _send(client: socket.socket, waiting: deque[bytes], stats: Stats) -> None:
    """One write an event, until the kernel takes no more; a cut one stays in front."""
    try:
        while waiting:
            data = waiting[0]
            sent = client.send(data)
            stats.bytes += sent
            if sent < len(data):
                waiting[0] = data[sent:]
                return
            waiting.popleft()
    except BlockingIOError:
        return


def serve(
    rates: list[tuple[float, float]], pool_size: int, sessions: int = 0, port: int = 0
) -> Iterator[str]:
    """Listen; the n-th stream gets the n-th (rate, seconds). Yields the port, then stats lines."""
    pool = make_pool(pool_size, sessions)
    listener = socket.create_server(("127.0.0.1", port))
    yield str(listener.getsockname()[1])
    state = {"stats": Stats()}
    streams = iter(rates)
    while True:
        client, _ = listener.accept()
        request = _request(client)
        if request.startswith(b"GET /stats"):
            _reply(client, json.dumps(vars(state["stats"])).encode())
        elif b"/devtools/api/events" in request.split(b"\r\n", 1)[0]:
            job = next(streams, None)
            if job is None:
                _reply(client, b"no more")
                continue
            state["stats"] = Stats()
            threading.Thread(
                target=_stream, args=(client, Producer(pool), *job, state["stats"]), daemon=True
            ).start()
        else:
            _reply(client, b"ok")


def _stream(
    client: socket.socket, producer: Producer, rate: float, seconds: float, stats: Stats
) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    client.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        + _chunk(
            b'event: system.connected\ndata: {"data":{"topics":{"http":"*"}},"ts":"'
            + now.encode()
            + b'"}\n\n'
        )
    )
    try:
        pump(client, producer, rate, seconds, stats)
        client.setblocking(True)
        client.sendall(b"0\r\n\r\n")
    except OSError:
        pass
    finally:
        stats.done = True
        client.close()


def _request(client: socket.socket) -> bytes:
    """All of a request: closing a socket with unread bytes would reset the connection."""
    data = client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        while name.lower() == b"content-length" and len(body) < int(value):
            body += client.recv(65536)
    return head


def _reply(client: socket.socket, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    client.sendall(head.encode() + body)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", required=True, help="rate:seconds,… one for each stream")
    parser.add_argument("--pool", type=int, default=20_000)
    parser.add_argument(
        "--sessions", type=int, default=0, help="browsers with headers of their own"
    )
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    pairs = [tuple(map(float, part.split(":"))) for part in options.streams.split(",")]
    jobs = [(p[0], p[1]) for p in pairs]
    for line in serve(jobs, options.pool, options.sessions, options.port):
        print(line, flush=True)


if __name__ == "__main__":
    main()

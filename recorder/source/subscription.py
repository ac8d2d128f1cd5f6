"""One subscription to a Qtap DevTools stream: asking for it, and reading what comes.

By the standard library's HTTP alone: httpx takes 5 MB more of a process that does little else, and
one chunk a call, as Qtap flushes each event. Here all the chunks that a read brought are taken
apart at once (bench/README.md has what that saves), since the reading process has no CPU to give
away. The time limit holds until the answer's head is there; the body may be silent for ever.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from recorder.source.blocks import events_in, whole_events
from recorder.source.request import PATH, Subscription, check_url
from store.errors import UsageError

_READ = 1 << 18
_LONGEST_SIZE = 4096  # bytes of the line that tells how long a chunk is
_RECEIVE_BUFFER = 4 << 20  # what the kernel holds for us while this process does not run
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4), 15),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 6), 3),
)
_CONNECT_S = 5.0
_REFUSAL_S = 1.0  # in which a refusal says why, or does not
_AS_IT_IS = "/%:@!$&'()*+,;=~"  # of a path

Pace = Callable[[socket.socket], None]


class LinkError(Exception):
    """The link is not there or broke. `kind`: refused, tls, timeout, status, denied, elsewhere,
    filter, not_sse or broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Stream(contextlib.AbstractContextManager["Stream"]):
    """An answer whose head is there, and its connection. `pace` is called with the socket before
    each read of a chunked body. `refusal`: what it says besides where it gives no stream."""

    def __init__(self, connection: http.client.HTTPConnection, pace: Pace | None) -> None:
        self.line = connection.sock  # the connection lets go of it where no other answer follows
        self.answer = connection.getresponse()
        self._connection = connection
        self._pace = pace
        self.refusal = b""
        if self.answer.status == 200:
            self.line.settimeout(None)
            return
        self.line.settimeout(_REFUSAL_S)
        with contextlib.suppress(LinkError):  # what came at once says why; the rest is not read
            self.refusal = next(self.chunks(), b"")

    def __exit__(self, *error: object) -> None:
        self.answer.close()
        self._connection.close()

    def iter_bytes(self) -> Iterator[bytes]:
        """What comes, in blocks of whole events. LinkError where the link breaks."""
        return whole_events(self.chunks())

    def events(self) -> Iterator[tuple[str, str]]:
        """(name, data) of each event."""
        for block in self.iter_bytes():
            yield from events_in(block)

    def chunks(self) -> Iterator[bytes]:
        """What comes, as it comes. LinkError where the link breaks."""
        coding = self.answer.headers.get("transfer-encoding", "").strip().lower()
        try:
            if coding == "chunked" and self.answer.fp is not None:
                yield from unchunked(self)
                return
            while data := self.answer.read1(_READ):
                yield data
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _broken(error) from error

    def read1(self, size: int) -> bytes:
        """A read of what is still in chunks."""
        if self._pace is not None:
            self._pace(self._connection.sock)
        return self.answer.fp.read1(size)


def open_stream(subscription: Subscription, pace: Pace | None = None) -> Stream:
    """The stream that is subscribed to, its head checked. LinkError when it is none."""
    stream = _ask(subscription.url, PATH, subscription.headers_s, subscription.body(), pace)
    try:
        _check(stream, bool(subscription.filter))
    except LinkError:
        stream.__exit__()
        raise
    return stream


def answers(url: str, path: str, seconds: float) -> bool:
    """Whether there is any answer: a Qtap without /healthz says 404, and lives. Its head is enough:
    the rest may be without end."""
    try:
        with _ask(url, path, seconds):
            return True
    except LinkError:
        return False


def _ask(
    url: str,
    path: str,
    headers_s: float,
    body: dict[str, Any] | None = None,
    pace: Pace | None = None,
) -> Stream:
    """The answer, whatever it is: no proxy from the environment between us and this host.
    LinkError when there is none in time."""
    try:
        check_url(url)
    except UsageError as error:
        raise LinkError("refused", error.message) from None
    parts = urlsplit(url.rstrip("/").removesuffix(PATH) + path)
    secure = parts.scheme == "https"
    protocol = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    port = parts.port or protocol.default_port
    connection = protocol(parts.hostname or "", port, timeout=min(_CONNECT_S, headers_s))
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise LinkError("timeout", "no answer in time") from None
        kind = "tls" if isinstance(error, ssl.SSLError) else "refused"
        raise LinkError(kind, f"cannot connect: {error}") from None
    line = connection.sock
    began = time.monotonic()
    late = threading.Timer(headers_s, _shut, [line])  # each byte sets a timeout back
    late.start()
    try:
        for option in _KEEPALIVE:
            line.setsockopt(*option)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        line.settimeout(headers_s)
        target = quote(parts.path, _AS_IT_IS) + (f"?{parts.query}" if parts.query else "")
        headers = _headers(parts.netloc)
        if body is None:
            connection.request("GET", target, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            connection.request("POST", target, msgspec.json.encode(body), headers)
        return Stream(connection, pace)
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        if time.monotonic() - began >= headers_s or isinstance(error, TimeoutError):
            raise LinkError("timeout", "no answer in time") from None
        broken = _broken(error)
        if type(error) is http.client.BadStatusLine:
            broken.kind = "not_sse"
        raise broken from None
    finally:
        late.cancel()


def _headers(netloc: str) -> dict[str, str]:
    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",  # events are cut out of the bytes as they come
        "Cache-Control": "no-store",
    }
    if "@" in netloc:
        who = unquote(netloc.rpartition("@")[0]).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(who).decode()}"
    return headers


def _broken(error: Exception) -> LinkError:
    why = " ".join(str(error).split()) or type(error).__name__
    return LinkError("broken", f"the stream broke: {why}")


def unchunked(body: io.BufferedIOBase | Stream) -> Iterator[bytes]:
    """What a chunked body carries: at each step as much as one read of the socket brought.

    ValueError for a body that is not chunked as it should be, or ends before its last chunk.
    """
    left = 0  # bytes that the chunk under way still lacks
    data = b""
    while more := body.read1(_READ):
        data = data + more if data else more
        at, pieces = 0, []
        while at < len(data):
            if left:
                pieces.append(data[at : at + left])
                at, left = at + len(pieces[-1]), left - len(pieces[-1])
                continue
            end = data.find(b"\n", at)
            if end < 0:
                break
            line = data[at:end].strip()
            at = end + 1
            if not line:  # the line's end behind each chunk
                continue
            digits = line.partition(b";")[0].strip()
            if re.fullmatch(rb"[0-9A-Fa-f]+", digits) is None:
                raise ValueError("the length of a chunk is no number")
            left = int(digits, 16)
            if not left:
                yield b"".join(pieces)
                return
        data = data[at:]
        if len(data) > _LONGEST_SIZE:
            raise ValueError("the length of a chunk is missing")
        if pieces:
            yield b"".join(pieces)
    raise ValueError("the body ended before its last chunk")


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # of TLS below it: its own would read on without decrypting
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def hang_up(stream: Stream) -> None:
    """Wake the thread that waits in a read of this stream, and let go of the connection."""
    _shut(stream.line)


def _check(stream: Stream, has_filter: bool) -> None:
    headers, status = stream.answer.headers, stream.answer.status
    if status == 200:
        kind = headers.get("content-type", "")
        if "text/event-stream" not in kind.lower():
            raise LinkError("not_sse", f"it answers with {kind or 'no content type'}")
        for name in ("content-encoding", "transfer-encoding"):
            packed = headers.get(name, "identity").strip().lower()
            if packed not in ("identity", "chunked"):
                raise LinkError(
                    "not_sse", f"it packs the stream with {packed}, though asked not to"
                )
        return
    said = stream.refusal[:4096].decode(errors="replace").strip()
    kind = "status"
    if status == 400 and has_filter:
        kind = "filter"
    elif status in (401, 403, 407):
        kind = "denied"
    elif location := headers.get("location"):
        kind, said = "elsewhere", f"it sends to {location}"
    raise LinkError(kind, f"HTTP {status}" + (f": {said}" if said else ""))

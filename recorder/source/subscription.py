"""One subscription to a Qtap DevTools stream: asking for it, and reading what comes.

Reading is httpx-sse's work; ours is what the wire needs beyond it: a bound on the length of an
event, time limits that suit a stream without keep-alives, and words for what went wrong.

Connecting is done by a transport of our own for one endless response. Qtap flushes each event as a
chunk of its own. httpx's transport and the standard library take one chunk a call; here all the
chunks that a read brought are taken apart at once (bench/README.md has what that saves), since the
reading process has no CPU to give away. The time limit holds until the answer's head is there; the
body may be silent for ever.
"""

from __future__ import annotations

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

import httpx
from httpx_sse import EventSource, SSEError

from recorder.source.blocks import whole_events
from recorder.source.request import HEADERS_S, PATH, Subscription, check_url
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


class StreamTransport(httpx.BaseTransport):
    """One connection a request. The response's extension `socket` lets another thread hang up.
    `pace` is called with it before each read of a chunked body."""

    def __init__(
        self, connect_s: float, headers_s: float, pace: Callable[[socket.socket], None] | None
    ) -> None:
        self.connect_s = connect_s
        self.headers_s = headers_s
        self.pace = pace

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        secure = request.url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(request.url.host, request.url.port, timeout=self.connect_s)
        try:
            return self._ask(connection, request)
        except BaseException:
            connection.close()
            raise

    def _ask(
        self, connection: http.client.HTTPConnection, request: httpx.Request
    ) -> httpx.Response:
        try:
            connection.connect()
        except OSError as error:
            kind = httpx.ConnectTimeout if isinstance(error, TimeoutError) else httpx.ConnectError
            raise kind(str(error), request=request) from error
        line = connection.sock
        for option in _KEEPALIVE:
            line.setsockopt(*option)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        line.settimeout(self.headers_s)
        began = time.monotonic()
        late = threading.Timer(self.headers_s, _shut, [line])  # each byte sets a timeout back
        late.start()
        try:
            connection.request(
                request.method,
                request.url.raw_path.decode("ascii"),
                body=request.read(),
                headers=dict(request.headers),
            )
            answer = connection.getresponse()
            body = _Body(connection, answer, self.pace)
            refusal = b"" if answer.status == 200 else next(iter(body), b"")
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except (OSError, http.client.HTTPException, httpx.ReadError) as error:
            if time.monotonic() - began >= self.headers_s:
                raise httpx.ReadTimeout("no answer in time", request=request) from error
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        finally:
            late.cancel()
        if answer.status == 200:
            line.settimeout(None)
        else:  # what came at once says why; nobody waits for the rest
            body.close()
        return httpx.Response(
            answer.status,
            # As bytes: httpx would encode text as ASCII, and proxies write what they like.
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in answer.getheaders()
            ],
            stream=body if answer.status == 200 else httpx.ByteStream(refusal),
            extensions={"socket": line},
        )


class EventStream(httpx.SyncByteStream):
    """A response's bytes in blocks of whole events."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return whole_events(self._stream)

    def close(self) -> None:
        self._stream.close()


class _Body(httpx.SyncByteStream):
    def __init__(
        self,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        pace: Callable[[socket.socket], None] | None,
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._pace = pace

    def read1(self, size: int) -> bytes:
        """A read of what is still in chunks."""
        if self._pace is not None:
            self._pace(self._connection.sock)
        return self._answer.fp.read1(size)

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        try:
            if answer.chunked and answer.fp is not None:
                yield from unchunked(self)
                return
            while data := answer.read1(_READ):
                yield data
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise httpx.ReadError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def unchunked(body: io.BufferedIOBase | _Body) -> Iterator[bytes]:
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
            left = _size(line)
            if not left:
                yield b"".join(pieces)
                return
        data = data[at:]
        if len(data) > _LONGEST_SIZE:
            raise ValueError("the length of a chunk is missing")
        if pieces:
            yield b"".join(pieces)
    raise ValueError("the body ended before its last chunk")


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if re.fullmatch(rb"[0-9A-Fa-f]+", digits) is None:
        raise ValueError("the length of a chunk is no number")
    return int(digits, 16)


CONNECT_S = 5.0


class LinkError(Exception):
    """The link is not there or broke. `kind`: refused, tls, timeout, status, filter, not_sse or
    broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def client(
    headers_s: float = HEADERS_S, pace: Callable[[socket.socket], None] | None = None
) -> httpx.Client:
    """A client for streams: no proxy from the environment between us and this host."""
    return httpx.Client(transport=StreamTransport(CONNECT_S, headers_s, pace), trust_env=False)


@contextlib.contextmanager
def open_stream(http: httpx.Client, subscription: Subscription) -> Iterator[httpx.Response]:
    """The response to the subscription, its headers checked; its bytes come in whole events.

    LinkError when it is no stream, or where it breaks.
    """
    try:
        check_url(subscription.url)
    except UsageError as error:
        raise LinkError("refused", error.message) from None
    url = subscription.url.rstrip("/") + PATH
    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",  # events are cut out of the bytes as they come
        "Cache-Control": "no-store",
    }
    try:
        with http.stream("POST", url, json=subscription.body(), headers=headers) as response:
            _check(response)
            response.stream = EventStream(response.stream)
            yield response
    except (httpx.InvalidURL, UnicodeError) as error:
        raise LinkError("refused", f"no address: {error}") from None
    except httpx.ConnectError as error:
        kind = "tls" if isinstance(error.__cause__, ssl.SSLError) else "refused"
        raise LinkError(kind, f"cannot connect: {error}") from None
    except httpx.TimeoutException:
        raise LinkError("timeout", "no answer in time") from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise LinkError("broken", f"the stream broke: {error or type(error).__name__}") from None


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # of TLS below it: its own would read on without decrypting
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def hang_up(response: httpx.Response) -> None:
    """Wake the thread that waits in a read of this response, and let go of the connection."""
    if line := response.extensions.get("socket"):
        _shut(line)


def events(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """(name, data) of each event. LinkError when the response is no event stream."""
    try:
        for sse in EventSource(response).iter_sse():
            yield sse.event, sse.data
    except SSEError as error:
        raise LinkError("not_sse", str(error)) from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise LinkError("broken", f"the stream broke: {error or type(error).__name__}") from None


def _check(response: httpx.Response) -> None:
    if response.status_code == 200:
        kind = response.headers.get("content-type", "")
        if "text/event-stream" not in kind:
            raise LinkError("not_sse", f"it answers with {kind or 'no content type'}")
        packed = response.headers.get("content-encoding", "identity")
        if packed != "identity":
            raise LinkError("not_sse", f"it packs the stream with {packed}, though asked not to")
        return
    text = b""
    for chunk in response.iter_bytes():
        text += chunk
        if len(text) > 4096:
            break
    said = text[:4096].decode(errors="replace").strip()
    kind = "filter" if response.status_code == 400 else "status"
    raise LinkError(kind, f"HTTP {response.status_code}" + (f": {said}" if said else ""))

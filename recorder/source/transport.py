"""An httpx transport for one endless response, over the standard library's HTTP client.

Qtap flushes each event as a chunk of its own. httpx's own transport and the standard library take
one chunk a call; here all the chunks that a read brought are taken apart at once (bench/README.md
has what that saves), since the reading process has no CPU to give away. The time limit holds until
the answer's head is there; the body may be silent for ever.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
from collections.abc import Iterator

import httpx

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
    """One connection a request. The response's extension `socket` lets another thread hang up."""

    def __init__(self, connect_s: float, headers_s: float) -> None:
        self.connect_s = connect_s
        self.headers_s = headers_s

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
        try:
            connection.request(
                request.method,
                request.url.raw_path.decode("ascii"),
                body=request.read(),
                headers=dict(request.headers),
            )
            answer = connection.getresponse()
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except (OSError, http.client.HTTPException) as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        if answer.status == 200:
            line.settimeout(None)
        return httpx.Response(
            answer.status,
            # As bytes: httpx would encode text as ASCII, and proxies write what they like.
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in answer.getheaders()
            ],
            stream=_Body(connection, answer),
            extensions={"socket": line},
        )


class _Body(httpx.SyncByteStream):
    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        try:
            if answer.chunked and answer.fp is not None:
                yield from unchunked(answer.fp)
                return
            while data := answer.read1(_READ):
                yield data
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise httpx.ReadError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def unchunked(body: io.BufferedIOBase) -> Iterator[bytes]:
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

"""An httpx transport for one endless response, over the standard library's HTTP client.

Qtap flushes each event as a chunk of its own; taking chunks apart with httpx's own transport costs
1.7 times the CPU of this one (bench/README.md), and the reading process has no CPU to give away.
The time limit holds until the answer's head is there; the body may be silent for ever.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import httpx

_READ = 1 << 18
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
            headers=answer.getheaders(),
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
        try:
            while chunk := self._answer.read1(_READ):
                yield chunk
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise httpx.ReadError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

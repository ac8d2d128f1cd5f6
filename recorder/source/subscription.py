"""One subscription to a Qtap DevTools stream: what is asked for, and reading what comes.

Reading is httpx-sse's work; ours is what the wire needs beyond it: a bound on the length of an
event, time limits that suit a stream without keep-alives, and words for what went wrong.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import httpx
import msgspec
from httpx_sse import EventSource, SSEError

from recorder.source.blocks import EventStream
from recorder.source.transport import StreamTransport
from store.errors import UsageError

PATH = "/devtools/api/events"
CONNECT_S = 5.0
HEADERS_S = 15.0
_SCHEMES = ("http", "https")


class Subscription(msgspec.Struct, frozen=True):
    """What to ask for. `filter` is the pushed part, or None for everything."""

    url: str
    filter: str | None = None
    connections: bool = False
    artifacts: bool = False  # they tell more of gRPC calls, where a Qtap sends them
    once: bool = False  # read one stream to its end, and no other after it
    headers_s: float = HEADERS_S  # how long the answer's head may take
    probe_after_s: float = 10.0  # how long a silence lasts before the source is asked if it lives

    def body(self) -> dict[str, Any]:
        """One body that both dialects of Qtap understand; each ignores the other's keys."""
        topics = {"http": self.filter or "*"}
        old = ["request"]
        if self.artifacts:  # they have no field that a filter could match there
            topics["artifact"] = "*"
            old.append("artifact")
        if self.connections:
            topics["connection"] = "*"
            old.append("connection")
        return {"topics": topics, "filter_topics": old, "skip_process_snapshot": True}


class LinkError(Exception):
    """The link is not there or broke. `kind`: refused, timeout, status, filter, not_sse, broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def check_url(text: str) -> None:
    """UsageError for an address at which nothing can ever answer."""
    hint = "Write it as http://HOST:PORT."
    try:
        url = httpx.URL(text)
        url.host.encode("idna")
        if url.port is not None and not 0 < url.port < 1 << 16:
            raise httpx.InvalidURL(f"there is no port {url.port}")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageError(f"{text[:200]!r} is no address: {error}", hint) from None
    if url.scheme not in _SCHEMES:
        near = get_close_matches(url.scheme, _SCHEMES, 1)
        rest = text.partition("://")[2]
        if near and rest:
            hint = f"Did you mean {near[0]}://{rest}?"
        raise UsageError(f"{text[:200]!r} is no address of the web", hint)
    if not url.host:
        raise UsageError(f"{text[:200]!r} names no host", hint)


def client(headers_s: float = HEADERS_S) -> httpx.Client:
    """A client for streams: no proxy from the environment between us and this host."""
    return httpx.Client(transport=StreamTransport(CONNECT_S, headers_s), trust_env=False)


@contextlib.contextmanager
def open_stream(
    http: httpx.Client, subscription: Subscription, waits: Waits | None = None
) -> Iterator[httpx.Response]:
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
            read = waits.between(response.stream) if waits else None
            response.stream = EventStream(response.stream, read)
            yield response
    except httpx.ConnectError as error:
        raise LinkError("refused", f"cannot connect: {error}") from None
    except httpx.TimeoutException:
        raise LinkError("timeout", "no answer in time") from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise LinkError("broken", f"the stream broke: {error or type(error).__name__}") from None


def hang_up(response: httpx.Response) -> None:
    """Wake the thread that waits in a read of this response, and let go of the connection."""
    with contextlib.suppress(OSError, KeyError):
        response.extensions["socket"].shutdown(socket.SHUT_RDWR)


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


class Waits:
    """How long the socket was left alone between two reads, for the benchmark."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # by tenths of a millisecond
        self.largest = 0.0
        self.reads = 0

    def between(self, stream: Any) -> Iterator[bytes]:
        for chunk in stream:
            read = time.perf_counter()
            yield chunk
            wait = (time.perf_counter() - read) * 1000
            self.reads += 1
            self.largest = max(self.largest, wait)
            self._counts[int(wait * 10)] += 1

    def p999(self) -> float:
        """Milliseconds that 999 of 1000 reads came within."""
        left = self.reads * 0.999
        for tenths, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return (tenths + 1) / 10
        return 0.0

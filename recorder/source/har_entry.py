"""One entry of a HAR file as a transaction: the many ways of saying "not known" become None.

Times are -1, null or text, a request that failed has the status 0, and fields that start with an
underscore are Chromium's own.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from recorder.decode.events import host_of
from recorder.decode.row import Transaction
from recorder.source.har_values import (
    Body,
    body_of,
    first,
    headers_of,
    number,
    request_body,
    text,
    total,
)
from store.hours import MAX_US, to_us

_INT32: Final = 2**31 - 1
_LONGEST_MS: Final = 30 * 86_400_000  # an exchange that claims to have taken longer is a mistake
_UNKNOWN: Final = frozenset({"", "x-unknown", "unknown", "undefined"})
_INSIDE: Final = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
]
_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})


class NotHttp(Exception):
    """The entry tells of something other than HTTP: a data: address, an extension's file."""


class _Message(msgspec.Struct):
    """A request or a response."""

    method: str = ""
    url: str = ""
    status: Any = None
    httpVersion: Any = None
    headers: Any = None
    postData: Body | None = None
    content: Body | None = None
    headersSize: Any = None
    bodySize: Any = None
    transfer_size: Any = msgspec.field(default=None, name="_transferSize")


class Entry(msgspec.Struct):
    request: _Message
    response: _Message | None = None
    startedDateTime: Any = None
    time: Any = None
    timings: dict[str, Any] | None = None
    serverIPAddress: Any = None
    connection: Any = None


def to_transaction(entry: Entry) -> Transaction:
    """Raises NotHttp, or ValueError with the reason why the entry cannot be used."""
    request, response = entry.request, entry.response or _Message()
    url = _url(request.url)
    scheme = url.scheme
    status = number(response.status)
    status = int(status) if status is not None and 0 < status < 1000 else None
    req_headers, res_headers = headers_of(request.headers), headers_of(response.headers)
    req_body, res_body = request_body(request.postData), body_of(response.content)
    host = host_of(url.netloc, scheme.replace("ws", "http", 1))
    return Transaction(
        ts=_end(entry),
        method=request.method.upper() or "GET",
        duration_ms=_duration(entry) if status is not None else None,
        direction=_direction(entry.serverIPAddress, host),
        scheme=scheme,
        authority=url.netloc.rpartition("@")[2] or None,
        host=host,
        path=url.path or "/",
        query=url.query or None,
        protocol=_protocol(response.httpVersion) or _protocol(request.httpVersion),
        grpc_status=res_headers.get("Grpc-Status"),
        status=status,
        req_content_type=_content_type(req_headers, request.postData),
        res_content_type=_content_type(res_headers, response.content),
        user_agent=req_headers.get("User-Agent"),
        req_headers=req_headers,
        res_headers=res_headers,
        req_body=req_body,
        res_body=res_body,
        req_body_bytes=first(request.bodySize, len(req_body or b"") or None),
        res_body_bytes=first(
            response.content and response.content.size, len(res_body or b"") or None
        ),
        bytes_sent=total(request.headersSize, request.bodySize),
        bytes_received=first(
            response.transfer_size, total(response.headersSize, response.bodySize)
        ),
        connection_id=text(entry.connection),
        endpoint_id=host,
        trace_id=_trace_id(req_headers),
    )


def _url(text: str) -> SplitResult:
    if not text:
        raise ValueError("no request.url")
    if text.partition(":")[0].lower() not in _SCHEMES:
        raise NotHttp
    try:
        return urlsplit(text)
    except ValueError:  # its own message would quote the address
        raise ValueError("request.url cannot be read") from None


def _timing(entry: Entry, names: Iterable[str]) -> float:
    timings = entry.timings or {}
    return sum(number(timings.get(name)) or 0.0 for name in names)


def _end(entry: Entry) -> int:
    """When the exchange ended, µs since the epoch: a row's `ts` is the end of the transaction."""
    started = _moment(entry.startedDateTime)
    took = number(entry.time)
    if took is None:  # ssl is a part of connect
        took = _timing(entry, ("blocked", "dns", "connect", "send", "wait", "receive"))
    ts = started + int(min(took, _LONGEST_MS) * 1000)
    if not 0 <= ts <= MAX_US:
        raise ValueError("its time is outside 1970 to 9998")
    return ts


def _moment(started: Any) -> int:
    if isinstance(started, int | float) and not isinstance(started, bool):  # epoch milliseconds
        return int(started * 1000)
    try:
        moment = msgspec.convert(started, dt.datetime)
    except msgspec.ValidationError:
        raise ValueError("no startedDateTime that can be read") from None
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _duration(entry: Entry) -> int | None:
    """Milliseconds from the request's headers to the response's: sending and waiting."""
    took: float | None = None
    if number((entry.timings or {}).get("wait")) is not None:
        took = _timing(entry, ("send", "wait"))
    if took is None:
        took = number(entry.time)
    return None if took is None or took > _INT32 else max(1, round(took))


def _direction(server: Any, host: str | None) -> str:
    """As Qtap has it: inside are the private networks, all else is outside."""
    for place in (server, (host or "").rpartition(":")[0], host):
        try:
            address = ipaddress.ip_address(str(place or "").strip("[]"))
        except ValueError:
            continue
        inside = any(address.version == net.version and address in net for net in _INSIDE)
        return "egress-internal" if inside else "egress-external"
    return "egress-external"


def _protocol(version: Any) -> str | None:
    text = str(version or "").lower().removeprefix("http/").removeprefix("h")
    return f"http{text[0]}" if text[:1] in {"1", "2", "3"} else None


def _content_type(headers: dict[str, str], body: Body | None) -> str | None:
    declared = headers.get("Content-Type")
    if not declared and body is not None and isinstance(body.mimeType, str):
        declared = body.mimeType
    return declared if declared and declared.lower() not in _UNKNOWN else None


def _trace_id(headers: dict[str, str]) -> str | None:
    parts = headers.get("Traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else headers.get("X-B3-Traceid")

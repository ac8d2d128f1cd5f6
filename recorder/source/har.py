"""HAR files, as browsers and proxies write them, as transactions: for `qrec import FILE.har`.

A file is read whole and its entries are decoded one by one, so that memory is about the file's
size; 200 MB are no problem, and beyond MAX_FILE it is refused.

The many ways of saying "not known" become None: sizes and times are -1, null, missing or text, a
request that failed has the status 0; headers are a list or an object, bodies text or base64. Fields
that start with an underscore are Chromium's own.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from recorder.decode.events import Transaction, host_of
from store.errors import QrecError, UnavailableError
from store.hours import MAX_US, to_us

MAX_FILE: Final = 1 << 30  # bytes, unpacked
_BYTE: Final = re.compile(r" \(byte (\d+)\)")
# Browsers write half a character as it is, where a text was cut inside of one.
_HALVES: Final = re.compile(
    rb"(\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|\\u[dD][89a-fA-F][\da-fA-F]{2}"
)
_EXPORT: Final = "Export it again from the browser or proxy ('Save all as HAR with content')."


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


class Body(msgspec.Struct):
    """postData of a request, content of a response."""

    text: Any = None
    encoding: Any = None
    mimeType: Any = None
    size: Any = None
    params: Any = None


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


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _File(msgspec.Struct):
    """With or without the outer `log`; pages, creator and comments are passed over."""

    log: _Log | None = None
    entries: list[msgspec.Raw] | None = None


_FILE: Final = msgspec.json.Decoder(_File)
_ENTRY: Final = msgspec.json.Decoder(Entry, strict=False)


def read_har(path: Path, on_bad: Callable[[str], None]) -> Iterator[Transaction]:
    """The HTTP transactions of a HAR file (gzip or not), in its order.

    Entries that are no HTTP exchange (data:, blob:, extensions) are passed over. An entry that
    cannot be read goes to `on_bad`, as one line that names the file and the entry. `request_id` is
    made from the entry, so the same exchange in two exports has the same one. Raises
    UnavailableError for a file that cannot be opened, QrecError for one that is no HAR.
    """
    entries = _entries(path, _unpacked(path))
    repeats: Counter[bytes] = Counter()
    for index, raw in enumerate(entries):
        try:
            tx = to_transaction(_ENTRY.decode(raw))
        except NotHttp:
            continue
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            on_bad(f"{path.name}: entry {index} of log.entries: {_reason(error)}")
            continue
        tx.request_id = _request_id(tx, repeats)
        yield tx


def _request_id(tx: Transaction, repeats: Counter[bytes]) -> str:
    about = (
        f"{tx.ts} {tx.method} {tx.authority} {tx.path}?{tx.query} {tx.status} {tx.connection_id}"
    )
    digest = blake2b(about.encode("utf-8", "surrogatepass"), digest_size=8)
    repeats[digest.digest()] += 1
    if (times := repeats[digest.digest()]) > 1:
        digest.update(b"#%d" % times)
    return f"har-{digest.hexdigest()}"


def _unpacked(path: Path) -> bytes:
    """The bytes of the file as UTF-8 JSON, without a byte order mark."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise QrecError(f"{path.name} is larger than {MAX_FILE >> 20} MiB", _SPLIT)
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UnavailableError(
            f"cannot read {path}: {reason}", "Check the path and its permissions."
        ) from error
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(path, data)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", errors="replace").encode()
    return data.removeprefix(b"\xef\xbb\xbf")


_SPLIT: Final = "Export a shorter session, or without the contents of responses."


def _gunzip(path: Path, data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, MAX_FILE + 1)
    except zlib.error as error:
        raise QrecError(f"{path.name} is a damaged gzip file", "Copy it again.") from error
    if len(unpacked) > MAX_FILE:
        raise QrecError(f"{path.name} unpacks to more than {MAX_FILE >> 20} MiB", _SPLIT)
    if not unpacker.eof:
        raise QrecError(f"{path.name} is a gzip file that was cut short", "Copy it again.")
    return unpacked


def _entries(path: Path, data: bytes) -> list[msgspec.Raw]:
    try:
        try:
            found = _FILE.decode(data)
        except msgspec.DecodeError as error:
            if "escape" not in str(error) and "surrogate" not in str(error):
                raise
            found = _FILE.decode(_HALVES.sub(lambda pair: pair[1] or rb"\ufffd", data))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise QrecError(
            f"{path.name}{_where(data, error)} is no HAR: {_reason(error)}", _EXPORT
        ) from error
    if found.log is not None:
        return found.log.entries
    if found.entries is not None:
        return found.entries
    raise QrecError(f"{path.name} is no HAR: it has no log.entries", _EXPORT)


def _where(data: bytes, error: Exception) -> str:
    """`, line 3, column 14`: the decoder counts bytes, an editor does not."""
    if "truncated" in str(error):
        at = len(data)
    elif found := _BYTE.search(str(error)):
        at = int(found[1])
    else:
        return ""
    line = data.count(b"\n", 0, at) + 1
    column = len(data[data.rfind(b"\n", 0, at) + 1 : at].decode("utf-8", "replace")) + 1
    return f", line {line}, column {column},"


def _reason(error: Exception) -> str:
    """msgspec's messages name the place and the type, never the value."""
    return _BYTE.sub("", str(error))[:200] or type(error).__name__


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


def number(value: Any) -> float | None:
    """A number that is none of the ways of saying "not known"."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < 2**63 else None


def first(*values: Any) -> int | None:
    return next((int(n) for value in values if (n := number(value)) is not None), None)


def total(*values: Any) -> int | None:
    known = [int(n) for value in values if (n := number(value)) is not None]
    return sum(known) if known else None


def text(value: Any) -> str | None:
    return str(value)[:200] if isinstance(value, str | int) and value not in ("", 0) else None


@lru_cache(maxsize=1024)
def _canonical(name: str) -> str:
    """content-type -> Content-Type, as Qtap writes names; pseudo-headers stay."""
    if not name.isascii() or name.startswith(":"):
        return name
    return "-".join(part.capitalize() for part in name.split("-"))


def headers_of(found: Any) -> dict[str, str]:
    """Repeated headers are joined as HTTP allows; of cookies that are set, the first is kept."""
    if isinstance(found, dict):
        found = [{"name": name, "value": value} for name, value in found.items()]
    headers: dict[str, str] = {}
    for header in found if isinstance(found, list) else []:
        if not isinstance(header, dict) or not isinstance(header.get("name"), str):
            continue
        name, value = _canonical(header["name"].strip()), header.get("value")
        value = "" if value is None else str(value)
        if name not in headers:
            headers[name] = value
        elif name != "Set-Cookie":
            headers[name] += ("; " if name == "Cookie" else ", ") + value
    return headers


def request_body(body: Body | None) -> bytes | None:
    if body is not None and not body.text and isinstance(body.params, list):
        pairs = [
            (str(param.get("name", "")), str(param.get("value") or param.get("fileName") or ""))
            for param in body.params
            if isinstance(param, dict)
        ]
        return urlencode(pairs).encode() or None
    return body_of(body)


def body_of(body: Body | None) -> bytes | None:
    if body is None or not isinstance(body.text, str) or not body.text:
        return None
    if body.encoding == "base64":
        try:
            return base64.b64decode(body.text) or None
        except (binascii.Error, ValueError):
            pass  # said to be base64, and is not: the text as it is tells more than nothing
    return body.text.encode("utf-8", "surrogatepass")

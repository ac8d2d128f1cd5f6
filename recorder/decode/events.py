"""From one event of the stream to one row, or to the reason why there is none.

Decoding one event at a time with msgspec measured fastest of what was tried (bench/README.md);
a batch is only a loop around `decode`. The row is on its way from wire to disk: decoding makes it,
redaction cleans it, columns keep it. Its attributes are the columns of
`store.schema.TRANSACTIONS`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from recorder.decode import wire
from store.hours import MAX_US


class Secret(NamedTuple):
    """What redaction took out of a row: which kind of secret, where, and its fingerprint."""

    kind: str
    place: str
    hint: str


class Transaction(msgspec.Struct, gc=False):
    """One HTTP transaction. `ts` is microseconds since the epoch, UTC; absent text is None.

    `status` is None where no response was seen; bodies are as captured, before any cut.
    """

    ts: int
    method: str
    duration_ms: int | None = None
    direction: str | None = None
    scheme: str | None = None
    host: str | None = None
    path: str | None = None
    route: str | None = None
    query: str | None = None
    protocol: str | None = None
    grpc_status: str | None = None
    status: int | None = None
    req_content_type: str | None = None
    res_content_type: str | None = None
    user_agent: str | None = None
    req_headers: dict[str, str] = {}
    res_headers: dict[str, str] = {}
    req_body: bytes | None = None
    res_body: bytes | None = None
    req_body_bytes: int | None = None
    res_body_bytes: int | None = None
    error_signature: str | None = None
    process_id: str | None = None
    process_exe: str | None = None
    container_name: str | None = None
    container_image: str | None = None
    pod_name: str | None = None
    pod_namespace: str | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    connection_id: str | None = None
    endpoint_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    findings: list[Secret] = []
    authority: str | None = None  # as on the wire, port and case kept: what Qtap calls req.host


_ARTIFACT = msgspec.json.Decoder(wire.Envelope[wire.Artifact])
_HTTP = msgspec.json.Decoder(wire.HttpTransaction)
_GRPC_TRANSACTION = msgspec.json.Decoder(wire.GrpcTransaction)
_GRPC = msgspec.json.Decoder(wire.Envelope[wire.GrpcCall])
_DATABASE = msgspec.json.Decoder(wire.Envelope[wire.DatabaseCall])
_CONNECTION = msgspec.json.Decoder(wire.Envelope[wire.Connection])
_SYSTEM = msgspec.json.Decoder(wire.SystemEnvelope)

# A transaction that claims to be further from its broadcast than this is a broken clock's.
_PLAUSIBLE_US = 48 * 3600 * 1_000_000
_NO_RESPONSE = 422  # what Qtap reports, without response headers, when it saw no response
_TRACE_HEADERS = ("Traceparent", "traceparent", "X-B3-Traceid", "x-b3-traceid")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_INT32 = 2**31 - 1


class Decoded(NamedTuple):
    """What an event was: its broadcast time (µs), a row and the table that the row is for.

    `reason` is set instead of a row when the event should have given one and did not; both are
    None for an event that is only counted.
    """

    ts: int | None
    table: str | None = None
    row: Any = None
    reason: str | None = None


def decode(name: str, data: str) -> Decoded:
    """Decode one event. Never raises: what cannot be read comes back with its reason."""
    decoder = _DECODERS.get(name)
    try:
        if decoder is not None:
            return decoder(name, data)
        if name == "error":  # plain text: Qtap could not encode an event
            return Decoded(None, reason="the source could not encode an event")
        if name == OVERSIZED:
            return Decoded(None, reason="longer than a line may be")
        return Decoded(_moment(_SYSTEM.decode(data).ts))
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        return Decoded(None, reason=_short(error))


OVERSIZED = "qrec.oversized"  # the name that our own reader gives to an event it had to cut
CONNECTED = "system.connected"
DATABASE = "request.database"
_TRANSACTION = "request.http_transaction"


def knows_filters(connected: str) -> bool:
    """Whether a source does, by the data of its CONNECTED: Qtap 0.14 and newer echo their topics as
    an object."""
    try:
        return isinstance(msgspec.json.decode(connected)["data"]["topics"], dict)
    except (msgspec.DecodeError, KeyError, TypeError):
        return False


def _short(error: Exception) -> str:
    # msgspec's messages name the place and the expected type, never the value.
    return str(error)[:200] or type(error).__name__


def _moment(moment: dt.datetime | None) -> int | None:
    if moment is None:
        return None
    # A float of seconds holds today's microseconds exactly enough to round, and is quicker
    # than datetime arithmetic, twice an event.
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1e6)


def _when(moment: dt.datetime | None, broadcast: int | None) -> int:
    """The transaction's own time, else its broadcast. ValueError when neither can be right."""
    ts = _moment(moment)
    if ts is None:
        ts = broadcast
    if ts is None:
        raise ValueError("no time in the event")
    if broadcast is not None and abs(ts - broadcast) > _PLAUSIBLE_US:
        raise ValueError("its time is more than 48 h from its broadcast")
    if not 0 <= ts <= MAX_US:
        raise ValueError("its time is outside 1970 to 9998")
    return ts


def _duration(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= _INT32 else None


def _within(value: int | None, largest: int = 2**63 - 1) -> int | None:
    """A number that is no size, status or port at all must not cost the rows around it."""
    return value if value is not None and 0 <= value <= largest else None


def _text(value: str | int | None) -> str | None:
    return str(value) if value not in (None, "") else None


def host_of(authority: str, scheme: str | None) -> str | None:
    """An authority as a host: without userinfo and default port, lower case."""
    host = authority.rpartition("@")[2].lower()
    return host.removesuffix(_DEFAULT_PORTS.get(scheme or "", "\0")) or None


def _locate(tx: Transaction, request: wire.Request) -> None:
    """Fill scheme, authority, host, path and query from whatever part the event has."""
    target = request.path or ""
    authority = request.authority or ""
    scheme = request.scheme
    if (not target or not authority) and request.url:
        url = urlsplit(request.url)
        authority = authority or url.netloc
        scheme = scheme or url.scheme or None
        target = target or (f"{url.path}?{url.query}" if url.query else url.path)
    path, _, query = target.partition("?")
    if "@" in authority:  # a name and a password, which HTTP has no place for there
        authority = authority.rpartition("@")[2]
        named = (":authority", "host")
        tx.req_headers |= {n: authority for n in tx.req_headers if n.lower() in named}
    tx.scheme = scheme
    tx.authority = authority or None
    tx.host = host_of(authority, scheme)
    tx.path = path.partition("#")[0]
    tx.query = query or None


def _trace_id(headers: dict[str, str]) -> str | None:
    for name in _TRACE_HEADERS:
        if value := headers.get(name):
            parts = value.split("-")
            return parts[1] if len(parts) == 4 else value[:64]
    return None


def _grpc_status(headers: dict[str, str], content_type: str | None) -> str | None:
    """How a gRPC call ended: an answer without a body has its trailers among the headers."""
    status = headers.get("Grpc-Status")
    if status is None and (content_type or "").lower().startswith("application/grpc"):
        status = next((headers[name] for name in headers if name.lower() == "grpc-status"), None)
    return status.strip() if status else None


def _status(response: wire.Response | None) -> int | None:
    if response is None or response.status is None or not 0 < response.status < 1000:
        return None
    if response.status == _NO_RESPONSE and not response.headers:
        return None
    return response.status


def _artifact(name: str, data: str) -> Decoded:
    """An HTTP transaction; of the other artifacts, those of gRPC calls give rows."""
    envelope = _ARTIFACT.decode(data)
    broadcast, outer = _moment(envelope.ts), envelope.data.data
    if name != _TRANSACTION and outer.type != "grpc_transaction":
        return Decoded(broadcast)
    try:
        inner: Any = (_HTTP if name == _TRANSACTION else _GRPC_TRANSACTION).decode(outer.data)
        make: Any = _transaction if name == _TRANSACTION else _grpc_transaction
        row = make(inner, _when(inner.transaction_time, broadcast), outer.requestId)
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        return Decoded(broadcast, reason=_short(error))
    return Decoded(broadcast, "transactions", row)


def _transaction(inner: wire.HttpTransaction, ts: int, outer_id: str | None) -> Transaction:
    request, response = inner.request, inner.response
    about = inner.metadata or wire.Metadata()
    status = _status(response)
    req_headers = request.headers or {}
    tx = Transaction(
        ts=ts,
        method=request.method,
        duration_ms=_duration(inner.duration_ms) if status is not None else None,
        direction=inner.direction,
        protocol=request.protocol,
        status=status,
        req_content_type=request.content_type,
        user_agent=request.user_agent,
        req_headers=req_headers,
        req_body=request.body or None,
        req_body_bytes=len(request.body) if request.body else None,
        process_id=_text(about.process_id),
        process_exe=about.process_exe,
        container_name=about.container_name,
        container_image=about.container_image,
        pod_name=about.pod_name,
        pod_namespace=about.pod_namespace,
        bytes_sent=_within(about.bytes_sent),
        bytes_received=_within(about.bytes_received),
        connection_id=about.connection_id,
        endpoint_id=about.endpoint_id,
        request_id=request.request_id or outer_id,
        trace_id=_trace_id(req_headers),
    )
    if response is not None:
        tx.res_content_type = response.content_type
        tx.res_headers = response.headers or {}
        if response.body:
            tx.res_body = response.body
            tx.res_body_bytes = len(response.body)
        tx.grpc_status = _grpc_status(tx.res_headers, tx.res_content_type)
    if about.qrec is not None:
        _kept(tx, about.qrec)
    _locate(tx, request)
    return tx


def _kept(tx: Transaction, kept: wire.Kept) -> None:
    """An export of ours is read again: sizes of before redaction, and what redaction found."""
    tx.req_body_bytes = _within(kept.req_body_bytes)
    tx.res_body_bytes = _within(kept.res_body_bytes)
    tx.error_signature = kept.error_signature
    tx.findings = [Secret(*one) for one in kept.findings]


def _who(call: wire.Call) -> dict[str, Any]:
    process = call.process or wire.Process()
    return {
        "duration_ms": _duration(call.duration) or None,  # 0: Qtap knew no beginning
        "direction": call.direction,
        "process_id": _text(process.pid),
        "process_exe": process.exe,
        "container_name": process.containerName,
        "container_image": process.containerImage,
        "pod_name": process.podName,
        "pod_namespace": process.podNamespace,
        "bytes_sent": _within(call.bytesSent),
        "bytes_received": _within(call.bytesReceived),
        "connection_id": call.connectionId,
        "request_id": call.requestId,
    }


def _grpc(_name: str, data: str) -> Decoded:
    envelope = _GRPC.decode(data)
    broadcast = _moment(envelope.ts)
    call = envelope.data.data
    tx = Transaction(
        ts=_when(call.timestamp, broadcast),
        method=call.method or "POST",  # every gRPC call is a POST; Qtap leaves the field empty
        protocol="grpc",
        status=_within(call.status, 999),
        grpc_status=_text(call.grpcStatus),
        req_content_type=call.contentType or None,
        **_who(call),
    )
    _locate(tx, wire.Request(url=call.url, path=call.path or None))
    return Decoded(broadcast, "transactions", tx)


def _grpc_transaction(inner: wire.GrpcTransaction, ts: int, request_id: str | None) -> Transaction:
    """The call as an HTTP transaction, which is what it was: address and status in the headers."""
    request, response = inner.request or wire.GrpcSide(), inner.response or wire.GrpcSide()
    sent, answered = request.headers or {}, response.headers or {}
    status = answered.get(":status", "200" if inner.grpc_status not in (None, "") else "")
    tx = _transaction(
        wire.HttpTransaction(
            wire.Request(
                method=sent.get(":method", "POST"),
                scheme=sent.get(":scheme"),
                path=sent.get(":path") or f"/{inner.service}/{inner.method}",
                authority=sent.get(":authority"),
                protocol="grpc",
                user_agent=sent.get("User-Agent"),
                content_type=request.content_type,
                headers=sent,
                body=request.body,
            ),
            wire.Response(
                status=int(status) if status.isascii() and status.isdigit() else None,
                content_type=response.content_type,
                headers=answered,
                body=response.body,
            ),
            inner.metadata,
            duration_ms=inner.duration_ms,
            direction=inner.direction,
        ),
        ts,
        request_id,
    )
    tx.grpc_status = _text(inner.grpc_status)
    return tx


def _database(_name: str, data: str) -> Decoded:
    envelope = _DATABASE.decode(data)
    broadcast = _moment(envelope.ts)
    call = envelope.data.data
    row = {
        "ts": _when(call.timestamp, broadcast),
        "database_type": call.databaseType,
        "statement": call.statement,
        "is_error": call.isError,
        "error_message": call.errorMsg,
        "affected_count": _within(call.affectedCount),
        "result_count": _within(call.resultCount),
        **_who(call),
    }
    return Decoded(broadcast, "database", row)


def _connection(name: str, data: str) -> Decoded:
    envelope = _CONNECTION.decode(data)
    broadcast = _moment(envelope.ts)
    about = envelope.data.data
    source, destination = about.source or wire.Endpoint(), about.destination or wire.Endpoint()
    # For ingress the process of this host is the destination.
    local = destination if about.direction == "ingress" else source
    container = local.container or wire.Container()
    pod = container.pod or {}
    meta = about.meta or wire.ConnectionMeta()
    row = {
        "ts": _when(envelope.ts or about.timestamp, broadcast),
        "event": name.partition(".")[2],
        "connection_id": meta.connectionId,
        "endpoint_id": meta.endpointId,
        "direction": about.direction,
        "socket_protocol": about.socketProtocol,
        "l7_protocol": about.l7Protocol,
        "tls_version": _text(about.tlsVersion),
        "process_id": _text(local.pid),
        "process_exe": local.exe,
        "container_name": container.name,
        "container_image": container.image,
        "pod_name": _text(pod.get("name")),
        "pod_namespace": _text(pod.get("namespace")),
        "bytes_sent": _within(about.bytesSent),
        "bytes_received": _within(about.bytesReceived),
        "opened_ts": _moment(about.createdAt),
        "closed_ts": _moment(about.closedAt),
    }
    for side, end in (("source", source), ("destination", destination)):
        address = end.address or wire.Address()
        row[f"{side}_ip"], row[f"{side}_port"] = address.ip, _within(address.port, 65_535)
    return Decoded(broadcast, "connections", row)


_DECODERS = {
    _TRANSACTION: _artifact, "request.grpc": _grpc, "artifact.created": _artifact,
    DATABASE: _database, "connection.opened": _connection, "connection.updated": _connection,
    "connection.closed": _connection,
}  # fmt: skip

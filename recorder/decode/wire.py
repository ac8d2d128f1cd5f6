"""The shapes of Qtap's events, as far as qrec reads them; everything unknown is passed over.

Types are as wide as the versions of Qtap have been: ids as text or number, fields that come and go.
msgspec turns base64 text into bytes and RFC 3339 text into datetimes while it parses.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Payload(msgspec.Struct, Generic[T], gc=False):
    data: T


class Envelope(msgspec.Struct, Generic[T], gc=False):
    """An event whose payload, of the shape T, stands in `data.data`."""

    data: Payload[T]
    ts: dt.datetime | None = None


class Artifact(msgspec.Struct, gc=False):
    """The outer part of a transaction, which is JSON in base64 in `data`."""

    data: bytes
    type: str | None = None
    requestId: str | None = None


class Kept(msgspec.Struct, gc=False):
    """What our own exports add, since Qtap's events have no place for it."""

    req_body_bytes: int | None = None
    res_body_bytes: int | None = None
    error_signature: str | None = None
    findings: list[tuple[str, str, str]] = []


class Metadata(msgspec.Struct, gc=False):
    process_id: str | int | None = None
    process_exe: str | None = None
    container_name: str | None = None
    container_image: str | None = None
    pod_name: str | None = None
    pod_namespace: str | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    connection_id: str | None = None
    endpoint_id: str | None = None
    qrec: Kept | None = None


class Request(msgspec.Struct, gc=False):
    method: str = ""
    url: str = ""
    scheme: str | None = None
    path: str | None = None
    authority: str | None = None
    protocol: str | None = None
    request_id: str | None = None
    user_agent: str | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None


class Response(msgspec.Struct, gc=False):
    status: int | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None


class HttpTransaction(msgspec.Struct, gc=False):
    request: Request
    response: Response | None = None
    metadata: Metadata | None = None
    transaction_time: dt.datetime | None = None
    duration_ms: int | float | None = None
    direction: str | None = None


class GrpcSide(msgspec.Struct, gc=False):
    """A request or a response; headers and body only as the source's capture level has them."""

    content_type: str | None = None
    headers: dict[str, str] | None = None
    body: bytes | None = None


class GrpcTransaction(msgspec.Struct, gc=False):
    """An artifact of the type grpc_transaction: what request.grpc leaves out of the same call."""

    service: str = ""
    method: str = ""
    grpc_status: str | int | None = None
    request: GrpcSide | None = None
    response: GrpcSide | None = None
    metadata: Metadata | None = None
    transaction_time: dt.datetime | None = None
    duration_ms: int | float | None = None
    direction: str | None = None


class Process(msgspec.Struct, gc=False):
    """Who made a grpc or database call."""

    exe: str | None = None
    pid: str | int | None = None
    containerName: str | None = None
    containerImage: str | None = None
    podName: str | None = None
    podNamespace: str | None = None


class Call(msgspec.Struct, gc=False):
    """The fields that request.grpc and request.database share."""

    connectionId: str | None = None
    requestId: str | None = None
    timestamp: dt.datetime | None = None
    direction: str | None = None
    duration: int | float | None = None
    bytesSent: int | None = None
    bytesReceived: int | None = None
    process: Process | None = None


class GrpcCall(Call, gc=False):
    url: str = ""
    path: str = ""
    method: str = ""
    status: int | None = None
    contentType: str | None = None
    grpcStatus: str | int | None = None


class DatabaseCall(Call, gc=False):
    databaseType: str | None = None
    statement: str = ""
    isError: bool = False
    errorMsg: str | None = None
    affectedCount: int | None = None
    resultCount: int | None = None


class Container(msgspec.Struct, gc=False):
    name: str | None = None
    image: str | None = None
    pod: dict[str, Any] | None = None


class Address(msgspec.Struct, gc=False):
    ip: str | None = None
    port: int | None = None


class Endpoint(msgspec.Struct, gc=False):
    """One end of a connection; the local one also says which process and container it is."""

    address: Address | None = None
    exe: str | None = None
    pid: str | int | None = None
    container: Container | None = None


class ConnectionMeta(msgspec.Struct, gc=False):
    connectionId: str | None = None
    endpointId: str | None = None


class Connection(msgspec.Struct, gc=False):
    meta: ConnectionMeta | None = None
    direction: str | None = None
    socketProtocol: str | None = None
    l7Protocol: str | None = None
    tlsVersion: str | int | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    bytesSent: int | None = None
    bytesReceived: int | None = None
    timestamp: dt.datetime | None = None
    createdAt: dt.datetime | None = None
    closedAt: dt.datetime | None = None


class SystemEnvelope(msgspec.Struct, gc=False):
    """system.* and process.*: the payload stands directly in `data`."""

    data: Any = None
    ts: dt.datetime | None = None

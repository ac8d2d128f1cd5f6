"""The row on its way from wire to disk: decoding makes it, redaction cleans it, columns keep it.

Attribute names are the column names of `store.schema.TRANSACTIONS`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


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

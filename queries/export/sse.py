"""Rows as a stream that `qrec replay` and `qrec serve` take: Qtap's wire, written anew.

What Qtap's events have no place for (the size of a body before redaction, what redaction found)
stands in `metadata.qrec`, so that record, export and replay end in an equal store.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from queries.core.answer import iso
from queries.core.notes import seen, together
from queries.export import Row, Source

_QUIET = timedelta(minutes=5)
_NO_RESPONSE = 422  # what Qtap reports, without headers, when it saw no response


def write_sse(source: Source, out: BinaryIO) -> None:
    """Each stretch that was covered opens with system.connected and ends at its own end."""
    stream = _Stream(out)
    # when at least one recorder received
    recorders = seen(source.chosen.reader, source.window)
    spans = together(island for one in recorders for island in one.islands)
    for row in source.rows():
        while spans and spans[0][0] <= row["ts"]:
            stream.begin(*spans.pop(0))
        if stream.end is None:  # before anybody was known to listen
            stream.begin(row["ts"], row["ts"])
        stream.alive(row["ts"])
        out.write(event(row))
    for span in spans:
        stream.begin(*span)
    stream.close()


class _Stream:
    """The stretches of a stream. Where nothing happens for long, a heartbeat says that it lives:
    a replay takes a long jump in time for a broken clock."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.at: datetime | None = None
        self.end: datetime | None = None

    def begin(self, start: datetime, end: datetime) -> None:
        self.close()
        said = {"data": {"topics": {"request": "*"}}, "ts": iso(start)}
        self.out.write(_frame("system.connected", said))
        self.at, self.end = start, end

    def alive(self, ts: datetime) -> None:
        while self.at is not None and ts - self.at > _QUIET:
            self.at += _QUIET
            self.out.write(_frame("system.heartbeat", {"data": {}, "ts": iso(self.at)}))
        self.at = max(self.at or ts, ts)

    def close(self) -> None:
        if self.end is not None:
            self.alive(self.end)
            said = {"data": {"cause": "end of the export"}, "ts": iso(self.end)}
            self.out.write(_frame("system.disconnected", said))


def event(row: Row) -> bytes:
    """The frame of one transaction."""
    if row["protocol"] == "grpc" and not row["req_headers"]:
        return _grpc(row)
    document = json.dumps(_document(row), ensure_ascii=False, separators=(",", ":"))
    artifact = {
        "requestId": row["request_id"] or "",
        "type": "http_transaction",
        "data": _b64(document.encode("utf-8", "replace")),
        "contentType": "application/json",
    }
    said = {"data": {"data": artifact}, "ts": iso(row["ts"])}
    return _frame("request.http_transaction", said)


def _document(row: Row) -> dict[str, Any]:
    target = f"{row['path'] or ''}{'?' + row['query'] if row['query'] else ''}"
    url = f"{row['scheme'] or ''}://{row['host']}{target}" if row["host"] else ""
    request = _present(
        method=row["method"] or "", url=url, scheme=row["scheme"], path=target,
        authority=row["host"], protocol=row["protocol"], request_id=row["request_id"],
        user_agent=row["user_agent"], content_type=row["req_content_type"],
        headers=row["req_headers"], body=row["req_body"] and _b64(row["req_body"]),
    )  # fmt: skip
    answered = row["status"] is not None or row["res_headers"]
    response = _present(
        status=row["status"] if answered else _NO_RESPONSE, content_type=row["res_content_type"],
        headers=row["res_headers"], body=row["res_body"] and _b64(row["res_body"]),
    )  # fmt: skip
    names = ("process_id", "process_exe", "container_name", "container_image", "pod_name",
             "pod_namespace", "bytes_sent", "bytes_received", "connection_id",
             "endpoint_id")  # fmt: skip
    findings = [[one[name] for name in ("kind", "place", "hint")] for one in row["findings"] or ()]
    kept = _present(
        req_body_bytes=row["req_body_bytes"], res_body_bytes=row["res_body_bytes"],
        error_signature=row["error_signature"], findings=findings,
    )  # fmt: skip
    return {
        "metadata": _present(**{name: row[name] for name in names}, qrec=kept),
        "request": request,
        "response": response,
        "transaction_time": iso(row["ts"]),
        **_present(duration_ms=row["duration_ms"], direction=row["direction"]),
    }


def _grpc(row: Row) -> bytes:
    process = _present(exe=row["process_exe"], pid=row["process_id"],
                       containerName=row["container_name"], containerImage=row["container_image"],
                       podName=row["pod_name"], podNamespace=row["pod_namespace"])  # fmt: skip
    payload = _present(
        connectionId=row["connection_id"], requestId=row["request_id"], timestamp=iso(row["ts"]),
        direction=row["direction"], path=row["path"], method=row["method"], status=row["status"],
        url=f"{row['scheme'] or 'http'}://{row['host']}{row['path'] or ''}" if row["host"] else "",
        duration=row["duration_ms"], contentType=row["req_content_type"],
        bytesSent=row["bytes_sent"], bytesReceived=row["bytes_received"],
        grpcStatus=row["grpc_status"], process=process,
    )  # fmt: skip
    return _frame("request.grpc", {"data": {"data": payload}, "ts": iso(row["ts"])})


def _frame(name: str, said: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(said, separators=(',', ':'))}\n\n".encode()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _present(**fields: Any) -> dict[str, Any]:
    """Without what is missing; zero and false stay."""
    return {name: value for name, value in fields.items() if value not in (None, "", {}, [], b"")}

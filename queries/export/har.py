"""Rows as an HTTP Archive (HAR 1.2), which browsers open in their network panel.

A row knows when the exchange ended and how long the response's headers took, so that an entry
starts that much earlier and all of its time is waiting.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from queries.core.answer import iso
from queries.core.escape import visible_json
from queries.export import Row, Source
from queries.show import transaction_id
from store import __version__

_VERSIONS = {"http1": "HTTP/1.1", "http2": "HTTP/2.0", "http3": "HTTP/3.0", "grpc": "HTTP/2.0"}


def write_har(source: Source, out: BinaryIO) -> None:
    """One archive; entries are written as they are read."""
    creator = json.dumps({"name": "qrec", "version": __version__})
    out.write(f'{{"log":{{"version":"1.2","creator":{creator},"pages":[],"entries":['.encode())
    between = b"\n"
    for row in source.rows():
        text = json.dumps(entry(row), ensure_ascii=False, separators=(",", ":"))
        out.write(between + visible_json(text).encode("utf-8", "replace"))
        between = b",\n"
    out.write(b"\n]}}\n")


def entry(row: Row) -> dict[str, Any]:
    """An entry of log.entries. Names that begin with _ are qrec's own, as HAR has it."""
    took = row["duration_ms"] or 0
    ours = {"_id": transaction_id(row), "_direction": row["direction"],
            "_container": row["container_name"], "_process": row["process_exe"],
            "_route": row["route"], "_error": row["error_signature"]}  # fmt: skip
    return {
        "startedDateTime": iso(row["ts"] - timedelta(milliseconds=took)),
        "time": took,
        "request": _request(row),
        "response": _response(row),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        **({"connection": row["connection_id"]} if row["connection_id"] else {}),
        **{name: value for name, value in ours.items() if value},
    }


def _request(row: Row) -> dict[str, Any]:
    query = f"?{row['query']}" if row["query"] else ""
    found: dict[str, Any] = {
        "method": row["method"] or "GET",
        "url": f"{row['scheme'] or 'http'}://{row['host'] or 'unknown'}{row['path'] or '/'}{query}",
        "httpVersion": _VERSIONS.get(row["protocol"] or "", "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(row["req_headers"]),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(row["query"] or "", keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": -1 if row["req_body_bytes"] is None else row["req_body_bytes"],
    }
    if row["req_body"]:
        text, encoding = _text(row["req_body"])
        found["postData"] = {"mimeType": row["req_content_type"] or "", "text": text, **encoding}
    return found


def _response(row: Row) -> dict[str, Any]:
    status = row["status"] or 0
    size = row["res_body_bytes"] if row["res_body_bytes"] is not None else 0
    content: dict[str, Any] = {"size": size, "mimeType": row["res_content_type"] or "x-unknown"}
    if row["res_body"]:
        text, encoding = _text(row["res_body"])
        content |= {"text": text, **encoding}
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "httpVersion": _VERSIONS.get(row["protocol"] or "", "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(row["res_headers"]),
        "content": content,
        "redirectURL": row["res_headers"].get("Location", ""),
        "headersSize": -1,
        "bodySize": -1,
    }


def _headers(headers: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value or ""} for name, value in headers.items()]


def _text(body: bytes) -> tuple[str, dict[str, str]]:
    """HAR 1.2 has base64 for responses only; readers take it for requests too."""
    try:
        return body.decode("utf-8"), {}
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), {"encoding": "base64"}

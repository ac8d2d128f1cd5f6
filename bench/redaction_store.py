"""The same secrets through the whole way: a recorded stream is replayed into a store, and every
file of it is read again, decompressed."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.redaction_readings import PIECE, leaked, pieces, readings
from recorder.decode.row import Transaction
from recorder.options import RecordOptions
from recorder.replay import replay

_TS = "2026-11-22T13:00:00.000000Z"
_BROKEN = 97  # every so many events is followed by one that cannot be decoded, with its secret


def event(tx: Transaction, number: int) -> str:
    """A transaction as Qtap sends it, in one line of JSON."""
    target = f"{tx.path}?{tx.query}" if tx.query else tx.path
    request = {
        "method": tx.method, "scheme": tx.scheme, "authority": tx.host, "path": target,
        "url": f"{tx.scheme}://{tx.host}{target}", "request_id": f"req{number:017d}",
        "headers": tx.req_headers, "user_agent": tx.user_agent,
        "content_type": tx.req_content_type, "body": _body(tx.req_body),
    }  # fmt: skip
    response = {
        "status": tx.status, "headers": tx.res_headers, "content_type": tx.res_content_type,
        "body": _body(tx.res_body),
    }  # fmt: skip
    inner = {
        "metadata": {"process_id": "1"}, "request": _present(request),
        "response": _present(response), "transaction_time": _TS, "duration_ms": 5,
        "direction": "egress-external",
    }  # fmt: skip
    data = base64.b64encode(json.dumps(inner).encode()).decode()
    artifact = {"requestId": request["request_id"], "type": "http_transaction", "data": data}
    return json.dumps({"data": {"data": artifact}, "ts": _TS})


def _body(body: bytes | None) -> str | None:
    return base64.b64encode(body).decode() if body else None


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def through_a_store(cases: Iterable[tuple[str, str, Transaction]]) -> dict[str, Any]:
    """Record every case and look for its secret in all that the store then holds."""
    with tempfile.TemporaryDirectory() as folder:
        stream, store = Path(folder) / "planted.sse", Path(folder) / "store"
        planted: dict[str, tuple[str, str]] = {}
        with stream.open("w", encoding="utf-8") as out:
            for number, (label, secret, tx) in enumerate(cases):
                planted[f"req{number:017d}"] = (label, secret)
                out.write(f"event: request.http_transaction\ndata: {event(tx, number)}\n\n")
                if number % _BROKEN == 0:
                    broken = json.dumps({"data": {"authorization": secret, "password": secret}})
                    out.write(f"event: request.http_transaction\ndata: {broken[:-2]}\n\n")
        done = replay([stream], RecordOptions(store=store))
        found, rows, size = _rows_that_leak(store, planted)
        files = [path for path in sorted(store.rglob("*")) if path.is_file()]
        found += _files_that_leak(files, {secret for _, secret in planted.values()})
    return {
        "events": len(planted),
        "rows": rows,
        "rejected": done[0].rejected,
        "files": len(files),
        "bytes_read": size,
        "leaked": len(found),
        "examples": sorted(found)[:200],
    }


def _rows_that_leak(store: Path, planted: dict[str, tuple[str, str]]) -> tuple[list[str], int, int]:
    found: list[str] = []
    seen: set[str] = set()
    size = 0
    for path in sorted(store.rglob("*.parquet")):
        for row in pq.read_table(path, partitioning=None).to_pylist():
            if "request_id" not in row or row["request_id"] not in planted:
                continue
            label, secret = planted[row["request_id"]]
            seen.add(row["request_id"])
            texts = list(_texts(row))
            size += sum(map(len, texts))
            if leaked(texts, secret):
                found.append(label)
    if len(seen) != len(planted):
        found.append(f"{len(planted) - len(seen)} rows are missing")
    return found, len(seen), size


def _texts(node: Any) -> Iterable[str]:
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, (list, tuple)):
            stack += one
        elif isinstance(one, bytes):
            yield one.decode("utf-8", "replace")
        elif isinstance(one, str):
            yield one


def _files_that_leak(files: list[Path], secrets: set[str]) -> list[str]:
    """Any file that is not Parquet, word for word: journals, rejected samples, coverage."""
    found = []
    whole = [secret for secret in secrets if len(secret) >= PIECE]
    for path in files:
        if path.suffix == ".parquet":
            continue
        for text in readings(path.read_bytes().decode("latin-1")):
            found += [f"{path.name}: {pieces(one)[0]}…" for one in whole if one in text]
    return found

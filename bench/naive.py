"""What somebody writes who only wants the stream in Parquet: `python -m bench.naive URL FOLDER`.

One process: httpx-sse takes events, msgspec decodes them, pyarrow writes a file every 10,000 rows.
No redaction, no routes, no coverage, nothing if it dies. Its rate is the yardstick for ours: both
are of one run, so that it holds on any machine.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from httpx_sse import connect_sse

from recorder.decode import wire
from recorder.source.request import PATH, Subscription

_ROWS = 10_000
_HEADERS = pa.map_(pa.string(), pa.string())
_SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("us", "UTC")),
        ("duration_ms", pa.float64()),
        ("direction", pa.string()),
        ("method", pa.string()),
        ("url", pa.string()),
        ("status", pa.int64()),
        ("process_exe", pa.string()),
        ("container_name", pa.string()),
        ("request_id", pa.string()),
        ("req_headers", _HEADERS),
        ("req_body", pa.binary()),
        ("res_headers", _HEADERS),
        ("res_body", pa.binary()),
    ]
)
_OUTER = msgspec.json.Decoder(wire.Envelope[wire.Artifact])
_INNER = msgspec.json.Decoder(wire.HttpTransaction)


def row(data: str) -> dict[str, Any]:
    outer = _OUTER.decode(data).data.data
    inner = _INNER.decode(outer.data)
    about, response = inner.metadata or wire.Metadata(), inner.response or wire.Response()
    return {
        "ts": inner.transaction_time,
        "duration_ms": inner.duration_ms,
        "direction": inner.direction,
        "method": inner.request.method,
        "url": inner.request.url,
        "status": response.status,
        "process_exe": about.process_exe,
        "container_name": about.container_name,
        "request_id": outer.requestId,
        "req_headers": list((inner.request.headers or {}).items()),
        "req_body": inner.request.body,
        "res_headers": list((response.headers or {}).items()),
        "res_body": response.body,
    }


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    written, began = 0, time.process_time()
    body = Subscription(url).body()
    with (
        httpx.Client(timeout=None, trust_env=False) as http,
        connect_sse(http, "POST", url + PATH, json=body) as source,
    ):
        for sse in source.iter_sse():
            if sse.event == "request.http_transaction":
                rows.append(row(sse.data))
            if len(rows) == _ROWS:
                write(rows, folder / f"{written}.parquet")
                written += len(rows)
                rows = []
    write(rows, folder / f"{written}.parquet")
    print(json.dumps({"written": written + len(rows), "cpu_s": time.process_time() - began}))


def write(rows: list[dict[str, Any]], path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")


if __name__ == "__main__":
    main()

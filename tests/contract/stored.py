"""Small stores written by hand, for tests of questions: what is asked is what was put in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from store.cover import sealed_name
from store.files import make_folder
from store.hours import hour_key, to_us
from store.layout import Store
from store.schema import COVERAGE, RECORDED

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
_EMPTY: dict[str, Any] = {"req_headers": [], "res_headers": [], "findings": []}


def minute(number: float) -> datetime:
    """A moment of the hour before NOW, in minutes after its beginning."""
    return NOW - timedelta(hours=1) + timedelta(minutes=number)


def row(at: datetime, **columns: Any) -> dict[str, Any]:
    """A transaction with plain values for what a test does not care about."""
    plain = {
        "ts": at, "duration_ms": 100, "direction": "egress-external", "method": "GET",
        "scheme": "https", "host": "api.example.com", "path": "/v1/things/7",
        "route": "/v1/things/{id}", "protocol": "http1", "status": 200,
        "container_name": "shop", "process_exe": "/usr/bin/python3",
        "bytes_sent": 300, "bytes_received": 900,
    }  # fmt: skip
    return {**plain, **_EMPTY, **columns}


def stretch(from_ts: datetime, to_ts: datetime, **columns: Any) -> dict[str, Any]:
    """A stretch of coverage in which the recorder `web` received."""
    plain = {"recorder": "web", "session": "s1", "from_ts": from_ts, "to_ts": to_ts,
             "topics": ["http"], "state": "receiving", "events": 10, "rejected": 0, "dropped": 0,
             "max_lag_ms": 0}  # fmt: skip
    return {**plain, **columns}


def call(at: datetime, **columns: Any) -> dict[str, Any]:
    """A database command with plain values for what a test does not care about."""
    plain = {"ts": at, "duration_ms": 2, "direction": "egress-internal", "database_type": "redis",
             "statement": "GET cart:{id}", "is_error": False, "container_name": "shop",
             "process_exe": "/usr/bin/python3"}  # fmt: skip
    return {**plain, **columns}


def connection(at: datetime, **columns: Any) -> dict[str, Any]:
    """An event of a connection with plain values for what a test does not care about."""
    plain = {
        "ts": at, "event": "closed", "connection_id": f"c{to_us(at)}", "direction":
        "egress-external", "endpoint_id": "api.example.com", "socket_protocol": "tcp",
        "l7_protocol": "http1", "tls_version": "TLS 1.3", "destination_ip": "203.0.113.7",
        "destination_port": 443, "container_name": "shop", "process_exe": "/usr/bin/python3",
        "bytes_sent": 300, "bytes_received": 900, "opened_ts": at - timedelta(seconds=5),
    }  # fmt: skip
    return {**plain, **columns}


def build(
    path: Path,
    rows: Sequence[dict[str, Any]],
    stretches: Sequence[dict[str, Any]] | None = None,
    **others: Sequence[dict[str, Any]],
) -> Store:
    """A store with these transactions, sealed, and this coverage (by default 12:00 to 14:00).

    others: rows of `database` and `connections`.
    """
    store = Store.create(path)
    if stretches is None:
        stretches = [stretch(NOW - timedelta(hours=2), minute(0)), stretch(minute(0), NOW)]
    for table, items in {"transactions": rows, **others}.items():
        numbered = [
            {"recorder": "web", "session": "s1", "seq": seq, **item}
            for seq, item in enumerate(items, 1)
        ]
        for hour, part in _by_hour(numbered, "ts"):
            name = sealed_name("web", part[-1]["seq"])
            _write(store.sealed_hour(table, hour) / name, part, RECORDED[table])
    for hour, part in _by_hour(list(stretches), "from_ts"):
        for recorder in {item["recorder"] for item in part}:
            own = [item for item in part if item["recorder"] == recorder]
            _write(store.sealed_hour("coverage", hour) / f"{recorder}.parquet", own, COVERAGE)
    return store


def _by_hour(rows: list[dict[str, Any]], column: str) -> list[tuple[str, list[dict[str, Any]]]]:
    def hour(item: dict[str, Any]) -> str:
        return hour_key(to_us(item[column]))

    ordered = sorted(rows, key=lambda item: item[column])
    return [(key, list(part)) for key, part in groupby(ordered, hour)]


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    make_folder(path.parent)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)

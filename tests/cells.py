"""Small made-up hours of cells (a row a minute and key), and their comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bench.quality.given import given
from queries.core.answer import Changes
from queries.core.window import Window
from queries.diff.compare import Options, compare

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW, BEFORE = Window(NOON, NOON + HOUR), Window(NOON - HOUR, NOON)
SHOP = [
    ("api.stripe.com", "POST", "/v1/charges", "payment-service", 0.25),
    ("api.stripe.com", "GET", "/v1/customers/{id}", "payment-service", 0.15),
    ("catalog", "GET", "/items/{id}", "frontend", 0.30),
    ("catalog", "GET", "/search", "frontend", 0.15),
    ("mail.example.com", "POST", "/send", "notifier", 0.10),
    ("legacy.example.com", "POST", "/sync", "worker", 0.05),
]


def hour(
    rng: np.random.Generator, start: datetime, requests: int, incident: bool, gap: range = range(0)
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    shop = [s for s in SHOP if not (incident and s[0] == "legacy.example.com")]
    if incident:
        shop = [*shop, ("telemetry.example.net", "POST", "/collect", "payment-service", 0.06)]
    for minute in range(60):
        if minute in gap:
            continue
        for host, method, route, container, share in shop:
            failing = incident and route == "/v1/charges" and minute >= 20
            count = int(rng.poisson(share * requests / 60))
            bad = int(rng.binomial(count, 0.35 if failing else 0.002))
            for status, n in split(rng, count - bad, bad, failing):
                if n:
                    rows.append(cell(start, minute, host, method, route, container, status, n, rng))
    return rows


def split(rng: np.random.Generator, good: int, bad: int, failing: bool) -> list[tuple[Any, int]]:
    if not failing:
        return [(200, good), (500, bad)]
    a, b, c = rng.multinomial(bad, [0.6, 0.3, 0.1])
    return [(200, good), (402, int(a)), (500, int(b)), (None, int(c))]


def cell(
    start: datetime, minute: int, host: str, method: str, route: str, container: str, status: Any,
    n: int, rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    buckets = np.ceil(rng.normal(np.log(80), 0.5, n) / np.log(1.1)).astype(int)
    values, counts = np.unique(buckets, return_counts=True)
    durations = [] if status is None else list(zip(values.tolist(), counts.tolist(), strict=True))
    return {
        "recorder": "web-1", "minute": start + timedelta(minutes=minute),
        "direction": "egress-external", "host": host, "method": method, "route": route,
        "status": status, "container": container, "process": f"/app/{container}",
        "signature": "card_declined" if status == 402 else None, "requests": n,
        "bytes_sent": 500 * n, "bytes_received": 2000 * n, "durations": durations,
        "sample": f"web-1:s:{minute}{len(host)}{status or 0}",
    }  # fmt: skip


SCHEMA = pa.schema(
    [
        ("recorder", pa.string()), ("minute", pa.timestamp("us", tz="UTC")),
        ("direction", pa.string()), ("host", pa.string()), ("method", pa.string()),
        ("route", pa.string()), ("status", pa.int16()), ("grpc_status", pa.string()),
        ("container", pa.string()),
        ("process", pa.string()), ("signature", pa.string()), ("requests", pa.int64()),
        ("bytes_sent", pa.int64()), ("bytes_received", pa.int64()),
        ("durations", pa.map_(pa.int16(), pa.uint64())), ("sample", pa.string()),
    ]
)  # fmt: skip


def answer(
    rows: list[dict[str, Any]], spans: list[Window], gaps: dict[datetime, range] | None = None
) -> Changes:
    cells = pa.Table.from_pylist(rows, schema=SCHEMA)
    minutes = [
        span.from_ts + timedelta(minutes=m)
        for span in spans
        for m in range(span.minutes)
        if m not in (gaps or {}).get(span.from_ts, range(0))
    ]
    covered = pa.table(
        {
            "recorder": ["web-1"] * len(minutes),
            "minute": pa.array(minutes, pa.timestamp("us", tz="UTC")),
            "seconds": [60.0] * len(minutes),
        }
    )
    con = duckdb.connect()
    con.register("covered", covered)
    return compare(con, given(cells), spans[0], spans[1:2], Options(history=spans[2:]))

"""The comparison on small made-up hours: three causes are three findings, quiet is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from bench.quality.given import given
from queries.core.answer import Changes, to_document
from queries.diff.compare import Options, Span, compare

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW, BEFORE = Span(NOON, NOON + HOUR), Span(NOON - HOUR, NOON)
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
    rows: list[dict[str, Any]], spans: list[Span], gaps: dict[datetime, range] | None = None
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


@pytest.mark.parametrize("requests", [5_000, 200_000])
def test_three_causes_are_three_findings(requests: int) -> None:
    rng = np.random.default_rng(7)
    rows = hour(rng, NOON - HOUR, requests, False) + hour(rng, NOON, requests, True)
    changes = answer(rows, [WINDOW, BEFORE])
    found = {(f.kind, f.key["host"], f.key.get("route")) for f in changes.findings}
    assert found == {
        ("errors", "api.stripe.com", "/v1/charges"),
        ("gone", "legacy.example.com", None),
        ("new", "telemetry.example.net", None),
    }
    failing = next(f for f in changes.findings if f.kind == "errors")
    assert failing.since is not None
    assert abs(failing.since - (NOON + timedelta(minutes=20))) <= timedelta(minutes=2)
    assert failing.evidence.window
    assert failing.evidence.signature == "card_declined"
    assert "402" in failing.summary


@pytest.mark.parametrize("requests", [200, 5_000, 200_000])
def test_quiet_hours_give_nothing(requests: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = hour(rng, NOON - HOUR, requests, False) + hour(rng, NOON, requests, False)
        changes = answer(rows, [WINDOW, BEFORE])
        assert changes.verdict == "nothing_changed"
        assert changes.findings == ()


def test_minutes_that_nobody_saw_are_not_a_change() -> None:
    rng = np.random.default_rng(3)
    gap = range(10, 34)
    rows = hour(rng, NOON - HOUR, 20_000, False) + hour(rng, NOON, 20_000, False, gap)
    changes = answer(rows, [WINDOW, BEFORE], {NOON: gap})
    assert changes.findings == ()
    notes = [n for n in changes.notes if n.code == "gap"]
    assert [(n.from_ts, n.to_ts) for n in notes] == [
        (NOON + timedelta(minutes=10), NOON + timedelta(minutes=34))
    ]


def test_the_same_question_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(5)
    rows = hour(rng, NOON - HOUR, 20_000, False) + hour(rng, NOON, 20_000, True)
    documents = [repr(to_document(answer(rows, [WINDOW, BEFORE]))) for _ in range(2)]
    assert documents[0] == documents[1]

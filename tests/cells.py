"""Small made-up hours of cells (a row a minute and key), and their comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from queries.core.answer import Changes
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from store.hours import to_us
from store.layout import Store
from tests.world.rows import Batch, cover, write_rows

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
_US = 60_000_000
# what a cell's own words are called in `transactions`
_COLUMNS = {"container": "container_name", "process": "process_exe", "signature": "error_signature"}
_NAMES = (
    "direction", "host", "method", "route", "status", "grpc_status", "container", "process",
    "signature",
)  # fmt: skip


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
    durations = np.exp(rng.normal(np.log(80), 0.5, n))
    return {
        "minute": start + timedelta(minutes=minute),
        "direction": "egress-external", "host": host, "method": method, "route": route,
        "status": status, "container": container, "process": f"/app/{container}",
        "signature": "card_declined" if status == 402 else None, "requests": n,
        "bytes_received": 2000 * n,
        "durations": np.full(n, -1) if status is None else np.rint(durations).astype(np.int64),
    }  # fmt: skip


def rows(cells: Sequence[dict[str, Any]]) -> Batch:
    """The requests of the cells, spread evenly over their minutes."""
    names: dict[tuple[Any, ...], int] = {}
    number = [names.setdefault(tuple(c.get(n) for n in _NAMES), len(names)) for c in cells]
    count = np.array([c["requests"] for c in cells], dtype=np.int64)
    starts = np.array([to_us(c["minute"]) for c in cells], dtype=np.int64)
    bytes_each = [(c["bytes_received"] or 0) // c["requests"] for c in cells]
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return Batch(
        [{_COLUMNS.get(n, n): v for n, v in zip(_NAMES, name, strict=True)} for name in names],
        np.repeat(np.array(number, dtype=np.int64), count),
        np.repeat(starts, count) + place * _US // np.repeat(np.maximum(count, 1), count),
        np.concatenate([np.resize(took(c), c["requests"]) for c in cells] or [count]),
        np.repeat(np.array(bytes_each, dtype=np.int64), count),
    )


def took(cell: dict[str, Any]) -> Any:
    """The durations of a cell's requests, ms; there may be fewer, which then come again."""
    durations = cell["durations"]
    return np.array([-1]) if durations is None or len(durations) == 0 else np.asarray(durations)


def answer(
    cells: list[dict[str, Any]], spans: list[Window], gaps: dict[datetime, range] | None = None
) -> Changes:
    """The comparison of the first of the spans with the second, the others being the past."""
    minutes = sorted(
        to_us(span.from_ts) + m * _US
        for span in spans
        for m in range(span.minutes)
        if m not in (gaps or {}).get(span.from_ts, range(0))
    )
    seen = []
    for _, run in groupby(enumerate(minutes), key=lambda pair: pair[1] - pair[0] * _US):
        stretch = [minute for _, minute in run]
        seen.append((stretch[0], stretch[-1] + _US))
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store")
        cover(store, "web-1", seen)
        write_rows(store, "web-1", rows(cells))
        return what_changed(store, spans[0], Baseline("previous", tuple(spans[1:2])))

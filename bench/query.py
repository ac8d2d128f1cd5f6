"""How long an answer takes, and what it grows with: `python -m bench.query --json`.

Makes sealed hours of a synthetic host (60 hosts x 20 routes x 25 containers) at several volumes,
asks what changed between the last two, and beside it, in the same run, counts the raw rows with
plain DuckDB by the same key. Times are the best of a few; compare the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from queries.changes import what_changed
from queries.windows import Baseline, Window
from recorder.coverage import Ledger
from recorder.seal import Housekeeper
from store import Store
from store.cover import sealed_name
from store.files import make_folder
from store.hours import HOUR_US, from_us, hour_key, to_us

END = to_us(dt.datetime(2026, 11, 22, 14, tzinfo=dt.UTC))
_S = 1_000_000


def make_store(path: Path, requests: int, hours: int) -> Store:
    """Sealed hours, with rollups and coverage, of `requests` each, up to END."""
    store = Store.create(path)
    keeper = Housekeeper(store, "bench", "none")
    ledger = Ledger(store, "bench", "s")
    ledger.connected(END - hours * HOUR_US, 0)
    ledger.alive(hours * HOUR_US)
    ledger.flush()
    for number in range(hours):
        hour = hour_key(END - (number + 1) * HOUR_US)
        folder = make_folder(store.sealed_hour("transactions", hour))
        target = folder / sealed_name("bench", 1_000_000_000 + number)
        start = from_us(END - (number + 1) * HOUR_US).isoformat()
        _write_rows(target, requests, start, number)
        keeper.roll_up(hour, target, target.name)
    return store


def _write_rows(target: Path, requests: int, start: str, seed: int) -> None:
    text = (files("bench") / "query_rows.sql").read_text(encoding="utf-8")
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SELECT setseed({(seed % 100) / 100})")
        text = text.replace("{requests}", str(requests)).replace("{start}", start)
        con.execute(f"COPY ({text}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def windows() -> tuple[Window, Baseline]:
    window = Window(from_us(END - HOUR_US), from_us(END))
    before = Window(from_us(END - 2 * HOUR_US), from_us(END - HOUR_US))
    return window, Baseline("previous", (before,))


def plain(store: Store) -> int:
    """What one would do by hand: group the raw rows of both hours by minute and key."""
    paths = [
        str(path)
        for n in (1, 2)
        for _, path in store.visible("transactions", hour_key(END - n * HOUR_US))
    ]
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT count(*) FROM (SELECT date_trunc('minute', ts), host, method, route, status,"
            " container_name, count(*), quantile_cont(duration_ms, [0.5, 0.95, 0.99])"
            " FROM read_parquet($paths) GROUP BY ALL)",
            {"paths": paths},
        ).fetchone()
    return int(rows[0]) if rows else 0


def timed(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    best, answer = float("inf"), None
    for _ in range(times):
        begin = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - begin)
    return best, answer


def one(requests: int, hours: int, times: int) -> dict[str, Any]:
    """One volume, in this process (so that its peak memory is its own)."""
    with tempfile.TemporaryDirectory() as name:
        store = make_store(Path(name) / "s", requests, hours)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        window, baseline = windows()
        ours, changes = timed(lambda: what_changed(store, window, baseline), times)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        by_hand, groups = timed(lambda: plain(store), times)
    return {
        "requests_per_hour": requests,
        "hours_stored": hours,
        "diff_s": round(ours, 3),
        "plain_duckdb_s": round(by_hand, 3),
        "ratio": round(ours / by_hand, 3),
        "cells_both_hours": groups,
        "peak_rss_mb": round(peak / 1024),
        "rss_before_mb": round(before / 1024),
        "verdict": changes.verdict,
        "findings": len(changes.findings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", default="360000,3600000", help="an hour; 36000000 takes long")
    parser.add_argument("--hours", type=int, default=2, help="stored hours, the last two compared")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    volumes = [int(text) for text in options.requests.split(",")]
    if options.one:
        print(json.dumps(one(volumes[0], options.hours, options.times)))
        return
    rows = []
    for volume in volumes:
        command = [sys.executable, "-m", "bench.query", "--one", "--requests", str(volume)]
        command += ["--hours", str(options.hours), "--times", str(options.times)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

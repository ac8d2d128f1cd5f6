"""Whether a recorder stays as it is: `python -m bench.soak --minutes 20 --json`.

Records a steady stream and looks every few seconds at what the recorder's processes hold: memory,
file descriptors, threads. The slope is a straight line through the second half of the looks, when
everything has been used once, as far as they saw the same number of processes: a second worker, or
one that seals, is no growth. At the end the rows in the store are counted beside the source's own
count: `lost` is what no side accounts for. An hour is sealed in it where it goes on for some six
minutes after the hour's end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psutil

from bench.ingest import held_mb, running_source, source_stats
from store.layout import Store

_EVERY_S = 5.0


def soak(rate: float, minutes: float, pool: int) -> dict[str, Any]:
    """The slopes an hour, and what was held at the end; `dropped` counts the recorder's own."""
    streams = f"{rate}:{minutes * 60}"
    looks: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as name, running_source(streams, pool) as url:
        store = Path(name) / "store"
        command = [sys.executable, "-m", "bench.recorder_process", url, str(store)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        family = psutil.Process(process.pid)
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < minutes * 60 - _EVERY_S:
            time.sleep(_EVERY_S)
            looks.append((time.monotonic() - began, *_held(family)))
        own = json.loads(process.communicate()[0])
        sent, kept = source_stats(url), _kept(store)
    half = np.array(looks[len(looks) // 2 :])
    processes = float(np.median(half[:, -1]))
    half = half[half[:, -1] == processes]
    hours = half[:, 0] / 3600
    names = ("pss_mb", "held_mb", "file_descriptors", "threads")
    slopes = {f"{n}_an_hour": _slope(hours, half[:, i + 1]) for i, n in enumerate(names)}
    held = {f"{n}_median": float(np.median(half[:, i + 1])) for i, n in enumerate(names)}
    return {
        "rate": rate,
        "minutes": minutes,
        "looks": len(looks),
        "processes": processes,
        "processes_peak": max(look[-1] for look in looks),
        "written": own["written"],
        "dropped": sent["dropped"] + own["dropped_here"],
        "bodies_shed": own["bodies_shed"],
        "lost": sent["offered"] - sent["dropped"] - own["dropped_here"] - kept["rows"],
        **kept,
        "pss_mb_peak": max(look[1] for look in looks),
        "held_mb_peak": max(look[2] for look in looks),
        **held,
        **slopes,
    }


def _kept(path: Path) -> dict[str, int]:
    """What is in the store: rows, how many of them are there twice, hours that are sealed."""
    store, hours = Store.open(path), Store.open(path).hours("transactions")
    files = [str(file) for hour in hours for _, file in store.visible("transactions", hour)]
    text = "SELECT count(*), count(*) - count(DISTINCT seq) FROM read_parquet($files)"
    [(rows, twice)] = duckdb.execute(text, {"files": files}).fetchall()
    folders = [store.sealed_hour("transactions", hour) for hour in hours]
    return {"rows": rows, "twice": twice, "sealed_hours": sum(map(Path.is_dir, folders))}


def _held(family: psutil.Process) -> tuple[float, ...]:
    processes = [family, *family.children()]
    memory = sum(getattr(p.memory_full_info(), "pss", 0) for p in processes) / 2**20
    descriptors = sum(p.num_fds() for p in processes)
    return (
        memory,
        held_mb(processes),
        descriptors,
        sum(p.num_threads() for p in processes),
        len(processes),
    )


def _slope(hours: Any, values: Any) -> float:
    return float(np.polynomial.Polynomial.fit(hours, values, 1).convert().coef[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=3_000, help="events a second")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--pool", type=int, default=20_000, help="different events in the source")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = soak(options.rate, options.minutes, options.pool)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:26} {value:,.2f}")


if __name__ == "__main__":
    main()

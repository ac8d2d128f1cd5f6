"""Whether a seal gets in the way: `python -m bench.seal --rows 3600000 --rate 4000 --json`.

Lays an hour of live segments that has long ended (twenty different ones, over and over) into a
store, records a stream into the same store, and watches: the seal begins at once. What counts is
the longest time between two reads of the socket while it goes on, and what it holds in memory.
With `--alone` nothing is recorded: the processor's time a row and the memory of sealing itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from bench.ingest import running_source
from bench.source import Producer, make_pool
from recorder.decode.columns import Who, numbered
from recorder.options import RecordOptions
from recorder.pipeline.worker import Worker
from recorder.write.intake import Rows
from recorder.write.seal import Housekeeper
from recorder.write.segments import keep, metadata, write_segment
from store.cover import segment_name
from store.hours import HOUR_US, from_us, hour_key, hour_start, to_us
from store.layout import Store

_ROWS = 10_000  # of a segment
_DIFFERENT = 20


def lay(store: Store, rows: int) -> str:
    """Live segments of the hour before the last, as many as hold `rows`; returns the hour."""
    hour = hour_key(time.time_ns() // 1000 - 2 * HOUR_US)
    start = to_us(hour_start(hour)) / 1e6
    folder = store.live_hour("bench", "transactions", hour)
    worker = Worker(b"bench" * 8, RecordOptions(store=Path()))
    producer, about = Producer(make_pool(20_000)), metadata("bench", "bench")
    long_ago = time.time() - 3600
    made: list[Path] = []
    for number in range(rows // _ROWS):
        first = number * _ROWS + 1
        if number < _DIFFERENT:
            now = start + number * 3600 / _DIFFERENT
            events = [(_NAME, _data(producer.event(first + i, now))) for i in range(_ROWS)]
            [part] = worker.process(events)
            assert isinstance(part, Rows)
            table = numbered("transactions", [part.transactions], first, Who("bench", "old"))
            made.append(write_segment(folder, table, first, first + _ROWS - 1, about))
        else:
            os.link(made[number % _DIFFERENT], folder / segment_name(first, first + _ROWS - 1))
    for path in made:
        os.utime(path, (long_ago, long_ago))
    return hour


_NAME = "request.http_transaction"


def _data(event: bytes) -> str:
    return event.partition(b"data: ")[2][:-2].decode()


def watch(rows: int, rate: float, seconds: float) -> dict[str, Any]:
    """Record at `rate` for `seconds` beside the seal of an hour of `rows`."""
    with tempfile.TemporaryDirectory() as name, running_source(f"{rate}:{seconds}", 20_000) as url:
        store = Store.create(Path(name) / "store")
        hour = lay(store, rows)
        command = [sys.executable, "-m", "bench.recorder_process", url, str(store.path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        family, began = psutil.Process(process.pid), time.monotonic()
        sealed_s: float | None = None
        pss = 0.0
        folder = store.sealed_hour("transactions", hour)
        while process.poll() is None:
            time.sleep(0.5)
            with contextlib.suppress(psutil.Error):
                memory = [p.memory_full_info() for p in (family, *family.children())]
                pss = max(pss, sum(getattr(m, "pss", 0) for m in memory) / 2**20)
            if sealed_s is None and list(folder.glob("*.parquet")):
                sealed_s = time.monotonic() - began
        own = json.loads(process.communicate()[0])
    return {
        "rows": rows // _ROWS * _ROWS,
        "hour": from_us(to_us(hour_start(hour))).isoformat(),
        "sealed_after_s": sealed_s,
        "rate": rate,
        "written": own["written"],
        "dropped": own["dropped_here"],
        "read_gap_ms_p999": own["read_gap_ms_p999"],
        "read_gap_ms_max": own["read_gap_ms_max"],
        "pss_mb": pss,
    }


def alone(rows: int) -> dict[str, Any]:
    """Seal an hour of `rows` in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as name:
        store = Store.create(Path(name) / "store")
        hour = lay(store, rows)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            idle_mb, _ = pool.submit(_used).result()
            files = pool.submit(_seal, store.path, hour).result()
            peak_mb, cpu_s = pool.submit(_used).result()
        sealed = sum(path.stat().st_size for path in files)
        return {
            "rows": rows // _ROWS * _ROWS,
            "files": len(files),
            "cpu_us_a_row": 1e6 * cpu_s / rows,
            "idle_mb": idle_mb,
            "peak_mb": peak_mb,
            "bytes_a_row": sealed / rows,
        }


def _seal(path: Path, hour: str) -> list[Path]:
    keep()  # as in the process that seals
    return Housekeeper(Store(path), "bench", "bench").seal("transactions", hour)


def _used() -> tuple[float, float]:
    """The largest memory that this process ever had, in MB, and its processor's seconds."""
    status = Path("/proc/self/status").read_text()  # getrusage counts the parent's memory as well
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024, time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_600_000, help="of the hour to be sealed")
    parser.add_argument("--rate", type=float, default=4_000, help="events a second beside it")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--alone", action="store_true", help="seal only, with no stream beside it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = (
        alone(options.rows) if options.alone else watch(options.rows, options.rate, options.seconds)
    )
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()

"""How fast, how safely and how freshly a stream is recorded: `python -m bench.ingest --json`.

The source is a process of its own with Qtap's drop rule and is the witness of every count. In one
run: what curl drains, what the recorder drains flat out, a sustained rate, and a burst.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.profile import profile
from store.cover import sealed_name
from store.errors import QrecError
from store.files import make_folder
from store.hours import HOUR_US, hour_key, hour_start, to_us
from store.layout import Store

_POLL_S = 0.5
_SETTLED_S = 25.0  # four times Python starts, on a machine that has other work


@contextlib.contextmanager
def running_source(streams: str, pool: int, sessions: int = 0) -> Iterator[str]:
    """A source that gives its n-th subscriber the n-th of `streams` (rate:seconds,…)."""
    command = [sys.executable, "-m", "bench.source", "--streams", streams, "--pool", str(pool)]
    command += ["--sessions", str(sessions)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def source_stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats") as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def curl(url: str) -> dict[str, float]:
    """Events a second that curl drains into /dev/null."""
    command = ["curl", "-sN", "-X", "POST", f"{url}/devtools/api/events", "-o", "/dev/null"]
    subprocess.run(command, check=True)
    stats = source_stats(url)
    return {"per_s": (stats["offered"] - stats["dropped"]) / (stats["last"] - stats["first"])}


def naive(url: str, folder: Path) -> tuple[float, float]:
    """The simplest thing that could be written (bench/naive.py): rows a second, and seconds of
    processor time a million rows."""
    command = [sys.executable, "-m", "bench.naive", url, str(folder / "naive")]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    stats = source_stats(url)
    own = json.loads(out)
    rows = own["written"]
    return rows / (stats["last"] - stats["first"]), own["cpu_s"] / rows * 1e6


def held_mb(processes: Sequence[psutil.Process]) -> float:
    """Memory of processes of which none was forked from another, whoever else maps the same files:
    what is theirs alone, and of each mapping of a file what the one that touched most of it has.
    PSS is less where others run that map the same libraries."""
    alone, files = 0, dict[tuple[str, str], int]()
    for process in processes:
        for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
            name, *words = line.split()
            if not name.endswith(":"):
                place = words[1], words[3]  # offset and inode
            elif name == "Rss:":
                held = int(words[0])
            elif name == "Anonymous:":
                alone += int(words[0])
                if place[1] != "0":
                    files[place] = max(files.get(place, 0), held - int(words[0]))
    return (alone + sum(files.values())) / 1024


class Watcher:
    """Peak memory of the recorder's processes, and how soon a query counts what was sent."""

    def __init__(self, process: psutil.Process, store: Path) -> None:
        self.process = process
        self.store = store
        self.rss_mb = self.pss_mb = 0.0
        self.cpu_share = 0.0
        self.ages: list[float] = []
        self._began = time.monotonic()
        self._settled: tuple[float, float] | None = None
        self._done = threading.Event()
        self._newest = 0
        self._files: set[Path] = set()
        self._times: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            with contextlib.suppress(psutil.Error, OSError):
                family = [self.process, *self.process.children()]
                self._spend(family)
                memory = [p.memory_full_info() for p in family]
                self.rss_mb = max(self.rss_mb, sum(m.rss for m in memory) / 2**20)
                self.pss_mb = max(self.pss_mb, sum(getattr(m, "pss", 0) for m in memory) / 2**20)
            with contextlib.suppress(QrecError, FileNotFoundError):  # merged meanwhile
                self._look()

    def _spend(self, family: list[psutil.Process]) -> None:
        """Processor time since it settled: starting Python four times is no part of being idle."""
        now = time.monotonic()
        # Its clock, in nanoseconds: what psutil reads is told in hundredths of a second.
        self._times |= {p.pid: time.clock_gettime((~p.pid << 3) | 2) for p in family}
        spent = sum(self._times.values())  # one that ends takes nothing back
        if self._settled is None and now - self._began > _SETTLED_S:
            self._settled = now, spent
        elif self._settled is not None:
            self.cpu_share = (spent - self._settled[1]) / (now - self._settled[0])

    def _look(self) -> None:
        """The newest row of the files that a query would read now. No query: one takes 0.1 to 0.4 s
        of processor time here, which slows down what is looked at."""
        hour = hour_key(int(time.time() * 1e6))
        new = {p for _, p in Store.open(self.store).visible("transactions", hour)} - self._files
        if not new:
            return
        seen = max(to_us(pc.max(pq.read_table(p, columns=["ts"])["ts"]).as_py()) for p in new)
        self._files |= new
        if self._newest and seen > self._newest:
            # Events between the two were first counted now; they came evenly.
            for part in range(20):
                ts = self._newest + (seen - self._newest) * (part + 0.5) / 20
                self.ages.append(time.time() - ts / 1e6)
        self._newest = seen

    def close(self) -> None:
        self._done.set()
        self._thread.join()


def record(url: str, folder: Path, keep: bool = False) -> dict[str, Any]:
    """Record one stream to its end; the source's count beside the recorder's. `keep` what is in
    the store."""
    store = folder / "store"
    if not keep:
        shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, "-m", "bench.recorder_process", url, str(store)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watcher = Watcher(psutil.Process(process.pid), store)
    out, _ = process.communicate()
    watcher.close()
    stats = source_stats(url)
    own: dict[str, Any] = json.loads(out)
    kept = sum(f.stat().st_size for f in _counted(store))
    seconds = max(stats["last"] - stats["first"], 1e-3)
    ages = sorted(watcher.ages) or [0.0]
    return own | {
        "offered": stats["offered"],
        "dropped": stats["dropped"] + own["dropped_here"],
        "offered_per_s": stats["offered"] / seconds,
        "recorded_per_s": own["written"] / max(seconds, own["seconds"]),
        "stored_ratio": kept / max(stats["bytes"], 1),
        "rss_mb": watcher.rss_mb,
        "pss_mb": watcher.pss_mb,
        "freshness_s_p50": statistics.median(ages),
        "freshness_s_p99": ages[int(len(ages) * 0.99)],
        "cpu_s_per_million": own["cpu_s"] / max(own["written"], 1) * 1e6,
        "cpu_share": watcher.cpu_share,
        "lost": stats["offered"] - stats["dropped"] - own["written"],
    }


def _counted(store: Path) -> list[Path]:
    opened = Store.open(store)
    return [p for h in opened.hours("transactions") for _, p in opened.visible("transactions", h)]


def show_profile(rate: float, seconds: float, pool: int) -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        running_source(f"{rate}:{seconds}", pool) as url,
    ):
        for row in profile(url, Path(name) / "store"):
            print(f"{row['share']:6.1%}  {row['process']:10} {row['step']}")


def measure(
    rate: float, seconds: float, flat_out: float, pool: int, sessions: int
) -> dict[str, Any]:
    """The whole run; every figure in it is of the same minutes of the same machine."""
    streams = f"0:{flat_out},0:{flat_out},0:{flat_out},{rate}:{seconds},{rate * 2}:3,10:20"
    with tempfile.TemporaryDirectory() as name, running_source(streams, pool, sessions) as url:
        folder = Path(name)
        drained = curl(url)
        plain, plain_cpu = naive(url, folder)
        ours = record(url, folder)
        sustained = record(url, folder)
        burst = record(url, folder)
        idle = record(url, folder)
    return {
        **sustained,
        "curl_per_s": drained["per_s"],
        "naive_per_s": plain,
        "flat_out_per_s": ours["recorded_per_s"],
        "naive_cpu_s_per_million": plain_cpu,
        "flat_out_ratio": ours["recorded_per_s"] / plain,
        "flat_out_cpu_ratio": plain_cpu / ours["cpu_s_per_million"],
        "curl_ratio": ours["recorded_per_s"] / drained["per_s"],
        "burst_per_s": burst["offered_per_s"],
        "burst_dropped": burst["dropped"],
        "burst_lost": burst["lost"],
        "burst_bodies_shed": burst["bodies_shed"],
        "burst_rss_mb": burst["rss_mb"],
        "burst_pss_mb": burst["pss_mb"],
        "idle_cpu_share": idle["cpu_share"],
    }


def idle(days: int, seconds: float) -> dict[str, Any]:
    """The share of a core at 10 events a second and at none, with so many days in the store."""
    with (
        tempfile.TemporaryDirectory() as name,
        running_source(f"10:2,10:{seconds},0.001:{seconds}", 1_000) as url,
    ):
        folder = Path(name)
        record(url, folder)
        _age(folder / "store", days)
        return {
            f"idle_{label}": shares["cpu_share"]
            for label in ("10_per_s", "silent")
            for shares in [record(url, folder, keep=True)]
        }


def _age(path: Path, days: int) -> None:
    """Fill a store with hours of the past: links to what is there already."""
    store = Store(path)
    for table in ("transactions", "coverage"):
        hour = store.hours(table)[-1]
        file = next(f for _, f in store.visible(table, hour)) if table == "transactions" else (
            next(store.sealed_hour(table, hour).iterdir()))  # fmt: skip
        for before in range(2, days * 24):
            old = hour_key(to_us(hour_start(hour)) - before * HOUR_US)
            folder = make_folder(store.sealed_hour(table, old))
            name = "old.parquet" if table == "coverage" else sealed_name("old", 1)
            (folder / name).hardlink_to(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--flat-out", type=float, default=10, help="seconds of the unpaced runs")
    parser.add_argument("--pool", type=int, default=40_000, help="different events in the source")
    parser.add_argument("--cold-headers", action="store_true", help="headers do not repeat")
    parser.add_argument("--sessions", type=int, default=100_000, help="with --cold-headers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="only show where the time goes")
    parser.add_argument("--idle", action="store_true", help="only the cost of having little to do")
    parser.add_argument("--days", type=int, default=90, help="in the store, with --idle")
    options = parser.parse_args()
    if options.profile:
        show_profile(options.rate, options.seconds, options.pool)
        return
    if options.idle:
        figures = idle(options.days, options.seconds)
    else:
        sessions = options.sessions if options.cold_headers else 0
        figures = measure(options.rate, options.seconds, options.flat_out, options.pool, sessions)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:22} {value:,.3f}" if isinstance(value, float) else f"{name:22} {value:,}")


if __name__ == "__main__":
    main()

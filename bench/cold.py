"""Whole processes on a small store, beside one that only imports DuckDB and groups once.

`python -m bench.cold [--json]`: the bundled incident is replayed, `qrec hosts` and `qrec diff` are
asked a few times each. Processor time and time on the clock are the best of those; compare the
ratios to `plain`, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fixtures.files import bundled_stream
from recorder.options import RecordOptions
from recorder.replay import replay

_PLAIN = """
import duckdb
duckdb.connect().execute("SELECT host, count(*) FROM '{rows}' GROUP BY ALL").fetchall()
"""
_NOW = "2026-11-22T14:00Z"  # where the recording ends


def measured(command: Sequence[str], times: int) -> dict[str, float]:
    """The least processor time and time on the clock of a few runs, in seconds."""
    cpu, wall = [], []
    for _ in range(times):
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall.append(time.perf_counter() - begin)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return {"cpu_s": round(min(cpu), 3), "s": round(min(wall), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        replay([bundled_stream("checkout-incident")], RecordOptions(store=store))
        plain = _PLAIN.replace("{rows}", f"{store}/transactions/**/*.parquet")
        commands = {"plain": [sys.executable, "-c", plain]}
        for question in ("hosts", "diff"):
            argv = [question, "--store", str(store), "--now", _NOW]
            commands[question] = [sys.executable, "-m", "qrec", *argv]
        figures = {which: measured(argv, options.times) for which, argv in commands.items()}
    for figure in figures.values():
        for unit in ("cpu_s", "s"):
            figure[f"{unit}_ratio"] = round(figure[unit] / figures["plain"][unit], 2)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for which, figure in figures.items():
        print(which, "  ".join(f"{unit} {value}" for unit, value in figure.items()))


if __name__ == "__main__":
    main()

"""How long a command takes from its start, beside a Python that only asks DuckDB.

`python -m bench.cold [COMMAND…]`: whole processes over the bundled incident, each kind in turn, and
the median of processor time (which a busy machine does not stretch) and of time on the clock. The
yardstick is `python -c "import duckdb; <one group by>"` over the same files. All of them read their
modules as bytecode, as an installed package does, also where the shell forbids Python to write it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_GROUP_BY = (
    'import duckdb; duckdb.sql("SELECT host, count(*), quantile_cont(duration_ms, 0.95) FROM '
    "read_parquet('{files}') GROUP BY ALL ORDER BY 2 DESC LIMIT 20\").fetchall()"
)
_RUNS = 9


def measured(argv: list[str]) -> tuple[float, float]:
    """(processor, clock) seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=["hosts", "diff"])
    parser.add_argument("--runs", type=int, default=_RUNS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        os.environ |= {"QREC_STORE": str(store), "QREC_NOW": "2026-11-22T14:00Z"}
        # else a checkout is compiled anew in every process, and the run measures the compiler
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        qrec = [sys.executable, "-m", "qrec"]
        subprocess.run([*qrec, "replay", "checkout-incident"], check=True, capture_output=True)
        files = f"{store}/transactions/**/*.parquet"
        kinds = {"duckdb": [sys.executable, "-c", _GROUP_BY.format(files=files)]}
        kinds |= {command: [*qrec, *command.split()] for command in asked.commands}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for _ in range(asked.runs + 1):
            for name, argv in kinds.items():
                times[name].append(measured(argv))
    medians = {
        name: [statistics.median(one[at] for one in runs[1:]) for at in (0, 1)]
        for name, runs in times.items()
    }
    base = medians["duckdb"]
    print(f"{'':<12} {'processor':>10} {'ratio':>6} {'clock':>8} {'ratio':>6}")
    for name, (spent, took) in medians.items():
        print(
            f"{name:<12} {spent:>8.3f} s {spent / base[0]:>6.2f} {took:>6.3f} s"
            f" {took / base[1]:>6.2f}"
        )


if __name__ == "__main__":
    main()

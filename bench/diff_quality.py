"""How good is the comparison? `python -m bench.diff_quality [--quick] [--json]`.

Plants incidents in made-up hours of traffic, compares quiet pairs and pairs with recorder gaps,
and prints how often the cause came first, what was said where nothing happened, and what other
public recipes make of the same hours.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.quality.heldback import HELD_BACK, SECOND
from bench.quality.incidents import INCIDENTS
from bench.quality.quiet import GAPS, QUIET
from bench.quality.real import real
from bench.quality.report import report, table
from bench.quality.trial import incident, quiet

Job = tuple[str, str, int, int, float, str, bool]


def jobs(arguments: argparse.Namespace) -> list[Job]:
    """Every trial, so ordered that neighbours share a world and its history."""
    rivals = not arguments.no_rivals
    found: list[Job] = []
    for size in arguments.sizes:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for history in arguments.histories:
                for sort, some in _sorts(arguments).items():
                    for name, severities in some.items():
                        if arguments.kinds and name not in arguments.kinds:
                            continue
                        found += [(sort, name, seed, size, s, history, rivals) for s in severities]
    return found


def _sorts(arguments: argparse.Namespace) -> dict[str, dict[str, tuple[float, ...]]]:
    planted = {name: severities for name, (_, severities) in INCIDENTS.items()}
    if arguments.quick:
        planted = {name: severities[-1:] for name, severities in planted.items()}
    sorts: dict[str, dict[str, tuple[float, ...]]] = {
        "incident": planted,
        "quiet": dict.fromkeys(QUIET, (1.0,)),
        "gap": dict.fromkeys(GAPS, (1.0,)),
    }
    if arguments.held_back:
        kept = {"first": HELD_BACK, "second": SECOND}[arguments.held_back]
        sorts = {"held_back": {name: severities for name, (_, severities) in kept.items()}}
    if arguments.real:
        return {"real": {name: severities[-1:] for name, severities in planted.items()}}
    return {k: v for k, v in sorts.items() if not arguments.only or k in arguments.only}


def run(job: Job) -> dict[str, Any]:
    sort, name, seed, size, severity, history, rivals = job
    if sort == "real":
        return {"sort": sort, "peak_mb": 0, **real(name, INCIDENTS[name][0], seed, size, severity)}
    if sort in ("quiet", "gap"):
        make = (QUIET if sort == "quiet" else GAPS)[name]
        result = quiet(name, make, seed, size, history, rivals)
    else:
        plant = {**INCIDENTS, **HELD_BACK, **SECOND}[name][0]
        result = incident(name, plant, seed, size, severity, history, rivals)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"sort": sort, "peak_mb": round(peak), **result}


def run_all(
    todo: list[Job], workers: int, deadline: float, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []

    def take(stream: Iterable[dict[str, Any]]) -> None:
        for number, result in enumerate(stream):
            results.append(result)
            if number % 100 == 99:
                say(f"{number + 1} of {len(todo)}")
            if time.monotonic() > deadline:
                say(f"time is up after {number + 1} of {len(todo)} trials")
                break

    if workers <= 1:
        take(map(run, todo))
    else:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            take(pool.imap(run, todo, chunksize=25))
            pool.terminate()
    return results


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.diff_quality", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds, largest severities")
    parser.add_argument("--json", action="store_true", help="print the figures as one document")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="*", default=[200, 2_000, 20_000, 200_000])
    parser.add_argument("--histories", nargs="*", default=["1h", "24h", "7d"])
    parser.add_argument("--kinds", nargs="*", help="only these incidents or pairs")
    parser.add_argument("--only", nargs="*", help="incident, quiet, gap")
    parser.add_argument("--held-back", choices=["first", "second"], help="incidents kept back")
    parser.add_argument("--real", action="store_true", help="through replay, store and qrec diff")
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so long")
    parser.add_argument("--of", nargs="*", help="run nothing: report on these files of --raw")
    parser.add_argument("--raw", help="write every trial's scores to this file")
    arguments = parser.parse_args(argv)
    if arguments.real:
        arguments.histories = ["1h"]
    if arguments.quick:
        arguments.seeds, arguments.histories = min(arguments.seeds, 2), ["1h", "24h"]
        arguments.sizes = [2_000, 200_000]
    start = time.monotonic()
    if arguments.of:
        texts = [Path(path).read_text() for path in arguments.of]
        results = [json.loads(line) for text in texts for line in text.splitlines()]
    else:
        results = run_all(
            jobs(arguments),
            arguments.workers,
            start + 60 * arguments.minutes,
            lambda text: print(text, file=sys.stderr),
        )
    if arguments.raw:
        with Path(arguments.raw).open("w") as out:
            out.writelines(json.dumps(r, default=str) + "\n" for r in results)
    figures = report(results, time.monotonic() - start)
    print(json.dumps(figures, indent=1) if arguments.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

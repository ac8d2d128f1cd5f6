"""How good is the comparison? `python -m bench.diff_quality --grid [--seeds 30] [--json]`.

Plants incidents in made-up hours and asks what changed, in every cell of the grid: windows of 1 to
60 minutes, pasts of none to a day, 200 to 200,000 requests an hour. An incident counts where an
oracle, told the place and the kind, could have seen it. Beside them: what is said of quiet pairs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.quality.ablation import dearest
from bench.quality.grid import (
    HELD_BACK,
    PASTS,
    VOLUMES,
    WINDOWS,
    figures,
    report,
    seed_of_cells,
)
from bench.quality.incidents import INCIDENTS
from bench.quality.quiet import QUIET

_COLUMNS = (
    "window", "past", "volume", "planted", "visible", "top1", "top3", "pairs", "false_mean",
    "false_p95", "rows_a_cause", "onset_s", "blame", "seconds",
)  # fmt: skip


def _one(job: tuple[Any, ...]) -> list[dict[str, Any]]:
    return list(seed_of_cells(*job))


def run(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every trial, seed by seed; stops when the time is up."""
    kinds = arguments.kinds or [
        *INCIDENTS,
        *(name for some in HELD_BACK.values() for name in some),
        *QUIET,
    ]
    held_back, ablate = arguments.held_back, arguments.ablate
    shape = (arguments.windows, arguments.pasts, arguments.plants, kinds, held_back, ablate)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    jobs = [(seed, volume, *shape) for seed in seeds for volume in arguments.volumes]
    deadline = time.monotonic() + 60 * arguments.minutes
    if arguments.workers > 1:
        with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
            for number, trials in enumerate(pool.imap_unordered(_one, jobs)):
                yield from trials
                if time.monotonic() > deadline:
                    print(f"time is up after {number + 1} of {len(jobs)}", file=sys.stderr)
                    pool.terminate()
                    return
        return
    for number, job in enumerate(jobs):
        for one in seed_of_cells(*job):
            yield one
            if time.monotonic() > deadline:
                print(f"time is up at {number + 1} of {len(jobs)}", file=sys.stderr)
                return


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of figures under their names, as Markdown."""
    names = (
        [name for name in (*_COLUMNS, "kind", "without", "dearest") if name in rows[0]]
        if rows
        else []
    )
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = ["" if row[name] is None else f"{row[name]}" for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_kind(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = dict.fromkeys(t["name"] for t in trials)
    return [{**figures([t for t in trials if t["name"] == k]), "kind": k} for k in sorted(kinds)]


def by_switch(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of all that was asked with a rule switched off: as it is, and without each of them."""
    names = dict.fromkeys(t["switch"] for t in trials if t.get("switch") is not None)
    return [
        {
            **figures([t for t in trials if t.get("switch") == n]),
            "without": n,
            "dearest": dearest(trials, n) if n else "",
        }
        for n in names
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.diff_quality", description=__doc__)
    parser.add_argument("--grid", action="store_true", help="the whole grid (else two cells)")
    parser.add_argument("--seeds", type=int, default=3, help="30 for the figures in docs/method.md")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--plants", type=int, default=6, help="incidents a cell and seed")
    parser.add_argument("--windows", type=int, nargs="*", default=None, help="minutes")
    parser.add_argument("--pasts", type=int, nargs="*", default=None, help="hours")
    parser.add_argument("--volumes", type=int, nargs="*", default=None, help="rows an hour")
    parser.add_argument("--kinds", nargs="*", help="only these incidents or quiet pairs")
    parser.add_argument("--held-back", choices=list(HELD_BACK), help="incidents kept back, instead")
    parser.add_argument(
        "--ablate", nargs="*", metavar="SWITCH",
        help="and without each of the rules, or these; Z=3: by that value of a threshold",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so long")
    parser.add_argument("--json", action="store_true", help="print the figures as one document")
    parser.add_argument("--raw", help="write every trial's scores to this file, a line each")
    parser.add_argument("--of", nargs="*", help="run nothing: report on these files of --raw")
    arguments = parser.parse_args(argv)
    arguments.windows = arguments.windows or (WINDOWS if arguments.grid else (10, 60))
    arguments.pasts = arguments.pasts or (PASTS if arguments.grid else (3,))
    arguments.volumes = arguments.volumes or (VOLUMES if arguments.grid else (20_000,))
    trials: list[dict[str, Any]] = []
    if arguments.of:
        texts = [Path(path).read_text() for path in arguments.of]
        trials = [json.loads(line) for text in texts for line in text.splitlines()]
    else:
        raw = Path(arguments.raw).open("w") if arguments.raw else None  # noqa: SIM115
        for one in run(arguments):
            trials.append(one)
            if raw is not None:
                raw.write(json.dumps(one) + "\n")
                raw.flush()
    switches = by_switch(trials)
    trials = [t for t in trials if not t.get("switch")]
    cells, kinds = report(trials), by_kind(trials)
    if arguments.json:
        print(json.dumps({"cells": cells, "kinds": kinds, "without": switches}, indent=1))
    else:
        print(table(cells), table(kinds), *[table(switches)] * (len(switches) > 1), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

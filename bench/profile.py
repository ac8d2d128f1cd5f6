"""Where the recorder's time goes: py-spy's samples of all its processes, by step of the work."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_RATE = 200  # samples a second

# A sample belongs to the step of the innermost frame that is named here: (in the frame, step).
_STEPS = (
    ("recorder/redact/", "redaction"),
    ("recorder/normalize/routes.py", "routes"),
    ("recorder/normalize/tokens.py", "routes"),
    ("recorder/normalize/statements.py", "statements"),
    ("recorder/normalize/error_text.py", "error signatures"),
    ("recorder/decode/events.py", "decoding JSON and base64"),
    ("events_in (recorder/source/blocks.py", "taking blocks apart (httpx-sse)"),
    ("recorder/source/blocks.py", "looking for the ends of events"),
    ("recorder/decode/columns.py", "rows to columns"),
    ("put (recorder/pipeline/frames.py", "the queue (compression included)"),
    ("recorder/pipeline/frames.py", "between the processes"),
    ("recorder/source/subscription.py", "reading the socket"),
    ("merge (recorder/write/segments.py", "merging segments"),
    ("row_groups (recorder/write/segments.py", "merging segments"),
    ("recorder/write/segments.py", "writing segments"),
    ("recorder/write/coverage.py", "coverage"),
    ("recorder/write/intake.py", "repeats, order, coverage's clock"),
    ("recorder/write/seal.py", "housekeeping"),
)
_PROCESSES = (
    ("recorder/pipeline/worker.py", "decoding and redacting"),
    ("recorder/pipeline/reader.py", "reading"),
    ("bench/recorder_process.py", "recording"),
    ("threading.py", "recording"),  # its housekeeping
)


def profile(url: str, store: Path) -> list[dict[str, Any]]:
    """Record one stream to its end under py-spy: a row for each process and step, largest first.

    Shares are of the samples in which a thread ran or wanted to, imports left out.
    """
    samples = store.parent / "samples.txt"
    command = ["py-spy", "record", "--subprocesses", "--rate", str(_RATE), "--format", "raw"]
    command += ["--output", str(samples), "--"]
    command += [sys.executable, "-m", "bench.recorder_process", url, str(store)]
    subprocess.run(command, capture_output=True, check=True)
    counts: Counter[tuple[str, str]] = Counter()
    for line in samples.read_text(encoding="utf-8").splitlines():
        stack, _, number = line.rpartition(" ")
        if found := _placed(stack.split(";")):
            counts[found] += int(number)
    total = sum(counts.values())
    return [
        {"process": process, "step": step, "share": number / total}
        for (process, step), number in counts.most_common()
    ]


def _placed(frames: list[str]) -> tuple[str, str] | None:
    """The process and step of a stack, outermost frame first; None while modules are imported."""
    if any("importlib" in frame for frame in frames):
        return None
    process = next((name for part, name in _PROCESSES for f in frames if part in f), "other")
    for frame in reversed(frames):
        for part, step in _STEPS:
            if part in frame:
                return process, step
    return process, "the rest"

"""A recorder as a process of its own, for measuring: it records, then prints what it cost."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as qrec.__main__ does
    sys.modules["numpy"] = None  # type: ignore[assignment]

from recorder.options import RecordOptions, Status
from recorder.pipeline import workers
from recorder.record import record


class Quiet:
    """Keeps the last status; the benchmark reads the store, not the terminal."""

    last: Status | None = None

    def status(self, status: Status) -> None:
        self.last = status

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _measure_reads(file: str) -> None:
    """Have the reading process be the one that measures, and write to the file."""
    start = workers._Process.__init__

    def measured(self: workers._Process, module: str, *of: Any) -> None:
        if module == "recorder.pipeline.reader":
            module = "bench.measured_reader"
        start(self, module, *of)

    workers._Process.__init__ = measured  # type: ignore[assignment, method-assign]
    root = str(Path(__file__).parents[1])  # the processes run elsewhere
    os.environ |= {"QREC_BENCH_READS": file, "PYTHONPATH": root}


def main() -> None:
    url, store = sys.argv[1:3]
    listener = Quiet()
    options = RecordOptions(store=Path(store), url=url, recorder="bench", until_end=True)
    with tempfile.NamedTemporaryFile() as reads:
        _measure_reads(reads.name)
        summary = record(options, listener)
        waits = json.loads(reads.read() or "{}")
    own = resource.getrusage(resource.RUSAGE_SELF)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "written": summary.written,
                "dropped_here": listener.last.dropped if listener.last else 0,
                "bodies_shed": listener.last.bodies_shed if listener.last else 0,
                "cpu_s": _cpu(own) + _cpu(child),
                "seconds": summary.seconds,
                "writer_cpu_s": _cpu(own),
                "reader_cpu_s": _cpu(child),
                "read_gap_ms_p999": waits.get("p999"),
                "read_gap_ms_max": waits.get("largest"),
            }
        )
    )


if __name__ == "__main__":
    main()

"""A recorder as a process of its own, for measuring: it records, then prints what it cost."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from recorder.options import RecordOptions, Status
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


def main() -> None:
    url, store = sys.argv[1:3]
    os.environ["QREC_MEASURE_READS"] = "1"
    listener = Quiet()
    options = RecordOptions(store=Path(store), url=url, recorder="bench", until_end=True)
    summary = record(options, listener)
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
                "read_gap_ms_p999": summary.read_gap_ms_p999,
                "read_gap_ms_max": summary.read_gap_ms_max,
            }
        )
    )


if __name__ == "__main__":
    main()

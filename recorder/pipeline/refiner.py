"""A refining process: blocks of raw events in, clean rows out, in the same order.

Several of them work at the same time, since one interpreter decodes and redacts on one core only
(bench/README.md has the figures). Run as `python -m recorder.pipeline.refiner`: options come as
one JSON line on stdin, then blocks; what they came to goes to stdout; the end of stdin is the end.
"""

from __future__ import annotations

import os
import signal
import sys

import msgspec
import pyarrow as pa

from recorder.pipeline import frames
from recorder.pipeline.queue import QUEUE_BYTES, joined
from recorder.pipeline.worker import Refinery, Refining, to_bytes
from recorder.source.blocks import events_in

_NICE = 3  # reading goes first: what it misses nobody has, what waits here is only late


def shedding(queued: int, now: bool) -> bool:
    """Whether to let bodies go with so many bytes waiting: rows matter more."""
    if queued > QUEUE_BYTES // 2:
        return True
    return now and queued >= QUEUE_BYTES // 8


def main() -> None:
    # Signals reach the whole process group; only the recorder decides when the work ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    pa.set_memory_pool(pa.system_memory_pool())  # as in the recorder: it keeps less
    source, out = sys.stdin.buffer, sys.stdout.buffer
    refinery = Refinery(msgspec.json.decode(source.readline(), type=Refining))
    blocks = frames.Receiver(source, frames.blocks)
    while (block := blocks.receive()) is not None:
        refinery.shedding = shedding(block.queued, refinery.shedding)
        parts = refinery.refine(events_in(joined(block.pieces)))
        try:
            frames.send_bytes(out, to_bytes.encode(parts))
        except OSError:  # the recorder is gone, and so is our purpose
            os._exit(0)


if __name__ == "__main__":
    main()

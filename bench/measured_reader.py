"""The recorder's reading process, which also measures how long it leaves the socket alone.

bench.recorder_process starts it in the place of recorder.pipeline.reader. At the end of a stream
the figures are written as JSON into the file that QREC_BENCH_READS names.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

if __name__ == "__main__":  # as the reader does: what it has no use for
    sys.modules["numpy"] = None  # type: ignore[assignment]

from recorder.pipeline import reader
from recorder.source.request import Subscription
from recorder.source.subscription import Pace, Stream, open_stream


class Waits:
    """How long the socket was left alone between two reads."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # by tenths of a millisecond
        self.largest = 0.0
        self.reads = 0

    def between(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in stream:
            read = time.perf_counter()
            yield chunk
            wait = (time.perf_counter() - read) * 1000
            self.reads += 1
            self.largest = max(self.largest, wait)
            self._counts[int(wait * 10)] += 1

    def p999(self) -> float:
        """Milliseconds that 999 of 1000 reads came within."""
        left = self.reads * 0.999
        for tenths, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return (tenths + 1) / 10
        return 0.0


def main() -> None:
    waits = Waits()

    @contextlib.contextmanager
    def measured(subscription: Subscription, pace: Pace | None = None) -> Iterator[Stream]:
        with open_stream(subscription, pace) as stream:
            chunks = stream.chunks
            vars(stream)["chunks"] = lambda: waits.between(chunks())
            try:
                yield stream
            finally:
                figures = {"p999": waits.p999(), "largest": waits.largest, "reads": waits.reads}
                Path(os.environ["QREC_BENCH_READS"]).write_text(json.dumps(figures))

    vars(reader)["open_stream"] = measured
    reader.main()


if __name__ == "__main__":
    main()

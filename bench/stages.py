"""What an event costs in a worker, stage by stage: `python -m bench.stages [--cold-headers]`.

Without sockets and other processes: blocks of the source's events go through the worker's stages,
some hundred events at a time as there, and beside it through those of bench/naive.py. Microseconds
of processor time an event, the median of blocks that are done in turns; `floor` is what is left of
the worker without redaction, routes and counting: events cut out, decoded, in columns, in a file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from httpx_sse import EventSource

from bench import naive
from bench.source import Producer, make_pool
from recorder.decode.columns import Who, transactions_batch
from recorder.decode.events import decode
from recorder.native import load
from recorder.normalize.error_text import error_signature
from recorder.options import RecordOptions
from recorder.pipeline.worker import AT_ONCE, Worker
from recorder.source.blocks import events_in
from recorder.write.intake import Part, Rows
from recorder.write.segments import Writer
from store.layout import Store

_EVENTS = 1_500  # in a block: about what a busy reader hands out
_SSE = {"content-type": "text/event-stream"}
_FLOOR = ("split", "decode", "columns", "write")


class Stages:
    """The stages of a worker, one by one and together; what they cost, a figure a block."""

    def __init__(self, folder: Path) -> None:
        options = RecordOptions(store=folder / "store", url="", recorder="bench")
        self.costs: dict[str, list[float]] = defaultdict(list)
        self._apart = Worker(b"k" * 32, options)
        self._whole = Worker(b"k" * 32, options)
        native, note = load()
        print(f"the compiled part {note}", file=sys.stderr)
        self._compiled = Worker(b"k" * 32, options, native) if native else None
        self._writer = Writer(Store(options.store), Who("bench", "s"), "policy")
        self._naive = folder / "naive.parquet"
        self._spent: dict[str, float] = {}
        self._first = 1

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        spent = (time.thread_time() - began) / _EVENTS * 1e6
        self._spent[name] = self._spent.get(name, 0.0) + spent

    def block(self, data: bytes) -> None:
        self._spent = {}
        self._one_by_one(data)
        with self._timed("worker"):
            self._write(self._whole.process_block(data))
        if self._compiled is not None:
            with self._timed("compiled"):
                self._write(self._compiled.process_block(data))
        with self._timed("naive"):
            response = httpx.Response(200, headers=_SSE, stream=httpx.ByteStream(data))
            rows = [naive.row(sse.data) for sse in EventSource(response).iter_sse()]
            naive.write(rows, self._naive)
        self._spent["floor"] = sum(self._spent[name] for name in _FLOOR)
        for name, spent in self._spent.items():
            self.costs[name].append(spent)

    def _one_by_one(self, data: bytes) -> None:
        events, worker, parts = events_in(data), self._apart, list[Part]()
        while True:
            with self._timed("split"):
                some = list(itertools.islice(events, AT_ONCE))
            if not some:
                break
            with self._timed("decode"):
                rows = [decode(*event).row for event in some]
            with self._timed("redact"):
                for tx in rows:
                    worker.cleaner.redact(tx)
            with self._timed("routes, signatures"):
                for tx in rows:
                    tx.route = worker.router.route(tx.path, tx.host)
                    tx.error_signature = error_signature(
                        tx.status, tx.res_content_type, tx.res_body, tx.grpc_status
                    )
            with self._timed("columns"):
                parts.append(Rows(transactions=transactions_batch(rows)))
        with self._timed("write"):
            self._write(parts)

    def _write(self, parts: list[Part]) -> None:
        self._writer.write(parts, self._first, self._first + _EVENTS - 1)
        self._first += _EVENTS


def measure(blocks: int, sessions: int) -> dict[str, float]:
    """Microseconds an event by stage, and the ratios to naive of the same blocks."""
    producer = Producer(make_pool(_EVENTS * blocks, sessions))
    with tempfile.TemporaryDirectory() as name:
        stages = Stages(Path(name))
        for number in range(blocks):
            now, first = time.time(), number * _EVENTS
            stages.block(b"".join(producer.event(first + n, now) for n in range(_EVENTS)))
    costs = {name: spent[blocks // 4 :] for name, spent in stages.costs.items()}  # once warm
    figures = {name: statistics.median(spent) for name, spent in costs.items()}
    for name in ("worker", "compiled", "floor"):
        if name not in costs:
            continue
        pairs = zip(costs[name], costs["naive"], strict=True)
        figures[f"{name}_to_naive"] = statistics.median(own / plain for own, plain in pairs)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--cold-headers", action="store_true", help="headers do not repeat")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.blocks, 100_000 if options.cold_headers else 0)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:20} {value:8.2f}")


if __name__ == "__main__":
    main()

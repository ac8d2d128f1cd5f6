"""How `qrec summary` is drawn: facts of the whole window, then the first few of each list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qrec.output import Answer
from qrec.questions import laid_table
from qrec.run import Run
from queries.core.format import millis, plural, size
from queries.core.question import Column
from queries.summary import Summary

_REQUESTS, _FAILED = Column("requests", kind="count"), Column("failed", "error_share", "share")
_PLACE, _P95 = Column("place"), Column("p95", "p95_ms", "ms")
# The list of the answer -> its columns.
_TABLES = {
    "hosts": (Column("busiest hosts", "host", give=1), _PLACE, _REQUESTS, _FAILED, _P95),
    "containers": (
        Column("busiest containers", "container", "program", give=1), _REQUESTS, _FAILED,
    ),
    "failures": (
        Column("most failures", lambda f: (f.method, f.host, f.route), "endpoint", give=1),
        Column("status", lambda f: (f.status, f.grpc_status), "status"),
        Column("errors", kind="count"), Column("last seen", "last_seen", "clock"),
    ),
    "slowest": (
        Column("slowest", lambda e: (e.method, e.host, e.route), "endpoint", give=1),
        _PLACE, _REQUESTS, _P95,
    ),
}  # fmt: skip


def draw(run: Run, answer: Summary, table: Answer) -> Answer:
    lines = [table.heading]
    if answer.window.requests:
        lines += _facts(answer)
        for name, columns in _TABLES.items():
            if rows := getattr(answer, name):
                lines += ["", laid_table(run, columns, rows).rstrip("\n")]
    return replace(table, text="\n".join(lines))


def _facts(answer: Summary) -> Iterator[str]:
    counts, classes = answer.counts, answer.statuses
    named = {"2xx": classes.s2xx, "3xx": classes.s3xx, "4xx": classes.s4xx, "5xx": classes.s5xx,
             "1xx": classes.s1xx, "no response": classes.no_response}  # fmt: skip
    yield "answers    " + ", ".join(f"{name} {n:,}" for name, n in named.items() if n)
    times = (answer.p50_ms, answer.p95_ms, answer.p99_ms)
    yield "times      p50 {}, p95 {}, p99 {}".format(*map(millis, times))
    yield f"where      outside {counts.outside:,}, inside {counts.inside:,}, here {counts.here:,}"
    yield f"who        {plural(counts.containers, 'container')}, {plural(counts.hosts, 'host')}"
    sent, received = size(answer.bytes_sent), size(answer.bytes_received)
    yield f"bytes      {sent} in requests, {received} in responses"
    if answer.databases:
        calls = (f"{d.type or '-'} {d.calls:,} ({d.errors:,} failed)" for d in answer.databases)
        yield "databases  " + ", ".join(calls)

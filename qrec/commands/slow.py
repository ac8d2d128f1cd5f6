"""How `qrec slow` is drawn: the slowest endpoints, then the slowest transactions."""

from __future__ import annotations

from dataclasses import replace

from qrec.output import Answer
from qrec.questions import laid_table
from qrec.run import Run
from queries.core.format import plural
from queries.core.question import Column
from queries.slow import SLOW, Slow

_ENDPOINTS = (
    Column("p95", "p95_ms", "ms"),
    Column("p50", "p50_ms", "ms"),
    Column("p99", "p99_ms", "ms", optional=True),
    Column("requests", kind="count"),
    Column("failed", "error_share", "share"),
    Column("place"),
    Column("endpoint", lambda e: (e.method, e.host, e.route), "endpoint", give=1),
)


def draw(run: Run, answer: Slow, table: Answer) -> Answer:
    """Both tables, and how many requests have no time at all."""
    parts = [table.heading]
    if answer.endpoints:
        parts += ["", laid_table(run, _ENDPOINTS, answer.endpoints)]
        parts += [laid_table(run, SLOW.columns, answer.transactions)]
    if answer.no_response:
        waiting = plural(answer.no_response, "request")
        parts.append(f"{waiting} got no response at all, and so have no duration here\n")
    return replace(table, text="\n".join(parts).rstrip("\n"))

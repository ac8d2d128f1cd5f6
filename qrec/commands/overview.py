"""`qrec summary`: a window at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qrec.format import (
    clock,
    endpoint_text,
    millis,
    number,
    plural,
    program,
    share,
    size,
    status_text,
    window_heading,
)
from qrec.options import RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column
from qrec.run import Run, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queries.summary import Summary


def summary(*, window: WindowFlags, only: WhereFlags, rows: RowFlags, store: StoreFlags) -> None:
    """A window at a glance: how much, how well, how fast, and the first few of everything.

    \b
    Examples:
      qrec summary
      qrec summary --last 1d --limit 10
      qrec summary --where 'container.name == "shop"' --json
    """
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.summary import SUMMARY_LIMIT
    from queries.summary import summary as ask

    run = Run(store, rows, defaults={"limit": SUMMARY_LIMIT})
    answer = ask(run.store, run.window(window), parsed(only), run.limit)
    columns = [Column("host"), Column("requests", right=True), Column("failed", right=True)]
    cells = [[h.host or "-", f"{h.requests:,}", f"{h.errors:,}"] for h in answer.hosts]
    lines = [window_heading(answer.window, run.tz)]
    if answer.window.requests:
        lines += [*_facts(answer), *_tables(run, answer)]
    text = "\n".join(lines)
    present(run, Answer(document(answer), "hosts", columns, cells, text=text))


def _facts(answer: Summary) -> Iterator[str]:
    """The whole window, a fact a line."""
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


def _tables(run: Run, answer: Summary) -> Iterator[str]:
    """The first few of everything, a table each."""
    yield from _table(
        run, ("busiest hosts", "place", "requests", "failed", "p95"),
        [[h.host or "-", h.place, number(h.requests), share(h.error_share), millis(h.p95_ms)]
         for h in answer.hosts],
    )  # fmt: skip
    yield from _table(
        run, ("busiest containers", "requests", "failed"),
        [[program(c.container), number(c.requests), share(c.error_share)]
         for c in answer.containers],
    )  # fmt: skip
    yield from _table(
        run, ("most failures", "status", "errors", "last seen"),
        [[endpoint_text(f.method, f.host, f.route), status_text(f.status, f.grpc_status),
          number(f.errors), clock(f.last_seen, run.tz, day=False)]
         for f in answer.failures],
    )  # fmt: skip
    yield from _table(
        run, ("slowest", "place", "requests", "p95"),
        [[endpoint_text(e.method, e.host, e.route), e.place, number(e.requests), millis(e.p95_ms)]
         for e in answer.slowest],
    )  # fmt: skip


def _table(run: Run, titles: Sequence[str], cells: list[list[str]]) -> Iterator[str]:
    from qrec.output import to_table

    if cells:
        words = {"place", "status"}
        columns = [
            Column(titles[0], give=1),
            *(Column(t, right=t not in words) for t in titles[1:]),
        ]
        yield ""
        yield to_table(columns, cells, run.width, run.paint).rstrip("\n")

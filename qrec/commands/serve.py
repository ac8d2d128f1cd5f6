"""`qrec serve`, `qrec mcp`, `qrec demo`: what listens, and what shows that it all works."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from qrec.commands.recording import stream_path
from qrec.options import StoreFlags
from qrec.output import emit, say
from qrec.run import Run
from store.errors import UsageError


def serve(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Recorded streams (.sse, .sse.gz) or bundled ones."),
    ],
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="The port on 127.0.0.1; 0: a free one.")
    ] = 10001,
    speed: Annotated[
        str, typer.Option("--speed", metavar="FACTOR", help="1: as it was; 10: faster; max.")
    ] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again after the end.")] = False,
    qtap: Annotated[
        str,
        typer.Option(
            "--qtap", metavar="VERSION", help="Speak as this Qtap: 0.13 (no filters) or 0.14."
        ),
    ] = "0.14",
    keep_times: Annotated[
        bool,
        typer.Option("--keep-times", help="Leave times as recorded. Default: move to now."),
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep the stream open and quiet after its end.")
    ] = False,
) -> None:
    """Stand in for Qtap: serve recorded streams as its DevTools would. For trying things out.

    It begins when the first client subscribes, buffers 100 events for each and drops what does
    not fit, as Qtap does. GET /stats tells what it sent and dropped.

    \b
    Examples:
      qrec serve checkout-incident --speed max
      qrec serve capture.sse --port 0 --loop
      qrec serve quiet --qtap 0.13 --speed 10
    """
    from fixtures.standin import serve as start

    def ready(chosen: int) -> None:
        say(f"serving on http://127.0.0.1:{chosen}; record it with: "
            f"qrec record http://127.0.0.1:{chosen}")  # fmt: skip

    stats = start(
        [stream_path(name) for name in files],
        on_ready=ready,
        port=port,
        speed=_speed(speed),
        loop=loop,
        qtap=qtap,  # type: ignore[arg-type]  # checked there
        keep_times=keep_times,
        hold=hold,
    )
    say(f"sent {stats.get('sent', 0):,} events, dropped {stats.get('dropped', 0):,}")


def _speed(text: str) -> Any:
    if text == "max":
        return "max"
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"--speed cannot be {text[:40]!r}", "Give 1, 10 or another factor, or max."
        ) from None


def mcp(
    http: Annotated[
        int | None,
        typer.Option(
            "--http", metavar="PORT", help="Serve streamable HTTP on 127.0.0.1 instead of stdio."
        ),
    ] = None,
    allow_sql: Annotated[
        bool,
        typer.Option("--allow-sql", help="Let the assistant run SELECT statements of its own."),
    ] = False,
    *,
    store: StoreFlags,
) -> None:
    """Answer an assistant's questions over the Model Context Protocol (stdio).

    \b
    Examples:
      claude mcp add qrec -- qrec mcp
      qrec mcp --store /var/lib/qrec
      qrec mcp --http 8765
    """
    from mcp_tools.server import serve as start

    run = Run(store)
    if http is None and sys.stdin is not None and sys.stdin.isatty():
        say("waiting for an MCP client on stdin (Ctrl-C ends); to set one up: "
            "claude mcp add qrec -- qrec mcp")  # fmt: skip
    start(run.settings.path("store"), run.tz, lambda: Run(store).now, http, allow_sql)


def demo(*, store: StoreFlags) -> None:
    """See it work without Qtap: record an incident from a stand-in, and ask what changed.

    \b
    Examples:
      qrec demo
      qrec demo --store ./demo
    """
    import tempfile
    import time
    from dataclasses import replace
    from pathlib import Path

    from qrec.commands.diff import diff
    from qrec.options import BaselineFlags, RowFlags, WhereFlags, WindowFlags

    begun = time.monotonic()
    folder = Path(store.store or tempfile.mkdtemp(prefix="qrec-demo-"))
    say("two hours of a web shop, moved to now, are served on a free port and recorded over HTTP")
    written = _record_incident(folder)
    say(f"recorded {written:,} transactions to {folder}; now: qrec diff\n")
    flags = replace(store, store=str(folder))
    diff(window=WindowFlags(), baseline=BaselineFlags(), only=WhereFlags(), rows=RowFlags(),
         store=flags)  # fmt: skip
    emit(_NEXT.format(store=folder, seconds=time.monotonic() - begun))


_NEXT = """
That took {seconds:.0f} s. Ask further:
  qrec diff --explain 1 --store {store}
  qrec endpoints --sort errors --store {store}
  qrec hosts --store {store}
On a host with Qtap:
  qrec record --wait
  qrec diff
For an assistant:
  claude mcp add qrec -- qrec mcp --store {store}
"""


def _record_incident(folder: Any) -> int:
    from fixtures.files import bundled_stream
    from fixtures.standin import running
    from qrec.progress import RecordingLine
    from recorder.live import record
    from recorder.options import RecordOptions

    reporter = RecordingLine(quiet=True)
    try:
        with running([bundled_stream("checkout-incident")], patience=10.0) as standin:
            options = RecordOptions(store=folder, url=standin.url, recorder="demo", until_end=True)
            return record(options, reporter).written
    finally:
        reporter.line.clear()

"""Without Qtap: `qrec serve` stands in for it, with recorded streams served as its DevTools would;
`qrec demo` records an incident from that stand-in and asks what changed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from fixtures.files import bundled_stream, stream_path
from fixtures.standin.producer import Plan
from fixtures.standin.server import running
from fixtures.standin.server import serve as serve_streams
from qrec.commands.web import needs_web, run_site
from qrec.output import emit, say
from qrec.progress import RecordingLine
from qrec.questions import command
from qrec.run import Run, StoreFlags, flag, switch
from store.errors import UsageError


def serve(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Recorded streams (.sse, .sse.gz) or bundled ones."),
    ],
    port: Annotated[int, flag("N", "The port on 127.0.0.1; 0: a free one.")] = 10001,
    speed: Annotated[str, flag("FACTOR", "1: as it was; 10: faster; max.")] = "1",
    loop: Annotated[bool, switch("--loop", "Begin again after the end.")] = False,
    qtap: Annotated[
        str, flag("VERSION", "Speak as this Qtap: 0.13 (no filters) or 0.14.")
    ] = "0.14",
    keep_times: Annotated[
        bool, switch("--keep-times", "Leave times as recorded. Default: move to now.")
    ] = False,
    hold: Annotated[
        bool, switch("--hold", "Keep the stream open and quiet after its end.")
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

    def ready(chosen: int) -> None:
        say(f"serving on http://127.0.0.1:{chosen}; record it with: "
            f"qrec record http://127.0.0.1:{chosen}")  # fmt: skip

    stats = serve_streams(
        Plan(
            tuple(stream_path(name) for name in files), port=port, speed=_speed(speed), loop=loop,
            qtap=qtap, keep_times=keep_times, hold=hold,  # type: ignore[arg-type]  # checked there
        ),
        ready,
    )  # fmt: skip
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


def demo(
    web: Annotated[bool, switch("--web", "Then look at it in a browser, until Ctrl-C.")] = False,
    no_open: Annotated[bool, switch("--no-open", "With --web: open no browser.")] = False,
    *,
    store: StoreFlags,
) -> None:
    """See it work without Qtap: record an incident from a stand-in, and ask what changed.

    \b
    Examples:
      qrec demo
      qrec demo --web
      qrec demo --store ./demo
    """
    if web:
        needs_web()
    begun = time.monotonic()
    folder = Path(store.store or tempfile.mkdtemp(prefix="qrec-demo-")).expanduser().absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", "Name a new folder, or leave --store out.")
    say("two hours of a web shop, moved to now, are served on a free port and recorded over HTTP")
    written = _record_incident(folder)
    say(f"recorded {written:,} transactions to {folder}; now: qrec diff\n")
    diff = command("diff")
    assert diff is not None
    flags = replace(store, store=str(folder))
    diff(**vars(flags))
    emit(_NEXT.format(store=quote(str(folder)), seconds=time.monotonic() - begun))
    if web:
        run_site(Run(flags), "127.0.0.1", 0, not no_open)


_NEXT = """
That took {seconds:.0f} s. Ask further:
  qrec diff --explain 1 --store {store}
  qrec endpoints --sort errors --store {store}
  qrec hosts --store {store}
In a browser:
  qrec web --store {store}
On a host with Qtap:
  qrec record --wait
  qrec diff
For an assistant:
  claude mcp add qrec -- qrec mcp --store {store}
"""


def _record_incident(folder: Path) -> int:
    from recorder import options, record  # a second that `qrec serve` need not wait for

    reporter = RecordingLine(quiet=True)
    try:
        with running([bundled_stream("checkout-incident")], patience=10.0) as standin:
            asked = options.RecordOptions(
                store=folder, url=standin.url, recorder="demo", until_end=True
            )
            return record.record(asked, reporter).written
    finally:
        reporter.line.clear()

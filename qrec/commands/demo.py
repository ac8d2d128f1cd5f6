"""`qrec demo`: an incident of a web shop is recorded from a stand-in, and asked about."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from shlex import quote

from fixtures import bundled_stream
from fixtures.standin.server import running
from qrec.commands.web import needs_web, run_site
from qrec.output import emit, say
from qrec.questions import command
from qrec.recording import RecordingLine
from qrec.run import STORE, Run, switch, takes
from recorder.options import RecordOptions
from recorder.record import record
from store.errors import UsageError


@takes(
    switch("web", "Then look at it in a browser, until Ctrl-C."),
    switch("no_open", "With --web: open no browser."),
    *STORE,
)
def demo(run: Run, web: bool, no_open: bool) -> None:
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
    folder = (
        Path(run.values["store"] or tempfile.mkdtemp(prefix="qrec-demo-")).expanduser().absolute()
    )
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", "Name a new folder, or leave --store out.")
    say("two hours of a web shop, moved to now, are served on a free port and recorded over HTTP")
    written = _record_incident(folder)
    say(f"recorded {written:,} transactions to {folder}; now: qrec diff\n")
    diff = command("diff")
    assert diff is not None
    flags = {one.name: run.values[one.name] for one in STORE} | {"store": str(folder)}
    diff(**flags)
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
    reporter = RecordingLine(quiet=True)
    streams = [bundled_stream("checkout-incident")]
    with reporter.line, running(streams, patience=10.0) as standin:
        asked = RecordOptions(store=folder, url=standin.url, recorder="demo", until_end=True)
        return record(asked, reporter).written

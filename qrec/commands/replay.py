"""`qrec replay` and `qrec import`: recorded streams and HAR files into the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from fixtures import stream_path
from qrec.output import say
from qrec.recording import FileProgress, counted, rows, write_options
from qrec.run import RECORD, STORE, Run, switch, takes
from queries.core.format import clock, just_after, plural
from queries.core.notes import received
from queries.core.question import REQUIRED, Argument
from queries.core.window import parse_moment
from recorder.replay import Replayed, import_har
from recorder.replay import replay as replay_files
from store.hours import to_us

_BAD_LINES = 5  # unreadable entries that are told one by one


@takes(
    Argument("files", "Recorded streams (.sse, .sse.gz) or bundled ones.", "FILE...",
             default=REQUIRED, kind=list),
    Argument("shift_to", "Move the recording so that it ends then.", "TIME"),
    switch("connections", "Keep connections too, where the file has them."),
    switch("again", "Add a file once more that was replayed before."),
    *RECORD, *STORE,
)  # fmt: skip
def replay(
    run: Run, files: list[str], shift_to: str | None, connections: bool, again: bool
) -> None:
    """Put recorded streams into the store, through the same decoding and redaction as live ones.

    A stream is what `curl -sN http://localhost:10001/devtools/api/events` prints.

    \b
    Examples:
      qrec replay capture.sse
      qrec replay checkout-incident --shift-to now --store ./try
      qrec diff --store ./try
    """
    paths = [stream_path(name) for name in files]
    read_in(run, partial(replay_files, paths), "replayed", shift_to, again, connections=connections)


@takes(
    Argument("files", "HAR files (.har, .gz).", "FILE...", default=REQUIRED, kind=list),
    Argument("shift_to", "Move the exchanges to end then.", "TIME"),
    switch("again", "Read a file once more that was imported before."),
    *RECORD, *STORE,
)  # fmt: skip
def import_(run: Run, files: list[str], shift_to: str | None, again: bool) -> None:
    """Put HAR files of browsers and proxies into the store, redacted as live traffic is.

    \b
    Examples:
      qrec import session.har
      qrec import session.har --shift-to now --store ./try
      qrec endpoints --store ./try
    """
    bad: list[str] = []
    paths = [Path(name).expanduser() for name in files]
    read_in(run, partial(import_har, paths, on_bad=bad.append), "imported", shift_to, again)
    for line in bad[:_BAD_LINES]:
        say(f"note: {line}")
    if len(bad) > _BAD_LINES:
        say(f"note: {len(bad) - _BAD_LINES} more entries could not be read")


def read_in(
    run: Run, read: Callable[..., Sequence[Replayed]], verb: str, shift_to: str | None,
    again: bool, **kept: Any,
) -> None:  # fmt: skip
    """Read files into the store, and say what became of each. kept: options of what is written."""
    shift = None if shift_to is None else to_us(parse_moment(shift_to, run.now, run.tz))
    options, progress = write_options(run, **kept), FileProgress()
    with progress.line:
        done = read(options, shift_to_us=shift, again=again, progress=progress)
    for file in done:
        progress.line.note(_outcome(file, verb))
    if shift is None:
        _recorded_when(run, progress.line.note)


def _outcome(file: Replayed, verb: str) -> str:
    """What became of a file, on one line."""
    if file.known:
        return f"{file.file.name}: {verb} before, nothing added (--again adds it once more)"
    parts = [plural(file.events, "event"), f"{rows(file.rows)} written"]
    others = {"filtered out": file.filtered, "rejected": file.rejected,
              "repeated": file.duplicates, "of other kinds": file.other}  # fmt: skip
    return f"{file.file.name}: {', '.join([*parts, *counted(others)])}"


def _recorded_when(run: Run, tell: Callable[[str], None]) -> None:
    """An old recording is not in "the last hour": say how to ask about it."""
    whole = received(run.store)
    if whole is not None and run.now - whole.to_ts > timedelta(minutes=5):
        ends = f"the recordings end at {clock(whole.to_ts, run.tz)}"
        tell(f"{ends}; to ask about them: qrec diff --now {just_after(whole.to_ts)}")

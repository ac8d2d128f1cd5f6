"""`qrec tail`: transactions as they are recorded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from qrec.output import emit, say, to_jsonl
from qrec.run import FORM, Run
from queries.core.escape import cut, visible, width
from queries.core.format import clock, millis, short_id, status_text
from queries.core.question import WHERE, Argument, Question, parsed
from queries.core.window import parse_duration
from queries.search import Line
from queries.tail import Follower, line_document
from store.derived import failed
from store.errors import UsageError

_LOOK_S = 0.5
_WHO = 16  # columns of who called
_URL = 30  # columns that an address keeps on a narrow terminal
ARGUMENTS = (WHERE, Argument("duration", "Stop after so long: 90s, 10m.", "DURATION"), *FORM)


def respond(run: Run, question: Question, values: Mapping[str, Any]) -> None:
    """Follow the recording until Ctrl-C, or as long as is said."""
    if run.format not in ("table", "jsonl"):
        raise UsageError(f"what has no end has no form as {run.format}", "Use --format jsonl.")
    where, duration = parsed(values["where"]), values["duration"]
    seconds = None if duration is None else parse_duration(duration).total_seconds()
    follower = Follower(run.store, where)
    for note in follower.notes:
        say(f"note: {note.text}")
    if not follower.recording():
        say("note: nobody is recording into this store now; waiting (`qrec record` starts one)")
    end = None if seconds is None else time.monotonic() + seconds
    with contextlib.closing(follower):
        while True:
            for line in follower.poll():
                _show(run, line)
            if end is not None and time.monotonic() >= end:
                return
            time.sleep(_LOOK_S)


def _show(run: Run, line: Line) -> None:
    if run.format == "jsonl":
        emit(to_jsonl([line_document(line)]))
        return
    status = f"{status_text(line.status, line.grpc_status):<4}"
    head = f"{clock(line.ts, run.tz, day=False)}  "
    who = cut(visible(line.container_name or line.process_exe or "-"), _WHO)
    end = f"  {millis(line.duration_ms):>7}  {who}{' ' * (_WHO - width(who))}  {short_id(line.id)}"
    what = visible(f"  {line.method or '-':<6} {line.url}")
    if run.width is not None:
        room = max(run.width - len(head) - len(status) - width(end), _URL)
        what = cut(what, room)
        what += " " * (room - width(what))
    color = "red" if failed(line.status, line.grpc_status) else None
    emit(f"{head}{run.paint(status, color)}{what}{end}\n")

"""Narration of long work on stderr: a line that is redrawn on a terminal, log lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qrec.output import narrate, say
from queries.core.escape import cut, visible
from queries.core.format import plural, size

if TYPE_CHECKING:
    from recorder.options import Status

_LOG_EVERY_S = 60.0
_REDRAW_EVERY_S = 0.1


class Line:
    """A line at the bottom of the terminal; notes go above it.

    Elsewhere there are only notes, with a time (`stamped`) where they may be days apart. It is
    taken away at the end of a `with`.
    """

    def __init__(self, stamped: bool = False) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty()
        self._stamped = stamped
        self._text = ""

    def show(self, text: str) -> None:
        if self.live:
            self._text = cut(visible(text), shutil.get_terminal_size().columns - 1)
            narrate(f"\r{self._text}\x1b[K")

    def note(self, text: str) -> None:
        if not self.live:
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ ") if self._stamped else ""
            say(f"{stamp}{visible(text)}")
            return
        narrate("\r\x1b[K")
        say(visible(text))
        self.show(self._text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        if self.live and self._text:
            narrate("\r\x1b[K")
            self._text = ""


class RecordingLine:
    """How a recording goes: `recording  41/s  12,345 written  lag 20 ms  0 gaps`."""

    def __init__(self, quiet: bool = False) -> None:
        self.line = Line(stamped=True)
        self._quiet = quiet
        self._logged = time.monotonic()

    def status(self, status: Status) -> None:
        text = _sentence(status)
        if self.line.live:
            self.line.show(text)
        elif time.monotonic() - self._logged >= _LOG_EVERY_S:
            self._logged = time.monotonic()
            self.line.note(text)

    def note(self, text: str) -> None:
        if not self._quiet:
            self.line.note(text)


def _sentence(status: Status) -> str:
    parts = [
        f"{status.state}  {status.per_s:,.0f}/s",
        f"{status.written:,} written",
        f"lag {status.lag_ms:,} ms",
        plural(status.gaps, "gap"),
    ]
    for count, what in (
        (status.filtered, "filtered out"),
        (status.rejected, "rejected"),
        (status.dropped, "dropped"),
        (status.bodies_shed, "bodies shed"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    return "  ".join(parts)


class FetchProgress:
    """How much of a bucket's files is here: `fetching 12.0 MiB of 200.0 MiB`."""

    def __init__(self) -> None:
        self.line = Line()

    def __call__(self, here: int, wanted: int) -> None:
        self.line.show(f"fetching {size(here)} of {size(wanted)}")
        if here >= wanted:
            self.line.clear()


class FileProgress:
    """How far a file has been read: `shop.sse.gz  45 %  of 3.4 MiB`."""

    def __init__(self) -> None:
        self.line = Line()
        self._drawn = 0.0

    def __call__(self, path: Path, at: int, whole: int) -> None:
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_EVERY_S:
            self._drawn = now
            part = at / whole if whole else 1.0
            bar = "█" * round(part * 20)
            self.line.show(f"{path.name}  {bar:<20} {part * 100:3.0f} % of {size(whole)}")

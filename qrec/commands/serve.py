"""`qrec serve`: a stand-in for Qtap, which serves recorded streams as its DevTools would."""

from __future__ import annotations

from typing import Any

from fixtures import stream_path
from fixtures.standin.hub import Plan
from fixtures.standin.server import serve as serve_streams
from qrec.output import say
from qrec.run import switch, takes
from queries.core.question import REQUIRED, Argument
from store.errors import UsageError


@takes(
    Argument("files", "Recorded streams (.sse, .sse.gz) or bundled ones.", "FILE...",
             default=REQUIRED, kind=list),
    Argument("port", "The port on 127.0.0.1; 0: a free one.", "N", default=10001, kind=int),
    Argument("speed", "1: as it was; 10: faster; max.", "FACTOR", default="1"),
    switch("loop", "Begin again after the end."),
    Argument("qtap", "Speak as this Qtap: 0.13 (no filters) or 0.14.", "VERSION", default="0.14"),
    switch("keep_times", "Leave times as recorded. Default: move to now."),
    switch("hold", "Keep the stream open and quiet after its end."),
)  # fmt: skip
def serve(
    files: list[str], port: int, speed: str, loop: bool, qtap: str, keep_times: bool, hold: bool
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

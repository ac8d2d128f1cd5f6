"""`qrec serve`: a stand-in for Qtap, which serves recorded streams as its DevTools would."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fixtures import stream_path
from fixtures.standin.producer import Plan
from fixtures.standin.server import serve as serve_streams
from qrec.output import say
from qrec.run import flag, switch
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

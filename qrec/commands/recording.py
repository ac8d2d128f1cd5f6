"""`qrec record` and `qrec replay`: what fills the store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrec.options import HouseFlags, RecordFlags, StoreFlags
from qrec.output import say
from qrec.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from recorder.options import RecordOptions
    from recorder.replay import Replayed


def record(
    url: Annotated[
        str | None,
        typer.Argument(help="Where Qtap's DevTools listen. Default: http://localhost:10001."),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            "--push",
            metavar="HOW",
            help="How much of the filter Qtap evaluates: safe (what surely works; the default), "
            "all, none. The whole filter is applied here in any case.",
        ),
    ] = None,
    connections: Annotated[
        bool, typer.Option("--connections", help="Record connections too; they are noisy.")
    ] = False,
    duration: Annotated[
        str | None,
        typer.Option("--duration", metavar="DURATION", help="Stop after so long: 90s, 1h."),
    ] = None,
    flush_interval: Annotated[
        str | None,
        typer.Option(
            "--flush-interval",
            metavar="DURATION",
            help="How long an event may wait before it is on disk. Default: 1s.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for Qtap where it does not answer yet.")
    ] = False,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when the source ends the stream.")
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="ADDRESS",
            help="Serve Prometheus metrics there: 9464 (on 127.0.0.1) or HOST:PORT.",
        ),
    ] = None,
    *,
    what: RecordFlags,
    house: HouseFlags,
    store: StoreFlags,
) -> None:
    """Record a Qtap stream into the store until stopped (Ctrl-C), through gaps and restarts.

    Secrets are redacted before anything touches the disk.

    \b
    Examples:
      qrec record
      qrec record http://10.0.0.7:10001 --wait
      qrec record --filter 'res.status >= 400 AND container.name == "shop"'
      qrec record --duration 1h --store ./incident
      qrec record --wait --keep 14d --max-size 20GB --metrics 9464
    """
    from qrec.format import plural, span
    from qrec.progress import RecordingLine
    from qrec.settings import keep, max_size
    from recorder.options import Unfailing
    from recorder.record import record as start

    run = Run(store, extra={**vars(what), **vars(house), "url": url, "push": push,
                            "metrics": metrics, "flush_interval": flush_interval})  # fmt: skip
    kept = keep(run.settings)
    options = write_options(
        run,
        keep=None if kept is None else kept.total_seconds(),
        max_size=max_size(run.settings),
        metrics=run.settings.text("metrics") or None,
        connections=connections,
        duration=None if duration is None else _seconds(duration),
        wait=wait,
        until_end=until_end,
    )
    line = RecordingLine()
    reporter = Unfailing(line)
    try:
        done = start(options, reporter)
    finally:
        with suppress(OSError):
            line.line.clear()
    gaps = f" with {plural(done.gaps, 'gap')}" if done.gaps else ""
    reporter.note(
        f"recorded {rows(done.rows)} in {span(done.seconds)}{gaps}; stopped {done.reason}"
    )


def replay(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Recorded streams (.sse, .sse.gz) or bundled ones."),
    ],
    shift_to: Annotated[
        str | None,
        typer.Option(
            "--shift-to",
            metavar="TIME",
            help="Move the recording so that it ends then.",
        ),
    ] = None,
    connections: Annotated[
        bool, typer.Option("--connections", help="Keep connections too, where the file has them.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Add a file once more that was replayed before.")
    ] = False,
    *,
    what: RecordFlags,
    store: StoreFlags,
) -> None:
    """Put recorded streams into the store, through the same decoding and redaction as live ones.

    A stream is what `curl -sN http://localhost:10001/devtools/api/events` prints.

    \b
    Examples:
      qrec replay capture.sse
      qrec replay checkout-incident --shift-to now --store ./try
      qrec diff --store ./try
    """
    from fixtures.files import stream_path
    from qrec.progress import FileProgress
    from recorder.replay import replay as start

    run = Run(store, extra=vars(what))
    shift = shifted(run, shift_to)
    paths = [stream_path(name) for name in files]
    progress = FileProgress()
    try:
        done = start(
            paths,
            write_options(run, connections=connections),
            shift_to_us=shift,
            again=again,
            progress=progress,
        )
    finally:
        progress.line.clear()
    for file in done:
        progress.line.note(told(file))
    if shift is None:
        recorded_when(run, progress.line.note)


def shifted(run: Run, text: str | None) -> int | None:
    """Where --shift-to has a recording end, in microseconds since the epoch."""
    if text is None:
        return None
    from queries.core.window import parse_moment
    from store.hours import to_us

    return to_us(parse_moment(text, run.now, run.tz))


def write_options(run: Run, **given: Any) -> RecordOptions:
    """The settings that decide what is written and how, for any way in."""
    from qrec.redaction import UNREDACTED, body_options, redact_config
    from recorder.options import RecordOptions

    settings = run.settings
    recorder = settings.get("recorder")
    redact = redact_config(settings, run.extra)
    if not redact.enabled:
        say(f"warning: {UNREDACTED}")
    return RecordOptions(
        store=settings.path("store"),
        url=settings.text("url"),
        recorder="" if recorder.origin == "default" else str(recorder.value),
        filter=settings.text("filter") or None,
        push=settings.text("push"),
        flush_interval=_seconds(settings.text("flush_interval")),
        routes=settings.texts("routes.templates"),
        redact=redact,
        **body_options(settings, run.extra),
        **given,
    )


def _seconds(text: str) -> float:
    from queries.core.window import parse_duration

    return parse_duration(text).total_seconds()


def rows(written: Mapping[str, int]) -> str:
    """`39 transactions, 5 connections and 6 database calls`: what there is of each."""
    from qrec.format import plural

    others = (("connections", "connection"), ("database", "database call"))
    parts = [plural(written.get("transactions", 0), "transaction")]
    parts += [plural(written[table], noun) for table, noun in others if written.get(table)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def told(file: Replayed, verb: str = "replayed") -> str:
    """What became of a file, on one line."""
    from qrec.format import plural

    if file.known:
        return f"{file.file.name}: {verb} before, nothing added (--again adds it once more)"
    parts = [plural(file.events, "event"), f"{rows(file.rows)} written"]
    for count, what in (
        (file.filtered, "filtered out"),
        (file.rejected, "rejected"),
        (file.duplicates, "repeated"),
        (file.other, "of other kinds"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    return f"{file.file.name}: {', '.join(parts)}"


def recorded_when(run: Run, tell: Callable[[str], None]) -> None:
    """An old recording is not in "the last hour": say how to ask about it."""
    from datetime import timedelta

    from qrec.format import clock, just_after
    from queries.core.notes import newest

    last = newest(run.store)
    if last is not None and run.now - last > timedelta(minutes=5):
        ends = f"the recordings end at {clock(last, run.tz)}"
        tell(f"{ends}; to ask about them: qrec diff --now {just_after(last)}")

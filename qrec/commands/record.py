"""`qrec record`: a live stream into the store."""

from __future__ import annotations

import contextlib

from qrec.commands.ship import shipping
from qrec.recording import RecordingLine, rows, seconds, write_options
from qrec.run import HOUSE, RECORD, STORE, Run, switch, takes
from queries.core.format import plural, span
from queries.core.question import Argument
from recorder.record import record as start_recording
from store.remote import Remote


@takes(
    Argument("url", "Where Qtap's DevTools listen. Default: http://localhost:10001.", "URL",
             alone=True),
    Argument("push", "How much of the filter Qtap evaluates: safe (what surely works; the default),"
             " all, none. The whole filter is applied here in any case.", "HOW"),
    switch("connections", "Record connections too; they are noisy."),
    Argument("duration", "Stop after so long: 90s, 1h.", "DURATION"),
    Argument("flush_interval", "How long events gather before they are on disk. Default: 1s.",
             "DURATION"),
    switch("wait", "Wait for Qtap where it does not answer yet."),
    switch("until_end", "Stop when the source ends the stream."),
    Argument("metrics", "Serve Prometheus metrics there: 9464 (on 127.0.0.1) or HOST:PORT.",
             "ADDRESS"),
    Argument("ship", "Copy what is recorded to a bucket meanwhile, as `qrec ship` does.", "URL"),
    *RECORD, *HOUSE, *STORE,
)  # fmt: skip
def record(
    run: Run, connections: bool, duration: str | None, wait: bool, until_end: bool, ship: str | None
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
      qrec record --wait --ship s3://acme-qrec/prod
    """
    kept = run.settings.keep
    options = write_options(
        run,
        keep=None if kept is None else kept.total_seconds(),
        max_size=run.settings.max_size,
        metrics=run.settings.text("metrics") or None,
        connections=connections,
        duration=None if duration is None else seconds(duration),
        wait=wait,
        until_end=until_end,
    )
    reporter = RecordingLine()
    beside = contextlib.nullcontext() if ship is None else shipping(ship, options.store)
    if ship is not None:
        Remote(ship)  # mistakes are told at once
    with reporter.line, beside:
        done = start_recording(options, reporter)
    gaps = f" with {plural(done.gaps, 'gap')}" if done.gaps else ""
    reporter.note(
        f"recorded {rows(done.rows)} in {span(done.seconds)}{gaps}; stopped {done.reason}"
    )

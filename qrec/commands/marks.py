"""`qrec mark` and `qrec marks`: moments with a name, to lay windows around; `qrec pin`, `qrec pins`
and `qrec unpin`: an incident's hours, which retention never deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from qrec.output import Answer, present, say
from qrec.questions import table
from qrec.run import RowFlags, Run, StoreFlags, WindowFlags, flag
from queries.core.answer import iso
from queries.core.format import clock, plural, size, stretch, zone_name
from queries.core.question import Column
from queries.core.window import Window, parse_moment
from recorder.write.retention import Hour, store_hours
from store.errors import UsageError
from store.marks import Pin, add_mark, add_pin, read_marks, read_pins, remove_pin


def mark(
    name: Annotated[str, typer.Argument(help="What happened: 'deploy 1234'.")],
    at: Annotated[str | None, flag("TIME", "When. Default: now.")] = None,
    *,
    store: StoreFlags,
) -> None:
    """Give a moment a name, to ask later what changed around it.

    \b
    Examples:
      qrec mark "deploy 1234"
      qrec mark "config rolled out" --at 14:20
      qrec diff --around "deploy 1234"
    """
    run = Run(store)
    moment = parse_moment(at, run.now, run.tz) if at is not None else run.now
    made = add_mark(run.store, name, moment)
    local = made.ts.astimezone(run.tz)
    say(f"marked {made.name!r} at {clock(local, run.tz)} {zone_name(local)}")


def marks(*, store: StoreFlags, rows: RowFlags) -> None:
    """List the marks of the store, the newest last.

    \b
    Examples:
      qrec marks
      qrec marks --json
    """
    run = Run(store, rows)
    found = read_marks(run.store)
    kept = found[-run.limit :]
    entries: list[dict[str, Any]] = [{"name": m.name, "ts": iso(m.ts)} for m in kept]
    document = {"version": 1, "marks": entries, "truncated": len(kept) < len(found)}
    shown = table((Column("when", "ts", "moment"), Column("mark", "name", give=1)), kept, run.tz)
    present(run, Answer(document, "marks", *shown, empty="no marks yet: qrec mark NAME"))


def pin(
    name: Annotated[str, typer.Argument(help="What happened: 'checkout incident'.")],
    *,
    window: WindowFlags,
    store: StoreFlags,
) -> None:
    """Keep an incident's hours: retention never deletes what is pinned.

    Around or since a mark, the stretch before it is kept as well, so that `qrec diff --around`
    still has something to compare with.

    \b
    Examples:
      qrec pin "checkout incident" --last 2h
      qrec pin "deploy 1234" --around "deploy 1234"
      qrec pin "night of the 12th" --from 2026-11-12T01:00 --to 2026-11-12T05:00
    """
    run = Run(store)
    kept = _kept(run, window)
    new = Pin(name.strip(), kept.from_ts, kept.to_ts)
    if any(old.name == new.name for old in read_pins(run.store)):
        raise UsageError(
            f"there is already a pin {new.name!r}",
            "Take another name, or `qrec unpin` that one first; `qrec pins` lists them.",
        )
    add_pin(run.store, new)
    held = _held(run, [new])[new.name]
    say(f"pinned {new.name!r}: {stretch(new.from_ts, new.to_ts, run.tz)}, "
        f"{plural(len(held), 'hour')}, {size(sum(hour.size for hour in held))}")  # fmt: skip
    if not held:
        say("note: nothing of those hours is recorded (yet)")


def _kept(run: Run, flags: WindowFlags) -> Window:
    if flags["around"] is None and flags["since"] is None:
        return run.window(flags)
    window, before = run.windows(flags)
    return Window(before.from_ts, window.to_ts)


def pins(*, rows: RowFlags, store: StoreFlags) -> None:
    """List the pins, and how much they hold.

    \b
    Examples:
      qrec pins
      qrec pins --json
    """
    run = Run(store, rows)
    found = read_pins(run.store)
    kept = found[-run.limit :]
    held = _held(run, kept)
    entries: list[dict[str, Any]] = [
        {"name": p.name, "from": iso(p.from_ts), "to": iso(p.to_ts),
         "hours": len(held[p.name]), "bytes": sum(hour.size for hour in held[p.name])}
        for p in kept
    ]  # fmt: skip
    document = {"version": 1, "pins": entries, "truncated": len(kept) < len(found)}
    columns = (
        Column("pin", "name", give=1), Column("from", "from_ts", "moment"),
        Column("to", "to_ts", "moment"), Column("hours", lambda p: len(held[p.name]), "count"),
        Column("size", lambda p: sum(hour.size for hour in held[p.name]), "bytes"),
    )  # fmt: skip
    empty = "no pins yet: qrec pin NAME --last 2h"
    present(run, Answer(document, "pins", *table(columns, kept, run.tz), empty=empty))


def _held(run: Run, found: Sequence[Pin]) -> dict[str, list[Hour]]:
    """The recorded hours that each pin holds."""
    hours = store_hours(run.store)
    return {one.name: [hour for hour in hours if one.holds(hour.hour)] for one in found}


def unpin(
    name: Annotated[str, typer.Argument(help="The pin's name, as `qrec pins` has it.")],
    *,
    store: StoreFlags,
) -> None:
    """Take a pin away: retention may delete its hours again.

    \b
    Examples:
      qrec unpin "checkout incident"
    """
    run = Run(store)
    gone = remove_pin(run.store, name.strip())
    say(f"unpinned {gone.name!r}: {stretch(gone.from_ts, gone.to_ts, run.tz)}")

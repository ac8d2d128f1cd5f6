"""`qrec pin`, `qrec pins`, `qrec unpin`: an incident's hours, which retention never deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from qrec.output import Answer, present, say
from qrec.questions import table
from qrec.run import RowFlags, Run, StoreFlags, WindowFlags
from queries.core.answer import iso
from queries.core.format import plural, size, stretch
from queries.core.question import Column
from queries.core.window import Window
from recorder.write.retention import Hour, store_hours
from store.errors import UsageError
from store.marks import Pin, add_pin, read_pins, remove_pin


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

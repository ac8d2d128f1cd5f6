"""`qrec mark` and `qrec marks`: moments with a name, to lay windows around; `qrec pin`, `qrec pins`
and `qrec unpin`: an incident's hours, which retention never deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qrec.output import say
from qrec.questions import Answer, present, table
from qrec.run import ROWS, STORE, Run, takes
from queries.core.answer import iso
from queries.core.format import clock, plural, size, stretch, zone_name
from queries.core.question import REQUIRED, WINDOW, Argument, Column
from queries.core.window import Window, parse_moment
from recorder.write.retention import Hour, store_hours
from store.errors import UsageError
from store.marks import Pin, add_mark, add_pin, read_marks, read_pins, remove_pin


@takes(
    Argument("name", "What happened: 'deploy 1234'.", "NAME", default=REQUIRED),
    Argument("at", "When. Default: now.", "TIME"),
    *STORE,
)
def mark(run: Run, name: str, at: str | None) -> None:
    """Give a moment a name, to ask later what changed around it.

    \b
    Examples:
      qrec mark "deploy 1234"
      qrec mark "config rolled out" --at 14:20
      qrec diff --around "deploy 1234"
    """
    moment = parse_moment(at, run.now, run.tz) if at is not None else run.now
    made = add_mark(run.store, name, moment)
    local = made.ts.astimezone(run.tz)
    say(f"marked {made.name!r} at {clock(local, run.tz)} {zone_name(local)}")


@takes(*ROWS, *STORE)
def marks(run: Run) -> None:
    """List the marks of the store, the newest last.

    \b
    Examples:
      qrec marks
      qrec marks --json
    """
    found = read_marks(run.store)
    kept = found[-run.limit :]
    entries: list[dict[str, Any]] = [{"name": m.name, "ts": iso(m.ts)} for m in kept]
    document = {"version": 1, "marks": entries, "truncated": len(kept) < len(found)}
    shown = table((Column("when", "ts", "moment"), Column("mark", "name", give=1)), kept, run.tz)
    present(run, Answer(document, "marks", *shown, empty="no marks yet: qrec mark NAME"))


@takes(
    Argument("name", "What happened: 'checkout incident'.", "NAME", default=REQUIRED),
    *WINDOW, *STORE,
)  # fmt: skip
def pin(run: Run, name: str) -> None:
    """Keep an incident's hours: retention never deletes what is pinned.

    Around or since a mark, the stretch before it is kept as well, so that `qrec diff --around`
    still has something to compare with.

    \b
    Examples:
      qrec pin "checkout incident" --last 2h
      qrec pin "deploy 1234" --around "deploy 1234"
      qrec pin "night of the 12th" --from 2026-11-12T01:00 --to 2026-11-12T05:00
    """
    kept = _kept(run)
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


def _kept(run: Run) -> Window:
    if run.values["around"] is None and run.values["since"] is None:
        return run.window(run.values)
    window, before = run.windows(run.values)
    return Window(before.from_ts, window.to_ts)


@takes(*ROWS, *STORE)
def pins(run: Run) -> None:
    """List the pins, and how much they hold.

    \b
    Examples:
      qrec pins
      qrec pins --json
    """
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


@takes(
    Argument("name", "The pin's name, as `qrec pins` has it.", "NAME", default=REQUIRED), *STORE,
)  # fmt: skip
def unpin(run: Run, name: str) -> None:
    """Take a pin away: retention may delete its hours again.

    \b
    Examples:
      qrec unpin "checkout incident"
    """
    gone = remove_pin(run.store, name.strip())
    say(f"unpinned {gone.name!r}: {stretch(gone.from_ts, gone.to_ts, run.tz)}")

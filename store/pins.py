"""Stretches that retention never deletes: an incident's hours, by name. Append-only, as marks."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from store.errors import UsageError, did_you_mean, unwritable
from store.files import append_line
from store.hours import hour_end, hour_start
from store.layout import Store


@dataclass(frozen=True)
class Pin:
    """Every hour that touches [from_ts, to_ts) stays; both aware UTC."""

    name: str
    from_ts: dt.datetime
    to_ts: dt.datetime

    def holds(self, hour: str) -> bool:
        return hour_start(hour) < self.to_ts and self.from_ts < hour_end(hour)


def add_pin(store: Store, pin: Pin) -> None:
    """Write a pin down; one of the same name is replaced."""
    if not pin.name.strip() or len(pin.name) > 200 or not pin.name.isprintable():
        raise UsageError(
            "a pin needs a name of 1 to 200 printable characters",
            'For instance: qrec pin "checkout incident" --last 2h',
        )
    times = {"from": pin.from_ts.isoformat(), "to": pin.to_ts.isoformat()}
    _append(store, {"name": pin.name, **times})


def remove_pin(store: Store, name: str) -> Pin:
    """Take a pin away. UsageError with the nearest name when there is none."""
    pins = {pin.name: pin for pin in read_pins(store)}
    if name not in pins:
        raise UsageError(
            f"there is no pin {name!r} in this store",
            did_you_mean(name, pins) or "`qrec pins` lists them.",
        )
    _append(store, {"name": name, "removed": True})
    return pins[name]


def read_pins(store: Store) -> list[Pin]:
    """All pins that stand, by their beginning. A line that is not whole is passed over."""
    try:
        lines = store.pins.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    pins: dict[str, Pin] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            name = str(entry["name"])
            if entry.get("removed"):
                pins.pop(name, None)
                continue
            begin, end = (dt.datetime.fromisoformat(entry[key]) for key in ("from", "to"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        pins[name] = Pin(name, begin.astimezone(dt.UTC), end.astimezone(dt.UTC))
    return sorted(pins.values(), key=lambda pin: pin.from_ts)


def _append(store: Store, entry: dict[str, object]) -> None:
    try:
        append_line(store.pins, json.dumps(entry))
    except OSError as error:
        raise unwritable(store.path, error) from None

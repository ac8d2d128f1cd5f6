"""What is noted of a store beside its recordings.

Named moments ("deploy 1234") that windows can be laid around, and pins: stretches, such as an
incident's, that retention never deletes; both append-only, one JSON document a line. And whether
anything was recorded without redaction, for ever: that mark stands in the manifest, since what a
file says of itself is lost when rows of several runs are sealed into one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

from store.errors import UnavailableError, UsageError, did_you_mean
from store.files import read_entries, write_text
from store.hours import hour_end, hour_start
from store.layout import Store
from store.values import dataclass


@dataclass(frozen=True)
class Mark:
    """A moment with a name; `ts` is aware UTC."""

    name: str
    ts: dt.datetime


@dataclass(frozen=True)
class Pin:
    """Every hour that touches [from_ts, to_ts) stays; both aware UTC."""

    name: str
    from_ts: dt.datetime
    to_ts: dt.datetime

    def holds(self, hour: str) -> bool:
        return hour_start(hour) < self.to_ts and self.from_ts < hour_end(hour)


def add_mark(store: Store, name: str, ts: dt.datetime) -> Mark:
    """Write a mark down. A name may come again: the latest one is meant."""
    mark = Mark(name.strip(), ts.astimezone(dt.UTC))
    _check_name("mark", mark.name, 'qrec mark "deploy 1234"')
    store.append(store.marks, {"name": mark.name, "ts": mark.ts.isoformat()})
    return mark


def read_marks(store: Store) -> list[Mark]:
    """All marks, oldest first. A line that is not whole (a crash) is passed over."""
    marks = []
    for entry in read_entries(store.marks):
        try:
            marks.append(Mark(str(entry["name"]), _moment(entry["ts"])))
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(marks, key=lambda mark: mark.ts)


def add_pin(store: Store, pin: Pin) -> None:
    """Write a pin down; one of the same name is replaced."""
    _check_name("pin", pin.name, 'qrec pin "checkout incident" --last 2h')
    times = {"from": pin.from_ts.isoformat(), "to": pin.to_ts.isoformat()}
    store.append(store.pins, {"name": pin.name, **times})


def remove_pin(store: Store, name: str) -> Pin:
    """Take a pin away. UsageError with the nearest name when there is none."""
    pins = {pin.name: pin for pin in read_pins(store)}
    if name not in pins:
        raise UsageError(
            f"there is no pin {name!r} in this store",
            did_you_mean(name, pins) or "`qrec pins` lists them.",
        )
    store.append(store.pins, {"name": name, "removed": True})
    return pins[name]


def read_pins(store: Store) -> list[Pin]:
    """All pins that stand, by their beginning. A line that is not whole is passed over."""
    pins: dict[str, Pin] = {}
    for entry in read_entries(store.pins):
        try:
            name = str(entry["name"])
            if entry.get("removed"):
                pins.pop(name, None)
            else:
                pins[name] = Pin(name, _moment(entry["from"]), _moment(entry["to"]))
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(pins.values(), key=lambda pin: pin.from_ts)


def _check_name(what: str, name: str, example: str) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UsageError(
            f"a {what} needs a name of 1 to 200 printable characters", f"For instance: {example}"
        )


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


_KEY = "unredacted"


@dataclass(frozen=True)
class Unredacted:
    """The first time that it happened, and under which recorder's name; `since` is aware UTC."""

    since: dt.datetime
    recorder: str


def mend(store: Store, policy: str, recorder: str) -> None:
    """Make the manifest anew where somebody deleted it, or the whole store, under a recorder.

    policy: of redaction; `off` is marked again. OSError when the disk refuses.
    """
    if not store.manifest.exists():
        store.begin()
        if policy == "off":
            with contextlib.suppress(UnavailableError):
                mark_unredacted(store, recorder)


def mark_unredacted(store: Store, recorder: str) -> None:
    """Mark the store, before the first row is written. UnavailableError when it cannot be."""
    try:
        manifest = _manifest(store)
        if _KEY in manifest:
            return
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        manifest[_KEY] = {"since": now, "recorder": recorder}
        write_text(store.manifest, json.dumps(manifest) + "\n")
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"cannot mark {store.manifest} as unredacted: {error}",
            "Nothing was recorded. Mend the store (`qrec doctor`), or record with redaction.",
        ) from None


def unredacted(store: Store) -> Unredacted | None:
    """The mark of a store; None where everything in it was redacted."""
    try:
        mark = _manifest(store).get(_KEY)
    except (OSError, ValueError):
        return None
    if not mark:
        return None
    try:
        since = dt.datetime.fromisoformat(mark["since"]).astimezone(dt.UTC)
        return Unredacted(since, str(mark["recorder"]))
    except (ValueError, KeyError, TypeError):  # marked by hand: a mark all the same
        return Unredacted(dt.datetime.fromtimestamp(0, dt.UTC), "unknown")


def _manifest(store: Store) -> dict[str, Any]:
    manifest = json.loads(store.manifest.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise ValueError("it is no manifest")
    return manifest

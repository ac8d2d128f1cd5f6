"""The mark of a store into which somebody recorded without redaction. It is never taken off.

It stands in store.json, since what a file says of itself is lost when rows of several runs are
sealed into one.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from store.errors import UnavailableError
from store.files import write_text
from store.layout import Store

_KEY = "unredacted"


@dataclass(frozen=True)
class Unredacted:
    """The first time that it happened, and under which recorder's name; `since` is aware UTC."""

    since: dt.datetime
    recorder: str


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

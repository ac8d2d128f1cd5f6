"""What a store knows of itself beside its recordings: whether anything in it was recorded without
redaction, for ever.

The mark stands in the manifest since what a file says of itself is lost when rows of several runs
are sealed into one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

from store import FORMAT_VERSION
from store.errors import UnavailableError
from store.files import make_folder, write_text
from store.layout import Store
from store.values import dataclass

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
        make_folder(store.path)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        write_text(store.manifest, json.dumps({"format": FORMAT_VERSION, "created": now}) + "\n")
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

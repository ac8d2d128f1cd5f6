"""The user's time zone: what `14:00` means, and how times are shown.

A fixed offset will not do, since `yesterday 14:00` on a day when the clocks changed needs the
zone's rules, and the standard library only offers the offset of now.
"""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from store.errors import UsageError

LOCALTIME = Path("/etc/localtime")


def named_zone(name: str) -> tzinfo:
    """The zone of an IANA name (`Europe/Berlin`) or `UTC`. UsageError for anything else."""
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a bad key, a folder of zones, no such zone
        raise UsageError(
            f"there is no time zone {name!r} on this machine",
            "Give an IANA name such as Europe/Berlin, or UTC (without the system's zone data, "
            "`pip install tzdata` brings it).",
        ) from None


def local_zone() -> tzinfo:
    """The system's zone: `TZ`, else /etc/localtime, else UTC. Never fails."""
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return named_zone(name)
        target = LOCALTIME.resolve()
        if "zoneinfo" in target.parts:
            at = target.parts.index("zoneinfo")
            return named_zone("/".join(target.parts[at + 1 :]))
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (UsageError, ValueError, OSError):
        return UTC


def zone(name: str | None) -> tzinfo:
    """The zone that a user asked for, or the system's where nobody did (None, "", "local")."""
    return local_zone() if name in (None, "", "local") else named_zone(str(name))

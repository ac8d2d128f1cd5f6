"""How much a store may hold, as people write it: `14d`, `20GB`; and as the settings say it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from store.errors import UsageError

if TYPE_CHECKING:
    from qrec.settings import Settings

T = TypeVar("T")
SIZE_HINT = "Write a size such as 500MB, 20GB (powers of 1000), 512MiB or 20GiB (of 1024)."
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)(i?)(b?)", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LARGEST = 1 << 60


def parse_size(text: str) -> int:
    """Bytes, more than zero. A number alone is refused: 20 bytes are seldom meant."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or not (match[2] or match[4]) or (match[3] and not match[2]):
        raise UsageError(f"{text[:60]!r} is not a size", SIZE_HINT)
    count = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]])
    if not 0 < count <= _LARGEST:
        raise UsageError(f"the size {text[:60]!r} is {'zero' if not count else 'too large'}",
                         SIZE_HINT)  # fmt: skip
    return count


def keep(settings: Settings) -> timedelta | None:
    """How long hours are kept; None: for ever. UsageError names who said what cannot be read."""
    from queries.core.moments import parse_duration

    value = settings.get("keep")
    return _read(parse_duration, str(value.value), value.origin) if value.value else None


def max_size(settings: Settings) -> int | None:
    """How many bytes the store may hold; None: as many as there are."""
    value = settings.get("max_size")
    return _read(parse_size, str(value.value), value.origin) if value.value else None


def _read(parse: Callable[[str], T], text: str, origin: str) -> T:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{origin}: {error.message}", error.hint) from None

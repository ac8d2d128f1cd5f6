"""Hours as keys: `2026-11-22T13`, UTC. Text that sorts by time and prunes partitions by range."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path

HOUR_US = 3_600_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC) - dt.timedelta(microseconds=1)
# The end of the year 9998. Beyond 9999 the Parquet readers of other tools give up, and its last
# hour has no end that a datetime can hold; no real transaction is there either.
MAX_US = 253_370_764_799_999_999


def to_us(moment: dt.datetime) -> int:
    """Microseconds since the epoch of an aware datetime, without a float's rounding."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def from_us(us: int) -> dt.datetime:
    """The aware UTC datetime of microseconds since the epoch."""
    return _EPOCH + dt.timedelta(microseconds=us)


@lru_cache(maxsize=4096)
def _key(hour_number: int) -> str:
    return from_us(hour_number * HOUR_US).isoformat()[:13]


def hour_key(us: int) -> str:
    """The partition key of a moment in microseconds since the epoch."""
    return _key(us // HOUR_US)


@lru_cache(maxsize=4096)
def hour_start(key: str) -> dt.datetime:
    """The first moment of an hour; ValueError when `key` is not one."""
    start = dt.datetime.fromisoformat(key).replace(tzinfo=dt.UTC)
    if hour_key(to_us(start)) != key:  # ISO writes an hour in other ways as well
        raise ValueError(f"{key!r} is not an hour")
    return start


def hour_end(key: str) -> dt.datetime:
    """The first moment after an hour (of the last one of the year 9999: its own last)."""
    last = hour_start(key).replace(minute=59, second=59, microsecond=999_999)
    return min(last, _LATEST) + dt.timedelta(microseconds=1)


def is_hour(key: str) -> bool:
    """Whether a folder's name is an hour."""
    try:
        hour_start(key)
    except ValueError:
        return False
    return True


def hour_of(path: Path) -> dt.datetime | None:
    """The hour of a file of rows or of coverage, by the name of its folder."""
    try:
        return hour_start(path.parts[-2].removeprefix("hour="))
    except ValueError:
        return None

"""Whose time it is: the source's own clock, carried on by a monotonic one between events.

Coverage is told in the source's time. So a wall clock that steps, here or there, neither tears a
hole into coverage nor papers over one, and a recording that is replayed covers the hours of which
it tells, not the seconds it took.
"""

from __future__ import annotations

# An event this far from where the clock should be is a lone oddity, until several agree.
_BACK_US = 60 * 1_000_000
_FORWARD_US = 600 * 1_000_000
_AGREE = 5


class SourceClock:
    """Microseconds since the epoch at the source. `mono` is this machine's monotonic clock, µs."""

    def __init__(self, ts: int, mono: int) -> None:
        self.ts = ts
        self._mono = mono
        self._odd = 0
        self._offset = mono - ts
        self.lag_us = 0

    def now(self, mono: int) -> int:
        return self.ts + max(0, mono - self._mono)

    def observe(self, ts: int, mono: int) -> bool:
        """Take an event's broadcast time. False when the clock stepped: a new stretch begins."""
        if ts < self.ts - _BACK_US or ts > self.now(mono) + _FORWARD_US:
            self._odd += 1
            if self._odd < _AGREE:
                return True
            self.__init__(ts, mono)  # type: ignore[misc]
            return False
        self._odd = 0
        if ts > self.ts:
            self.ts, self._mono = ts, mono
        self._offset = min(self._offset, mono - ts)
        self.lag_us = mono - ts - self._offset
        return True

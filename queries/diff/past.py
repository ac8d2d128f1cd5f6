"""The comparison moved back in time: which past pairs there are, and what each depends on.

Window and baseline are moved together, so that the window ends at an earlier whole hour, and are
compared as they would have been then: only what came before serves as their past. What a pair
gives therefore depends on the files of those hours and on nothing else, the moment of asking
included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from queries.core.session import hours_of
from queries.core.window import Baseline, Window
from queries.diff.comparison import REACH, earlier
from queries.diff.limits import REPLICATES
from store.version import __version__

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A past window and its baseline, at whole minutes."""

    window: Window
    baseline: Baseline

    @cached_property
    def hours(self) -> list[str]:
        """All hours that its comparison looks at."""
        before = earlier(self.window, self.baseline)
        return hours_of([self.window, *self.baseline.spans, *before])


class Past:
    """The past pairs of one question, newest first, over what the store holds now."""

    def __init__(
        self, store: Store, window: Window, baseline: Baseline, where: Expr | None
    ) -> None:
        self.store = store
        self.window, self.baseline, self.where = window, baseline, where
        self._listed = frozenset(store.hours("coverage"))
        self._stamps: dict[str, str] = {}
        self.sharp = self._replicates(window, baseline) >= REPLICATES

    @cached_property
    def pairs(self) -> list[Pair]:
        """Those of the last seven days: apart from what is asked about, recorded on both sides.

        With as much of a past as decides about the thresholds: a quiet night under the coarse
        thresholds of a store without one says nothing about a night under the fine ones.
        """
        return [pair for pair in self._moved() if self._comparable(pair)]

    def key(self, pair: Pair) -> str:
        """A digest of all that the pair's number of findings depends on."""
        about = [
            __version__,
            pair.window,
            pair.baseline.spans,
            self.where and self.where.text,
            [self._stamp(hour) for hour in pair.hours],
        ]
        return hashlib.sha256(repr(about).encode()).hexdigest()[:24]

    def _moved(self) -> Iterator[Pair]:
        step = -(-self.window.length // _HOUR) * _HOUR
        end = self.window.to_ts.replace(minute=0, second=0, microsecond=0)
        while end > self.window.to_ts - REACH:
            by = self.window.to_ts - end
            spans = tuple(_moved(span, by) for span in self.baseline.spans)
            yield Pair(_moved(self.window, by), Baseline(self.baseline.kind, spans))
            end -= step

    def _comparable(self, pair: Pair) -> bool:
        sides = [pair.window, *pair.baseline.spans]
        asked = [self.window, *self.baseline.spans]
        if any(one.overlaps(other) for one in sides for other in asked):
            return False
        if not self._recorded(sides):
            return False
        return (self._replicates(pair.window, pair.baseline) >= REPLICATES) == self.sharp

    def _replicates(self, window: Window, baseline: Baseline) -> int:
        return sum(self._recorded([span]) for span in earlier(window, baseline))

    def _recorded(self, spans: Sequence[Window]) -> bool:
        return self._listed.issuperset(hours_of(spans))

    def _stamp(self, hour: str) -> str:
        """What the store holds of an hour: its files never change, only its coverage may."""
        if hour not in self._stamps:
            found = hashlib.sha256()
            for recorder, path in self.store.visible("transactions", hour):
                found.update(repr((recorder, path.name, _size(path))).encode())
            folder = self.store.sealed_hour("coverage", hour)
            for path in sorted(folder.glob("*.parquet")):
                found.update(path.name.encode() + _bytes(path))
            self._stamps[hour] = found.hexdigest()
        return self._stamps[hour]

    def weight(self, pair: Pair) -> int:
        """Bytes of the files that its comparison reads."""
        total = 0
        for hour in pair.hours:
            for _, path in self.store.visible("transactions", hour):
                rollup = self.store.sealed_hour("rollups", hour) / path.name
                total += (0 if self.where else _size(rollup)) or _size(path)
        return total


def _moved(span: Window, by: timedelta) -> Window:
    return Window(_minute(span.from_ts - by), _minute(span.to_ts - by))


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

"""The time axis of one comparison: its spans cut into slots and blocks, and its past.

The window comes first, then the baseline's spans. A span is cut at the second; its slots lie on a
grid of the clock, so that those of a minute or more are whole in rollups but for the first and the
last. Some slots in a row make a block, twelve a span at most: blocks tell how much a quiet stretch
varies. The past is told by the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.answer import Note
from queries.core.window import Window
from store.hours import HOUR_US, from_us, hour_start, to_us
from store.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from queries.diff.stats import Floats, Ints

BLOCKS = 12
SHORT_S = 15 * 60  # spans shorter than that are counted by seconds, from rows
_SECONDS = (1, 2, 5, 10, 15)  # what a slot of a short span lasts: 72 of them, at most
_MINUTES = (60, 120, 300, 900, 3600)  # and of a longer one: 300
_SECOND = 1_000_000
_HOUR = timedelta(hours=1)
LEAST_STRETCH = 120 * _SECOND  # of the past: less tells nothing
_NEAR, _DAYS = 24, 6  # past hours before the window, and further days of which the same hours tell


@dataclass(frozen=True)
class Slots:
    """The slots of one span. first: the number of its first one among all slots of the axis."""

    span: Window
    first: int

    @cached_property
    def step(self) -> int:
        """Seconds of a slot."""
        length = self.span.length.total_seconds()
        if length < SHORT_S:
            return next(s for s in _SECONDS if length <= 72 * s)
        return next((s for s in _MINUTES if length <= 300 * s), _MINUTES[-1])

    @cached_property
    def grid(self) -> int:
        """The first slot's place on the clock's grid, counted from the epoch."""
        return to_us(self.span.from_ts) // (self.step * _SECOND)

    @cached_property
    def size(self) -> int:
        return -(-to_us(self.span.to_ts) // (self.step * _SECOND)) - self.grid

    @cached_property
    def edges(self) -> Ints:
        """[size + 1]: where the slots begin and end, in microseconds since the epoch."""
        inner = (self.grid + np.arange(self.size + 1, dtype=np.int64)) * (self.step * _SECOND)
        return inner.clip(to_us(self.span.from_ts), to_us(self.span.to_ts))

    @cached_property
    def block(self) -> Ints:
        """[size]: the block of each slot, from 0."""
        blocks = min(BLOCKS, self.size)
        return np.arange(self.size) * blocks // self.size


@dataclass(frozen=True)
class Axis:
    """spans: the window and the baseline's; past: stretches of an hour or a part of one, each
    (from, to) in microseconds since the epoch, at whole minutes."""

    spans: tuple[Window, ...]
    past: tuple[tuple[int, int], ...]

    @cached_property
    def slots(self) -> list[Slots]:
        cut: list[Slots] = []
        for span in self.spans:
            cut.append(Slots(span, cut[-1].first + cut[-1].size if cut else 0))
        return cut

    @property
    def size(self) -> int:
        """Slots of all spans; the stretches of the past are numbered after them."""
        return self.slots[-1].first + self.slots[-1].size

    @property
    def adjacent(self) -> bool:
        """Whether the baseline is the stretch just before the window."""
        return len(self.spans) == 2 and self.spans[1].to_ts == self.spans[0].from_ts

    @cached_property
    def starts(self) -> Ints:
        """[spans + 1]: the number of each span's first block."""
        return np.cumsum([0, *(int(s.block[-1]) + 1 for s in self.slots)])

    @cached_property
    def block(self) -> Ints:
        """[slots]: the block of each, those of the window first."""
        parts = zip(self.slots, self.starts[:-1], strict=True)
        return np.concatenate([start + s.block for s, start in parts])

    @cached_property
    def edges(self) -> Any:
        """[slots + past, 2]: from and to of each, in microseconds since the epoch."""
        spans = [np.stack([s.edges[:-1], s.edges[1:]], axis=1) for s in self.slots]
        return np.concatenate([*spans, np.array(self.past, dtype=np.int64).reshape(-1, 2)])

    @property
    def stretches(self) -> list[Window]:
        """All that is counted: the spans, and the past."""
        return [*self.spans, *(Window(from_us(begin), from_us(end)) for begin, end in self.past)]

    def whole(self, hour: int) -> int | None:
        """The number of the past stretch that is this whole hour."""
        hours = (hour * HOUR_US, (hour + 1) * HOUR_US)
        return self.size + self.past.index(hours) if hours in self.past else None

    def _stretches(self, hour: int) -> list[tuple[int, int, int, int]]:
        """What the hour has of spans and past: (from, to, number of slot 0 of the grid, step)."""
        begin, end = hour * HOUR_US, (hour + 1) * HOUR_US
        spans = [(*s.edges[[0, -1]].tolist(), s.first - s.grid, s.step) for s in self.slots]
        past = [(*p, self.size + i, 0) for i, p in enumerate(self.past)]
        return [s for s in [*spans, *past] if s[0] < end and s[1] > begin]

    def rows(self, hour: int, cut: bool = False) -> tuple[str, str] | None:
        """(the slot of a row of that hour, as DuckDB says it; a condition that all rows with one
        pass alone, and whole row groups fail); None for no row at all.

        cut: only of rows that a rollup cannot tell: of spans in slots of seconds, and of minutes
        that the edge of another one cuts in two.
        """
        cases, spans = [], []
        for begin, end, zero, step in self._stretches(hour):
            slot = f"{zero} + epoch_us(ts) // {step * _SECOND}" if step else str(zero)
            whole = not cut or 0 < step < 60
            for low, high in [(begin, end)] if whole else _cut_minutes(begin, end, hour):
                cases.append(f"WHEN ts >= {_moment(low)} AND ts < {_moment(high)} THEN {slot}")
                spans.append(Window(from_us(low), from_us(high)))
        return (f"CASE {' '.join(cases)} END", inside(spans)) if cases else None

    def minutes(self, hour: int) -> list[Ints]:
        """[60] for each span or part of the past in the hour: the slot of each whole minute, and
        -1 for those outside or cut in two. Spans in slots of seconds are not here."""
        begins = (hour * 60 + np.arange(60, dtype=np.int64)) * (60 * _SECOND)
        tables = []
        for begin, end, zero, step in self._stretches(hour):
            if 0 < step < 60:
                continue
            slot = zero + (begins // (step * _SECOND) if step else 0)
            inside = (begins >= begin) & (begins + 60 * _SECOND <= end)
            tables.append(np.where(inside, slot, -1))
        return tables


@dataclass(frozen=True)
class Members:
    """names: (population, recorder) of each. expected, seeing [members, slots and past]: seconds
    of which something is known, and of those in which it was receiving; together [populations,
    slots and past]: seconds in which any member of each was expected."""

    names: list[tuple[str, str]]
    expected: Floats
    seeing: Floats
    together: Floats

    def of(self, population: str) -> list[int]:
        return [i for i, (name, _) in enumerate(self.names) if name == population]

    def is_group(self, population: str) -> bool:
        return any(name == population != recorder for name, recorder in self.names)


@dataclass(frozen=True)
class Covered:
    """seconds [populations, slots and past]: what each population saw of them, where it counts.

    A population is a group of recorders (store/schema.py), or one without a group. One counts that
    saw a part of both sides; of a window of hours, those blocks of the day that it saw on both
    sides. seen: the same, whether it counts or not. gaps: one note for each stretch that was
    missed, of those known from either side.
    """

    recorders: list[str]
    seen: Floats
    seconds: Floats
    gaps: tuple[Note, ...]
    members: Members

    def best(self, axis: Axis, side: int, seconds: Floats | None = None) -> float:
        """Seconds of the window (0) or of the baseline (1) that the best covered recorder saw."""
        of = self.seen if seconds is None else seconds
        window = axis.slots[0].size
        part = of[:, :window] if side == 0 else of[:, window : axis.size]
        return float(part.sum(1).max(initial=0.0))


def rows_of(told: Mapping[Path, tuple[str, str, bool]], paths: Iterable[Path]) -> dict[str, str]:
    """What Axis.rows says of some files, as one; told: of each, and whether it is cut."""
    slots, within, _ = (dict.fromkeys(part) for part in zip(*(told[p] for p in paths), strict=True))
    return {"slot": f"coalesce({', '.join(slots)})", "within": f"({' OR '.join(within)})"}


def _cut_minutes(begin: int, end: int, hour: int) -> list[tuple[int, int]]:
    """The parts of a span that share their minute with what lies outside, within an hour."""
    minute = 60 * _SECOND
    parts = []
    if begin % minute:
        parts.append((begin, min(begin // minute * minute + minute, end)))
    if end % minute and (end // minute != begin // minute or not begin % minute):
        parts.append((end // minute * minute, end))
    return [part for part in parts if part[0] // HOUR_US == hour]


def inside(spans: Iterable[Window]) -> str:
    """A condition that rows of any of the spans pass."""
    joined: list[tuple[int, int]] = []  # what row groups are told apart by, and quick for rows
    for begin, end in sorted((to_us(one.from_ts), to_us(one.to_ts)) for one in spans):
        if joined and begin <= joined[-1][1]:
            first, last = joined.pop()
            begin, end = first, max(last, end)
        joined.append((begin, end))
    return " OR ".join(f"ts >= {_moment(begin)} AND ts < {_moment(end)}" for begin, end in joined)


def _moment(us: int) -> str:
    return f"'{from_us(int(us)).isoformat()}'::TIMESTAMPTZ"


def past_of(spans: Sequence[Window]) -> list[tuple[int, int]]:
    """Stretches before the window that tell what is usual, newest first; no span touches them.

    The 24 hours before it, and of the six days before those the same hour with its two
    neighbours; of a window of half a day or more every hour of the last week. Beside a window
    of less than an hour also what lies between an hour's begin and the first of the spans.
    """
    window = spans[0]
    now = to_us(window.from_ts) // HOUR_US
    steps = set(range(1, _NEAR + 1))
    if window.length >= timedelta(hours=12):
        steps = set(range(1, 24 * (_DAYS + 1) + 1))
    else:
        steps |= {24 * day + near for day in range(2, _DAYS + 1) for near in (-1, 0, 1)}
    past = []
    if window.length < _HOUR:
        minute = 60 * _SECOND
        first = min(to_us(s.from_ts) for s in spans if window.from_ts - s.to_ts < _HOUR)
        past.append((first // HOUR_US * HOUR_US, first // minute * minute))
    past += [((now - step) * HOUR_US, (now - step + 1) * HOUR_US) for step in sorted(steps)]
    taken = [(to_us(s.from_ts), to_us(s.to_ts)) for s in spans]
    return [
        (begin, end)
        for begin, end in past
        if end - begin >= LEAST_STRETCH and not any(a < end and b > begin for a, b in taken)
    ]


def hour_of(path: Path) -> int:
    """The number of the hour whose rows a file has."""
    return _hour_number(path.parts[-2])


@lru_cache(maxsize=1024)
def _hour_number(folder: str) -> int:
    return to_us(hour_start(folder.removeprefix("hour="))) // HOUR_US

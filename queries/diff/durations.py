"""Durations of units (side, endpoint, instance), as histograms of buckets 10 % wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT, Against
from queries.diff.frame import UNIT, Frame, Groups, Level, counting, recorders_of
from queries.diff.stats import Floats, Ints, Mask, add_up, distinct, ratio, rows
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.axis import Covered
    from queries.diff.counts import Cells, Counts

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
BASE = np.log(1.1)
_BITS, _PLACE = 63, 9  # of an entry, and those of side and bucket
_AT_ONCE = 500_000  # entries: as many as the caches of a processor have room for


@dataclass(frozen=True)
class Entries:
    """Requests by unit, side, bucket and slot, each entry one number, in the order of these.

    There are millions of them: numbers are sorted several times as fast as they are put in order
    by an index, and what is beyond a bucket of a unit stands in one piece. slots: the bits of a
    slot; counts: those of the requests, below them.
    """

    codes: Ints
    slots: int
    counts: int

    @classmethod
    def room(cls, units: int, slots: int) -> Entries:
        """None yet, with the bits that so many units and slots leave."""
        bits = slots.bit_length()
        return cls(np.zeros(0, np.int64), bits, _BITS - units.bit_length() - _PLACE - bits)

    def packed(self, unit: Any, side: Any, bucket: Any, slot: Any, requests: Any) -> Ints:
        codes: Ints = unit.astype(np.int64)
        for bits, values in ((1, side), (8, bucket), (self.slots, slot)):
            codes <<= bits
            codes |= values
        codes <<= self.counts
        most = (1 << self.counts) - 1
        if requests.max(initial=0) > most:  # more than fits: several entries
            times = requests // most
            rest, requests = np.repeat(codes, times) | most, requests % most
            return np.concatenate([codes | requests, rest])
        codes |= requests
        return codes

    def unit(self, codes: Ints) -> Ints:
        return codes >> (self.counts + self.slots + _PLACE)

    def side(self, codes: Ints) -> Ints:
        return (codes >> (self.counts + self.slots + 8)) & 1

    def slot(self, codes: Ints) -> Ints:
        return (codes >> self.counts) & ((1 << self.slots) - 1)

    def bucket(self, codes: Ints) -> Ints:
        return (codes >> (self.counts + self.slots)) & 255

    def requests(self, codes: Ints) -> Ints:
        return codes & ((1 << self.counts) - 1)

    def place(self, unit: Ints, side: int, bucket: Any) -> Ints:
        """Where the entries of a unit's side from that bucket on begin."""
        code = ((unit << 1 | side) << 8 | bucket) << (self.slots + self.counts)
        place: Ints = np.searchsorted(self.codes, code)
        return place


@dataclass(frozen=True)
class Histogram:
    """Requests by unit and bucket, of those buckets alone that a unit has: most have few.

    codes: 256 * unit + bucket, sorted; upto [codes + 1]: requests of all codes before; first
    [units + 1]: the place in them at which each unit begins.
    """

    codes: Ints
    upto: Floats
    first: Ints

    @classmethod
    def of(cls, units: int, code: Ints, count: Any) -> Histogram:
        """From codes and their requests, in any order and some of them several times."""
        if units << 8 <= 4 * code.size:  # quicker than to sort them
            sums = add_up(code, count, units << 8)
            code = np.flatnonzero(sums > 0)  # twice as fast as of the numbers themselves
            sums = sums[code]
        else:
            code, at = np.unique(code, return_inverse=True)
            sums = add_up(at, count, code.size)
        first = np.searchsorted(code, np.arange(units + 1) << 8)
        return cls(code, np.concatenate([[0.0], np.cumsum(sums)]), first)

    @classmethod
    def added(cls, units: int, parts: Sequence[Histogram]) -> Histogram:
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0, np.int64), np.zeros(0)
        columns = zip(none, *((part.codes, part.requests) for part in parts), strict=True)
        return cls.of(units, *map(np.concatenate, columns))

    @cached_property
    def requests(self) -> Floats:
        """[codes]"""
        return np.diff(self.upto)

    @cached_property
    def total(self) -> Floats:
        """[units]: requests."""
        return self.upto[self.first[1:]] - self.upto[self.first[:-1]]

    @cached_property
    def moments(self) -> Floats:
        """[3, units]: number, sum and squares of the buckets."""
        units, bucket, size = self.codes >> 8, self.codes & 255, self.total.size
        return np.stack([add_up(units, self.requests * bucket**power, size) for power in range(3)])

    def below(self, bucket: Ints) -> Floats:
        """[units]: requests of a bucket of each, and of all buckets below it."""
        end = np.searchsorted(self.codes, (np.arange(bucket.size) << 8) + bucket, "right")
        requests: Floats = self.upto[end] - self.upto[self.first[:-1]]
        return requests

    def reached(self, q: float) -> Ints:
        """[units]: the bucket with which a share of the requests is reached; 0 of none."""
        due = self.upto[self.first[:-1]] + np.ceil(q * self.total - 1e-9)
        at = np.searchsorted(self.upto, due) - 1
        return np.where(self.total > 0, np.append(self.codes, 0)[at] & 255, 0)

    def grouped(self, groups: Groups) -> Histogram:
        """Of groups of the units."""
        codes = (groups.group[self.codes >> 8] << 8) | (self.codes & 255)
        return Histogram.of(groups.size, codes, self.requests)

    def of_units(self, units: Ints) -> Floats:
        """[buckets] of some of the units together."""
        mine = _within(self.first[units], self.first[units + 1] - self.first[units])
        return add_up(self.codes[mine] & 255, self.requests[mine], BUCKETS)


@dataclass
class Durations:
    """entries: of the spans, of the time that counts.

    before: by Against, requests of the "baseline" and, as "usual", of the past hours that were
    read. course [3, units, stretches]: number, sum and squares of buckets of each of these.
    """

    frame: Frame
    level: Level
    entries: Entries
    before: dict[Against, Histogram]
    course: Floats
    levels: dict[tuple[str, ...], Groups] = field(default_factory=dict)

    def groups(self, dims: tuple[str, ...]) -> Groups:
        """The group of each unit at a level."""
        if dims not in self.levels:
            level = self.frame.level(dims)
            self.levels[dims] = Groups(level.group[self.level.first], level.size)
        return self.levels[dims]

    @property
    def endpoints(self) -> Groups:
        """The endpoint of each unit, on its side of the wire."""
        return self.groups(("side", *ENDPOINT))

    @cached_property
    def together(self) -> dict[Against, Histogram]:
        """The same as `before`, of the endpoints."""
        return {name: one.grouped(self.endpoints) for name, one in self.before.items()}

    def _blocks(self, codes: Ints, side: int, powers: int = 1) -> list[Floats]:
        """[units, blocks of a side]: the number of some of its requests, and the sums of their
        buckets to each power below `powers`; a part of them at a time, as they are in order."""
        axis, entries = self.frame.axis, self.entries
        begin = int(axis.starts[side])
        blocks = int(axis.starts[-1 if side else 1]) - begin
        sums = [np.zeros((blocks, self.level.size)) for _ in range(powers)]
        for at in range(0, codes.size, _AT_ONCE):
            part = codes[at : at + _AT_ONCE]
            part = part[entries.side(part) == side]
            if not part.size:
                continue
            unit = entries.unit(part)
            units = slice(int(unit[0]), int(unit[-1]) + 1)
            size = units.stop - units.start
            place = (axis.block[entries.slot(part)] - begin) * size + (unit - units.start)
            values = entries.requests(part)
            for total in sums:
                total[:, units] += add_up(place, values, blocks * size).reshape(blocks, size)
                values *= entries.bucket(part) if powers > 1 else 1
        return [total.T for total in sums]

    @cached_property
    def blocks(self) -> tuple[Floats, Floats]:
        """[units, blocks]: requests with a duration, of the window and of the baseline."""
        return self.powers[0], self._blocks(self.entries.codes, 1)[0]

    @cached_property
    def powers(self) -> list[Floats]:
        """[units, blocks of the window]: number, sum and squares of the buckets."""
        return self._blocks(self.entries.codes, 0, 3)

    @cached_property
    def now(self) -> Floats:
        """[3, units]: the same of the whole window."""
        return np.stack([one.sum(1) for one in self.powers])

    def beyond(self, cut: Ints, up: bool, side: int) -> Floats:
        """[units, blocks]: requests of one side above the unit's bucket `cut`, or below it."""
        units, place = np.arange(self.level.size), self.entries.place
        if up:
            begin, end = place(units, side, cut + 1), place(units, side, 255)
        else:
            begin, end = place(units, side, 0), place(units, side, np.maximum(cut, 0))
        return self._blocks(self.entries.codes[_within(begin, end - begin)], side)[0]

    def of(self, scope: Mask) -> Course:
        """The entries of units whose first key is in the scope."""
        units = np.flatnonzero(scope[self.level.first])
        begin, end = self.entries.place(units, 0, 0), self.entries.place(units + 1, 0, 0)
        codes = self.entries.codes[_within(begin, end - begin)]
        entries = self.entries
        return Course(entries.slot(codes), entries.bucket(codes), entries.requests(codes))

    def compared(self, scope: Mask, against: Against) -> Floats:
        """[buckets] of what a scope is compared with."""
        return self.before[against].of_units(np.flatnonzero(scope[self.level.first]))


@dataclass(frozen=True)
class Course:
    """slot, bucket, requests [entries]: how the durations of a scope went."""

    slot: Ints
    bucket: Ints
    requests: Ints

    def between(self, first: int, last: int) -> Floats:
        """[buckets] of the slots from first on to (before) last."""
        mine = (self.slot >= first) & (self.slot < last)
        return add_up(self.bucket[mine], self.requests[mine], BUCKETS)


def _within(begin: Ints, counts: Ints) -> Ints:
    """The places of several stretches, one behind the other."""
    upto = np.cumsum(counts)
    places: Ints = np.repeat(begin - upto + counts, counts)
    places += np.arange(places.size)
    return places


def durations_of(frame: Frame, counts: Counts, covered: Covered) -> Durations:
    """Raises BrokenRollup."""
    axis, level = frame.axis, frame.level(UNIT)
    known, size, window = recorders_of(counts, covered), level.size, axis.slots[0].size
    group = level.group.astype(np.int32)
    entries = Entries.room(size, axis.size)
    parts = [entries.codes]
    stretches: dict[int, list[Histogram]] = {}

    def add(cells: Cells) -> None:
        cells = cells.where(counting(known, covered.seconds, cells))
        unit, bucket = group[cells.key], np.minimum(cells.value, LAST_BUCKET)
        now, spans = cells.slot < window, rows(cells.slot < axis.size)
        columns = (unit, ~now, bucket, cells.slot, cells.requests)
        parts.append(entries.packed(*(column[spans] for column in columns)))
        stretch = np.where(now, -1, np.maximum(cells.slot, axis.size - 1))  # the baseline as one
        for one in distinct(stretch[~now]).tolist():
            mine = rows(stretch == one)
            codes = unit[mine].astype(np.int64) << 8 | bucket[mine]
            made = Histogram.of(size, codes, cells.requests[mine])
            stretches.setdefault(one, []).append(made)

    for cells in counts.spread():
        add(cells)
        del cells  # before the next file is read
    codes = np.concatenate(parts)
    parts.clear()
    codes.sort()
    baseline = stretches.pop(axis.size - 1, [])
    past = [stretches[one] for one in sorted(stretches)]
    course = [np.zeros((3, size)), *(sum(part.moments for part in parts) for parts in past)]
    before: dict[Against, Histogram] = {
        "baseline": Histogram.added(size, baseline), "usual": Histogram.added(size, [*chain(*past)])
    }  # fmt: skip
    entries = replace(entries, codes=codes)
    return Durations(frame, level, entries, before, np.stack(course, axis=2)[:, :, 1:])


def quantiles(histogram: Floats, q: float) -> Floats:
    """[..., buckets] -> [...]: the quantile in milliseconds, interpolated; NaN if empty."""
    cumulative = histogram.cumsum(-1)
    total = cumulative[..., -1:]
    target = q * total
    at = np.minimum((cumulative < target).sum(-1), BUCKETS - 1)
    before = np.take_along_axis(cumulative, np.maximum(at - 1, 0)[..., None], -1)[..., 0]
    below = np.where(at > 0, before, 0.0)
    inside = np.take_along_axis(histogram, at[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(inside > 0, (target[..., 0] - below) / inside, 0.5)
    value = MIDDLES[at] * 1.1 ** (np.clip(step, 0, 1) - 0.5)
    return np.where(total[..., 0] > 0, value, np.nan)


def means(histogram: Floats) -> Floats:
    """[..., buckets] -> [...]: the mean in milliseconds; 0 if empty."""
    total = histogram.sum(-1)
    return ratio((histogram * MIDDLES).sum(-1), total)

"""Durations of units (side, endpoint, instance), as histograms of buckets 10 % wide."""

from __future__ import annotations

from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT
from queries.diff.frame import UNIT, Frame, Groups, Level, counting, recorders_of
from queries.diff.stats import Floats, Ints, Mask, add_up, distinct, ratio
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

    def histogram(self, units: int, side: int) -> Floats:
        """[units, buckets] of one side."""
        histogram = np.zeros((units, BUCKETS))
        for at in range(0, self.codes.size, _AT_ONCE):
            codes = self.codes[at : at + _AT_ONCE]
            codes = codes[self.side(codes) == side]
            place = codes >> (self.slots + self.counts)
            starts = np.flatnonzero(np.diff(place, prepend=-1))
            if starts.size:
                sums = np.add.reduceat(self.requests(codes), starts)
                histogram[place[starts] >> _PLACE, place[starts] & 255] += sums
        return histogram


@dataclass
class Durations:
    """entries: of the spans, of the time that counts.

    Of the "window", the "baseline" and of the past hours that were read, as "usual": moments
    [3, units]: number, sum and squares of buckets, and of the latter two upto [units, buckets]:
    requests of a bucket and of all below it. course [3, units, stretches]: the moments of each
    stretch of the past.
    """

    frame: Frame
    level: Level
    entries: Entries
    moments: dict[str, Floats]
    upto: dict[str, Floats]
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
    def upto_together(self) -> dict[str, Floats]:
        """The same as `upto`, of the endpoints."""
        return {name: self.endpoints.sums(upto) for name, upto in self.upto.items()}

    def _blocks(self, codes: Ints, powers: int = 1, window: bool = False) -> list[Floats]:
        """[units, blocks]: the number of some of the requests, and the sums of their buckets to
        each power below `powers`; a part of them at a time."""
        axis, size, entries = self.frame.axis, self.level.size, self.entries
        blocks = int(axis.starts[-1])
        sums = [np.zeros(size * blocks) for _ in range(powers)]
        for at in range(0, codes.size, _AT_ONCE):
            part = codes[at : at + _AT_ONCE]
            if window:
                part = part[entries.side(part) == 0]
            place = axis.block[entries.slot(part)] * size + entries.unit(part)
            values = entries.requests(part)
            for total in sums:
                total += add_up(place, values, total.size)
                values *= entries.bucket(part) if powers > 1 else 1
        return [total.reshape(blocks, size).T for total in sums]

    @cached_property
    def blocks(self) -> Floats:
        """[units, blocks]: requests with a duration."""
        return self._blocks(self.entries.codes)[0]

    @cached_property
    def powers(self) -> list[Floats]:
        """[units, blocks of the window]: number, sum and squares of the buckets."""
        n_w = self.frame.window.shape[1]
        return [one[:, :n_w] for one in self._blocks(self.entries.codes, 3, window=True)]

    def beyond(self, cut: Ints, up: bool, window: bool) -> Floats:
        """[units, blocks]: requests of one side above the unit's bucket `cut`, or below it."""
        units, side = np.arange(self.level.size), 0 if window else 1
        place = self.entries.place
        if up:
            begin, end = place(units, side, cut + 1), place(units, side, 255)
        else:
            begin, end = place(units, side, 0), place(units, side, np.maximum(cut, 0))
        return self._blocks(self.entries.codes[_within(begin, end - begin)])[0]

    def of(self, scope: Mask) -> Course:
        """The entries of units whose first key is in the scope."""
        units = np.flatnonzero(scope[self.level.first])
        begin, end = self.entries.place(units, 0, 0), self.entries.place(units + 1, 0, 0)
        codes = self.entries.codes[_within(begin, end - begin)]
        entries = self.entries
        return Course(entries.slot(codes), entries.bucket(codes), entries.requests(codes))

    def compared(self, scope: Mask, against: str) -> Floats:
        """[buckets] of what a scope is compared with."""
        upto = self.upto[against][scope[self.level.first]].sum(0)
        return np.diff(upto, prepend=0.0)


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
    past, course = np.zeros((size, BUCKETS)), np.zeros((3, size, len(axis.past)))
    power = np.arange(BUCKETS, dtype=np.float64)[:, None] ** np.arange(3)

    def add(cells: Cells) -> None:
        cells = cells.where(counting(known, covered.seconds, cells))
        inside = cells.slot < axis.size
        if inside.any():
            mine = cells if inside.all() else cells.where(inside)
            bucket = np.minimum(mine.value, LAST_BUCKET)
            parts.append(entries.packed(
                group[mine.key], mine.slot >= window, bucket, mine.slot, mine.requests
            ))  # fmt: skip
        for stretch in distinct(cells.slot[~inside]).tolist():
            mine = cells.where(cells.slot == stretch)
            place = group[mine.key] * BUCKETS + np.minimum(mine.value, LAST_BUCKET)
            histogram = add_up(place, mine.requests, size * BUCKETS).reshape(size, BUCKETS)
            np.add(past, histogram, out=past)
            course[:, :, stretch - axis.size] += (histogram @ power).T

    for cells in counts.spread():
        add(cells)
        del cells  # before the next file is read
    codes = np.concatenate(parts)
    parts.clear()
    codes.sort()
    entries = replace(entries, codes=codes)
    moments = {"window": (entries.histogram(size, 0) @ power).T}
    upto = {"baseline": entries.histogram(size, 1), "usual": past}
    for name, histogram in upto.items():
        moments[name] = (histogram @ power).T
        if moments[name].any():
            np.cumsum(histogram, axis=1, out=histogram)
    return Durations(frame, level, entries, moments, upto, course)


def reached(upto: Floats, q: float) -> Ints:
    """[units, buckets] -> [units]: the bucket with which a share of the requests is reached."""
    bucket: Ints = (upto >= (q * upto[:, -1] - 1e-9)[:, None]).argmax(1)
    return bucket


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

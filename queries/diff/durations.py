"""Durations of units (side, endpoint, instance), as histograms of buckets 10 % wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT, Against
from queries.diff.frame import UNIT, Frame, Groups, Level, counting, recorders_of
from queries.diff.stats import Floats, Ints, Mask, add_up, changes
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.axis import Covered
    from queries.diff.counts import Cells, Counts

LAST_BUCKET = 160  # 70 minutes
BUCKETS = LAST_BUCKET + 1
MIDDLES = 1.1 ** (np.arange(BUCKETS) - 0.5)  # milliseconds
BASE = np.log(1.1)
_BITS = 63  # of an entry
_AT_ONCE = 500_000  # entries: as many as the caches of a processor have room for
_PACKED = 50_000  # the same of what is packed


@dataclass(frozen=True)
class Entries:
    """Requests of one side by unit, bucket and slot, each entry one number, in the order of these.

    There are millions of them: numbers are sorted several times as fast as they are put in order
    by an index, and what is beyond a bucket of a unit stands in one piece. begin: the first slot of
    the side; slots: the bits of a slot counted from there; counts: those of the requests, below
    them.
    """

    codes: Ints
    begin: int
    slots: int
    counts: int

    @classmethod
    def room(cls, units: int, begin: int, end: int) -> Entries:
        """None yet, with the bits that so many units and the slots from begin to end leave."""
        bits = (end - begin).bit_length()
        return cls(np.zeros(0, np.int64), begin, bits, _BITS - units.bit_length() - 8 - bits)

    def holding(self, parts: list[Ints]) -> Entries:
        """With all of these codes, which are in no order and are not kept otherwise."""
        codes = np.concatenate(parts) if len(parts) > 1 else parts[0]
        parts.clear()
        some = codes[:: max(codes.size // 1_000, 1)]
        ordered = (some[1:] < some[:-1]).sum() < 0.3 * some.size  # as those of rollups nearly are
        codes.sort(kind="stable" if ordered else None)
        return replace(self, codes=codes)

    def packed(self, unit: Any, bucket: Any, slot: Any, requests: Any) -> Ints:
        columns, size = (unit, bucket, slot, requests), unit.size
        most = (1 << self.counts) - 1
        if requests.max(initial=0) > most:  # more than fits: several entries
            times = requests // most
            more = [*(np.repeat(column, times) for column in columns[:3]), np.int64(most)]
            rest = self.packed(*columns[:3], requests % most)
            return np.concatenate([rest, self._codes(*more)])
        codes = np.empty(size, dtype=np.int64)
        for at in range(0, size, _PACKED):  # memory that is new costs more than what is done to it
            part = slice(at, at + _PACKED)
            codes[part] = self._codes(*(column[part] for column in columns))
        return codes

    def _codes(self, unit: Any, bucket: Any, slot: Any, requests: Any) -> Ints:
        low = bucket.astype(np.int64)
        np.minimum(low, LAST_BUCKET, out=low)
        low <<= self.slots
        low |= slot - slot.dtype.type(self.begin)
        low <<= self.counts
        low |= requests
        codes: Ints = unit.astype(np.int64)
        codes <<= 8 + self.slots + self.counts
        codes |= low
        return codes

    def unit(self, codes: Ints) -> Ints:
        return codes >> (self.counts + self.slots + 8)

    def slot(self, codes: Ints) -> Ints:
        return ((codes >> self.counts) & ((1 << self.slots) - 1)) + self.begin

    def bucket(self, codes: Ints) -> Ints:
        return (codes >> (self.counts + self.slots)) & 255

    def requests(self, codes: Ints) -> Ints:
        return codes & ((1 << self.counts) - 1)

    def place(self, unit: Ints, bucket: Any) -> Ints:
        """Where the entries of a unit from that bucket on begin."""
        code = (unit << 8 | bucket) << (self.slots + self.counts)
        place: Ints = np.searchsorted(self.codes, code)
        return place

    def of(self, units: Ints) -> Ints:
        """The codes of some of the units."""
        begin = self.place(units, 0)
        return self.codes[_within(begin, self.place(units + 1, 0) - begin)]

    def histogram(self, units: int) -> Histogram:
        codes = self.codes >> (self.slots + self.counts)
        starts = changes(codes)
        codes = codes[starts]
        sums = np.add.reduceat(self.requests(self.codes), starts) if starts.size else starts
        return Histogram.sorted(units, codes, np.concatenate([[0.0], np.cumsum(sums)]))


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
        code, sums = _summed(code, count)
        return cls.sorted(units, code, np.concatenate([[0.0], np.cumsum(sums)]))

    @classmethod
    def of_cells(cls, units: int, files: Sequence[Cells]) -> Histogram:
        """Of all slots together. A part of them at a time, whose units lie near one another."""
        parts: list[tuple[Ints, Any]] = [(np.zeros(0, np.int64), np.zeros(0))]
        for cells in files:
            for at in range(0, cells.key.size, _PACKED):
                part = slice(at, at + _PACKED)
                code = cells.key[part].astype(np.int64) << 8
                code |= np.minimum(cells.value[part], LAST_BUCKET)
                parts.append(_summed(code, cells.requests[part]))
        return cls.of(units, *map(np.concatenate, zip(*parts, strict=True)))

    @classmethod
    def sorted(cls, units: int, codes: Ints, upto: Any) -> Histogram:
        first = np.searchsorted(codes, np.arange(units + 1) << 8)
        return cls(codes, upto.astype(np.float64, copy=False), first)

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
    """entries: of the window and of the baseline, of the time that counts.

    before: by Against, requests of the "baseline" and, as "usual", of the past hours that were
    read. course [3, units, stretches]: number, sum and squares of buckets of each of these.
    """

    frame: Frame
    level: Level
    entries: tuple[Entries, Entries]
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
        axis, entries = self.frame.axis, self.entries[side]
        begin = int(axis.starts[side])
        blocks = int(axis.starts[-1 if side else 1]) - begin
        sums = [np.zeros((blocks, self.level.size)) for _ in range(powers)]
        for at in range(0, codes.size, _AT_ONCE):
            part = codes[at : at + _AT_ONCE]
            unit = entries.unit(part)
            units = slice(int(unit[0]), int(unit[-1]) + 1)
            size = units.stop - units.start
            place = ((axis.block - begin) * size - units.start)[entries.slot(part)] + unit
            values = entries.requests(part)
            for total in sums:
                total[:, units] += add_up(place, values, blocks * size).reshape(blocks, size)
                values *= entries.bucket(part) if powers > 1 else 1
        return [total.T for total in sums]

    @cached_property
    def blocks(self) -> tuple[Floats, Floats]:
        """[units, blocks]: requests with a duration, of the window and of the baseline."""
        return self.powers[0], self._blocks(self.entries[1].codes, 1)[0]

    @cached_property
    def powers(self) -> list[Floats]:
        """[units, blocks of the window]: number, sum and squares of the buckets."""
        return self._blocks(self.entries[0].codes, 0, 3)

    @cached_property
    def now(self) -> Floats:
        """[3, units]: the same of the whole window."""
        return np.stack([one.sum(1) for one in self.powers])

    @cached_property
    def _begins(self) -> list[Ints]:
        """[units + 1] of each side: where the entries of a unit begin."""
        return [side.place(np.arange(self.level.size + 1), 0) for side in self.entries]

    def beyond(self, cut: Ints, up: bool, side: int) -> Floats:
        """[units, blocks]: requests of one side above the unit's bucket `cut`, or below it."""
        units, entries, begins = np.arange(self.level.size), self.entries[side], self._begins[side]
        if up:
            begin, end = entries.place(units, cut + 1), begins[1:]
        else:
            begin, end = begins[:-1], entries.place(units, np.maximum(cut, 0))
        return self._blocks(entries.codes[_within(begin, end - begin)], side)[0]

    def of(self, scope: Mask) -> Course:
        """The entries of units whose first key is in the scope."""
        units = np.flatnonzero(scope[self.level.first])
        chosen = [(side, side.of(units)) for side in self.entries]
        return Course(*(
            np.concatenate([getattr(side, name)(codes) for side, codes in chosen])
            for name in ("slot", "bucket", "requests")
        ))  # fmt: skip

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
    known, size = recorders_of(counts, covered), level.size
    # where the window begins, the baseline, and each stretch of the past
    edges = np.array([0, axis.slots[0].size, *range(axis.size, axis.size + len(axis.past) + 1)])
    rooms = [Entries.room(size, *edge) for edge in pairwise(edges.tolist())]
    parts: list[list[Ints]] = [[], []]
    stretches: dict[int, list[Cells]] = {}

    def apart(cells: Cells) -> Iterator[tuple[int, Cells]]:
        cells = cells.where(counting(known, covered.seconds, cells))
        if not cells.slot.size:
            return
        ends = cells.slot.min(), cells.slot.max()
        first, last = (np.searchsorted(edges, ends, "right") - 1).tolist()
        for one in range(first, last + 1):
            inside = (cells.slot >= edges[one]) & (cells.slot < edges[one + 1])
            yield one, cells.where(inside) if first < last else cells

    for cells in counts.spread(level.group.astype(np.int32)):
        pieces = [*apart(cells)]
        del cells  # before they are sorted, and before the next file is read
        while pieces:
            one, part = pieces.pop()
            if one < len(parts):
                parts[one].append(rooms[one].packed(part.key, part.value, part.slot, part.requests))
            else:
                stretches.setdefault(one, []).append(part)
            del part
    window, baseline = (
        room.holding(part or [room.codes]) for room, part in zip(rooms, parts, strict=False)
    )
    past = [Histogram.of_cells(size, stretches.pop(one)) for one in sorted(stretches)]
    course = [np.zeros((3, size)), *(part.moments for part in past)]
    before: dict[Against, Histogram] = {
        "baseline": baseline.histogram(size), "usual": Histogram.added(size, past)
    }  # fmt: skip
    return Durations(frame, level, (window, baseline), before, np.stack(course, axis=2)[:, :, 1:])


def _summed(code: Ints, count: Any) -> tuple[Ints, Any]:
    """The different codes, sorted, and the sum of each."""
    low = code.min(initial=1 << 62)
    if code.max(initial=0) - low < 4 * code.size:  # quicker than to sort them
        sums = add_up(code - low, count, 0)
        code = np.flatnonzero(sums > 0)  # twice as fast as of the numbers themselves
        return code + low, sums[code]
    order = np.argsort(code, kind="stable")  # quick of several that are sorted
    code = code[order]
    starts = changes(code)
    return code[starts], np.add.reduceat(count[order], starts, dtype=np.float64)


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

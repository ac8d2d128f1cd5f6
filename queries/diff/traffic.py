"""Counting: from the parts of the traffic and the minutes that count to arrays over keys.

All sums are of whole numbers and of 1024ths of them, and so exact: in whatever order, and from
rollups as from rows, they are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.ledger import Hour, Ledger
from queries.diff.parts import Part
from queries.diff.stats import Floats, Ints, Mask

if TYPE_CHECKING:
    from queries.diff.cells import Cells

_SLOTS = 64  # a bit each


@dataclass(frozen=True)
class Totals:
    """slots [spans, keys]: bit sets; anyhow [compared spans, keys]; history [spans, keys]."""

    slots: Any
    anyhow: Floats
    history: Floats


@dataclass(frozen=True)
class Section:
    """What one part has of one span: key and recorder of its rows, and the minutes that count."""

    span: int
    part: Part
    hour: Hour
    key: Ints
    recorder: Ints
    recorders: int
    start: int  # of the span, in minutes since the epoch

    @property
    def whole(self) -> bool:
        """Whether every minute with requests is compared, each request as one."""
        kept, weight = self.hour.kept[self.recorder], self.hour.weight[self.recorder]
        return bool(((self.part.active & ~kept) == 0).all() and (weight == 1).all())

    def weight(self, lengths: Ints, minute: Any) -> Floats:
        """[entries]: what a request of each entry counts, 0 in minutes that are not compared."""
        table = (_bits(self.hour.kept) * self.hour.weight[:, None]).ravel()
        found: Floats = table[np.repeat(self.recorder * 60, lengths) + minute]
        return found


class Traffic:
    """The traffic of the spans of one comparison.

    cells: the parts; ledger: the minutes that count, over `compared` spans (window, baseline) and
    those of the history. codes, labels: the keys that were seen in any covered minute, by name.
    """

    def __init__(self, cells: Cells, ledger: Ledger) -> None:
        self.cells, self.ledger = cells, ledger
        self.spans = len(ledger.starts)
        keys = cells.keys
        self._hours = [ledger.hours(span, cells.parts) for span in range(self.spans)]
        self._recorder = {i: ledger.of(part) for hours in self._hours for i, part, _ in hours}
        present = np.zeros(keys.size, dtype=bool)
        for hours in self._hours:
            for i, part, hour in hours:
                present[keys.of_rows[i][(part.active & hour.seen[self._recorder[i]]) > 0]] = True
        self.labels = keys.labels
        self.codes = {name: code[present] for name, code in keys.codes.items()}
        self.size = int(present.sum())
        number = np.where(present, np.cumsum(present) - 1, 0)
        self._key = {i: number[keys.of_rows[i]] for i in self._recorder}

    def sections(self, span: int) -> list[Section]:
        """What the parts have of a span, in the order of the parts."""
        recorders, start = len(self.ledger.recorders) + 1, self.ledger.starts[span]
        return [
            Section(span, part, hour, self._key[i], self._recorder[i], recorders, start)
            for i, part, hour in self._hours[span]
        ]

    def totals(self, compared: int, slot: int) -> Totals:
        """Requests and active slots of each span; `slot` minutes make one."""
        slots = np.zeros((self.spans, self.size), dtype=np.uint64)
        anyhow = np.zeros((compared, self.size))
        history = np.zeros((self.spans - compared, self.size))
        for span in range(self.spans):
            for s in self.sections(span):
                seen, kept = s.hour.seen[s.recorder], s.hour.kept[s.recorder]
                active = _slots(s.part.active & kept, s.hour.nth, slot)
                np.bitwise_or.at(slots[span], s.key, active)
                if span < compared:
                    anyhow[span] += self._by_key(s, _requests(s.part, seen))
                else:
                    requests = _requests(s.part, kept) * s.hour.weight[s.recorder]
                    history[span - compared] += self._by_key(s, requests)
        return Totals(slots, anyhow, history)

    def _by_key(self, section: Section, per_row: Floats) -> Floats:
        return np.bincount(section.key, weights=per_row, minlength=self.size).astype(float)

    def blocks(self, starts: Ints, block: int) -> tuple[Floats, Floats]:
        """[keys, blocks]: requests and bytes received of the compared spans."""
        width = int(starts[-1])
        found = [np.zeros(self.size * width) for _ in range(2)]
        for span in range(starts.size - 1):
            for s in self.sections(span):
                listed = s.part.details("received")
                minute, lengths = listed.values["minute"], listed.lengths
                weight = None if s.whole else s.weight(lengths, minute)
                place = np.repeat(s.key * width, lengths) + block_of(s, starts, block)[minute]
                for sums, name in zip(found, ("requests", "received"), strict=True):
                    values = listed.values[name]
                    weighted = values if weight is None else values * weight
                    sums += np.bincount(place, weights=weighted, minlength=sums.size)
        return found[0].reshape(self.size, width), found[1].reshape(self.size, width)


def block_of(section: Section, starts: Ints, block: int) -> Ints:
    """[60]: the block of each minute of the section's hour; some block where it has none."""
    at: Ints = starts[section.span] + (section.hour.nth + np.arange(60)) // block
    return at.clip(0, max(int(starts[-1]) - 1, 0))


def _bits(bits: Any) -> Mask:
    """[...] bit sets -> [..., 60]."""
    found: Mask = ((bits[..., None] >> np.arange(60, dtype=np.uint64)) & np.uint64(1)) > 0
    return found


def _requests(part: Part, minutes: Any) -> Floats:
    """[rows]: requests of those minutes (a bit set a row)."""
    inside = part.active & minutes
    if ((inside == 0) | (inside == part.active)).all():
        return np.where(inside > 0, part.requests, 0).astype(np.float64)
    listed = part.minutes()
    minute = listed.values["minute"]
    if (minutes == minutes[0]).all():
        counts = _bits(minutes[0]).astype(float)[minute]
    else:
        counts = (
            _bits(minutes)
            .astype(float)
            .ravel()[np.repeat(np.arange(part.size) * 60, listed.lengths) + minute]
        )
    # no row is without a minute, or this would be wrong
    sums: Floats = np.add.reduceat(listed.values["requests"] * counts, listed.offsets[:-1])
    return sums


def _slots(active: Any, nth: int, slot: int) -> Any:
    """Bits of minutes of the hour as bits of slots of the span."""
    if slot == 1:
        return active << np.uint64(nth) if nth >= 0 else active >> np.uint64(-nth)
    found = np.zeros_like(active)
    for minute in range(max(0, -nth), 60):
        at = (nth + minute) // slot
        if at < _SLOTS:
            bit = (active >> np.uint64(minute)) & np.uint64(1)
            found |= bit << np.uint64(at)
    return found

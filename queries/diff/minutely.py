"""Minute by minute what the keys of the findings did, and a few transactions of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from queries.diff.counts import Entries
from queries.diff.stats import Floats, Ints, Mask
from queries.diff.traffic import HourSlice, Traffic
from store.rollup import DURATIONS, MINUTES

Series = list[tuple[Floats, Floats]]  # for each span
_MOST = 3  # examples a finding and side
_MINUTES = 1 << 28  # more than minutes since the epoch, for some centuries


@dataclass(frozen=True)
class Pick:
    """Keys of a finding: its scope, and the part of it that it counts.

    slower: only requests in buckets beyond it are counted; received: bytes instead of requests.
    """

    scope: Mask
    part: Mask
    slower: float | None = None
    received: bool = False


def series(traffic: Traffic, picks: Sequence[Pick], spans: int) -> list[Series]:
    """[pick][span] -> (counted of the part, requests of the scope) of each minute of the span."""
    ledger = traffic.ledger
    lengths = [ledger.ends[span] - ledger.starts[span] for span in range(spans)]
    found = [[(np.zeros(n), np.zeros(n)) for n in lengths] for _ in picks]
    for span in range(spans):
        for details in _details(traffic, picks, [span]):
            for pick, of_spans in zip(picks, found, strict=True):
                counted, requests = of_spans[span]
                _add(requests, *details.minutes(pick.scope, "requests"))
                if pick.slower is not None:
                    _add(counted, *details.slower(pick.part, pick.slower))
                else:
                    name = "bytes_received" if pick.received else "requests"
                    _add(counted, *details.minutes(pick.part, name))
    return found


def samples(traffic: Traffic, picks: Sequence[Pick], spans: Sequence[int]) -> list[tuple[str, ...]]:
    """For each pick the ids of the first transactions in its busiest minutes of those spans."""
    details = _details(traffic, picks, spans)
    return [_samples(traffic, details, pick.part) for pick in picks]


class _Details:
    """The entries of one slice that any of the picks may ask for, without those that are not
    compared."""

    def __init__(self, traffic: Traffic, s: HourSlice, wanted: Mask) -> None:
        self.traffic, self.slice, self._wanted = traffic, s, wanted

    @cached_property
    def minutely(self) -> Entries:
        return self._compared(MINUTES, ("requests", "bytes_received", "seq"))

    @cached_property
    def durations(self) -> Entries:
        return self._compared(DURATIONS, ("bucket", "requests"))

    def _compared(self, table: str, columns: Sequence[str]) -> Entries:
        entries = self.traffic.entries(self.slice, table, columns)
        recorder, key = self.traffic.recorder[entries.row], self.traffic.key[entries.row]
        kept = self.slice.hour.kept[recorder] >> entries["minute"].astype(np.uint64) & np.uint64(1)
        chosen = np.flatnonzero((kept > 0) & self._wanted[key])
        values = {name: column[chosen] for name, column in entries.values.items()}
        return Entries(entries.row[chosen], values)

    def nth(self, entries: Entries) -> Ints:
        """The minute of the span of each entry."""
        nth: Ints = self.slice.hour.nth + entries["minute"].astype(np.int64)
        return nth

    def minutes(self, keys: Mask, name: str) -> tuple[Ints, Any]:
        mine = keys[self.traffic.key[self.minutely.row]]
        return self.nth(self.minutely)[mine], self.minutely[name][mine]

    def slower(self, keys: Mask, bucket: float) -> tuple[Ints, Any]:
        entries = self.durations
        mine = keys[self.traffic.key[entries.row]] & (entries["bucket"] > bucket)
        return self.nth(entries)[mine], entries["requests"][mine]


def _details(traffic: Traffic, picks: Sequence[Pick], spans: Sequence[int]) -> list[_Details]:
    wanted = np.zeros(traffic.size, dtype=bool)
    for pick in picks:
        wanted |= pick.scope | pick.part
    return [_Details(traffic, s, wanted) for span in spans for s in traffic.slices(span)]


def _add(sums: Floats, nth: Ints, values: Any) -> None:
    sums += np.bincount(nth, weights=values, minlength=sums.size)


def _samples(traffic: Traffic, details: Sequence[_Details], part: Mask) -> tuple[str, ...]:
    """Ids from the busiest cells, one a cell; a cell is a key, a recorder and a minute."""
    mine = [np.flatnonzero(part[traffic.key[each.minutely.row]]) for each in details]
    if not sum(chosen.size for chosen in mine):
        return ()
    pairs = list(zip(details, mine, strict=True))
    row = np.concatenate([each.minutely.row[chosen] for each, chosen in pairs])
    minute = np.concatenate([each.nth(each.minutely)[chosen] for each, chosen in pairs])
    start = np.concatenate([np.full(chosen.size, each.slice.start) for each, chosen in pairs])
    requests = np.concatenate([each.minutely["requests"][chosen] for each, chosen in pairs])
    seq = np.concatenate([each.minutely["seq"][chosen] for each, chosen in pairs])
    recorders = len(traffic.ledger.recorders) + 1
    cell = (traffic.key[row] * recorders + traffic.recorder[row]) * _MINUTES + start + minute
    _, first, at = np.unique(cell, return_index=True, return_inverse=True)
    total, minute_of = np.bincount(at, weights=requests), minute[first]
    order = np.lexsort((minute_of, -total))
    last = order[:_MOST][-1]
    level = (total == total[last]) & (minute_of <= minute_of[last])
    close = np.flatnonzero(((total > total[last]) | level)[at])
    begins = traffic.counts.ids(np.unique(row[close]))
    ids: dict[int, str] = {}
    for number, of, nth in zip(at[close].tolist(), row[close].tolist(), seq[close].tolist(),
                               strict=True):  # fmt: skip
        name = f"{begins[of]}:{nth:012d}"
        ids[number] = min(name, ids.get(number, name))
    ordered = sorted((-total[number], minute_of[number], name) for number, name in ids.items())
    return tuple(name for _, _, name in ordered[:_MOST])

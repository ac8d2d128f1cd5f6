"""Minute by minute what the keys of the findings did, and a few transactions of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from queries.diff.stats import Floats, Ints, Mask
from queries.diff.traffic import Section, Traffic
from store.rollup import CODES

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
        for section in traffic.sections(span):
            details = _Details(section)
            for pick, of_spans in zip(picks, found, strict=True):
                counted, requests = of_spans[span]
                _add(requests, *details.minutes(pick.scope, "requests"))
                if pick.slower is not None:
                    _add(counted, *details.slower(pick.part, pick.slower))
                else:
                    name = "received" if pick.received else "requests"
                    _add(counted, *details.minutes(pick.part, name))
    return found


def samples(traffic: Traffic, picks: Sequence[Pick], spans: Sequence[int]) -> list[tuple[str, ...]]:
    """For each pick the ids of the first transactions in its busiest minutes of those spans."""
    details = [_Details(section) for span in spans for section in traffic.sections(span)]
    return [_samples(details, pick.part) for pick in picks]


class _Details:
    """One section's lists, read once for all picks."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.listed = section.part.details("received", "seq")
        self._spread: Any = None

    def entries(self, keys: Mask, spread: bool = False) -> tuple[Ints, Any, dict[str, Any]]:
        """(row, minute of the span, values) of the entries that count."""
        section = self.section
        if spread and self._spread is None:
            self._spread = section.part.durations()
        rows = np.flatnonzero(keys[section.key])
        row, values = (self._spread if spread else self.listed).of(rows)
        minute = values["code"] // CODES if spread else values["minute"]
        kept = (section.hour.kept[section.recorder[row]] >> minute.astype(np.uint64)) & np.uint64(1)
        inside = kept > 0
        nth = section.hour.nth + minute[inside].astype(np.int64)
        return row[inside], nth, {name: value[inside] for name, value in values.items()}

    def minutes(self, keys: Mask, name: str) -> tuple[Ints, Any]:
        _, nth, values = self.entries(keys)
        return nth, values[name]

    def slower(self, keys: Mask, bucket: float) -> tuple[Ints, Any]:
        _, nth, values = self.entries(keys, spread=True)
        beyond = values["code"] % CODES > bucket
        return nth[beyond], values["requests"][beyond]


def _add(sums: Floats, nth: Ints, values: Any) -> None:
    sums += np.bincount(nth, weights=values, minlength=sums.size)


def _samples(details: Sequence[_Details], part: Mask) -> tuple[str, ...]:
    found = [(each.section, *each.entries(part)) for each in details]
    if not sum(row.size for _, row, _, _ in found):
        return ()
    cell = np.concatenate([_cell(section, row, nth) for section, row, nth, _ in found])
    minute = np.concatenate([nth for _, _, nth, _ in found])
    _, first, at = np.unique(cell, return_index=True, return_inverse=True)
    weights = np.concatenate([values["requests"] for *_, values in found])
    requests, nth_of = np.bincount(at, weights=weights), minute[first]
    order = np.lexsort((nth_of, -requests))
    last = order[:_MOST][-1]
    level = (requests == requests[last]) & (nth_of <= nth_of[last])
    close = ((requests > requests[last]) | level)[at]
    ids: dict[int, str] = {}
    begin = 0
    for section, row, _, values in found:
        some = np.flatnonzero(close[begin : begin + row.size])
        for number, name in zip(
            at[begin + some].tolist(), _ids(section, row[some], values["seq"][some]), strict=True
        ):
            ids[number] = min(name, ids.get(number, name))
        begin += row.size
    told = sorted((-requests[number], nth_of[number], name) for number, name in ids.items())
    return tuple(name for _, _, name in told[:_MOST])


def _cell(section: Section, row: Ints, nth: Ints) -> Ints:
    """One number for key, recorder and minute."""
    minute = section.start + nth
    return (section.key[row] * section.recorders + section.recorder[row]) * _MINUTES + minute


def _ids(section: Section, row: Ints, seq: Any) -> Iterator[str]:
    names = []
    for name in ("recorder", "session"):
        column = section.part.keys[name]
        names.append([column.values[code] for code in column.codes[row].tolist()])
    for recorder, session, number in zip(*names, seq.tolist(), strict=True):
        yield f"{recorder}:{session}:{number:012d}"

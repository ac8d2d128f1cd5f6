"""The traffic of the spans of one comparison: its keys, which minutes count, and sums over them.

A key is the finest thing that is told apart; keys are numbered in the order of their names.

All sums are of whole numbers and of 1024ths of them, and so exact: in whatever order, and from
rollups as from rows, they are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.collapse import collapse
from queries.core.window import Window
from queries.diff.counts import Counts, Entries, bits
from queries.diff.stats import Floats, Ints
from store.rollup import MINUTES

if TYPE_CHECKING:
    import duckdb


DIMS = (
    "side", "host", "method", "route", "status", "grpc_status", "container", "process",
    "signature",
)  # fmt: skip
_ROOM = 1 << 62  # combined codes stay below
# payment-7d9f8b6c5d-x2k4q (replica set and pod), worker-28417205-abcde (job), run_4f2a9c01be77
_TAILS = (
    re.compile(r"-[0-9a-f]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"-[0-9]{8,10}-[0-9a-z]{5}$"),
    re.compile(r"[-_.](?=[0-9a-f]*[0-9])[0-9a-f]{7,64}$"),
    re.compile(r"-(?=[a-z]*[0-9])[0-9a-z]{5}$"),
    re.compile(r"[-_.][0-9]{1,4}$"),
)


@dataclass(frozen=True)
class Keys:
    """labels: the values of each of DIMS and of `service`, sorted; codes [keys]: places in them.

    of [numbers]: the key of each number that the counts use for its names.
    """

    labels: Mapping[str, list[Any]]
    codes: Mapping[str, Ints]
    of: Ints

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)


def named_keys(names: Mapping[str, Any]) -> Keys:
    """The keys of those names ([numbers], each combination once), with their services."""
    labels, codes = {}, {}
    for name in DIMS:
        labels[name], codes[name] = _coded(names[name].tolist())
    services = [service_of(name) for name in labels["container"]]
    labels["service"], short = _coded(services)
    codes["service"] = short[codes["container"]]
    return _numbered(labels, codes, np.arange(codes["host"].size))


def collapsed(keys: Keys, requests: Floats) -> Keys:
    """The same with the routes of levels that have too many values brought together.

    requests [keys]: over all spans.
    """
    hosts, routes = keys.labels["host"], keys.labels["route"]
    pair = keys.codes["host"] * max(len(routes), 1) + keys.codes["route"]
    pairs, at = np.unique(pair, return_inverse=True)
    counts = np.bincount(at, weights=requests, minlength=pairs.size)
    names = [(hosts[p // len(routes)], routes[p % len(routes)]) for p in pairs.tolist()]
    requests_of = {
        name: round(n) for name, n in zip(names, counts.tolist(), strict=True) if n > 0 and name[1]
    }
    new_routes = collapse(requests_of)
    if all(name[1] == route for name, route in new_routes.items()):
        return keys
    new, place = _coded([new_routes.get(name, name[1]) for name in names])
    return _numbered({**keys.labels, "route": new}, {**keys.codes, "route": place[at]}, keys.of)


@lru_cache(maxsize=65536)
def service_of(container: str) -> str:
    """The part of a container's name that survives a restart or a roll-out.

    payment-7d9f8b6c5d-x2k4q, shop_payment_1, payment-4f2a9c01be77 -> without the last part.
    """
    for tail in _TAILS:
        short = tail.sub("", container)
        if short and short != container:
            return short
    return container


def _coded(values: list[Any]) -> tuple[list[Any], Ints]:
    """(the different values, sorted; the place of each value in them)."""
    labels = sorted(set(values))
    place = {value: i for i, value in enumerate(labels)}
    return labels, np.fromiter(map(place.__getitem__, values), np.int64, len(values))


def _numbered(labels: Mapping[str, list[Any]], codes: Mapping[str, Ints], of: Ints) -> Keys:
    """Each combination of codes once, in the order of the labels."""
    combined, room = np.zeros(codes["host"].size, dtype=np.int64), 1
    for name in DIMS:
        if room * len(labels[name]) >= _ROOM:
            known, combined = np.unique(combined, return_inverse=True)
            room = known.size
        combined = combined * len(labels[name]) + codes[name]
        room *= len(labels[name])
    _, first, number = np.unique(combined, return_index=True, return_inverse=True)
    return Keys(labels, {name: code[first] for name, code in codes.items()}, number[of])


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLOTS = 64  # a bit each


@dataclass(frozen=True)
class Hour:
    """One hour of one span.

    nth: the hour's first minute, counted from the span's first; negative if the hour began before.
    inside: a bit for each minute of the hour that the span has. seen, kept [recorders + 1]: a bit
    for each minute that the recorder covered at all, and for each that is compared. weight
    [recorders + 1]: what its kept requests count. The last entry stands for a recorder that was
    never covered.
    """

    nth: int
    inside: Any
    seen: Any
    kept: Any
    weight: Floats


class Ledger:
    """The minutes of all spans (numbered window, baseline, history): see compare_minutes.sql."""

    def __init__(self, con: duckdb.DuckDBPyConnection, spans: Sequence[Window]) -> None:
        names = con.execute("SELECT DISTINCT recorder FROM compare_minutes ORDER BY ALL").fetchall()
        self.recorders: list[str] = [name for (name,) in names]
        column = con.execute(
            "SELECT (list_position($recorders, recorder) - 1)::SMALLINT AS recorder, span, nth,"
            " kept, weight FROM compare_minutes",
            {"recorders": self.recorders},
        ).fetchnumpy()
        self._recorder, self._nth = column["recorder"].astype(np.int64), column["nth"]
        self._weight, self._kept = column["weight"].astype(float), column["kept"].astype(bool)
        self.starts = [int((s.from_ts - _EPOCH) // timedelta(minutes=1)) for s in spans]
        self.ends = [start + s.minutes for start, s in zip(self.starts, spans, strict=True)]
        self._of_span = [np.flatnonzero(column["span"] == span) for span in range(len(spans))]

    def hour(self, span: int, hour: int) -> Hour:
        size = len(self.recorders) + 1
        seen, kept = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
        weight = np.ones(size)
        first = hour * 60 - self.starts[span]
        rows = self._of_span[span]
        rows = rows[(self._nth[rows] >= first) & (self._nth[rows] < first + 60)]
        minute = np.uint64(1) << (self._nth[rows] - first).astype(np.uint64)
        np.bitwise_or.at(seen, self._recorder[rows], minute)
        compared = rows[self._kept[rows]]
        np.bitwise_or.at(kept, self._recorder[compared], minute[self._kept[rows]])
        weight[self._recorder[compared]] = self._weight[compared]
        return Hour(first, minutes_of(hour, self.starts[span], self.ends[span]), seen, kept, weight)

    def numbers(self, recorders: Sequence[str]) -> Ints:
        """The numbers of recorders, for the arrays of Hour."""
        known = {name: i for i, name in enumerate(self.recorders)}
        return np.array([known.get(name, len(known)) for name in recorders], dtype=np.int64)


def minutes_of(hour: int, start: int, end: int) -> Any:
    """A bit for each minute of the hour in start..end, all counted from the epoch."""
    first, last = max(start - hour * 60, 0), min(end - hour * 60, 60)
    return (
        np.uint64(((1 << max(last, 0)) - 1) & ~((1 << first) - 1)) if last > first else np.uint64(0)
    )


@dataclass(frozen=True)
class HourSlice:
    """What one file has of one span; key and recorder [rows of all files]."""

    span: int
    file: int
    rows: slice
    hour: Hour
    key: Ints
    recorder: Ints
    active: Any  # [rows of the file]
    start: int  # of the span, in minutes since the epoch

    @property
    def bounds(self) -> tuple[int, int]:
        """The minutes of the hour that the span has: from, to."""
        number = int(self.hour.inside)
        return (number & -number).bit_length() - 1, number.bit_length()

    def weight(self, entries: Entries) -> Floats | None:
        """[entries]: what a request of each counts, 0 in minutes that are not compared; None:
        each counts as one."""
        recorder = self.recorder[self.rows]
        kept, weight = self.hour.kept[recorder], self.hour.weight[recorder]
        if not (self.active & self.hour.inside & ~kept).any() and (weight == 1).all():
            return None
        table = (bits(self.hour.kept) * self.hour.weight[:, None]).ravel()
        weights: Floats = table[self.recorder[entries.row] * 60 + entries["minute"]]
        return weights


@dataclass(frozen=True)
class Totals:
    """slots [spans, keys]: bit sets; anyhow [compared spans, keys]; history [spans, keys]."""

    slots: Any
    anyhow: Floats
    history: Floats


class Traffic:
    """The traffic of the spans of one comparison.

    counts: of all hours of the spans; ledger: the minutes that count, over `compared` spans
    (window, baseline) and those of the history. codes, labels: the keys that were seen in any
    covered minute, by name.
    """

    def __init__(self, counts: Counts, ledger: Ledger) -> None:
        self.counts, self.ledger = counts, ledger
        self.spans = len(ledger.starts)
        keys = collapsed(*self._all_keys())
        self.recorder = ledger.numbers(counts.recorders)[counts.recorder]
        of_row = keys.of[counts.number]
        self._hours = [self._hours_of(span) for span in range(self.spans)]
        present = np.zeros(keys.size, dtype=bool)
        for hours in self._hours:
            for file, hour in hours:
                rows = counts.rows(file)
                seen = counts.active[rows] & hour.seen[self.recorder[rows]]
                present[of_row[rows][seen > 0]] = True
        self.labels = keys.labels
        self.codes = {name: code[present] for name, code in keys.codes.items()}
        self.size = int(present.sum())
        self.key = np.where(present, np.cumsum(present) - 1, 0)[of_row]

    def _all_keys(self) -> Any:
        """The keys of all rows, and the requests that each has in the spans."""
        counts, ledger = self.counts, self.ledger
        keys = named_keys(counts.names)
        jobs = []
        for file, hour in enumerate(counts.hours.tolist()):
            inside = np.uint64(0)
            for start, end in zip(ledger.starts, ledger.ends, strict=True):
                inside |= minutes_of(hour, start, end)
            jobs.append((file, inside))
        requests = np.zeros(keys.size)
        for (file, _), of_rows in zip(jobs, counts.requests_in(jobs), strict=True):
            number = keys.of[counts.number[counts.rows(file)]]
            requests += np.bincount(number, weights=of_rows, minlength=keys.size)
        return keys, requests

    def _hours_of(self, span: int) -> list[tuple[int, Hour]]:
        """(file, hour) of the files that hold some of the span."""
        begin, end = self.ledger.starts[span], self.ledger.ends[span]
        known: dict[int, Hour] = {}
        for hour in self.counts.hours.tolist():
            if hour * 60 < end and hour * 60 + 60 > begin and hour not in known:
                known[hour] = self.ledger.hour(span, hour)
        hours = self.counts.hours.tolist()
        return [(file, known[hour]) for file, hour in enumerate(hours) if hour in known]

    def slices(self, span: int) -> list[HourSlice]:
        """What the files have of a span, in the order of the files."""
        counts, start = self.counts, self.ledger.starts[span]
        return [
            HourSlice(span, file, rows, hour, self.key, self.recorder, counts.active[rows], start)
            for file, hour in self._hours[span]
            if (rows := counts.rows(file)).stop > rows.start
        ]

    def totals(self, compared: int, slot: int) -> Totals:
        """Requests and active slots of each span; `slot` minutes make one."""
        slots = np.zeros((self.spans, self.size), dtype=np.uint64)
        anyhow = np.zeros((compared, self.size))
        history = np.zeros((self.spans - compared, self.size))
        slices = [s for span in range(self.spans) for s in self.slices(span)]
        jobs = []
        for s in slices:
            sets = s.hour.seen if s.span < compared else s.hour.kept
            jobs.append((s.file, sets[self.recorder[s.rows]]))
        for s, requests in zip(slices, self.counts.requests_in(jobs), strict=True):
            recorder, key = self.recorder[s.rows], self.key[s.rows]
            np.bitwise_or.at(
                slots[s.span], key, _slots(s.active & s.hour.kept[recorder], s.hour.nth, slot)
            )
            if s.span < compared:
                anyhow[s.span] += np.bincount(key, weights=requests, minlength=self.size)
            else:
                weighted = requests * s.hour.weight[recorder]
                history[s.span - compared] += np.bincount(key, weighted, self.size)
        return Totals(slots, anyhow, history)

    def entries(self, s: HourSlice, table: str, columns: Sequence[str]) -> Entries:
        """The entries of a slice, minutes that are not compared included."""
        return self.counts.entries(table, [s.file], columns, *s.bounds)

    def blocks(self, starts: Ints, block: int) -> tuple[Floats, Floats]:
        """[keys, blocks]: requests and bytes received of the compared spans."""
        width = int(starts[-1])
        sums = [np.zeros(self.size * width) for _ in range(2)]
        for span in range(starts.size - 1):
            for s in self.slices(span):
                entries = self.entries(s, MINUTES, ("requests", "bytes_received"))
                weight = s.weight(entries)
                place = self.key[entries.row]
                place *= width
                place += block_of(s, starts, block)[entries["minute"]]
                for total, name in zip(sums, ("requests", "bytes_received"), strict=True):
                    weighted = entries[name] if weight is None else entries[name] * weight
                    total += np.bincount(place, weights=weighted, minlength=total.size)
        return sums[0].reshape(self.size, width), sums[1].reshape(self.size, width)


def block_of(s: HourSlice, starts: Ints, block: int) -> Ints:
    """[60]: the block of each minute of the slice's hour; some block where it has none."""
    at: Ints = starts[s.span] + (s.hour.nth + np.arange(60)) // block
    return at.clip(0, max(int(starts[-1]) - 1, 0))


def _slots(active: Any, nth: int, slot: int) -> Any:
    """Bits of minutes of the hour as bits of slots of the span."""
    if slot == 1:
        return active << np.uint64(nth) if nth >= 0 else active >> np.uint64(-nth)
    slots = np.zeros_like(active)
    for minute in range(max(0, -nth), 60):
        at = (nth + minute) // slot
        if at < _SLOTS:
            bit = (active >> np.uint64(minute)) & np.uint64(1)
            slots |= bit << np.uint64(at)
    return slots

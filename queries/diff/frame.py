"""The arrays that the comparison works on: keys, and their requests a block of minutes.

A *key* is the finest thing that is told apart (side, host, method, route, status, container,
process, signature); a *level* is a coarser one, such as the endpoint, and is summed from keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.session import sql_text
from queries.core.window import Window
from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.stats import Floats, Ints, Mask
from store.derived import failed

if TYPE_CHECKING:
    import duckdb

    from queries.diff.traffic import Traffic

BLOCKS = 12  # a window has about that many; five minutes each in an hour
SLOTS = 60
UNIT = ("side", "host", "method", "route", "container")


@dataclass(frozen=True)
class Values(Sequence[tuple[Any, ...]]):
    """What the groups of a level are called; put together for those that are asked for."""

    labels: list[list[Any]]
    codes: list[Ints]  # [groups] for each dimension

    def __len__(self) -> int:
        return int(self.codes[0].size) if self.codes else 1

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return (self[group] for group in range(len(self)))

    def __getitem__(self, group: Any) -> Any:
        return tuple(
            names[code[group]] for names, code in zip(self.labels, self.codes, strict=True)
        )


@dataclass(frozen=True)
class Level:
    """A coarser key: the group of each key, each group's first key, and each group's values."""

    dims: tuple[str, ...]
    group: Ints
    first: Ints
    values: Values

    @property
    def size(self) -> int:
        return int(self.first.size)

    def sum(self, per_key: Floats) -> Floats:
        """[keys] -> [groups]"""
        sums = np.bincount(self.group, weights=per_key, minlength=self.size)
        return sums.astype(np.float64, copy=False)


@dataclass(frozen=True)
class Tally:
    """window, baseline [groups, blocks]; history [groups, spans]: requests."""

    window: Floats
    baseline: Floats
    history: Floats

    def of(self, groups: Ints) -> Tally:
        return Tally(self.window[groups], self.baseline[groups], self.history[groups])


class _Columns(dict[str, list[Any]]):
    """The values of each key, dimension by dimension, made when they are asked for."""

    def __init__(self, labels: Mapping[str, list[Any]], codes: dict[str, Ints]) -> None:
        super().__init__()
        self._labels, self._codes = labels, codes

    def __missing__(self, name: str) -> list[Any]:
        labels = self._labels[name]
        return self.setdefault(name, [labels[code] for code in self._codes[name].tolist()])


@dataclass
class Frame:
    """All that the comparison works on.

    labels: the values of each dimension, sorted; codes [keys]: places in them.
    window [keys, blocks] and baseline [keys, blocks of all baseline spans]: requests.
    seconds_w, seconds_b: covered recorder-seconds of those blocks.
    slots_w, slots_b [keys], slots_h [keys, history spans]: bit sets of active slots.
    anyhow_w, anyhow_b: requests of all minutes, compared or not, to refute "new" and "gone".
    history [keys, history spans]: requests, and seconds_h the covered recorder-seconds.
    """

    codes: dict[str, Ints]
    labels: Mapping[str, list[Any]]
    window: Floats
    baseline: Floats
    received_w: Floats
    received_b: Floats
    seconds_w: Floats
    seconds_b: Floats
    slots_w: Any
    slots_b: list[Any]
    slots_h: list[Any]
    anyhow_w: Floats
    anyhow_b: Floats
    history: Floats
    seconds_h: Floats
    starts: Ints  # column of each compared span's first block
    block_minutes: int
    levels: dict[tuple[str, ...], Level] = field(default_factory=dict)
    tallies: dict[tuple[tuple[str, ...], bytes], Tally] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The values of each key, by dimension."""
        return _Columns(self.labels, self.codes)

    @property
    def scale(self) -> float:
        """Window seconds over baseline seconds: what baseline counts are multiplied by."""
        return float(self.seconds_w.sum() / self.seconds_b.sum())

    @cached_property
    def status(self) -> Ints:
        return np.asarray(self.labels["status"], dtype=np.int64)[self.codes["status"]]

    @cached_property
    def grpc_failed(self) -> Mask:
        """Keys of requests that failed by their gRPC status alone."""
        names = self.labels["grpc_status"]
        bad = np.array([failed(200, name) for name in names], dtype=bool)[self.codes["grpc_status"]]
        return bad & (self.status > 0) & (self.status < 400)

    @cached_property
    def failed(self) -> Mask:
        """Keys of failed requests, as store/derived.py says."""
        bad: Mask = (self.status == 0) | (self.status >= 400) | self.grpc_failed
        return bad

    @cached_property
    def incoming(self) -> Mask:
        """Keys seen by the callee; all others were seen by the caller."""
        sides = np.array([side == "in" for side in self.labels["side"]], dtype=bool)
        return sides[self.codes["side"]]

    def has(self, dim: str) -> Mask:
        """Keys that have a value in a dimension that may be missing."""
        return np.array([bool(value) for value in self.labels[dim]], dtype=bool)[self.codes[dim]]

    def level(self, dims: tuple[str, ...]) -> Level:
        if dims not in self.levels:
            self.levels[dims] = _level(self, dims)
        return self.levels[dims]


def _level(frame: Frame, dims: tuple[str, ...]) -> Level:
    combined = np.zeros(frame.size, dtype=np.int64)
    for dim in dims:
        combined = combined * len(frame.labels[dim]) + frame.codes[dim]
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    values = Values([frame.labels[d] for d in dims], [frame.codes[d][first] for d in dims])
    return Level(dims, group.astype(np.int64, copy=False), first, values)


def tally(frame: Frame, level: Level, part: Mask) -> Tally:
    """The counts of the keys in `part`, kept for whoever asks for them again.

    A level that knows no more than units (side, endpoint, container) is summed from those.
    """
    known = (level.dims, part.tobytes())
    if known not in frame.tallies:
        unit = frame.level(UNIT)
        if level is not unit and set(level.dims) <= {*UNIT, "service"}:
            fine = tally(frame, unit, part)
            sums = fine.window, fine.baseline, fine.history
            group = level.group[unit.first]
            frame.tallies[known] = Tally(*(_summed(group, level.size, each) for each in sums))
        else:
            sums = frame.window, frame.baseline, frame.history
            frame.tallies[known] = Tally(*(grouped(level, each, part) for each in sums))
    return frame.tallies[known]


def grouped(level: Level, per_key: Floats, part: Mask) -> Floats:
    """[keys, columns] -> [groups, columns], of the keys in `part`."""
    if part.all():
        return _summed(level.group, level.size, per_key)
    keys = np.flatnonzero(part)
    return _summed(level.group[keys], level.size, per_key[keys])


def _summed(group: Ints, size: int, rows: Floats) -> Floats:
    columns = rows.shape[1]
    if columns == 0 or group.size == 0:
        return np.zeros((size, columns))
    place = group[:, None] * columns + np.arange(columns)
    sums = np.bincount(place.ravel(), weights=rows.ravel(), minlength=size * columns)
    return sums.astype(np.float64, copy=False).reshape(size, columns)


def prepare(
    con: duckdb.DuckDBPyConnection,
    window: Window,
    baseline: Sequence[Window],
    history: Sequence[Window],
) -> None:
    """Leave compare_minutes in the connection."""
    con.execute("set timezone = 'UTC'")
    con.execute(
        "create or replace temp table compare_spans"
        " (span integer, role varchar, from_ts timestamptz, to_ts timestamptz)"
    )
    roles = [("window", window), *(("baseline", s) for s in baseline)]
    roles += [("history", s) for s in history]
    rows = [(i, role, s.from_ts, s.to_ts) for i, (role, s) in enumerate(roles)]
    con.executemany("insert into compare_spans values (?, ?, ?, ?)", rows)
    aligned = all(s.minutes == window.minutes for s in baseline)
    con.execute(sql_text("compare_minutes"), {"aligned": aligned})


def load(con: duckdb.DuckDBPyConnection, traffic: Traffic, window: Window, baselines: int) -> Frame:
    """Count the traffic of the spans that `prepare` was given, the window the first of them."""
    block = max(1, round(window.minutes / BLOCKS))
    slot = max(1, -(-window.minutes // SLOTS))
    seconds = _seconds(con, block)
    compared = 1 + baselines
    n_w = -(-window.minutes // block)
    shape = [(n_w if s == 0 else _blocks_of(seconds, s)) for s in range(compared)]
    starts = np.concatenate([[0], np.cumsum(shape)])
    totals = traffic.totals(compared, slot)
    requests, received = traffic.blocks(starts, block)
    covered = _covered(seconds, starts)
    return Frame(
        codes=traffic.codes,
        labels=traffic.labels,
        window=requests[:, :n_w],
        baseline=requests[:, n_w:],
        received_w=received[:, :n_w],
        received_b=received[:, n_w:],
        seconds_w=covered[:n_w],
        seconds_b=covered[n_w:],
        slots_w=totals.slots[0],
        slots_b=list(totals.slots[1:compared]),
        slots_h=list(totals.slots[compared:]),
        anyhow_w=totals.anyhow[0],
        anyhow_b=totals.anyhow[1:].sum(0),
        history=totals.history.T,
        seconds_h=_history_seconds(seconds, baselines, len(totals.history)),
        starts=starts,
        block_minutes=block,
    )


def _seconds(con: duckdb.DuckDBPyConnection, block: int) -> dict[tuple[int, int], float]:
    rows = con.execute(
        "select span, (nth // $block)::integer, sum(seconds) from compare_minutes"
        " where kept group by all order by all",
        {"block": block},
    ).fetchall()
    return {(span, number): float(seconds) for span, number, seconds in rows}


def _blocks_of(seconds: dict[tuple[int, int], float], span: int) -> int:
    return max((block + 1 for s, block in seconds if s == span), default=0)


def _covered(seconds: dict[tuple[int, int], float], starts: Ints) -> Floats:
    covered = np.zeros(int(starts[-1]))
    for (span, block), value in seconds.items():
        if span < starts.size - 1:
            covered[starts[span] + block] = value
    return covered


def _history_seconds(
    seconds: dict[tuple[int, int], float], baselines: int, histories: int
) -> Floats:
    result = np.zeros(histories)
    for (span, _), value in seconds.items():
        if span > baselines:
            result[span - baselines - 1] += value
    return result


_REFUSED = (400, 403, 404, 405)
_MOSTLY = 0.95


def own_traffic(frame: Frame) -> Mask:
    """False for keys of incoming endpoints that answer hardly anything but 400, 403, 404, 405."""
    level = frame.level(("host", "method", "route"))
    total = frame.window.sum(1) + frame.baseline.sum(1) + frame.history.sum(1)
    refused = np.isin(frame.status, _REFUSED)
    seen = total + frame.anyhow_b
    refusals = level.sum(np.where(refused & frame.incoming, seen, 0.0))
    own: Mask = (refusals < _MOSTLY * level.sum(seen))[level.group]
    return own


def counted_once(frame: Frame) -> Frame:
    """The same frame, in which a call that both its ends recorded weighs half at each.

    Two records of one call are no two pieces of evidence. For levels that tell the sides apart
    the frame itself is right.
    """
    level = frame.level(ENDPOINT)
    total = frame.window.sum(1) + frame.baseline.sum(1) + frame.history.sum(1)
    incoming = level.sum(np.where(frame.incoming, total, 0.0))
    outgoing = level.sum(np.where(frame.incoming, 0.0, total))
    both = np.maximum(incoming + outgoing, 1e-9)
    weight = np.where(both > 1e-9, np.maximum(incoming, outgoing) / both, 1.0)[level.group][:, None]
    return replace(
        frame,
        window=frame.window * weight,
        baseline=frame.baseline * weight,
        history=frame.history * weight,
        tallies={},
    )


_UNEVEN = 0.25  # parts may differ by that much from the common change before it counts


def evenness(frame: Frame, c: Candidate, left: Mask) -> tuple[float, float]:
    """(change held, how evenly): both of the side of the wire that tells most, resp. least.

    Looked at endpoint by endpoint, where a part has requests enough to differ from the rest, and
    container by container in each of them.
    """
    parts = [_evenness(frame, c, left, dims) for dims in (UNIT, ("side", *ENDPOINT))]
    return parts[0][0], min(even for _, even in parts)


def _evenness(frame: Frame, c: Candidate, left: Mask, dims: tuple[str, ...]) -> tuple[float, float]:
    unit = frame.level(dims)
    changed = unit.sum(np.where(left, c.excess, 0.0))
    volume = unit.sum(np.where(left, c.volume, 0.0))
    incoming = np.array([value[0] == "in" for value in unit.values], dtype=bool)
    held, even = 0.0, 1.0
    most = max(volume[incoming].sum(), volume[~incoming].sum(), 1e-9)
    for side in (incoming, ~incoming):
        total, all_volume = float(changed[side].sum()), float(volume[side].sum())
        if all_volume < 0.2 * most or total == 0:
            continue
        share = volume[side] / all_volume
        expected = total * share
        # what is not there any more, a container that was replaced, cannot have its part of it
        here = volume[side] > 0
        shown = np.where(here, changed[side] + share * float(changed[side][~here].sum()), 0.0)
        chance = np.sqrt(c.noise * (np.abs(expected) + 0.5)) + _UNEVEN * np.abs(expected)
        away = np.maximum(np.abs(shown - expected) - chance, 0)
        held = max(held, abs(total))
        even = min(even, max(0.0, 1 - 0.5 * float(away.sum()) / abs(total)))
    return held, even

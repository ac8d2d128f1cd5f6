"""The arrays that the comparison works on: keys, and their requests a block of slots.

A *key* is the finest thing that is told apart (queries/diff/keys.py); a *level* is a coarser one,
such as the endpoint, and is summed from keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.keys import INSIDE, SCANNED, first_of_each
from queries.diff.stats import Floats, Ints, Mask, add_up, changes, ratio
from store.derived import failed
from store.values import dataclass

if TYPE_CHECKING:
    from queries.diff.axis import Axis, Covered
    from queries.diff.counts import Cells, Counts

UNIT = ("side", "host", "method", "route", "instance")


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
class Groups:
    """The group of each thing that is summed, keys or units, and the number of groups."""

    group: Ints
    size: int

    def sum(self, values: Floats) -> Floats:
        """[things] -> [groups]"""
        return add_up(self.group, values, self.size)

    def kept(self, values: Floats, shares: Floats) -> Floats:
        """[groups]: the share that is left of values of which each has a share that is left."""
        if (shares == 1).all():
            return np.ones(self.size)
        total = self.sum(values)
        left: Floats = np.ones(self.size)
        return np.divide(self.sum(values * shares), total, out=left, where=total > 0)

    @cached_property
    def _order(self) -> tuple[Ints | None, Ints, Ints]:
        """The things by their groups, where they are not in that order anyway; their groups, and
        where each begins."""
        order, group = None, self.group
        if (group[1:] < group[:-1]).any():
            order = np.argsort(group, kind="stable")
            group = group[order]
        return order, group, changes(group)

    def sums(self, values: Floats, chosen: Mask | None = None) -> Floats:
        """[things, columns] -> [groups, columns], of the chosen things.

        Quick where each column is in one piece, as those of the sums are.
        """
        order, group, starts = self._order
        if chosen is not None and not chosen.all():
            kept = chosen if order is None else chosen[order]
            order = np.flatnonzero(kept) if order is None else order[kept]
            group = group[kept]
            starts = changes(group)
        sums = np.zeros((values.shape[1], self.size))
        if group.size and values.flags.c_contiguous:
            rows = values if order is None else values[order]
            sums[:, group[starts]] = np.add.reduceat(rows, starts, axis=0).T
        elif group.size:
            rows = values.T if order is None else np.take(values.T, order, axis=1)
            sums[:, group[starts]] = np.add.reduceat(rows, starts, axis=1)
        return sums.T


@dataclass(frozen=True)
class Level(Groups):
    """A coarser key: the group of each key, each group's first key, and each group's values."""

    dims: tuple[str, ...]
    first: Ints
    values: Values

    def key(self, group: int) -> dict[str, Any]:
        return dict(zip(self.dims, self.values[group], strict=True))


def _summed(name: str) -> cached_property[Floats]:
    return cached_property(lambda frame: getattr(frame, name).sum(1))


@dataclass
class Frame:
    """All that the comparison works on.

    labels: the values of each dimension, sorted; codes [keys]: places in them.
    window, baseline [keys, blocks], past [keys, stretches]: requests, of the time that counts.
    received_w, received_b [keys, blocks]: bytes received.
    expected, usual [keys, blocks]: requests that the window would have had at the rate of the
    baseline and of the past, recorder by recorder.
    seconds_w, seconds_b [blocks], seconds_p [stretches], seconds [slots]: covered
    recorder-seconds.
    anyhow_w, anyhow_b [keys]: requests of all time, compared or not, to refute "new" and "gone".
    cells: what of the traffic counts; the slot tells when.
    kept [keys]: the share of the baseline that recorders saw which see the window (groups.py): the
    rest may have gone with its recorders, and proves no fall.
    """

    axis: Axis
    codes: dict[str, Ints]
    labels: Mapping[str, list[Any]]
    window: Floats
    baseline: Floats
    past: Floats
    received_w: Floats
    received_b: Floats
    expected: Floats
    usual: Floats
    seconds_w: Floats
    seconds_b: Floats
    seconds_p: Floats
    seconds: Floats
    anyhow_w: Floats
    anyhow_b: Floats
    cells: Cells
    kept: Floats
    levels: dict[tuple[str, ...], Level] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return int(self.codes["host"].size)

    def value(self, dim: str, key: int) -> Any:
        return self.labels[dim][self.codes[dim][key]]

    @property
    def scale(self) -> float:
        """Window seconds over baseline seconds: what baseline counts are multiplied by."""
        return float(self.seconds_w.sum() / self.seconds_b.sum())

    # [keys]: of the whole window, the baseline and the past; due at the rates of the latter two
    requests = _summed("window")
    before = _summed("baseline")
    earlier = _summed("past")
    due = _summed("expected")
    due_past = _summed("usual")

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

    @cached_property
    def served(self) -> Floats:
        """[endpoints]: requests of the window as the callee saw them."""
        return self.level(ENDPOINT).sum(np.where(self.incoming, self.requests, 0.0))

    def of_services(self, names: Collection[str]) -> Mask:
        """Keys of those services, at either end."""
        among = np.array([name in names for name in self.labels["service"]], dtype=bool)
        return among[self.codes["service"]]

    @cached_property
    def front(self) -> Mask:
        """Incoming keys that no recorded caller makes: what comes from outside. All keys, where
        next to nothing does."""
        level = self.level(ENDPOINT)
        total = self.requests + self.before + self.earlier
        incoming = level.sum(np.where(self.incoming, total, 0.0))
        called = level.sum(np.where(self.incoming, 0.0, total)) >= 0.5 * incoming
        outside: Mask = self.incoming & ~called[level.group] & ~self.between
        return outside if total[outside].sum() >= 0.02 * total.sum() else np.ones_like(outside)

    @cached_property
    def between(self) -> Mask:
        """Keys of endpoints inside that are called and nobody recorded serves, or that are served
        and mostly called by others, where there are both: services between are not recorded."""
        level, total = self.level(ENDPOINT), self.requests + self.before
        served, called = (level.sum(np.where(x, total, 0)) for x in (self.incoming, ~self.incoming))
        known = np.array([bool(INSIDE.fullmatch(host)) for host, *_ in level.values], dtype=bool)
        hosts = self.codes["host"][level.first]
        unserved = known & (add_up(hosts, served, hosts.max(initial=0) + 1)[hosts] == 0)
        uncalled = known & (called < 0.5 * served)
        both = (unserved | uncalled) & (unserved.any() and uncalled.any())
        found: Mask = both[level.group]
        return found

    @cached_property
    def own(self) -> Mask:
        """Keys that are not a scanner's."""
        scanned = np.array([route == SCANNED for route in self.labels["route"]], dtype=bool)
        mine: Mask = ~scanned[self.codes["route"]]
        return mine

    def has(self, dim: str) -> Mask:
        """Keys that have a value in a dimension that may be missing."""
        return np.array([bool(value) for value in self.labels[dim]], dtype=bool)[self.codes[dim]]

    def level(self, dims: tuple[str, ...]) -> Level:
        if dims not in self.levels:
            self.levels[dims] = _level(self, dims)
        return self.levels[dims]

    def named(self, level: Level) -> Mask:
        """Groups that have a name for what they are about: a gRPC call has no host, a program
        outside of containers no service, and everything without is nothing to be told of."""
        named = np.ones(level.size, dtype=bool)
        for dim in set(level.dims) & {"host", "service", "instance"}:
            if dim != "host" or "route" not in level.dims:
                named &= self.has(dim)[level.first]
        return named

    @cached_property
    def once(self) -> Frame:
        """The same, in which a call that both its ends recorded weighs half at each.

        Two records of one call are no two pieces of evidence. For levels that tell the sides apart
        the frame itself is right.
        """
        level = self.level(ENDPOINT)
        total = self.requests + self.before + self.earlier
        incoming = level.sum(np.where(self.incoming, total, 0.0))
        outgoing = level.sum(np.where(self.incoming, 0.0, total))
        both = np.maximum(incoming + outgoing, 1e-9)
        weight = np.where(both > 1e-9, np.maximum(incoming, outgoing) / both, 1.0)[level.group]
        if (weight == 1).all():
            return self
        names = (
            "window", "baseline", "past", "received_w", "received_b", "expected", "usual",
        )  # fmt: skip
        return replace(self, **{name: getattr(self, name) * weight[:, None] for name in names})

    @cached_property
    def _inside(self) -> Cells:
        return self.cells.where(self.cells.slot < self.axis.slots[0].size)

    def by_slot(self, level: Level, groups: Ints, chosen: Mask) -> Floats:
        """[groups, slots of the window]: requests of the chosen keys, as in `counted`."""
        cells, size, row = self._inside, self.axis.slots[0].size, np.full(level.size, -1, np.int64)
        weight = ratio(self.counted(level.dims).requests, self.requests) * chosen
        row[groups] = np.arange(groups.size)
        of_key = row[level.group]
        mine = np.flatnonzero(((weight > 0) & (of_key >= 0))[cells.key])
        at, key = of_key[cells.key[mine]] * size + cells.slot[mine], cells.key[mine]
        sums = add_up(at, weight[key] * cells.requests[mine], groups.size * size)
        return sums.reshape(groups.size, size)[row[groups]]

    def counted(self, dims: tuple[str, ...]) -> Frame:
        """The frame whose counts are right for a level of those dimensions."""
        return self if "side" in dims else self.once


def recorders_of(counts: Counts, covered: Covered) -> Ints:
    """[recorders of the counts]: their places in what was covered; -1 for those that are not."""
    place = {name: i for i, name in enumerate(covered.recorders)}
    return np.array([place.get(name, -1) for name in counts.recorders], dtype=np.int64)


def counting(known: Ints, seconds: Floats, cells: Cells) -> Any:
    """The cells of recorders and slots of which some seconds count; what chooses them."""
    counts = np.concatenate([seconds, np.zeros((1, seconds.shape[1]))])[known] > 0
    return slice(None) if counts.all() else np.flatnonzero(counts[cells.recorder, cells.slot])


def frame_of(axis: Axis, counts: Counts, covered: Covered) -> Frame:
    """The counts as arrays over keys and blocks, of the time that both sides were seen."""
    size, blocks, window = counts.keys.size, int(axis.starts[-1]), axis.slots[0].size
    known, cells = recorders_of(counts, covered), counts.traffic
    seen = cells.where(counting(known, covered.seen, cells))
    anyhow = [
        add_up(seen.key[mine], seen.requests[mine], size)
        for mine in (seen.slot < window, (seen.slot >= window) & (seen.slot < axis.size))
    ]
    cells = cells.where(counting(known, covered.seconds, cells))
    inside = cells.slot < axis.size
    spans, past = cells.where(inside), cells.where(~inside)
    n_w = int(axis.starts[1])
    sums = _by_column(spans, axis.block[spans.slot], (size, blocks))
    seconds = covered.seconds
    of_window = np.stack([
        add_up(axis.block[:window], row[:window], n_w) for row in seconds
    ]) if len(seconds) else np.zeros((0, n_w))  # fmt: skip
    due = []
    for part, before in (
        (seconds[:, window : axis.size], spans.where(spans.slot >= window)),
        (seconds[:, axis.size :], past),
    ):
        total = part.sum(1)[:, None]
        rho = np.divide(of_window, total, out=np.zeros_like(of_window), where=total > 0)
        due.append(_due(before, known, rho, size))
    in_block = add_up(axis.block, seconds[:, : axis.size].sum(0), blocks)
    return Frame(
        axis=axis, codes=dict(counts.keys.codes), labels=counts.keys.labels,
        window=sums[0][:, :n_w], baseline=sums[0][:, n_w:],
        past=_by_column(past, past.slot - axis.size, (size, len(axis.past)))[0],
        received_w=sums[1][:, :n_w], received_b=sums[1][:, n_w:],
        expected=due[0], usual=due[1], seconds_w=in_block[:n_w], seconds_b=in_block[n_w:],
        seconds_p=seconds[:, axis.size :].sum(0), seconds=seconds[:, : axis.size].sum(0),
        anyhow_w=anyhow[0], anyhow_b=anyhow[1], cells=cells, kept=np.ones(size),
    )  # fmt: skip


def _by_column(cells: Cells, column: Ints, shape: tuple[int, int]) -> list[Floats]:
    """[keys, columns]: requests, and bytes received; each column in one piece."""
    place = column.astype(np.int64) * shape[0] + cells.key
    sums = (add_up(place, values, shape[0] * shape[1]) for values in (cells.requests, cells.value))
    return [one.reshape(shape[1], shape[0]).T for one in sums]


def _due(cells: Cells, known: Ints, rho: Floats, size: int) -> Floats:
    """[keys, blocks of the window]: requests of the cells, weighed by rho [recorders, blocks]."""
    due = np.zeros((rho.shape[1], size))
    for recorder, place in enumerate(known.tolist()):
        mine = cells.where(cells.recorder == recorder) if known.size > 1 else cells
        if mine.key.size:
            due += rho[place][:, None] * add_up(mine.key, mine.requests, size)
    return due.T


def _level(frame: Frame, dims: tuple[str, ...]) -> Level:
    combined, room = np.zeros(frame.size, dtype=np.int64), 1
    for dim in dims:
        combined = combined * len(frame.labels[dim]) + frame.codes[dim]
        room *= max(len(frame.labels[dim]), 1)
    first, group = first_of_each(combined, room)
    values = Values([frame.labels[d] for d in dims], [frame.codes[d][first] for d in dims])
    return Level(group, first.size, dims, first, values)


_UNEVEN = 0.25  # parts may differ by that much from the common change before it counts


def evenness(frame: Frame, c: Candidate, left: Mask) -> tuple[float, float]:
    """(change held, how evenly): both of the side of the wire that tells most, resp. least.

    Looked at endpoint by endpoint, where a part has requests enough to differ from the rest, and
    container by container in each of them.
    """
    return held_by(frame, c, left), min(
        _evenness(frame, c, left, dims) for dims in (UNIT, ("side", *ENDPOINT))
    )


def held_by(frame: Frame, c: Candidate, left: Mask) -> float:
    """The change in requests; of each endpoint as the end of the wire saw it that saw more."""
    keys = c.held[left[c.held]]
    level, excess, incoming = frame.level(ENDPOINT), c.excess[keys], frame.incoming[keys]
    group = level.group[keys]
    ends = [add_up(group[side], excess[side], level.size) for side in (incoming, ~incoming)]
    return abs(float(np.where(np.abs(ends[0]) > np.abs(ends[1]), *ends).sum()))


def _evenness(frame: Frame, c: Candidate, left: Mask, dims: tuple[str, ...]) -> float:
    unit = frame.level(dims)
    keys = c.held[left[c.held]]
    groups, group = np.unique(unit.group[keys], return_inverse=True)
    changed = add_up(group, c.excess[keys], groups.size)
    volume = add_up(group, c.volume[keys], groups.size)
    incoming = frame.incoming[unit.first[groups]]
    even = 1.0
    most = max(volume[incoming].sum(), volume[~incoming].sum(), 1e-9)
    for side in (incoming, ~incoming):
        total, all_volume = float(changed[side].sum()), float(volume[side].sum())
        if all_volume < 0.2 * most or total == 0:
            continue
        share = volume[side] / all_volume
        expected = total * share
        chance = np.sqrt(c.noise * (np.abs(expected) + 0.5)) + _UNEVEN * np.abs(expected)
        away = np.maximum(np.abs(changed[side] - expected) - chance, 0)
        even = min(even, max(0.0, 1 - 0.5 * float(away.sum()) / abs(total)))
    return even

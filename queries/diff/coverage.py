"""What was seen of both sides: seconds, gaps, losses and filters, in words for the answer.

And by whom of a group: hosts come and go, and their recorders with them. What is not seen any more
may have gone with who saw it, so that it is no proof that it is less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core import notes
from queries.core.answer import Note
from queries.core.format import span
from queries.core.session import Reader, sql_text
from queries.core.window import Baseline, Window, hours_of
from queries.diff import limits
from queries.diff.axis import Axis, Covered, Members, Slots, inside
from queries.diff.counts import Counts
from queries.diff.rollups import (
    if_readable,
    keys_relation,
    place_of,
    rollups_of,
    rows_relation,
)
from queries.diff.stats import Floats, Mask, add_up, ratio
from store.derived import KEYS
from store.files import parquet
from store.hours import HOUR_US, from_us, to_us

if TYPE_CHECKING:
    from pathlib import Path

_GAP_S = 6.0  # shorter gaps are not worth a note
_MOST_LAG = timedelta(seconds=5)  # events are feared to be missing from a longer one
_POSITIONS = timedelta(hours=3)  # windows in which it matters at what time of day was seen


def without_unreadable(reader: Reader, axis: Axis, covered: Covered) -> Covered:
    """The same without hours of which a file could not be read: missing rows are no silence."""
    members = covered.members
    seeing = members.seeing.copy()
    hours = axis.edges[:, 0] // HOUR_US
    for name, hour in reader.unreadable:
        for i, (_, recorder) in enumerate(members.names):
            if recorder == name:
                seeing[i, hours == to_us(hour) // HOUR_US] = 0.0
    if (seeing == members.seeing).all():
        return covered
    members = replace(members, seeing=seeing)
    seen = _seen(covered.recorders, members)
    return replace(covered, seen=seen, seconds=_comparable(axis, seen), members=members)


def covered(reader: Reader, axis: Axis) -> tuple[Axis, Covered]:
    """What was seen of the axis' slots; the axis without the past of which hardly any was seen, or
    of which events are missing, if there is enough of it without."""
    seeing = _islands(row for row in reader.coverage if row["state"] in notes.SEEING)
    # a host that was shut down in good order is not missed: its recorder said that it stopped
    expected = _islands(row for row in reader.coverage
                        if row["state"] != "stopped" or row["reason_code"] == "killed")  # fmt: skip
    names = sorted(expected)
    populations = sorted({population for population, _ in names})
    edges = axis.edges
    islands = (
        [expected[name] for name in names],
        [seeing.get(name, ()) for name in names],
        [notes.together(i for n in names if n[0] == of for i in expected[n]) for of in populations],
    )
    parts = (
        np.array([_seconds(one, edges) for one in each]).reshape(-1, len(edges)) for each in islands
    )
    members = Members(names, *parts)
    lengths = (edges[:, 1] - edges[:, 0]) / 1e6
    seen = _seen(populations, members)
    enough = seen.max(axis=0, initial=0.0) >= limits.MOST * lengths
    whole = enough & ~lossy(reader, edges)
    if whole[axis.size :].sum() >= limits.KNOWN:
        enough = whole
    enough[: axis.size] = True
    past = [p for p, ok in zip(axis.past, enough[axis.size :].tolist(), strict=True) if ok]
    axis, seen = Axis(axis.spans, tuple(past)), seen[:, enough]
    kept = (members.expected, members.seeing, members.together)
    members = Members(names, *(part[:, enough] for part in kept))
    gaps = [
        note
        for i, population in enumerate(populations)
        for slots in axis.slots
        for note in (
            _deaf(population, members, slots, seen[i])
            if members.is_group(population)
            else _gaps(population, slots.span, seeing[population, population])
            if seen[i, : axis.size].any()
            else ()
        )
    ]
    return axis, Covered(populations, seen, _comparable(axis, seen), tuple(gaps), members)


def _islands(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """When each (population, recorder) was in one of the stretches. A recorder without a group is
    a population by itself."""
    times: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows:
        if row["to_ts"] > row["from_ts"]:
            group, recorder = row["group_name"], row["recorder"]
            islands = times.setdefault((recorder if group is None else group, recorder), [])
            islands.append((to_us(row["from_ts"]), to_us(row["to_ts"])))
    return {name: notes.together(stretches) for name, stretches in times.items()}


def _seen(populations: Sequence[str], members: Members) -> Floats:
    """[populations, slots and past]: seconds seen. Of a slot in which several are expected nothing
    counts where too many of them were deaf: what one of them sees, others may not."""
    seen = np.zeros((len(populations), members.seeing.shape[1]))
    for row, population, together in zip(seen, populations, members.together, strict=True):
        mine = members.of(population)
        expected, seeing = members.expected[mine], members.seeing[mine]
        if not members.is_group(population):
            row[:] = seeing.sum(0)
            continue
        share = seeing.sum(0) / np.maximum(expected.sum(0), 1e-9)
        alone = (expected > 0).sum(0) <= 1
        row[:] = np.where(alone | (share >= limits.RECEIVING), together * share, 0.0)
    return seen


def _deaf(population: str, members: Members, slots: Slots, seen: Floats) -> Iterator[Note]:
    """Who of a group did not see what of a span, and how much of it is left out for that."""
    place = slice(slots.first, slots.first + slots.size)
    mine = members.of(population)
    here = [i for i in mine if members.expected[i, place].any()]
    lost = members.expected[:, place] - members.seeing[:, place]
    missed = {members.names[i][1]: float(lost[i].sum()) for i in here}
    deaf = sorted((n for n in missed if missed[n] >= _GAP_S), key=lambda n: (-missed[n], n))
    if not deaf:
        return
    begin, end = slots.span.from_ts, slots.span.to_ts
    text = (
        f"{len(deaf)} of {len(here)} recorders of group {population} missed a part of "
        f"{begin:%H:%M} to {end:%H:%M}: {notes.deaf_names(deaf, missed)}"
    )
    expected = members.expected[mine, place].sum(0) > 0
    out = (slots.edges[1:] - slots.edges[:-1])[expected & (seen[place] <= 0)].sum() / 1e6
    if out:
        least = round(100 * limits.RECEIVING)
        text += f"; {span(out)} are left out, with less than {least} % of it received"
    yield Note("gap", text, begin, end)


def _seconds(islands: Sequence[tuple[int, int]], edges: Any) -> Floats:
    """[slots]: seconds of each slot inside of the islands, which lie apart and in order."""
    if not islands:
        return np.zeros(len(edges))
    points = np.array(islands, dtype=np.float64).ravel()
    lengths = np.diff(points)
    lengths[1::2] = 0.0
    upto = np.concatenate([[0.0], np.cumsum(lengths)])
    inside: Floats = np.diff(np.interp(edges.astype(np.float64), points, upto), axis=1)[:, 0]
    return np.maximum(inside, 0.0) / 1e6


def _comparable(axis: Axis, seen: Floats) -> Floats:
    """The same without recorders, and without blocks of the day, that one side did not see."""
    seconds = seen.copy()
    window = axis.slots[0].size
    both = (seen[:, :window].sum(1) > 0) & (seen[:, window : axis.size].sum(1) > 0)
    seconds[~both] = 0.0
    lengths = np.diff(axis.starts)
    if axis.spans[0].length < _POSITIONS or (lengths != lengths[0]).any():
        return seconds
    blocks = int(lengths[0])
    place = axis.block % blocks
    for row in seconds:
        at = [row[s.first : s.first + s.size] for s in axis.slots]
        places = [place[s.first : s.first + s.size] for s in axis.slots]
        saw = [np.bincount(p, a, blocks) > 0 for a, p in zip(at, places, strict=True)]
        days = np.logical_or.reduce(saw[1:])
        at[0][~days[places[0]]] = 0.0
        for a, p in zip(at[1:], places[1:], strict=True):
            a[~saw[0][p]] = 0.0
    return seconds


def _gaps(recorder: str, span: Window, islands: Sequence[tuple[int, int]]) -> Iterator[Note]:
    begin, end = to_us(span.from_ts), to_us(span.to_ts)
    for low, high in [*islands, (end, end)]:
        if min(low, end) - begin >= _GAP_S * 1e6:
            yield _note(recorder, from_us(begin), from_us(min(low, end)))
        begin = max(begin, min(high, end))


def _note(recorder: str, begin: datetime, end: datetime) -> Note:
    clock = "%H:%M" if begin.second == end.second == 0 else "%H:%M:%S"
    length = span((end - begin).total_seconds())
    text = (
        f"recorder {recorder} did not see {begin:{clock}} to {end:{clock}} ({length}); "
        "rates are of the time that it saw"
    )
    return Note("gap", text, begin, end)


def lossy(reader: Reader, edges: Any) -> Mask:
    """[stretches]: whether events are known, or must be feared, to be missing from what counts as
    covered. edges [stretches, 2]: in microseconds since the epoch."""
    missing = np.zeros(len(edges), dtype=bool)
    for row in reader.coverage:
        lag = row["to_ts"] - row["from_ts"] if row["state"] == "lagging" else timedelta(0)
        if (row["dropped"] or 0) > 0 or lag > _MOST_LAG:
            missing |= (edges[:, 0] < to_us(row["to_ts"])) & (edges[:, 1] > to_us(row["from_ts"]))
    return missing


def is_lossy(reader: Reader, spans: Sequence[Window]) -> bool:
    edges = np.array([[to_us(span.from_ts), to_us(span.to_ts)] for span in spans])
    return bool(lossy(reader, edges).any())


def losses(reader: Reader, sides: Sequence[Window]) -> list[Note]:
    """What was not seen of covered time, side by side, and where the source's clock jumped."""
    lost: list[Note] = []
    for side in sides:
        for recorder in notes.seen(reader, side):
            for note in notes.losses(recorder):
                if note.code != "filtered":
                    note = replace(note, from_ts=side.from_ts, to_ts=side.to_ts)
                lost += [note] if note not in lost else []
        steps = sorted(
            (row["from_ts"], row["recorder"])
            for row in reader.coverage
            if notes.is_step(row["reason_code"], row["reason"])
            and side.from_ts <= row["from_ts"] < side.to_ts
        )
        lost += [notes.clock_note(recorder, at.astimezone(UTC)) for at, recorder in steps]
    return lost


def _filters_of(reader: Reader, spans: Sequence[Window]) -> set[str]:
    """Those under which the spans were recorded; "" is none."""
    rows = (row for span in spans for row in notes.within(reader, span))
    return {row["filter"] or "" for row in rows if row["state"] in notes.SEEING}


def differing_filters(
    reader: Reader, window: Window, baseline: Baseline
) -> tuple[list[str], list[Note]]:
    """Filters under which only one of the sides was recorded: both are then held to all of them."""
    ours = _filters_of(reader, [window])
    theirs = _filters_of(reader, baseline.spans)
    if not ours or not theirs or ours == theirs:
        return [], []
    both = sorted(f for f in ours | theirs if f)
    note = Note(
        "filter_differs",
        "window and baseline were recorded under different filters; compared is what passes all "
        "of them: " + " and ".join(f"({text})" for text in both),
    )
    return both, [note]


def kept(reader: Reader, counts: Counts, axis: Axis, covered: Covered) -> Floats:
    """[keys]: the share of the baseline's requests that was seen by recorders which see the window.

    Of hours, not of the baseline's minutes; 0 where it cannot be known.
    """
    away = _away(axis, covered)
    size = counts.keys.size
    if not away:
        return np.ones(size)
    before = reader.rows_of(hours_of(axis.spans[1:]))
    all_of = rollups_of(reader.store, reader.files["transactions"], reader.groups())
    own = {path: reader.store.rollup(path)[KEYS] for path in before
           if reader.store.recorder_of(path) in away}  # fmt: skip
    every = {path: all_of[path][KEYS] if path in all_of else None for path in before}

    def left() -> Floats:
        reader.store.fetch(own.values())
        theirs = {path: file if file.exists() else None for path, file in own.items()}
        lost = _requests(reader, counts, axis, theirs, away)
        share: Floats = 1 - ratio(lost, _requests(reader, counts, axis, every, None)).clip(0, 1)
        return share

    return if_readable(left, np.zeros(size))


def _away(axis: Axis, covered: Covered) -> dict[str, float]:
    """The share of the window that each recorder did not see, of those that saw the baseline."""
    members, window = covered.members, axis.slots[0].size
    away: dict[str, float] = {}
    for row, population in enumerate(covered.recorders):
        if not members.is_group(population):
            continue
        counts = covered.seconds[row, :window] > 0
        length = members.together[row, :window][counts].sum()
        for i in members.of(population):
            share = 1 - members.seeing[i, :window][counts].sum() / max(length, 1e-9)
            if members.seeing[i, window : axis.size].any() and share > 1 - limits.NEARLY_ALL:
                away[members.names[i][1]] = float(share)
    return away


def _requests(
    reader: Reader, counts: Counts, axis: Axis, files: Mapping[Path, Path | None],
    weights: Mapping[str, float] | None,
) -> Floats:  # fmt: skip
    """[keys]: requests of the baseline's hours. files: of rows, each with its keys of a rollup.

    weights: what those that each recorder saw count; of others none. Without: all count.
    """
    relations = []
    sealed = {keys for keys in files.values() if keys}
    if sealed:
        relations.append(keys_relation(sorted(sealed)))
    rows = [path for path, keys in files.items() if not keys]
    if rows:
        reader.store.fetch(rows)
        relations.append(rows_relation(f"(FROM {parquet(rows)} WHERE {inside(axis.spans[1:])})"))
    if not relations or not counts.hashes.size:
        return np.zeros(counts.keys.size)
    place = place_of(list(weights or {}))
    text = sql_text("compare_rows", keys=" UNION ALL BY NAME ".join(relations), place=place)
    columns: dict[str, Any] = reader.con.execute(
        f"SELECT names, place, sum(requests)::BIGINT AS requests FROM ({text}) GROUP BY ALL"
    ).fetchnumpy()
    weight = np.array([1.0] if weights is None else [*weights.values(), 0.0])
    key, same = named(counts, columns["names"])
    requests = columns["requests"] * weight[columns["place"]] * same
    return add_up(key, requests, counts.keys.size)


def named(counts: Counts, hashes: Any) -> tuple[Any, Any]:
    """(the key of each hash of names, whether it is of one at all)."""
    order = np.argsort(counts.hashes)
    after = np.searchsorted(counts.hashes, hashes, sorter=order)
    at = order[after.clip(max=order.size - 1)]
    return counts.keys.of[at], counts.hashes[at] == hashes

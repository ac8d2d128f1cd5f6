"""What was seen of both sides: seconds, gaps, losses and filters, in words for the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core import notes
from queries.core.answer import Note
from queries.core.session import Reader, sql_text
from queries.core.window import Baseline, Window
from queries.diff import limits
from queries.diff.axis import Axis, Covered
from store.hours import HOUR_US, from_us, to_us

if TYPE_CHECKING:
    from queries.diff.stats import Floats, Mask

_GAP_S = 6.0  # shorter gaps are not worth a note
_POSITIONS = timedelta(hours=3)  # windows in which it matters at what time of day was seen


def without_unreadable(reader: Reader, axis: Axis, covered: Covered) -> Covered:
    """The same without hours of which a file could not be read: missing rows are no silence."""
    seen = covered.seen.copy()
    hours = axis.edges[:, 0] // HOUR_US
    for name, hour in reader.con.execute("SELECT recorder, hour FROM unreadable").fetchall():
        if name in covered.recorders:
            seen[covered.recorders.index(name), hours == to_us(hour) // HOUR_US] = 0.0
    return replace(covered, seen=seen, seconds=_comparable(axis, seen))


def covered(reader: Reader, axis: Axis) -> tuple[Axis, Covered]:
    """What the recorders saw of the axis' slots; the axis without the past that hardly any saw, or
    of which events are missing, if there is enough of it without."""
    rows = reader.con.execute(sql_text("islands")).fetchall()
    islands: dict[str, list[tuple[int, int]]] = {}
    for name, from_ts, to_ts in rows:
        islands.setdefault(name, []).append((to_us(from_ts), to_us(to_ts)))
    names = sorted(islands)
    edges = axis.edges
    seen = np.zeros((len(names), len(edges)))
    for row, name in zip(seen, names, strict=True):
        row[:] = _seconds(sorted(islands[name]), edges)
    gaps = [
        note
        for i, name in enumerate(names)
        if seen[i, : axis.size].any()
        for slots in axis.slots
        for note in _gaps(name, slots.span, sorted(islands[name]))
    ]
    lengths = (edges[:, 1] - edges[:, 0]) / 1e6
    enough = seen.max(axis=0, initial=0.0) >= limits.MOST * lengths
    whole = enough & ~lossy(reader, edges)
    if whole[axis.size :].sum() >= limits.KNOWN:
        enough = whole
    enough[: axis.size] = True
    past = [p for p, ok in zip(axis.past, enough[axis.size :].tolist(), strict=True) if ok]
    axis, seen = Axis(axis.spans, tuple(past)), seen[:, enough]
    return axis, Covered(names, seen, _comparable(axis, seen), tuple(gaps))


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
    length = (end - begin).total_seconds()
    lasted = f"{length / 60:.0f} min" if length >= 90 else f"{length:.0f} s"
    text = (
        f"recorder {recorder} did not see {begin:{clock}} to {end:{clock}} ({lasted}); "
        "rates are of the time that it saw"
    )
    return Note("gap", text, begin, end)


def lossy(reader: Reader, edges: Any) -> Mask:
    """[stretches]: whether events are known, or must be feared, to be missing from what counts as
    covered. edges [stretches, 2]: in microseconds since the epoch."""
    missing = np.zeros(len(edges), dtype=bool)
    for row in reader.rows("lossy"):
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
        limits = {"from_ts": side.from_ts, "to_ts": side.to_ts}
        for row in reader.rows("clock_steps", limits):
            lost.append(notes.clock_note(row["recorder"], row["from_ts"].astimezone(UTC)))
    return lost


def _filters_of(reader: Reader, spans: Sequence[Window]) -> set[str]:
    filters: set[str] = set()
    for span in spans:
        rows = reader.rows("filters", {"from_ts": span.from_ts, "to_ts": span.to_ts})
        filters |= {row["filter"] for row in rows}
    return filters


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

"""What was seen of both sides: seconds, gaps, losses and filters, in words for the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from queries.core import notes
from queries.core.answer import Note
from queries.core.session import Reader, sql_text
from queries.core.window import Baseline, Window

if TYPE_CHECKING:
    import duckdb

_MINUTE = timedelta(minutes=1)
_ENOUGH = 0.5  # of an earlier stretch must have been seen


@dataclass(frozen=True)
class Covered:
    """window, baseline, compared (of the window): seconds of the best covered recorder.

    gaps: one note for each stretch that a recorder missed, of those known from either side.
    """

    window: float
    baseline: float
    compared: float
    gaps: tuple[Note, ...]


def covered(con: duckdb.DuckDBPyConnection, sides: Sequence[Window]) -> Covered:
    """What compare_minutes says of the sides: the window first, then the baseline's spans."""
    rows = con.execute(sql_text("compare_covered")).fetchall()
    seconds = {"window": {"": 0.0}, "baseline": {"": 0.0}}
    compared, whole = 0.0, {}
    for recorder, span, role, total, kept, minutes in rows:
        seconds[role][recorder] = seconds[role].get(recorder, 0.0) + float(total)
        compared = max(compared, float(kept) if role == "window" else 0.0)
        whole[recorder, span] = set(minutes)
    gaps = [
        _note(recorder, side, first, last)
        for recorder in sorted({recorder for recorder, _ in whole})
        for number, side in enumerate(sides)
        for first, last in _stretches(
            [m for m in range(side.minutes) if m not in whole.get((recorder, number), ())]
        )
    ]
    window, baseline = (max(of_role.values()) for of_role in seconds.values())
    return Covered(window, baseline, compared, tuple(gaps))


def _stretches(minutes: list[int]) -> list[tuple[int, int]]:
    stretches: list[tuple[int, int]] = []
    for minute in minutes:
        if stretches and stretches[-1][1] == minute - 1:
            stretches[-1] = (stretches[-1][0], minute)
        else:
            stretches.append((minute, minute))
    return stretches


def _note(recorder: str, span: Window, first: int, last: int) -> Note:
    begin: datetime = span.from_ts + first * _MINUTE
    end: datetime = span.from_ts + (last + 1) * _MINUTE
    text = (
        f"recorder {recorder} did not see {begin:%H:%M} to {end:%H:%M} in full"
        f" ({last + 1 - first} min); these minutes are left out on both sides"
    )
    return Note("gap", text, begin, end)


def seen_enough(reader: Reader, spans: Sequence[Window]) -> list[Window]:
    """The stretches that were seen enough to tell how a quiet one looks."""
    if not spans:
        return []
    limits = {"starts": [s.from_ts for s in spans], "ends": [s.to_ts for s in spans]}
    rows = reader.rows("seen_enough", {**limits, "share": _ENOUGH})
    enough = {row["from_ts"].astimezone(UTC) for row in rows}
    return [span for span in spans if span.from_ts in enough]


def is_lossy(reader: Reader, spans: Sequence[Window]) -> bool:
    """Whether events are known, or must be feared, to be missing from what counts as covered."""
    for span in spans:
        [row] = reader.rows("lossy", {"from_ts": span.from_ts, "to_ts": span.to_ts})
        if row["lossy"]:
            return True
    return False


def losses(reader: Reader, sides: Sequence[Window]) -> list[Note]:
    """What was not seen of covered time, side by side, and where the source's clock jumped."""
    lost: list[Note] = []
    for side in sides:
        for recorder in notes.seen(reader, side):
            for note in notes.losses(recorder):
                if note.code != "filtered":
                    note = replace(note, from_ts=side.from_ts, to_ts=side.to_ts)
                lost += [note] if note not in lost else []
        lost += _clock_steps(reader, side)
    return lost


def _clock_steps(reader: Reader, side: Window) -> list[Note]:
    """What a jump of the clock does to times cannot be put right afterwards, only told."""
    limits = {"from_ts": side.from_ts, "to_ts": side.to_ts}
    jumps = []
    for row in reader.rows("clock_steps", limits):
        at = row["from_ts"].astimezone(UTC).replace(second=0, microsecond=0)
        text = (
            f"the clock of what recorder {row['recorder']} listens to jumped: times before and "
            "after it do not fit together"
        )
        jumps.append(Note("clock", text, at, at + timedelta(minutes=1)))
    return jumps


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

"""What the comparison could not see: minutes without coverage, in words and as a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from queries.core.answer import Note
from queries.diff.spans import Span

if TYPE_CHECKING:
    import duckdb

_MINUTE = timedelta(minutes=1)


def covered_seconds(con: duckdb.DuckDBPyConnection) -> tuple[float, float, float]:
    """(window, baseline, compared of the window): seconds of the best covered recorder."""
    rows = con.execute(
        "select role, recorder, sum(seconds), coalesce(sum(seconds) filter (kept), 0)"
        " from compare_minutes where role <> 'history' group by all"
    ).fetchall()
    best = {"window": 0.0, "baseline": 0.0}
    kept = 0.0
    for role, _, seconds, compared in rows:
        best[role] = max(best[role], float(seconds))
        kept = max(kept, float(compared) if role == "window" else 0.0)
    return best["window"], best["baseline"], kept


def notes(con: duckdb.DuckDBPyConnection, window: Span, baseline: Sequence[Span]) -> list[Note]:
    """One note for each stretch that a recorder missed, of those known from either side."""
    rows = con.execute(
        "select recorder, span, list(nth order by nth) from compare_minutes"
        " where role <> 'history' and seconds >= 54 group by all order by all"
    ).fetchall()
    seen = {(recorder, span): set(minutes) for recorder, span, minutes in rows}
    names = con.execute("select distinct recorder from compare_minutes order by all").fetchall()
    found: list[Note] = []
    for (recorder,) in names:
        for number, span in enumerate([window, *baseline]):
            missed = [m for m in range(span.minutes) if m not in seen.get((recorder, number), ())]
            found += [_note(recorder, span, first, last) for first, last in _stretches(missed)]
    return found


def _stretches(minutes: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for minute in minutes:
        if found and found[-1][1] == minute - 1:
            found[-1] = (found[-1][0], minute)
        else:
            found.append((minute, minute))
    return found


def _note(recorder: str, span: Span, first: int, last: int) -> Note:
    begin: datetime = span.from_ts + first * _MINUTE
    end: datetime = span.from_ts + (last + 1) * _MINUTE
    text = (
        f"recorder {recorder} did not see {begin:%H:%M} to {end:%H:%M} in full"
        f" ({last + 1 - first} min); these minutes are left out on both sides"
    )
    return Note("gap", text, begin, end)

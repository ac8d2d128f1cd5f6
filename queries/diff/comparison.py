"""One comparison of a window with its baseline, over everything that a store's recorders saw.

Past comparisons are made here too (queries/diff/calibrate.py), so nothing here depends on what was
asked before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from queries.core import notes as seen
from queries.core.answer import Changes, Note
from queries.core.selection import condition, remarks
from queries.core.session import Reader, open_reader
from queries.core.window import Baseline, Window
from queries.diff.compare import Options, Span, compare
from queries.diff.counts import BrokenRollup, counts_of
from queries.diff.spans import replicates
from store import Store

if TYPE_CHECKING:
    from filters import Expr

REACH = timedelta(days=7)  # how far back the stretches lie that tell how much quiet ones differ
_ENOUGH = 0.5  # of an earlier stretch must have been seen


def compared(
    store: Store, window: Window, baseline: Baseline, where: Expr | None, limit: int
) -> Changes:
    """Compare `window` with `baseline`; earlier stretches tell how much quiet ones differ.

    where: a parsed filter; only transactions that pass it are compared. limit: findings kept.
    Raises UsageError for a bad filter; gaps, unreadable files and differing filters are notes.
    """
    before, sides = earlier(window, baseline), [window, *baseline.spans]
    with open_reader(store, [*sides, *before]) as reader:
        expressions, notes = _filters(reader, window, baseline)
        before = _seen_enough(reader, before)
        text, params = _condition(reader, expressions, where)

        def ask(rollups: bool) -> Changes:
            counts = counts_of(reader, sides, text, params, light=before, rollups=rollups)
            return compare(
                reader.con,
                counts,
                _span(window),
                [_span(span) for span in baseline.spans],
                Options(
                    kind=baseline.kind,
                    limit=limit,
                    history=[_span(span) for span in before],
                    notes=[*reader.notes, *notes, *_losses(reader, sides), *remarks(where)],
                    lossy=_lossy(reader, sides),
                ),
            )

        try:
            return ask(rollups=True)
        except BrokenRollup:  # the rows that it was made of may still be there
            return ask(rollups=False)


def _span(window: Window) -> Span:
    return Span(window.from_ts, window.to_ts)


def earlier(window: Window, baseline: Baseline) -> list[Window]:
    """Earlier stretches that tell how much quiet ones differ, in time's order."""
    spans = replicates(_span(window), REACH, [_span(span) for span in baseline.spans])
    return [Window(span.from_ts, span.to_ts) for span in reversed(spans)]


def _seen_enough(reader: Reader, spans: Sequence[Window]) -> list[Window]:
    """The stretches that were seen enough to tell how a quiet one looks."""
    if not spans:
        return []
    limits = {"starts": [s.from_ts for s in spans], "ends": [s.to_ts for s in spans]}
    rows = reader.sql("seen_enough", {**limits, "share": _ENOUGH}).to_pylist()
    enough = {row["from_ts"].astimezone(UTC) for row in rows}
    return [span for span in spans if span.from_ts in enough]


def _lossy(reader: Reader, spans: Sequence[Window]) -> bool:
    """Whether events are known, or must be feared, to be missing from what counts as covered."""
    for span in spans:
        rows = reader.query(
            "SELECT coalesce(sum(dropped), 0) > 0 OR coalesce(bool_or(state = 'lagging'"
            " AND to_ts - from_ts > INTERVAL 5 SECOND), false) AS lossy FROM coverage"
            " WHERE to_ts > $from_ts AND from_ts < $to_ts",
            {"from_ts": span.from_ts, "to_ts": span.to_ts},
        )
        if rows["lossy"][0].as_py():
            return True
    return False


def _losses(reader: Reader, sides: Sequence[Window]) -> list[Note]:
    """What was not seen of covered time, side by side, and where the source's clock jumped."""
    found: list[Note] = []
    for side in sides:
        for recorder in seen.seen(reader, side):
            for note in seen.losses(recorder):
                if note.code != "filtered":
                    note = replace(note, from_ts=side.from_ts, to_ts=side.to_ts)
                found += [note] if note not in found else []
        found += _clock_steps(reader, side)
    return found


def _clock_steps(reader: Reader, side: Window) -> list[Note]:
    """What a jump of the clock does to times cannot be put right afterwards, only told."""
    limits = {"from_ts": side.from_ts, "to_ts": side.to_ts}
    found = []
    for row in reader.sql("clock_steps", limits).to_pylist():
        at = row["from_ts"].astimezone(UTC).replace(second=0, microsecond=0)
        text = (
            f"the clock of what recorder {row['recorder']} listens to jumped: times before and "
            "after it do not fit together"
        )
        found.append(Note("clock", text, at, at + timedelta(minutes=1)))
    return found


def _filters(reader: Reader, window: Window, baseline: Baseline) -> tuple[list[str], list[Note]]:
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


def _filters_of(reader: Reader, spans: Sequence[Window]) -> set[str]:
    found: set[str] = set()
    for span in spans:
        rows = reader.query(
            "SELECT DISTINCT coalesce(filter, '') AS filter FROM coverage"
            " WHERE state IN ('receiving', 'lagging') AND to_ts > $from_ts AND from_ts < $to_ts",
            {"from_ts": span.from_ts, "to_ts": span.to_ts},
        )
        found |= {row["filter"] for row in rows.to_pylist()}
    return found


def _condition(
    reader: Reader, expressions: Sequence[str], where: Expr | None
) -> tuple[str | None, Mapping[str, Any]]:
    """All the expressions as one condition over `transactions`, with its parameters."""
    texts = [*expressions, *([where.text] if where is not None else [])]
    if not texts:
        return None, {}
    import filters

    return condition(filters.parse(" AND ".join(f"({text})" for text in texts)), reader.con)

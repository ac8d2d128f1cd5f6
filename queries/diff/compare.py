"""What changed between two stretches of recorded traffic: from counts to findings.

`compare` takes the counts of the hours asked for (queries/diff/counts.py) and a DuckDB connection
with the view `covered` (seconds of a minute in which a recorder received), and answers with
`Changes`. How it decides, and what it cannot see, is written in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from queries.core.answer import (
    BaselineKind,
    BaselineSide,
    Changes,
    Compared,
    Kind,
    Note,
    Side,
    Verdict,
)
from queries.core.selection import condition, remarks
from queries.core.session import Reader, open_reader
from queries.core.window import Baseline, Window
from queries.diff import coverage
from queries.diff import frame as frames
from queries.diff.candidate import ENDPOINT, Candidate, significant
from queries.diff.counts import BrokenRollup, Counts, counts_of
from queries.diff.coverage import Covered
from queries.diff.detect import latency, presence, rates, shares, sizes, trends
from queries.diff.durations import Durations, histograms
from queries.diff.explain import merge
from queries.diff.explain.findings import Scene, findings
from queries.diff.frame import Frame, counted_once, own_traffic
from queries.diff.limits import REPLICATES, limits
from queries.diff.stats import Mask
from queries.diff.traffic import Ledger, Traffic
from store.layout import Store

if TYPE_CHECKING:
    import duckdb

    from filters.nodes import Expr


REACH = timedelta(days=7)  # how far back the stretches lie that tell how much quiet ones differ
_FEW = 200
_SHARE_LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("host",),
    ("host", "method"),
    ENDPOINT,
    ("side", "service"),
    ("side", "container"),
    ("side", "service", "host"),
    ("side", "host", "container"),
    ("side", *ENDPOINT, "container"),
)
_RATE_LEVELS: tuple[tuple[str, ...], ...] = (
    ("host",),
    ENDPOINT,
    ("side", "service", "host"),
    ("side", "service", *ENDPOINT),
)
_SLOW_LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("host",),
    ENDPOINT,
    ("side", "host"),
    ("side", *ENDPOINT),
    ("side", "container"),
)
_SIZE_LEVELS: tuple[tuple[str, ...], ...] = (("host",), ENDPOINT)
_FAILURES: tuple[tuple[Kind, Callable[[Frame], Mask], str], ...] = (
    ("errors", lambda frame: frame.failed, "error_share"),
    ("no_response", lambda frame: frame.status == 0, "no_response_share"),
)


@dataclass(frozen=True)
class Options:
    """What is asked of the comparison.

    history: further stretches of the same length that tell how much quiet hours differ.
    notes: what the caller already knows and the answer shall say (unreadable files, filters).
    lossy: the source is known to have dropped events on a side, nobody knows which: "gone" and
        "fell" are then not reported.
    """

    kind: BaselineKind = "previous"
    limit: int = 50
    history: Sequence[Window] = ()
    notes: Sequence[Note] = ()
    lossy: bool = False


def compared(
    store: Store, window: Window, baseline: Baseline, where: Expr | None, limit: int
) -> Changes:
    """Compare `window` with `baseline`; earlier stretches tell how much quiet ones differ.

    where: a parsed filter; only transactions that pass it are compared. limit: findings kept.
    Raises UsageError for a bad filter; gaps, unreadable files and differing filters are notes.
    """
    before, sides = earlier(window, baseline), [window, *baseline.spans]
    with open_reader(store, [*sides, *before], views=False) as reader:
        expressions, notes = coverage.differing_filters(reader, window, baseline)
        before = coverage.seen_enough(reader, before)
        text, params = _condition(reader, expressions, where)

        def ask(rollups: bool) -> Changes:
            counts = counts_of(reader, sides, text, params, light=before, rollups=rollups)
            return compare(
                reader.con,
                counts,
                window,
                baseline.spans,
                Options(
                    kind=baseline.kind,
                    limit=limit,
                    history=before,
                    notes=[*reader.notes, *notes, *coverage.losses(reader, sides), *remarks(where)],
                    lossy=coverage.is_lossy(reader, sides),
                ),
            )

        try:
            return ask(rollups=True)
        except BrokenRollup:  # the rows that it was made of may still be there
            return ask(rollups=False)


def earlier(window: Window, baseline: Baseline) -> list[Window]:
    """Earlier stretches that tell how much quiet ones differ, in time's order."""
    return replicates(window, REACH, baseline.spans)[::-1]


def _condition(
    reader: Reader, expressions: Sequence[str], where: Expr | None
) -> tuple[str | None, Mapping[str, Any]]:
    """All the expressions as one condition over `transactions`, with its parameters."""
    texts = [*expressions, *([where.text] if where is not None else [])]
    if not texts:
        return None, {}
    import filters

    return condition(filters.parse(" AND ".join(f"({text})" for text in texts)), reader.con)


def replicates(window: Window, reach: timedelta, baseline: Sequence[Window] = ()) -> list[Window]:
    """The past stretches that show how much quiet hours differ, as far as the store reaches back.

    The 24 before the window, and of each earlier day the one at the same time with its two
    neighbours; those that overlap the baseline are left out. Pass them as `Options.history`.
    """
    length = window.to_ts - window.from_ts
    day = timedelta(days=1)
    steps = [i * length for i in range(1, 25)]
    if length <= timedelta(hours=4):
        steps += [n * day + j * length for n in range(2, 8) for j in (-1, 0, 1)]
    spans = [
        Window(window.from_ts - step, window.to_ts - step)
        for step in sorted(set(steps))
        if step <= reach
    ]
    return [s for s in spans if not any(s.overlaps(b) for b in baseline)]


def compare(
    con: duckdb.DuckDBPyConnection,
    counts: Counts,
    window: Window,
    baseline: Sequence[Window],
    options: Options | None = None,
) -> Changes:
    """Compare a window with one or several baseline stretches.

    con: has the view `covered`; temporary tables named compare_* are left in it. counts: the
    traffic of all stretches asked for, history included. Whole UTC minutes are compared. Raises
    BrokenRollup (count anew, from rows) and what DuckDB raises; a comparison that makes
    no sense is a verdict and a note.
    """
    options = options or Options()
    sides = [side for span in (window, *baseline) if (side := span.whole())]
    refusal = _refusal(sides, 1 + len(baseline))
    if refusal:
        return _empty(window, baseline, options, "not_comparable", [refusal])
    window, *baseline = sides
    history = [
        span
        for past in options.history
        if (span := past.whole()) and not any(span.overlaps(side) for side in sides)
    ]
    frames.prepare(con, window, baseline, history)
    covered = coverage.covered(con, sides)
    notes = [*options.notes, *covered.gaps]
    if min(covered.window, covered.baseline) <= 0:
        return _empty(window, baseline, options, "no_data", [*notes, *_blind(covered)])
    if covered.compared <= 0:
        text = "no minute was covered in full on both sides by the same recorder"
        notes.append(Note("no_common_minutes", text))
        return _empty(window, baseline, options, "not_comparable", notes)
    traffic = Traffic(counts, Ledger(con, [window, *baseline, *history]))
    frame = frames.load(con, traffic, window, len(baseline))
    durations = histograms(traffic, frame)
    scene = Scene(
        traffic, frame, durations, window, baseline, covered.compared,
        covered.compared / frame.scale,
    )  # fmt: skip
    notes += _qualified(frame, len(history))
    changed = candidates(frame, durations, options.lossy)
    changed += _trends(frame, window, baseline, history)
    leads = merge.merge(frame, changed)
    found = findings(scene, leads)
    return Changes(
        window=Side(window.from_ts, window.to_ts, covered.window, *_totals(frame, True)),
        baseline=BaselineSide(
            baseline[0].from_ts,
            baseline[-1].to_ts,
            covered.baseline,
            *_totals(frame, False),
            options.kind,
        ),
        verdict="changed" if found else "nothing_changed",
        notes=tuple(notes),
        compared=_compared(frame),
        findings=tuple(found[: options.limit]),
        truncated=len(found) > options.limit,
        more=max(0, len(found) - options.limit),
    )


def candidates(frame: Frame, durations: Durations, lossy: bool) -> list[Candidate]:
    """Every change that passes its test, its floor and its least count, not merged yet."""
    if frame.size == 0:
        return []
    limit = limits(frame.history.shape[1])
    within = own_traffic(frame)
    once = counted_once(frame)
    usual = rates.usual(once, within, limit)
    found = presence.find(frame, limit, within, usual.factor, lossy, once)
    for kind, part, metric in _FAILURES:
        tested = [
            shares.find(frame, dims, part(frame), kind, metric, limit, within, once)
            for dims in _SHARE_LEVELS
        ]
        found += [
            c
            for c in significant(tested, limit)
            if shares.matters(c, limit) and not (lossy and c.direction == "down")
        ]
    mixed = [shares.find_statuses(frame, d, limit, within, once) for d in shares.STATUS_LEVELS]
    found += [c for c in significant(mixed, limit) if shares.status_matters(c, limit)]
    busy = [rates.find(frame, d, limit, within, usual, once) for d in _RATE_LEVELS]
    found += [
        c
        for c in significant(busy, limit)
        if rates.matters(c, limit) and not (lossy and c.direction == "down")
    ]
    slow = [t for d in _SLOW_LEVELS for t in latency.find(frame, durations, d, limit, within)]
    found += [c for c in significant(slow, limit) if latency.matters(c, limit)]
    sized = [sizes.find(frame, d, limit, within) for d in _SIZE_LEVELS]
    return found + [c for c in significant(sized, limit) if sizes.matters(c, limit)]


def _trends(
    frame: Frame, window: Window, baseline: Sequence[Window], history: Sequence[Window]
) -> list[Candidate]:
    """Trends over the unbroken past; there is none unless the baseline is next to the window."""
    if frame.size == 0 or len(baseline) != 1 or baseline[0].to_ts != window.from_ts:
        return []
    place = {span.to_ts: i for i, span in enumerate(history) if span.minutes == window.minutes}
    row: list[int] = []
    edge = baseline[0].from_ts
    while edge in place:
        row.insert(0, place[edge])
        edge = history[place[edge]].from_ts
    return trends.find(frame, row, limits(len(history)), own_traffic(frame))


def _totals(frame: Frame, window: bool) -> tuple[int, int]:
    counts = frame.anyhow_w if window else frame.anyhow_b
    return round(float(counts.sum())), round(float(counts[frame.failed].sum()))


def _compared(frame: Frame) -> Compared:
    seen = frame.window.sum(1) + frame.baseline.sum(1) > 0

    def count(*dims: str) -> int:
        level = frame.level(dims)
        named = seen.copy()
        for dim in dims:
            named &= (dim == "status") | frame.has(dim)
        return int(np.unique(level.group[named]).size)

    return Compared(
        hosts=count("host"),
        endpoints=count(*ENDPOINT),
        statuses=count(*ENDPOINT, "status"),
        containers=count("service"),
        signatures=count("signature"),
    )


def _refusal(sides: Sequence[Window], expected: int) -> Note | None:
    """Why the sides, window first, cannot be compared; expected: how many there should be."""
    if len(sides) < max(expected, 2):
        return Note("empty_window", "window and baseline need at least one whole minute each")
    if any(side.overlaps(sides[0]) for side in sides[1:]):
        return Note(
            "overlap", "window and baseline overlap: a minute cannot be compared with itself"
        )
    return None


def _blind(covered: Covered) -> list[Note]:
    sides = {"window": covered.window, "baseline": covered.baseline}
    return [
        Note("no_data", f"no recorder was receiving in the {name}")
        for name, seconds in sides.items()
        if seconds <= 0
    ]


def _qualified(frame: Frame, histories: int) -> list[Note]:
    notes = []
    if histories < REPLICATES:
        text = "too little history to know how much quiet hours differ: only large changes count"
        notes.append(Note("uncalibrated", text))
    if min(frame.anyhow_w.sum(), frame.anyhow_b.sum()) < _FEW:
        text = "few requests: a change has to be large to be told from chance"
        notes.append(Note("low_volume", text))
    return notes


def _empty(
    window: Window,
    baseline: Sequence[Window],
    options: Options,
    verdict: Verdict,
    notes: list[Note],
) -> Changes:
    first = baseline[0].from_ts if baseline else window.from_ts
    last = baseline[-1].to_ts if baseline else window.from_ts
    return Changes(
        window=Side(window.from_ts, window.to_ts, 0.0, 0, 0),
        baseline=BaselineSide(first, last, 0.0, 0, 0, options.kind),
        verdict=verdict,
        notes=tuple(notes),
    )

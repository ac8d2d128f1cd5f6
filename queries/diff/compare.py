"""What changed between two stretches of recorded traffic: from counts to findings.

`compare` takes the counts of the hours asked for (queries/diff/counts.py) and a DuckDB connection
with the view `covered` (seconds of a minute in which a recorder received), and answers with
`Changes`. How it decides, and what it cannot see, is written in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from queries.core.answer import BaselineSide, Changes, Compared, Kind, Note, Side, Verdict
from queries.diff import frame as frames
from queries.diff import gaps
from queries.diff.background import counted_once, own_traffic
from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.detect import latency, presence, rates, shares, sizes, statuses, trends
from queries.diff.durations import Durations, histograms
from queries.diff.explain import merge
from queries.diff.explain.findings import Scene, findings
from queries.diff.frame import Frame
from queries.diff.limits import REPLICATES, limits
from queries.diff.spans import Options, Span, replicates
from queries.diff.stats import Mask
from queries.diff.tested import significant
from queries.diff.traffic import Ledger, Traffic

if TYPE_CHECKING:
    import duckdb

    from queries.diff.counts import Counts

__all__ = [
    "Changes",
    "Options",
    "Span",
    "compare",
    "replicates",
]

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


def compare(
    con: duckdb.DuckDBPyConnection,
    counts: Counts,
    window: Span,
    baseline: Sequence[Span],
    options: Options | None = None,
) -> Changes:
    """Compare a window with one or several baseline stretches.

    con: has the view `covered`; temporary tables named compare_* are left in it. counts: the
    traffic of all stretches asked for, history included. Whole UTC minutes are compared. Raises
    BrokenRollup (count anew, from rows) and what DuckDB raises; a comparison that makes
    no sense is a verdict and a note.
    """
    options = options or Options()
    window, baseline = window.whole(), [span.whole() for span in baseline]
    history = [
        span
        for span in (s.whole() for s in options.history)
        if not any(span.overlaps(other) for other in (window, *baseline))
    ]
    refusal = _overlap(window, baseline)
    if refusal:
        return _empty(window, baseline, options, "not_comparable", [refusal])
    aligned = frames.prepare(con, window, baseline, history)
    seconds_w, seconds_b, kept = gaps.covered_seconds(con)
    notes = [*options.notes, *gaps.notes(con, window, baseline)]
    if min(seconds_w, seconds_b) <= 0:
        return _empty(window, baseline, options, "no_data", [*notes, *_blind(seconds_w, seconds_b)])
    if kept <= 0:
        text = "no minute was covered in full on both sides by the same recorder"
        notes.append(Note("no_common_minutes", text))
        return _empty(window, baseline, options, "not_comparable", notes)
    traffic = Traffic(counts, Ledger(con, [window, *baseline, *history]))
    frame = frames.load(con, traffic, window, len(baseline), aligned)
    durations = histograms(traffic, frame)
    scene = Scene(traffic, frame, durations, window, baseline, kept, kept / frame.scale)
    notes += _qualified(frame, len(history))
    changed = candidates(frame, durations, options.lossy)
    changed += _trends(frame, window, baseline, history)
    leads = merge.merge(frame, changed)
    found = findings(scene, leads)
    return Changes(
        window=Side(window.from_ts, window.to_ts, seconds_w, *_totals(frame, True)),
        baseline=BaselineSide(
            baseline[0].from_ts, baseline[-1].to_ts, seconds_b, *_totals(frame, False), options.kind
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
    mixed = [statuses.find(frame, d, limit, within, once) for d in statuses.LEVELS]
    found += [c for c in significant(mixed, limit) if statuses.matters(c, limit)]
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
    frame: Frame, window: Span, baseline: Sequence[Span], history: Sequence[Span]
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


def _overlap(window: Span, baseline: Sequence[Span]) -> Note | None:
    if any(span.overlaps(window) for span in baseline):
        return Note(
            "overlap", "window and baseline overlap: a minute cannot be compared with itself"
        )
    if not baseline or window.minutes < 1 or min(s.minutes for s in baseline) < 1:
        return Note("empty_window", "window and baseline need at least one whole minute each")
    return None


def _blind(seconds_w: float, seconds_b: float) -> list[Note]:
    sides = [name for name, s in (("window", seconds_w), ("baseline", seconds_b)) if s <= 0]
    return [Note("no_data", f"no recorder was receiving in the {name}") for name in sides]


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
    window: Span, baseline: Sequence[Span], options: Options, verdict: Verdict, notes: list[Note]
) -> Changes:
    first = baseline[0].from_ts if baseline else window.from_ts
    last = baseline[-1].to_ts if baseline else window.from_ts
    return Changes(
        window=Side(window.from_ts, window.to_ts, 0.0, 0, 0),
        baseline=BaselineSide(first, last, 0.0, 0, 0, options.kind),
        verdict=verdict,
        notes=tuple(notes),
    )

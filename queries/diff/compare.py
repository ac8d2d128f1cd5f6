"""What changed between two stretches of recorded traffic: from counts to findings.

How it decides, and what it cannot see, is written in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from queries.core.answer import BaselineSide, Changes, Compared, Course, Note, Side, Verdict
from queries.core.format import plural
from queries.core.selection import condition, pushdown_of, remarks
from queries.core.session import Reader
from queries.core.watch import still_wanted
from queries.core.window import Baseline, Window
from queries.diff import coverage, limits
from queries.diff.axis import LEAST_STRETCH, Axis, Covered, hour_of, past_of
from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.counts import counts_of
from queries.diff.detect import latency, rates, shares, sizes
from queries.diff.detect.presence import presence
from queries.diff.durations import Durations, durations_of
from queries.diff.explain import merge
from queries.diff.explain.evidence import Rows
from queries.diff.explain.findings import Scene, caller, findings, public_key
from queries.diff.explain.sensitivity import sensitivity
from queries.diff.explain.words import subject
from queries.diff.frame import Frame, frame_of
from queries.diff.rollups import BrokenRollup, is_sound, rollups_of
from queries.diff.stats import add_up, distinct
from store.cover import Sealed, sealed_in, segments_in
from store.derived import KEYS
from store.hours import HOUR_US, from_us, to_us
from store.layout import Store

if TYPE_CHECKING:
    from filters.nodes import Expr

T = TypeVar("T")
_FEW = 200  # requests
_BUSY = 200_000  # cells
_LEAST_S = 60  # of a window
_MOST_ROWS = 200_000  # of a part of the past that is counted from rows: about 0.2 s
_MINUTE = 60_000_000
_OVERLAP = (
    "window and baseline overlap: a minute cannot be compared with itself; end the baseline "
    "(--vs-to) where the window begins"
)
_SHORT = "window and baseline need a minute each, and one has {:.0f} s: ask for --last 1m or more"
_APART = "no recorder saw both sides (of a window of hours: the same time of the day on both)"
_LOSSY = (
    "events are missing from time that counts as seen: nothing is called gone, and nothing quieter"
)
_UNSOUND = "a rollup cannot be read; what it tells was counted from rows (`qrec doctor`)"
_JOB = "a job that had slept looks like that, and less than a day was recorded before to tell"


def compared(
    store: Store, window: Window, baseline: Baseline, where: Expr | None, limit: int,
    running: bool = True,
) -> Changes:  # fmt: skip
    """Compare `window` with `baseline`; earlier stretches tell how much quiet ones differ.

    where: a parsed filter; only transactions that pass it are compared. limit: findings kept.
    running: also of hours that are not over, where counts alone will do.
    Raises UsageError for a bad filter; gaps, unreadable files, differing filters and comparisons
    that make no sense are notes and verdicts.
    """
    spans = (window, *baseline.spans)
    if any(span.overlaps(window) for span in baseline.spans):
        return _empty(window, baseline, "not_comparable", [Note("overlap", _OVERLAP)])
    past = past_of(spans)
    times, push = Axis(spans, tuple(past)).stretches, pushdown_of(store)
    with Reader(store, times, views=False, pushdown=push, running=running, where=where) as reader:
        expressions, notes = coverage.differing_filters(reader, window, baseline)
        text, params = _condition(reader, expressions, where)
        if text and reader.early.keys:
            return compared(store, window, baseline, where, limit, running=False)
        axis, covered = coverage.covered(reader, Axis(spans, affordable(reader, spans, past)))
        notes += [*remarks(where), *coverage.losses(reader, spans)]
        young = _longest_pair(covered, axis, baseline)
        if young:
            window, baseline, note = young
            spans, notes = (window, *baseline.spans), [*notes, note]
            past = past_of(spans)
            axis, covered = coverage.covered(reader, Axis(spans, affordable(reader, spans, past)))

        def answer(rollups: bool) -> Changes:
            counts = counts_of(reader, axis, text, params, rollups=rollups)
            seen = coverage.without_unreadable(reader, axis, covered)
            rows = Rows(reader, counts, text, params)
            return _Question(rows, axis, seen, window, baseline, notes, limit).answer()

        try:
            return answer(rollups=True)
        except (BrokenRollup, IndexError, ValueError) as error:
            if not isinstance(error, BrokenRollup) and _sound(reader):
                raise
            reader.notes.append(Note("unreadable_file", _UNSOUND))
            if reader.early.keys:
                return compared(store, window, baseline, where, limit, running=False)
            return answer(rollups=False)  # the rows that it was made of may still be there


def _sound(reader: Reader) -> bool:
    """Whether all rollups of the files can be read as they were written."""
    of = rollups_of(reader.store, reader.files["transactions"], reader.groups())
    rollups = {one[KEYS]: one for one in of.values()}
    return all(is_sound(reader.con, one) for one in rollups.values())


def affordable(
    reader: Reader, spans: Sequence[Window], past: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """The past without what would take too long to count: of hours that still grow fast, and so
    are not all in rollups, only the newest minutes are left."""
    rows: dict[int, int] = {}
    newest, paths = to_us(spans[0].to_ts), reader.files["transactions"]
    for file in [*segments_in(paths), *sealed_in(paths)]:
        hour = hour_of(file.path)
        goes_on = file.first and hour in rows and newest <= (hour + 1) * HOUR_US
        if goes_on or not isinstance(file, Sealed):
            rows[hour] = rows.get(hour, 0) + file.last - file.first + 1
    cut = []
    for begin, end in past:
        hour = begin // HOUR_US
        seen = min(newest, (hour + 1) * HOUR_US) - hour * HOUR_US
        most = seen * _MOST_ROWS // max(rows.get(hour, 0), 1) // _MINUTE * _MINUTE
        cut.append((max(begin, end - max(most, LEAST_STRETCH)), end))
    return tuple(cut)


def _condition(
    reader: Reader, expressions: Sequence[str], where: Expr | None
) -> tuple[str | None, Mapping[str, Any]]:
    """All the expressions as one condition over `transactions`, with its parameters."""
    if where is None and not expressions:
        return None, {}
    import filters  # 15 ms

    texts = list(expressions)
    # one about recorders alone has chosen the files: there is nothing left to ask of rows
    if where is not None and not filters.is_of_recorders(where):
        texts.append(where.text)
    if not texts:
        return None, {}
    both = filters.parse(" AND ".join(f"({text})" for text in texts))
    return condition(both, reader.con, group_of=reader.group_of, moved=reader.moved)


class _Question:
    """One comparison whose spans are settled."""

    def __init__(
        self, rows: Rows, axis: Axis, covered: Covered, window: Window,
        baseline: Baseline, notes: Sequence[Note], limit: int,
    ) -> None:  # fmt: skip
        self.rows, self.reader = rows, rows.reader
        self.axis, self.covered = axis, covered
        self.window, self.baseline, self.limit = window, baseline, limit
        self.notes = list(notes)

    def answer(self) -> Changes:
        counts = self.rows.counts
        frame = frame_of(self.axis, counts, self.covered)
        seconds = [self.covered.best(self.axis, side, self.covered.seconds) for side in (0, 1)]
        notes = [*self.reader.notes, *self.notes, *self.covered.gaps]
        shortest = min(span.seconds for span in self.axis.spans)
        if shortest < _LEAST_S:
            notes.append(Note("empty_window", _SHORT.format(shortest)))
            return self._changes(frame, "not_comparable", notes, ())
        if not all(seconds):
            seen = [self.covered.best(self.axis, side) for side in (0, 1)]
            verdict: Verdict = "no_data" if not all(seen) else "not_comparable"
            blind = [
                Note("no_data", f"no recorder was receiving in the {name}")
                for name, seconds in zip(("window", "baseline"), seen, strict=True)
                if seconds <= 0 and not self.reader.takes_nobody
            ]
            notes += blind or [Note("no_common_minutes", _APART)]
            return self._changes(frame, verdict, notes, ())
        frame.kept = coverage.kept(self.reader, counts, self.axis, self.covered)
        notes += _qualified(frame)
        notes += _failing_all_along(frame)
        lossy = coverage.is_lossy(self.reader, self.axis.spans)
        if lossy:
            notes.append(Note("lossy", _LOSSY))

        def latencies() -> tuple[Durations, list[Candidate]]:
            durations = durations_of(frame, counts, self.covered)
            return durations, latency.slower(frame, durations)

        shown = cache(lambda: (self._changes(frame, "changed", (), ()), sensitivity(frame)))

        def waited() -> list[Candidate]:
            shown()  # instead of waiting: before, it would be in the way of the other thread
            return slower()[1]

        with _meanwhile(latencies, counts.traffic.key.size > _BUSY) as slower:
            changed = candidates(frame, waited, lossy)
            durations = slower()[0]
        notes += _slept(frame, changed)
        leads = merge.merge(frame, [c for c in changed if not c.job])
        scene = Scene(self.rows, frame, durations, seconds[0], seconds[1])
        rows, total = findings(scene, leads, self.limit)
        changes, least = shown()
        return replace(
            changes, verdict="changed" if total else "nothing_changed", notes=tuple(notes),
            findings=tuple(rows), sensitivity=least, truncated=total > self.limit,
            more=max(0, total - self.limit),
        )  # fmt: skip

    def _changes(
        self, frame: Frame, verdict: Verdict, notes: Sequence[Note], rows: Sequence[Any]
    ) -> Changes:
        spans = self.baseline.spans
        before = spans[0].from_ts, spans[-1].to_ts
        seen = [self.covered.best(self.axis, side) for side in (0, 1)]
        return Changes(
            window=Side(self.window.from_ts, self.window.to_ts, seen[0], *_totals(frame, True)),
            baseline=BaselineSide(*before, seen[1], *_totals(frame, False), self.baseline.kind),
            verdict=verdict, notes=tuple(notes), compared=_compared(frame), findings=tuple(rows),
            course=self._course(frame),
        )  # fmt: skip

    def _course(self, frame: Frame) -> Course:
        """All requests, counted or not; slots that an edge cuts in two are one bucket."""
        window, *others = self.axis.slots
        before = [
            s for s in others if s.step == window.step and s.span.to_ts == self.window.from_ts
        ]
        first = min(s.grid for s in (window, *before))
        size = window.grid + window.size - first
        cells, sums = self.rows.counts.traffic, np.zeros((3, size))
        bad = np.where(frame.failed[cells.key], cells.requests, 0)
        for s in (window, *before):
            mine = (cells.slot >= s.first) & (cells.slot < s.first + s.size)
            place = cells.slot[mine] + (s.grid - first - s.first)
            sums[0] += add_up(place, cells.requests[mine], size)
            sums[1] += add_up(place, bad[mine], size)
            seen = self.covered.seen[:, s.first : s.first + s.size].max(0, initial=0.0)
            sums[2, s.grid - first : s.grid - first + s.size] += seen
        counted, failed, covered = sums.tolist()
        start = from_us(first * window.step * 1_000_000)
        shown = [
            tuple(n if n or s else None for n, s in zip(one, covered, strict=True))
            for one in (counted, failed)
        ]
        return Course(start, float(window.step), shown[0], shown[1], tuple(covered))


@contextmanager
def _meanwhile(work: Callable[[], T], much: bool) -> Iterator[Callable[[], T]]:
    """What gives the result of `work`: where it is much, a thread is at it meanwhile, so that a
    second core is used. Only `work` may use the reader."""
    if not much:
        yield cache(work)
        return
    from concurrent.futures import ThreadPoolExecutor  # 10 ms: not in a small comparison

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(copy_context().run, work).result


def candidates(frame: Frame, slower: Callable[[], list[Candidate]], lossy: bool) -> list[Candidate]:
    """Every change beyond its band, and near misses, not merged yet.

    slower: gives those of latency. lossy: events are missing of time that counts as seen, so that
    nothing is called gone or fallen.
    """
    if frame.size == 0:
        return []
    factor = rates.common(frame)
    changed = presence(frame, factor, lossy)
    for dims in shares.LEVELS:
        still_wanted()
        changed += shares.failures(frame, dims)
    changed += shares.statuses(frame)
    busy = rates.total(frame)
    for dims in rates.LEVELS:
        still_wanted()
        busy += rates.rates(frame, dims, factor)
    changed += [c for c in busy if not (lossy and c.direction == "down")]
    large = []
    for dims in sizes.LEVELS:
        still_wanted()
        large += sizes.sizes(frame, dims)
    return changed + slower() + large


def _totals(frame: Frame, window: bool) -> tuple[int, int]:
    counts = frame.anyhow_w if window else frame.anyhow_b
    return round(float(counts.sum())), round(float(counts[frame.failed].sum()))


def _compared(frame: Frame) -> Compared:
    seen = frame.requests + frame.before > 0

    def count(*dims: str) -> int:
        level = frame.level(dims)
        named = seen.copy()
        for dim in dims:
            named &= (dim == "status") | frame.has(dim)
        return int(distinct(level.group[named]).size)

    return Compared(
        hosts=count("host"), endpoints=count(*ENDPOINT), statuses=count(*ENDPOINT, "status"),
        containers=count("service"), signatures=count("signature"),
    )  # fmt: skip


def _longest_pair(
    covered: Covered, axis: Axis, baseline: Baseline
) -> tuple[Window, Baseline, Note] | None:
    """Of a recording that began with the window or within it, its halves; it says so."""
    window = axis.spans[0]
    before, now = covered.best(axis, 1), covered.best(axis, 0)
    if baseline.kind != "previous" or before >= _LEAST_S or now < 2 * _LEAST_S:
        return None
    seen = np.flatnonzero(covered.seen[:, : axis.slots[0].size].any(0))
    begin, end = (from_us(int(axis.edges[i, j])) for i, j in ((seen[0], 0), (seen[-1], 1)))
    middle, end = _second(begin + (end - begin) / 2), _second(end)
    if (middle - begin).total_seconds() < _LEAST_S:
        return None
    form = "%H:%M" if middle.second == end.second == 0 else "%H:%M:%S"
    text = (
        f"less than a minute was recorded before the window: {middle:{form}} to {end:{form}} is "
        "compared with what was recorded before that"
    )
    pair = Window(middle, min(end, window.to_ts)), Window(begin, middle)
    return pair[0], Baseline("previous", (pair[1],)), Note("young", text, middle, end)


def _second(moment: datetime) -> datetime:
    return from_us(to_us(moment) // 1_000_000 * 1_000_000)


def _failing_all_along(frame: Frame) -> list[Note]:
    """Without a past, what fails on both sides might be an incident that is older than both."""
    if frame.axis.past:
        return []
    level = frame.level(ENDPOINT)
    n, nb = level.sum(frame.requests * frame.own), level.sum(frame.before * frame.own)
    f, fb = (level.sum(x * frame.own * frame.failed) for x in (frame.requests, frame.before))
    bad = (np.minimum(n, nb) >= limits.SEVERAL) & (f >= limits.MOST * n) & (fb >= limits.MOST * nb)
    if not bad.any():
        return []
    worst = np.flatnonzero(bad)[np.argsort(-f[bad], kind="stable")][:3]
    names = ", ".join(" ".join(str(part) for part in level.values[g] if part) for g in worst)
    text = (
        f"failing on both sides already, and no earlier hour to say whether that is usual: {names}"
    )
    return [Note("failing_before", text)]


def _slept(frame: Frame, changed: Sequence[Candidate]) -> list[Note]:
    """What may be jobs that had slept for longer than was recorded."""
    left, names = np.ones(frame.size, dtype=bool), list[str]()
    for c in changed:
        if c.job and c.sure and left[c.scope].any():
            left &= ~c.scope
            who = caller(frame, c.scope, frame.requests) if "host" in c.key else None
            calls = plural(round(c.hit(frame.incoming)), "request")
            what = f"{subject(public_key(frame, c))} ({calls})"
            names.append(f"{who} called {what}" if who else what)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [Note("slept", f"first seen: {', '.join(names[:3])}{more}; {_JOB}")] if names else []


def _qualified(frame: Frame) -> list[Note]:
    notes = []
    if len(frame.axis.past) < limits.KNOWN:
        text = "too little history to know how much quiet hours differ: only large changes count"
        notes.append(Note("uncalibrated", text))
    if min(frame.anyhow_w.sum(), frame.anyhow_b.sum()) < _FEW:
        text = "few requests: a change has to be large to be told from chance"
        notes.append(Note("low_volume", text))
    scanned = float(frame.requests[~frame.own].sum())
    if scanned:
        text = (
            f"{scanned:,.0f} requests look like a scanner's (many routes, few requests each, all "
            "refused): they are left out of the comparison"
        )
        notes.append(Note("scanner", text))
    return notes


def _empty(window: Window, baseline: Baseline, verdict: Verdict, notes: list[Note]) -> Changes:
    spans = baseline.spans
    return Changes(
        window=Side(window.from_ts, window.to_ts, 0.0, 0, 0),
        baseline=BaselineSide(spans[0].from_ts, spans[-1].to_ts, 0.0, 0, 0, baseline.kind),
        verdict=verdict, notes=tuple(notes),
    )  # fmt: skip

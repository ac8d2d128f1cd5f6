"""How many findings is normal here? The same comparison over pairs of the store's own past hours.

Nobody says which past hours were quiet, so the median and the 95th percentile are what to look
at: incidents of the past are a few large numbers among many small ones. A comparison costs about
as much as the question itself, so results are kept in the store (store/manifest.py).
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from queries.core.answer import VERSION, BaselineKind, Calibration, Changes, Note, iso
from queries.core.question import DEFAULT_LIMIT, LIMIT, WHERE, Question
from queries.core.session import hours_of
from queries.core.window import Baseline, Window
from queries.diff.axis import past_of
from queries.diff.compare import LEAST_PAST, compared
from store.hours import from_us
from store.manifest import Kept, keep, read_kept
from store.rollup import ROLLUPS
from store.values import dataclass
from store.version import __version__

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store

PAIRS = 24  # the newest, which are compared where no result is kept
LEAST = 3  # fewer say nothing
# What `what_changed` may spend on comparisons that nobody kept: a pair costs as much as reading
# this many bytes of cells, whatever it holds. Sizes decide, since clocks would change the answer.
_PAIR_BYTES = 256 << 10
_BUDGET_BYTES = 1 << 20
_ALL = 1_000_000
_ENOUGH = 0.5  # of both sides must have been seen

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Between:
    """A stretch of time."""

    from_ts: datetime = field(metadata={"name": "from"})
    to_ts: datetime = field(metadata={"name": "to"})


@dataclass(frozen=True)
class AskedBaseline(Between):
    kind: BaselineKind


@dataclass(frozen=True)
class PastPair:
    """A comparison of the past: its window, its baseline (all stretches of it), its findings."""

    window: Between
    baseline: Between
    findings: int


@dataclass(frozen=True)
class Calibrated:
    """What is usual for this comparison. calibration: None with fewer than three past pairs.

    window and baseline: as asked; no pair overlaps them. pairs: newest first.
    """

    window: Between
    baseline: AskedBaseline
    calibration: Calibration | None
    pairs: tuple[PastPair, ...]
    notes: tuple[Note, ...] = ()
    truncated: bool = False
    version: int = VERSION


def calibration(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    tell: Tell = lambda _done, _all: None,
) -> Calibrated:
    """Make the comparison over past pairs, and say how many findings each gave.

    limit: pairs listed; all count. tell: called with (done, all) before each comparison.
    Raises UsageError for a bad filter. Costs one comparison for each pair not kept.
    """
    past = Past(store, window, baseline, where)
    results = _kept(past)
    results |= _make(past, [pair for pair in past.pairs[:PAIRS] if pair not in results], tell)
    found = _with_findings(results)
    return Calibrated(
        Between(window.from_ts, window.to_ts),
        AskedBaseline(baseline.from_ts, baseline.to_ts, baseline.kind),
        _summary([pair.findings for pair in found]),
        tuple(found[:limit]),
        tuple(_notes(results, found)),
        len(found) > limit,
    )


def known(
    store: Store, window: Window, baseline: Baseline, where: Expr | None
) -> tuple[Calibration | None, int]:
    """(what the kept results say, how many past pairs wait to be compared).

    Compares what is missing where that costs next to nothing: decided by the size of the files.
    """
    past = Past(store, window, baseline, where)
    results = _kept(past)
    missing = [pair for pair in past.pairs[:PAIRS] if pair not in results]
    if len(results) + len(missing) < LEAST:  # nothing to say, however long it is counted
        return None, 0
    if missing and _cheap(past, missing):
        results |= _make(past, missing)
        missing = []
    return _summary([pair.findings for pair in _with_findings(results)]), len(missing)


def _kept(past: Past) -> dict[Pair, int | None]:
    """The results that are kept, of pairs whose files are still the same."""
    kept = read_kept(past.store)
    ends = {entry.to for entry in kept.values()}
    there = [pair for pair in past.pairs if iso(pair.window.to_ts) in ends]
    keys = {pair: past.key(pair) for pair in there}
    return {pair: kept[key].findings for pair, key in keys.items() if key in kept}


def _make(past: Past, pairs: Sequence[Pair], tell: Tell = lambda _done, _all: None
          ) -> dict[Pair, int | None]:  # fmt: skip
    """Compare the pairs; what is done is kept, also when it is broken off."""
    results: dict[Pair, int | None] = {}
    lasting: dict[str, Kept] = {}
    try:
        for done, pair in enumerate(pairs):
            tell(done, len(pairs))
            changes = compared(past.store, pair.window, pair.baseline, where=past.where, limit=_ALL)
            results[pair] = _findings(past, pair, changes)
            if not _passing(changes):
                lasting[past.key(pair)] = Kept(iso(pair.window.to_ts), results[pair])
    finally:
        if lasting:
            keep(past.store, lasting)
    return results


def _findings(past: Past, pair: Pair, changes: Changes) -> int | None:
    """How many there were; None where the pair says nothing about the comparison asked for."""
    lengths = sum(span.seconds for span in pair.baseline.spans)
    seen = (
        changes.window.covered_s >= _ENOUGH * pair.window.seconds
        and changes.baseline.covered_s >= _ENOUGH * lengths
    )
    sharp = "uncalibrated" not in {note.code for note in changes.notes}
    answered = changes.verdict in ("changed", "nothing_changed")
    return len(changes.findings) if answered and seen and sharp == past.sharp else None


def _passing(changes: Changes) -> bool:
    """Whether the result may be another one without any file's name having changed."""
    return "unreadable_file" in {note.code for note in changes.notes}


def _with_findings(results: dict[Pair, int | None]) -> list[PastPair]:
    ordered = sorted(results, key=lambda pair: pair.window.to_ts, reverse=True)
    return [
        PastPair(
            Between(pair.window.from_ts, pair.window.to_ts),
            Between(pair.baseline.from_ts, pair.baseline.to_ts),
            count,
        )
        for pair in ordered
        if (count := results[pair]) is not None
    ]


def _summary(counts: Sequence[int]) -> Calibration | None:
    if len(counts) < LEAST:
        return None
    at = -(-95 * len(counts) // 100) - 1  # the least that 95 % of the pairs do not exceed
    return Calibration(len(counts), float(statistics.median(counts)), float(sorted(counts)[at]))


def _cheap(past: Past, missing: Sequence[Pair]) -> bool:
    if len(missing) * _PAIR_BYTES > _BUDGET_BYTES:
        return False
    return sum(_PAIR_BYTES + past.weight(pair) for pair in missing) <= _BUDGET_BYTES


def _notes(results: dict[Pair, int | None], found: Sequence[PastPair]) -> Iterator[Note]:
    left_out = len(results) - len(found)
    if left_out:
        yield Note("gap", f"{left_out} past pairs are left out: too little of them was recorded")
    if len(found) < LEAST:
        yield Note(
            "few_pairs",
            f"past hours give {len(found)} pairs to compare, and at least {LEAST} are needed to "
            "say what is usual: ask again when the store reaches further back",
        )


_HOUR = timedelta(hours=1)
_REACH = timedelta(days=7)


@dataclass(frozen=True)
class Pair:
    """A past window and its baseline, at whole minutes."""

    window: Window
    baseline: Baseline

    @cached_property
    def hours(self) -> list[str]:
        """All hours that its comparison looks at."""
        before = _earlier(self.window, self.baseline)
        return hours_of([self.window, *self.baseline.spans, *before])


class Past:
    """The past pairs of one question, newest first, over what the store holds now."""

    def __init__(
        self, store: Store, window: Window, baseline: Baseline, where: Expr | None
    ) -> None:
        self.store = store
        self.window, self.baseline, self.where = window, baseline, where
        self._listed = frozenset(store.hours("coverage"))
        self._stamps: dict[str, str] = {}
        self.sharp = self._replicates(window, baseline) >= LEAST_PAST

    @cached_property
    def pairs(self) -> list[Pair]:
        """Those of the last seven days: apart from what is asked about, recorded on both sides.

        With as much of a past as decides about the thresholds: a quiet night under the coarse
        thresholds of a store without one says nothing about a night under the fine ones.
        """
        return [pair for pair in self._moved() if self._comparable(pair)]

    def key(self, pair: Pair) -> str:
        """A digest of all that the pair's number of findings depends on."""
        about = [
            __version__,
            pair.window,
            pair.baseline.spans,
            self.where and self.where.text,
            [self._stamp(hour) for hour in pair.hours],
        ]
        return hashlib.sha256(repr(about).encode()).hexdigest()[:24]

    def _moved(self) -> Iterator[Pair]:
        step = -(-self.window.length // _HOUR) * _HOUR
        end = self.window.to_ts.replace(minute=0, second=0, microsecond=0)
        while end > self.window.to_ts - _REACH:
            by = self.window.to_ts - end
            spans = tuple(_moved(span, by) for span in self.baseline.spans)
            yield Pair(_moved(self.window, by), Baseline(self.baseline.kind, spans))
            end -= step

    def _comparable(self, pair: Pair) -> bool:
        sides = [pair.window, *pair.baseline.spans]
        asked = [self.window, *self.baseline.spans]
        if any(one.overlaps(other) for one in sides for other in asked):
            return False
        if not self._recorded(sides):
            return False
        return (self._replicates(pair.window, pair.baseline) >= LEAST_PAST) == self.sharp

    def _replicates(self, window: Window, baseline: Baseline) -> int:
        return sum(self._recorded([span]) for span in _earlier(window, baseline))

    def _recorded(self, spans: Sequence[Window]) -> bool:
        return self._listed.issuperset(hours_of(spans))

    def _stamp(self, hour: str) -> str:
        """What the store holds of an hour: its files never change, only its coverage may."""
        if hour not in self._stamps:
            found = hashlib.sha256()
            for recorder, path in self.store.visible("transactions", hour):
                found.update(repr((recorder, path.name, _size(path))).encode())
            folder = self.store.sealed_hour("coverage", hour)
            for path in sorted(folder.glob("*.parquet")):
                found.update(path.name.encode() + _bytes(path))
            self._stamps[hour] = found.hexdigest()
        return self._stamps[hour]

    def weight(self, pair: Pair) -> int:
        """Bytes of the files that its comparison reads."""
        total = 0
        for hour in pair.hours:
            for _, path in self.store.visible("transactions", hour):
                rollup = [self.store.sealed_hour(t, hour) / path.name for t in ROLLUPS]
                total += (0 if self.where else sum(map(_size, rollup))) or _size(path)
        return total


def _earlier(window: Window, baseline: Baseline) -> list[Window]:
    past = past_of((window, *baseline.spans))
    return [Window(from_us(begin), from_us(end)) for begin, end in past]


def _moved(span: Window, by: timedelta) -> Window:
    return Window(_minute(span.from_ts - by), _minute(span.to_ts - by))


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


CALIBRATE = Question(
    name="calibrate",
    tool="get_calibration",
    title="How much usually changes",
    summary="findings that are usual",
    group="incident",
    function=calibration,
    answer=Calibrated,
    rows="pairs",
    arguments=(WHERE, LIMIT),
    baseline=True,
    help="""
    How many findings are usual? The comparison of `qrec diff`, over this store's own past hours.

    Compares up to 24 past pairs, as far apart as the window and its baseline are, and keeps what
    they gave: the next `qrec diff` shows it, and only new hours are compared again.

    \b
    Examples:
      qrec calibrate
      qrec calibrate --last 15m
      qrec calibrate --vs yesterday --json
      qrec calibrate --where 'container.name == "shop"'
    """,
    guide="""
    How many findings what_changed usually gives here: the same comparison over past hours.

    Makes the comparison for up to 24 pairs of this store's own past, of the same length and
    distance as the window and its baseline, and gives the number of findings of each, with median
    and 95th percentile (p95). Use it when what_changed notes that this is not counted yet, or to
    judge whether three findings are many. The first call may take long, as each pair is a
    comparison of its own; results are kept, and what_changed then has them in `calibration`.
    `calibration` null: the store does not reach back far enough. Next: what_changed with from_time
    and to_time of a past pair with many findings.
    """,
)

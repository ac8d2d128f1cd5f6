"""How many findings are usual? The comparison of `qrec diff`, over this store's own past hours.

Nobody says which past hours were quiet, so the median and the 95th percentile are what to look
at: incidents of the past are a few large numbers among many small ones. A pair costs as much as
the question itself: what it gave is kept in calibration.json, and `qrec diff` only reads that.
What is not in the file, or makes no sense there, is compared again.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from queries.core.answer import VERSION, BaselineKind, Between, Calibration, Note, iso
from queries.core.question import CURSOR, DEFAULT_LIMIT, LIMIT, WHERE, Question
from queries.core.window import Baseline, Window, hours_of
from queries.diff import limits
from queries.diff.axis import past_of
from queries.diff.compare import compared
from queries.diff.stats import median
from store import __version__
from store.files import write_text
from store.hours import from_us, hour_key, to_us
from store.values import dataclass

if TYPE_CHECKING:
    from filters.nodes import Expr
    from store.layout import Store

PAIRS = 24  # the newest, which are compared where no result is kept
LEAST = 3  # fewer say nothing
_ALL = 1_000_000
_ENOUGH = 0.5  # of both sides must have been seen
_HOUR = timedelta(hours=1)
_REACH = timedelta(days=7)
_MOST = 2000  # results in the file, those of the newest windows; about 150 bytes each
_FORMAT = 2


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
    next_cursor: str | None = None
    version: int = VERSION


def calibration(
    store: Store,
    window: Window,
    baseline: Baseline,
    *,
    where: Expr | None = None,
    limit: int = DEFAULT_LIMIT,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Calibrated:
    """Make the comparison over past pairs, and say how many findings each gave.

    limit: pairs listed; all count. tell: called with (done, all) before each comparison.
    Raises UsageError for a bad filter. Costs one comparison for each pair not kept.
    """
    past = _Past(store, window, baseline, where)
    results = past.kept()
    missing = [pair for pair in past.pairs[:PAIRS] if pair not in results]
    lasting: list[Pair] = []
    try:
        for done, pair in enumerate(missing):
            tell(done, len(missing))
            results[pair], lasts = past.compare(pair)
            lasting += [pair] if lasts else []
    finally:  # what is done is kept, also when it is broken off
        if lasting:
            past.keep({pair: results[pair] for pair in lasting})
    rows = [
        PastPair(Between(w.from_ts, w.to_ts), Between(b.from_ts, b.to_ts), count)
        for w, b in past.pairs
        if (count := results.get((w, b))) is not None
    ]
    return Calibrated(
        Between(window.from_ts, window.to_ts),
        AskedBaseline(baseline.from_ts, baseline.to_ts, baseline.kind),
        _summary([row.findings for row in rows]),
        tuple(rows[:limit]),
        tuple(_notes(len(results) - len(rows), len(rows))),
        len(rows) > limit,
    )


def known(
    store: Store, window: Window, baseline: Baseline, where: Expr | None
) -> tuple[Calibration | None, int]:
    """(what the kept results say, how many of the newest past pairs wait to be compared)."""
    past = _Past(store, window, baseline, where)
    results = past.kept()
    waiting = sum(pair not in results for pair in past.pairs[:PAIRS])
    usual = _summary([count for count in results.values() if count is not None])
    return usual, waiting if len(results) + waiting >= LEAST else 0


def _summary(counts: Sequence[int]) -> Calibration | None:
    if len(counts) < LEAST:
        return None
    at = -(-95 * len(counts) // 100) - 1  # the least that 95 % of the pairs do not exceed
    return Calibration(len(counts), median(counts), float(sorted(counts)[at]))


def _notes(left_out: int, count: int) -> Iterator[Note]:
    if left_out:
        yield Note("gap", f"{left_out} past pairs are left out: too little of them was recorded")
    if count < LEAST:
        yield Note(
            "few_pairs",
            f"past hours give {count} pairs to compare, and at least {LEAST} are needed to "
            "say what is usual: ask again when the store reaches further back",
        )


Pair = tuple[Window, Baseline]  # at whole minutes


class _Past:
    """The past pairs of one question, newest first, and what is kept of them.

    A pair has as much of a past as the question when it comes to the thresholds: a quiet night
    under the coarse ones of a store without a past says nothing about a night under the fine ones.
    """

    def __init__(
        self, store: Store, window: Window, baseline: Baseline, where: Expr | None
    ) -> None:
        self.store, self.where = store, where
        self._listed = frozenset(store.hours("coverage"))
        self._stamps: dict[str, int] = {}
        self._fine = self._is_fine((window, baseline))
        asked = (window, *baseline.spans)
        self.pairs = [
            pair
            for pair in _moved(window, baseline, min(self._listed, default=""))
            if not any(one.overlaps(other) for one in _sides(pair) for other in asked)
            and self._listed.issuperset(hours_of(_sides(pair)))
            and self._is_fine(pair) == self._fine
        ]

    def _is_fine(self, pair: Pair) -> bool:
        hours = (hours_of([span]) for span in _before(pair))
        return sum(map(self._listed.issuperset, hours)) >= limits.KNOWN

    def compare(self, pair: Pair) -> tuple[int | None, bool]:
        """(findings, whether they last while no file changes); None: it says nothing here."""
        changes = compared(self.store, *pair, where=self.where, limit=_ALL)
        codes = {note.code for note in changes.notes}
        lengths = sum(span.seconds for span in pair[1].spans)
        valid = (
            changes.verdict in ("changed", "nothing_changed")
            and changes.window.covered_s >= _ENOUGH * pair[0].seconds
            and changes.baseline.covered_s >= _ENOUGH * lengths
            and ("uncalibrated" not in codes) == self._fine
        )
        return len(changes.findings) if valid else None, "unreadable_file" not in codes

    def kept(self) -> dict[Pair, int | None]:
        """The results in the file, of pairs whose files are still the same."""
        entries = self._read()
        there = {pair: entries[key] for pair in self.pairs if (key := self._key(pair)) in entries}
        return {pair: count for pair, (s, count) in there.items() if s == self._stamp(pair)}

    def keep(self, results: Mapping[Pair, int | None]) -> None:
        """Add results to the file. A store that cannot be written to does without."""
        entries = self._read()
        entries |= {self._key(pair): (self._stamp(pair), n) for pair, n in results.items()}
        newest = dict(sorted(entries.items())[-_MOST:])
        with contextlib.suppress(OSError):
            document = {"format": _FORMAT, "pairs": newest}
            write_text(self.store.calibration, json.dumps(document) + "\n")

    def _read(self) -> dict[str, tuple[int, int | None]]:
        try:
            document = json.loads(self.store.calibration.read_text(encoding="utf-8"))
            pairs = document["pairs"].items() if document["format"] == _FORMAT else ()
            return {key: (int(stamp), n if n is None else int(n)) for key, (stamp, n) in pairs}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _key(self, pair: Pair) -> str:
        """What was compared, by which version; sorts by the window's end."""
        times = [iso(time) for side in _sides(pair) for time in (side.to_ts, side.from_ts)]
        return " ".join([*times, __version__, self.where.text if self.where else ""])

    def _stamp(self, pair: Pair) -> int:
        """Another number where the files of an hour that it looks at are others: those of
        transactions never change under their names, those of coverage do."""
        stamp = 0
        for hour in hours_of([*_sides(pair), *_before(pair)]):
            if hour not in self._stamps:
                names = [path.name for _, path in self.store.visible("transactions", hour)]
                with contextlib.suppress(OSError):
                    names += [self.store.version(path) for path in self.store.coverage(hour)]
                self._stamps[hour] = zlib.crc32(" ".join(names).encode())
            stamp = zlib.crc32(b"%d" % self._stamps[hour], stamp)
        return stamp


def _sides(pair: Pair) -> tuple[Window, ...]:
    return (pair[0], *pair[1].spans)


def _before(pair: Pair) -> list[Window]:
    """The stretches before a pair that tell its comparison how much quiet ones differ."""
    return [Window(from_us(begin), from_us(end)) for begin, end in past_of(_sides(pair))]


def _moved(window: Window, baseline: Baseline, first: str) -> Iterator[Pair]:
    """Both moved back together, the window's end to earlier whole hours of the last seven days, no
    further than to what lies in the first hour that there is."""

    def back(span: Window) -> Window:
        ends = (m - by for m in (span.from_ts, span.to_ts))
        return Window(*(m.replace(second=0, microsecond=0) for m in ends))

    end = window.to_ts.replace(minute=0, second=0, microsecond=0)
    while end > window.to_ts - _REACH and hour_key(to_us(end) - 1) >= first:
        by = window.to_ts - end
        yield back(window), Baseline(baseline.kind, tuple(map(back, baseline.spans)))
        end -= -(-window.length // _HOUR) * _HOUR


CALIBRATE = Question(
    name="calibrate",
    tool="get_calibration",
    title="How much usually changes",
    summary="findings that are usual",
    group="incident",
    function=calibration,
    answer=Calibrated,
    rows="pairs",
    arguments=(WHERE, LIMIT, CURSOR),
    baseline=True,
    help="""
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

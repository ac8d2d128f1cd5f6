"""What each rule and each threshold of the comparison earns: it is asked again without that one.

A switch puts something plain in the place of a rule, or another value in that of a threshold: one
that some other threshold has, or one so far off that it says nothing. What was read is used again,
as is what the switch cannot change, and examples are not looked up: a switch costs its arithmetic.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final
from unittest import mock

import numpy as np

from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff import compare, coverage, limits
from queries.diff.detect import latency, presence, rates, shares, sizes
from queries.diff.durations import Durations, Histogram, durations_of
from queries.diff.explain import findings, graph, merge, onset
from queries.diff.explain.evidence import minutes
from queries.diff.explain.sensitivity import sensitivity
from queries.diff.frame import Frame, frame_of, held_by
from queries.diff.stats import Runs, band, runs_of
from queries.diff.what_changed import what_changed
from store.layout import Store

Patch = tuple[Any, str, Any]  # of this, that attribute becomes so
_DETECT: Final = (presence, shares, rates, latency, sizes)
_EXPLAIN: Final = (merge, graph, findings, onset)


def _becomes(value: Any) -> Any:
    return lambda *arguments, **named: value


def _ones(n: Any, *rest: Any) -> Any:
    return np.ones(len(n))


def _floor(effects: Any, variances: Any, floor: float, peers: Any = None) -> Any:
    return np.full(len(effects), floor)


def _without_peers(effects: Any, variances: Any, floor: float, peers: Any = None) -> Any:
    return band(effects, variances, floor)


def _whole(blocks: int, over: bool = True) -> Runs:
    return Runs(np.array([0]), np.array([blocks]), np.array([0.0]))


def _lasting_runs(blocks: int, over: bool = True) -> Runs:
    return runs_of(blocks, over=False)


def _no_past(some: Any, *rest: Any) -> Any:
    """The runs of shares, without what is usual."""
    (n, nb, np_), (f, fb, fp) = some.n, some.f
    none = shares.Shares((n, nb, np_[:, :0]), (f, fb, fp[:, :0]))
    return _SCAN(none, *rest)


def _no_usual(*arguments: Any) -> Any:
    """What a rate is compared with, without what it usually is."""
    return _RATES(*arguments)[:1]


def _latency(frame: Frame, durations: Durations) -> Any:
    before = {**durations.before, "usual": Histogram.added(durations.level.size, [])}
    return _SLOWER(frame, replace(durations, before=before))


def _only_slower(frame: Frame, durations: Durations) -> Any:
    return [c for c in _SLOWER(frame, durations) if c.direction == "up"]


def _failing_statuses(frame: Frame) -> Any:
    return [c for c in _STATUSES(frame) if c.key["status"] >= 400]


def _all_active(sides: Any, groups: Any) -> Any:
    return sides.n, groups & False


def _nobody(sides: Any) -> Any:
    return np.zeros(sides.frame.size, dtype=bool)


def _not_back(sides: Any, able: Any, p: Any, kind: Any, direction: Any) -> Any:
    return [] if kind == "back" else _PICK(sides, able, p, kind, direction)


def _no_mean(durations: Any, level: Any, side: Any, powers: Any, runs: Runs) -> Any:
    return np.zeros((level.size, runs.starts.size))


def _not_asked(demand: Any, calls: Any) -> Any:
    size = len(calls[0])
    return np.zeros(size), np.zeros(size, dtype=np.int64), np.ones(size)


def _unknown_together(durations: Durations) -> Any:
    return {n: Histogram.added(durations.endpoints.size, []) for n in durations.before}


def _one_side(frame: Frame, lead: Any) -> Any:
    return lead.scope if "side" in lead.key else _REACH(frame, lead)


_SCAN, _SLOWER, _PICK = shares.scan, latency.slower, presence._Sides._pick
_REACH, _STATUSES, _RATES = merge.reach, shares.statuses, rates._sides


def _everywhere(*modules: Any, **functions: Any) -> tuple[Patch, ...]:
    return tuple((m, name, new) for m in modules for name, new in functions.items())


def _but(levels: Sequence[Any], one: Any) -> tuple[Any, ...]:
    return tuple(level for level in levels if level != one)


_TESTED = (shares, latency, rates, sizes)
_RULES: Final[Mapping[str, tuple[Patch, ...]]] = {
    # the tests
    "runs": _everywhere(*_TESTED, runs_of=_whole),
    "runs that are over": _everywhere(shares, latency, runs_of=_lasting_runs),
    "runs of the baseline taken off": _everywhere(shares, latency, rates, spans_of=_becomes([])),
    "bands learnt": _everywhere(shares, latency, rates, band=_floor),
    "bands by the other keys": _everywhere(latency, rates, band=_without_peers),
    "dispersion of shares": _everywhere(shares, latency, dispersion=_ones),
    "dispersion of rates": _everywhere(rates, presence, rate_dispersion=_ones),
    "failures that come at once": _everywhere(shares, at_once=_ones),
    "the usual, of shares": _everywhere(shares, scan=_no_past),
    "the usual, of rates": _everywhere(rates, _sides=_no_usual),
    "the usual, of latency": _everywhere(latency, slower=_latency),
    "older parts of the past": _everywhere(
        shares, _lasting=lambda some, cut: np.zeros(len(some.n[0]), dtype=bool)
    ),
    "both ends count once": ((Frame, "once", property(lambda frame: frame)),),
    # shares
    "mended before is no news": _everywhere(shares, _lately=_becomes(True)),
    "statuses": _everywhere(shares, statuses=_becomes([])),
    "good statuses": _everywhere(shares, statuses=_failing_statuses),
    "the excess of the whole window": _everywhere(
        shares, rates, whole_or_run=lambda whole, run: run
    ),
    "worth a line": _everywhere(limits, worth=_becomes(True)),
    # latency
    "means of durations": _everywhere(latency, _mean_z=_no_mean),
    "p95": _everywhere(latency, QUANTILES=(latency.QUANTILES[0], latency.QUANTILES[2])),
    "p99": _everywhere(latency, QUANTILES=latency.QUANTILES[:2]),
    "faster": _everywhere(latency, slower=_only_slower),
    "an instance by its endpoint": ((Durations, "together", property(_unknown_together)),),
    # rates
    "rates net of the common change": _everywhere(rates, common=_becomes(rates.ALIKE)),
    "everything by what comes from outside": (
        (Frame, "front", property(lambda frame: np.ones(frame.size, dtype=bool))),
    ),
    "seven of eight past changes": _everywhere(rates, WORST=1),
    "a burst is no rate": _everywhere(rates, _steady=lambda window, runs, *due: runs.sums(window)),
    "who works in runs has no rate": _everywhere(rates, _in_runs=_becomes(False)),
    "young names have no rate": _everywhere(rates, _young=_becomes(False)),
    "silent is gone": _everywhere(rates, _silent=_becomes(False)),
    "calls for each request": _everywhere(rates, _by_demand=_not_asked),
    "sizes": _everywhere(sizes, sizes=_becomes([])),
    # new and gone
    "slots of a name": ((presence._Sides, "_active", _all_active),),
    "back again": ((presence._Sides, "_pick", _not_back),),
    "who works in runs": ((presence._Sides, "_in_runs", _nobody),),
    "jobs are a note": _everywhere(presence, _DAY_S=0),
    "births": ((presence.Births, "often", _becomes(0.0)),),
    "silences of the past": _everywhere(presence, _silences=lambda past: np.zeros(len(past))),
    "an instance is replaced": ((presence._Sides, "missed", _becomes(True)),),
    # which key
    "evenness": _everywhere(merge, evenness=lambda frame, c, left: (held_by(frame, c, left), 1.0)),
    "plain keys": _everywhere(merge, _PLAIN={}),
    "served here": _everywhere(merge, _served_here=_becomes(False)),
    "seen from both ends": _everywhere(merge, reach=_one_side),
    "a surer part": _everywhere(merge, _surer_part=_becomes(False)),
    "everything is one place": _everywhere(graph, of_a_place=_becomes(False)),
    "many places are everything": _everywhere(graph, of_many_places=_becomes(False)),
    "where time is lost": _everywhere(merge, _where_time_goes=lambda frame, lead: lead),
    "tiers": _everywhere(merge, _tier=_becomes(0)),
    "narrowed": _everywhere(merge, narrow=_becomes(None)),
    "one caller of several": _everywhere(merge, _caller=_becomes(None)),
    "retries": _everywhere(merge, _retries=_becomes(None)),
    "moved, of two findings": _everywhere(merge, _likeness=_becomes(0.0)),
    "moved, of one": _everywhere(merge, _others=_becomes(None)),
    "moved, of about a size": _everywhere(merge, _same_size=_becomes(True)),
    # along calls
    "folded along calls": _everywhere(graph, _deeper=lambda calls, i, *rest: i),
    "further than one call": ((graph.Graph, "above", lambda calls, callers: callers),),
    "asked more": _everywhere(graph, _asks=_becomes(False)),
    "gone, its callers say so": _everywhere(graph, _missed=_becomes(False)),
    "a storm is waited for": _everywhere(graph, _busier=_becomes(False)),
    "other callers fare well": _everywhere(graph, contrast=_becomes(0.0)),
    "only the callers saw it": _everywhere(graph, _ends=_becomes((1.0, 1.0))),
    # the list
    "severity": _everywhere(findings, severity=_becomes("high")),
    "failing first": _everywhere(findings, _FAILING=frozenset()),
    "sure first": _everywhere(findings, confidence=_becomes("strong")),
    "what is over counts less": _everywhere(onset, _OVER=2.0),
    "onset in the past": _everywhere(onset, _long_ago=lambda frame, s, since, newer: since),
    "onset to the minute": _everywhere(findings, _to_the_minute=lambda scene, c, when: when),
    **{
        f"level of {name}: {' '.join(level) or 'all'}": (
            (module, "LEVELS", _but(module.LEVELS, level)),
        )
        for name, module in (("shares", shares), ("latency", latency), ("rates", rates))
        for level in module.LEVELS
    },
    **{
        f"level of presence: {kind} {' '.join(level)}": _everywhere(
            presence, LEVELS=_but(presence.LEVELS, (kind, level))
        )
        for kind, level in presence.LEVELS
    },
}  # fmt: skip

_NEVER: Final = 1e12
_VALUES: Final[Mapping[str, tuple[float, float]]] = {  # lower, higher
    "Z": (3.0, 4.0), "Z_ALL": (limits.Z, limits.Z), "Z_STRONG": (limits.Z, _NEVER),
    "NARROW": (math.log(1.15), limits.BAND), "BAND": (limits.NARROW, limits.WIDE),
    "WIDE": (limits.BAND, math.log(4)), "HABITS_S": (0, _NEVER), "KNOWN": (3, 12),
    "TWICE": (1, 4), "POINTS": (0.1, _NEVER), "TRACE": (0, 0.02), "MANY": (0, _NEVER),
    "FEW": (2, 6), "MORE": (limits.FEW, limits.SEVERAL), "MS": (0, 20), "BYTES": (0, 256),
    "CLUSTER": (1, limits.BURSTS), "MOST_CLUSTERED": (3, 12), "BURSTS": (limits.CLUSTER, 6),
    "MOST_BURSTS": (20, _NEVER), "SEVERAL": (limits.MORE, 40), "BEYOND": (1, limits.FEW),
    "HABIT": (0.1, limits.MOST), "MOST": (0.35, 0.75), "NEARLY_ALL": (0.8, 0.97),
    "STORM": (2, _NEVER),
}  # fmt: skip


def _limit(name: str, value: float) -> tuple[Patch, ...]:
    """A threshold, and what took its value when it was imported."""
    patches: list[Patch] = [(limits, name, value)]
    if name in ("NARROW", "BAND"):
        wide = [value if floor == getattr(limits, name) else floor
                for _, _, floor in latency.QUANTILES]  # fmt: skip
        named = [(*one[:2], floor) for one, floor in zip(latency.QUANTILES, wide, strict=True)]
        patches.append((latency, "QUANTILES", tuple(named)))
    return tuple(patches)


SWITCHES: Final[Mapping[str, tuple[Patch, ...]]] = {
    **_RULES,
    **{
        f"{name} {word}": _limit(name, value)
        for name, values in _VALUES.items()
        for word, value in zip(("lower", "higher"), values, strict=True)
    },
}


def switches(names: Sequence[str]) -> Mapping[str, tuple[Patch, ...]]:
    """Those of SWITCHES (all, where none is named); NAME=VALUE is any value of a threshold."""
    some = {}
    for name in names or SWITCHES:
        threshold, equals, value = name.partition("=")
        some[name] = _limit(threshold, float(value)) if equals else SWITCHES[name]
    return some


def _touched(patches: Sequence[Patch]) -> set[Any]:
    """Those modules whose candidates may be others under the patches."""
    touched: set[Any] = set()
    for target, name, _ in patches:
        if target is Frame:
            return set(_DETECT)
        if target in (*_EXPLAIN, graph.Graph):
            continue
        if name == "LEVELS" and target in (shares, rates):
            continue  # whose levels are asked for one by one
        if target in _DETECT:
            touched.add(target)
            continue
        names = [name]
        if target is limits:
            tests = (limits.bar, limits.worth)
            names += [f.__name__ for f in tests if name in inspect.getsource(f).split()]
        touched |= {m for m in _DETECT for one in names if _uses(m, one)}
    return touched


@cache
def _uses(module: Any, name: str) -> bool:
    return re.search(rf"\b{name}\b", inspect.getsource(module)) is not None


_DETECTORS: Final = (
    (presence, compare, "presence"), (shares, shares, "failures"), (shares, shares, "statuses"),
    (rates, rates, "common"), (rates, rates, "total"), (rates, rates, "rates"),
    (latency, latency, "slower"), (sizes, sizes, "sizes"),
)  # fmt: skip


class _Kept:
    """What was worked out once, for the switches that do not change it."""

    def __init__(self) -> None:
        self.results: dict[Any, Any] = {}
        self.touched: set[Any] = set()  # modules that the switch of now changes

    def detector(self, module: Any, name: str, plain: Any) -> Any:
        def call(frame: Any, *rest: Any) -> Any:
            if module in self.touched:
                return plain(frame, *rest)
            key = name, *(repr(one) for one in rest if not isinstance(one, Durations))
            if key not in self.results:
                self.results[key] = plain(frame, *rest)
            return copy.deepcopy(self.results[key])

        return call

    def once(self, plain: Any, key: Any = lambda *arguments: ()) -> Any:
        def call(*arguments: Any) -> Any:
            place = plain, key(*arguments)
            if place not in self.results:
                self.results[place] = plain(*arguments)
            return self.results[place]

        return call


def _span(rows: Any, scope: Any, part: Any, weights: Any, span: Window) -> Any:
    return scope.tobytes(), part.tobytes(), span.from_ts, span.to_ts


def documents(
    store: Store, window: Window, baseline: Baseline, names: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """The answer as it is (""), and under each of those switches."""
    answers: dict[str, dict[str, Any]] = {}
    plain, kept = compare._Question.answer, _Kept()

    def every(question: Any) -> Any:
        notes = list(question.notes)
        for name, patches in {"": (), **switches(names)}.items():
            question.notes = list(notes)
            kept.touched = _touched(patches)
            with contextlib.ExitStack() as stack:
                for patch in patches:
                    stack.enter_context(mock.patch.object(*patch))
                changes = plain(question)
            answers[name] = to_document(changes)
        return changes

    with contextlib.ExitStack() as stack:
        for patch in (
            *((target, name, kept.detector(module, name, getattr(target, name)))
              for module, target, name in _DETECTORS),
            (compare, "frame_of", kept.once(frame_of)),
            (compare, "durations_of", kept.once(durations_of)),
            (compare, "sensitivity", kept.once(sensitivity)),
            (coverage, "is_lossy", kept.once(coverage.is_lossy)),
            (findings, "minutes", kept.once(minutes, _span)),
            (findings, "examples", lambda rows, wanted: [()] * len(wanted)),
            (compare._Question, "answer", every),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(*patch))
        what_changed(store, window, baseline)
    return answers


def dearest(trials: Sequence[Mapping[str, Any]], switch: str) -> str:
    """The cell that needs what was switched off most: incidents that are first there no more, or
    else rows of quiet pairs more."""
    pairs: dict[Any, dict[str, Mapping[str, Any]]] = {}
    for one in trials:
        if one.get("switch") in ("", switch):
            trial = one["window"], one["past"], one["volume"], one["sort"], one["name"]
            pairs.setdefault((*trial, one.get("seed")), {})[one["switch"]] = one
    lost: dict[tuple[int, int, int], list[int]] = {}
    for trial, of in pairs.items():
        if len(of) < 2:
            continue  # cut off by the clock
        sums = lost.setdefault(trial[:3], [0, 0, 0])
        if trial[3] == "quiet":
            sums[1] += of[switch]["findings"] - of[""]["findings"]
        else:
            sums[0] += (of[""]["rank"] == 1) - (of[switch]["rank"] == 1)
            sums[2] += 1
    if not lost:
        return ""
    cell, (first, rows, asked) = max(lost.items(), key=lambda one: (one[1][0], one[1][1]))
    if first <= 0:
        cell, (first, rows, asked) = max(lost.items(), key=lambda one: (one[1][1], one[1][0]))
    if first <= 0 and rows <= 0:
        return ""
    what = f"first -{first} of {asked}" if first > 0 else f"rows +{rows}"
    return f"{cell[0]} min, {cell[1]} h, {cell[2]:,}: {what}"

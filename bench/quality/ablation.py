"""What each rule of the comparison earns: it is asked again with one of them switched off.

A switch puts something plain in the place of a rule. What was read is used again, and examples are
not looked up, so that a switch costs its arithmetic alone.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from unittest import mock

import numpy as np

from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff import compare, coverage, limits
from queries.diff.detect import latency, presence, rates, shares
from queries.diff.durations import durations_of
from queries.diff.explain import findings, graph, merge
from queries.diff.frame import Frame, held_by
from queries.diff.stats import Runs
from queries.diff.what_changed import what_changed
from store.layout import Store

Patch = tuple[Any, str, Any]  # of this, that attribute becomes so


def _becomes(value: Any) -> Any:
    return lambda *arguments, **named: value


def _ones(n: Any, *rest: Any) -> Any:
    return np.ones(len(n))


def _floor(effects: Any, variances: Any, floor: float, peers: Any = None) -> Any:
    return np.full(len(effects), floor)


def _whole(blocks: int, over: bool = True) -> Runs:
    return Runs(np.array([0]), np.array([blocks]), np.array([0.0]))


_pick = presence._Sides._pick


def _not_back(sides: Any, able: Any, p: Any, kind: str, direction: Any) -> Any:
    return [] if kind == "back" else _pick(sides, able, p, kind, direction)  # type: ignore[arg-type]


def _no_mean(durations: Any, level: Any, side: Any, powers: Any, runs: Runs) -> Any:
    return np.zeros((level.size, runs.starts.size))


def _everywhere(*modules: Any, **functions: Any) -> tuple[Patch, ...]:
    return tuple((m, name, new) for m in modules for name, new in functions.items())


SWITCHES: Final[Mapping[str, tuple[Patch, ...]]] = {
    "runs": _everywhere(shares, latency, rates, runs_of=_whole),
    "runs of the baseline taken off": _everywhere(shares, latency, rates, spans_of=_becomes([])),
    "bands learnt": _everywhere(shares, latency, rates, band=_floor),
    "dispersion of shares": _everywhere(shares, latency, dispersion=_ones),
    "dispersion of rates": _everywhere(rates, rate_dispersion=_ones),
    "clumps of failures": _everywhere(shares, clumps=_ones),
    "means of durations": _everywhere(latency, _mean_z=_no_mean),
    "rates net of the common change": _everywhere(rates, common=_becomes(rates.ALIKE)),
    "everything by what comes from outside": (
        (Frame, "front", property(lambda frame: np.ones(frame.size, dtype=bool))),
    ),
    "a burst is no rate": _everywhere(rates, _steady=lambda window, runs, *due: runs.sums(window)),
    "young names have no rate": _everywhere(rates, _young=_becomes(False)),
    "silent is gone": _everywhere(rates, _silent=_becomes(False)),
    "back again": ((presence._Sides, "_pick", _not_back),),
    "births": ((presence.Births, "often", _becomes(0.0)),),
    "worth a line": _everywhere(limits, worth=_becomes(True)),
    "evenness": _everywhere(merge, evenness=lambda frame, c, left: (held_by(frame, c, left), 1.0)),
    "other callers fare well": _everywhere(graph, _contrast=_becomes(0.0)),
    "plain keys": _everywhere(merge, _PLAIN={}),
    "served here": _everywhere(merge, _served_here=_becomes(False)),
    "narrowed": _everywhere(merge, narrow=_becomes(None)),
    "retries": _everywhere(merge, _retries=_becomes(None)),
    "moved, of two findings": _everywhere(merge, _likeness=_becomes(0.0)),
    "moved, of one": _everywhere(merge, _others=_becomes(None)),
    "folded along calls": _everywhere(graph, _deeper=lambda i, *rest: i),
}


_PLACING = {merge, graph, findings}  # these have no say in what is a candidate


def documents(store: Store, window: Window, baseline: Baseline) -> dict[str, dict[str, Any]]:
    """The answer as it is (""), and with each rule switched off."""
    answers: dict[str, dict[str, Any]] = {}
    plain = compare._Question.answer
    kept: dict[str, Any] = {}
    touched: set[Any] = set()

    def once(name: str, make: Any, free: Any) -> Any:
        """`make`, whose result is used again by the switches that `free` says do not change it."""

        def call(*arguments: Any) -> Any:
            if name not in kept:
                kept[name] = make(*arguments)
            elif not free():
                return make(*arguments)
            return copy.deepcopy(kept[name])

        return call

    def durations(frame: Frame, *arguments: Any) -> Any:
        if "durations" not in kept:
            kept["durations"] = durations_of(frame, *arguments)
        return replace(kept["durations"], frame=frame)

    def every(question: Any) -> Any:
        notes = list(question.notes)
        for name, patches in {"": (), **SWITCHES}.items():
            question.notes = list(notes)
            touched.clear()
            touched.update(patch[0] for patch in patches)
            with contextlib.ExitStack() as stack:
                for patch in patches:
                    stack.enter_context(mock.patch.object(*patch))
                changes = plain(question)
            answers[name] = to_document(changes)
        return changes

    slower = once("slower", latency.slower, lambda: not touched & {latency, limits, Frame})
    candidates = once("candidates", compare.candidates, lambda: touched <= _PLACING)
    with (
        mock.patch.object(compare._Question, "answer", every),
        mock.patch.object(compare, "durations_of", durations),
        mock.patch.object(compare, "candidates", candidates),
        mock.patch.object(coverage, "is_lossy", once("lossy", coverage.is_lossy, lambda: True)),
        mock.patch.object(latency, "slower", slower),
        mock.patch.object(findings, "examples", lambda rows, wanted: [()] * len(wanted)),
    ):
        what_changed(store, window, baseline)
    return answers

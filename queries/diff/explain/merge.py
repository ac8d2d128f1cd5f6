"""One cause, one finding: from all changes found to those that a person has to know."""

from __future__ import annotations

import re

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate, one_end
from queries.diff.explain import graph, localise
from queries.diff.frame import Frame
from queries.diff.stats import Floats

HOLDS = 0.9
_STORM = 4.0  # times as busy: then it may be the cause of failures, not their company
_PLACES = (set(ENDPOINT), {"service", "process"}, {"service", "container"})
_KINDS = ("errors", "no_response")
_LATER = {
    "signature": 4,
    "edge": 3,
    "new": 4,
    "gone": 4,
    "latency": 5,
    "rate": 6,
    "size": 7,
    "trend": 9,
}


def merge(frame: Frame, candidates: list[Candidate]) -> list[Candidate]:
    """The leading candidates, narrowed, each with what it explains folded in."""
    found = localise.leads(frame, candidates, {id(c): _tier(c) for c in candidates})
    found = pair_moved(frame, found)
    found = graph.settle(frame, found)
    for lead in found:
        if not lead.key and lead.kind in ("errors", "no_response", "latency"):
            lead.kind, lead.blame = "broad", None
        if lead.kind == "rate" and lead.direction == "up":
            _retries(frame, lead)
        narrow(frame, lead)
        lead.hit = abs(one_end(lead.excess, frame.incoming))
    return found


def _tier(c: Candidate) -> int:
    """Whole hosts and containers that come and go explain most; then failures; then the rest."""
    if c.direction in ("new", "gone") and set(c.key) == {"host"}:
        return 0
    if c.direction in ("new", "gone") and set(c.key) == {"service"}:
        return 1
    if c.direction in ("new", "gone") and set(c.key) in _PLACES:
        return 2
    if c.kind == "statuses":
        return 3 if c.key["status"] >= 400 else 6
    if c.kind in _KINDS:
        return 3 if c.direction == "up" else 8
    if c.kind == "rate" and (c.ratio or 0) >= _STORM:
        return 3
    return _LATER[c.kind] + (4 if c.direction == "down" and c.kind == "latency" else 0)


def _retries(frame: Frame, lead: Candidate) -> None:
    """A service that calls much more without being asked more is trying again and again."""
    assert lead.ratio is not None
    level = frame.level(("side", "service"))
    out = np.where(frame.incoming, 0.0, np.maximum(lead.excess, 0))
    caller = int(np.argmax(level.sum(out)))
    if lead.ratio < 3 or not out.any():
        return
    service = level.values[caller][1]
    asked = [g for g, value in enumerate(level.values) if value == ("in", service)]
    if not asked or not service:
        return
    now, before = level.sum(frame.window.sum(1)), level.sum(frame.baseline.sum(1))
    if now[asked[0]] < 1.5 * before[asked[0]] * frame.scale:
        lead.kind = "retries"


def narrow(frame: Frame, lead: Candidate) -> None:
    """Add to the key every value that holds 90 % of the change and more than its usual part."""
    total = float(np.abs(lead.excess).sum())
    if total <= 0 or lead.direction in ("new", "gone", "moved") or lead.kind == "broad":
        return
    base = np.where(lead.scope, frame.baseline.sum(1) + frame.window.sum(1), 0.0)
    for dims in (("host",), ("method", "route"), ("service",), ("status",)):
        known = set(lead.key) | ({"service"} if "container" in lead.key else set())
        if set(dims) & known or (dims == ("status",) and lead.kind not in _KINDS):
            continue
        if dims == ("service",) and not frame.incoming[lead.scope].all():
            _caller(frame, lead, base)
            continue
        level = frame.level(dims)
        held = np.abs(level.sum(lead.excess))
        top = int(np.argmax(held))
        usual = level.sum(base)
        if dims == ("status",) and 0 < level.values[top][0] < 400:
            continue  # they failed by their gRPC status
        if held[top] >= HOLDS * total and usual[top] < HOLDS * usual.sum():
            lead.key.update(zip(dims, level.values[top], strict=True))
            if dims != ("status",):
                lead.scope &= level.group == top
                lead.part &= lead.scope


def _caller(frame: Frame, lead: Candidate, base: Floats) -> None:
    """The one service of several from which the calls come that changed."""
    level = frame.level(("service",))
    held = np.abs(level.sum(np.where(frame.incoming, 0.0, lead.excess)))
    usual = level.sum(np.where(frame.incoming, 0.0, base))
    if held.sum() <= 0 or "side" in lead.key:
        return
    top = int(np.argmax(held))
    if held[top] >= HOLDS * held.sum() and usual[top] < HOLDS * usual.sum():
        lead.key["service"] = level.values[top][0]


def failures(frame: Frame, lead: Candidate) -> list[tuple[int, str]]:
    """(status, gRPC status) of the failures that make up the change, most of it first."""
    level = frame.level(("status", "grpc_status"))
    held = level.sum(np.maximum(np.where(lead.part & frame.failed, lead.excess, 0.0), 0))
    order = np.argsort(-held, kind="stable")
    return [level.values[i] for i in order if held[i] >= 0.05 * max(held.sum(), 1)]


_WORD = re.compile(r"[A-Za-z]{3,}|\{[a-z_]+\}")
_ALIKE = 0.5


def pair_moved(frame: Frame, leads: list[Candidate]) -> list[Candidate]:
    """Replace each fitting pair of a gone and a new lead by one that has moved."""
    gone = [c for c in leads if c.direction == "gone"]
    fresh = [c for c in leads if c.direction == "new" and c.kind != "back"]
    taken: set[int] = set()
    for old in sorted(gone, key=Candidate.order):
        fits = [
            (-_likeness(frame, old, new), *new.order(), i)
            for i, new in enumerate(fresh)
            if i not in taken and set(old.key) == set(new.key) and _same_size(old, new)
        ]
        if fits and -min(fits)[0] >= _ALIKE:
            place = min(fits)[-1]
            taken.add(place)
            _join(old, fresh[place])
            leads = [c for c in leads if c is not old]
    return leads


def _same_size(old: Candidate, new: Candidate) -> bool:
    return 0.4 * old.affected <= new.affected <= 2.5 * old.affected


def _likeness(frame: Frame, old: Candidate, new: Candidate) -> float:
    """Part of the paths (or, of one path, of the words) that both have in common."""
    if set(old.key) in ({"host"}, {"service"}):
        return _common(_paths(frame, old), _paths(frame, new))
    if set(old.key) == {"service", "process"}:
        return 1.0 if old.key["service"] == new.key["service"] else 0.0
    if set(old.key) != set(ENDPOINT) or old.key["method"] != new.key["method"]:
        return 0.0
    if old.key["host"] != new.key["host"]:
        return 1.0 if old.key["route"] == new.key["route"] else 0.0
    words = [set(_WORD.findall(str(c.key["route"]))) for c in (old, new)]
    return _common(*words)


def _paths(frame: Frame, c: Candidate) -> set[object]:
    columns = frame.columns
    keys = np.flatnonzero(c.scope & (np.abs(c.excess) > 0)).tolist()
    return {(columns["method"][k], columns["route"][k]) for k in keys}


def _common(a: set[object], b: set[object]) -> float:  # type: ignore[type-arg,unused-ignore]
    return len(a & b) / len(a | b) if a and b else 0.0


def _join(old: Candidate, new: Candidate) -> None:
    new.kind, new.direction = "moved", "moved"
    new.folded += [old, *old.folded]
    new.scope = new.scope | old.scope
    new.baseline = old.baseline

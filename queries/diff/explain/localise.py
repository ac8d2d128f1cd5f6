"""Which of the changes found is the cause: the key whose parts all changed alike.

A failing endpoint makes its host, its callers and its callers' callers look worse as well. A
wider key explains a change only if its parts changed in proportion; a narrower one only if it
holds the change. The score is the change held, times how evenly it is spread over the key.
"""

from __future__ import annotations

import numpy as np

from queries.diff.candidate import ENDPOINT, Candidate
from queries.diff.frame import Frame
from queries.diff.stats import Floats, Mask, ratio

UNIT = ("side", *ENDPOINT, "container")
_UNEVEN = 0.25  # parts may differ by that much from the common change before it counts
_EVEN = (0.3, 0.8)  # less even than that, a key is no cause; everything at once even less so
_LEFT = 0.5  # a candidate stands on its own if that part of it is not explained yet
_CHANGED = 0.05  # an endpoint with less of a change than this part does not share the cause

_KNOWN = 20  # requests of other callers from which on they say how the endpoint fares
_SHARES = ("errors", "no_response")
_HOW = frozenset({"errors", "no_response", "statuses", "latency", "size"})  # not how many

# Where two keys explain a change equally well, the one that is easier to say wins.
_PLAIN: dict[tuple[str, ...], int] = {
    ("host",): 0,
    ENDPOINT: 0,
    ("host", "method"): 1,
    ("side", "container"): 1,
    ("side", "service"): 2,
    (): 3,
}


# no_response says more than errors of the same size, and one status among them less; calls that
# multiply are the cause of the failures among them if there are more than five times as many
_WEIGHT = {"no_response": 1.05, "statuses": 0.85, "rate": 0.2}


def evenness(frame: Frame, c: Candidate, left: Mask) -> tuple[float, float]:
    """(change held, how evenly): both of the side of the wire that tells most, resp. least.

    Looked at endpoint by endpoint, where a part has requests enough to differ from the rest, and
    container by container in each of them.
    """
    parts = [_evenness(frame, c, left, dims) for dims in (UNIT, ("side", *ENDPOINT))]
    return parts[0][0], min(even for _, even in parts)


def _evenness(frame: Frame, c: Candidate, left: Mask, dims: tuple[str, ...]) -> tuple[float, float]:
    unit = frame.level(dims)
    changed = unit.sum(np.where(left, c.excess, 0.0))
    volume = unit.sum(np.where(left, c.volume, 0.0))
    incoming = np.array([value[0] == "in" for value in unit.values], dtype=bool)
    held, even = 0.0, 1.0
    most = max(volume[incoming].sum(), volume[~incoming].sum(), 1e-9)
    for side in (incoming, ~incoming):
        total, all_volume = float(changed[side].sum()), float(volume[side].sum())
        if all_volume < 0.2 * most or total == 0:
            continue
        share = volume[side] / all_volume
        expected = total * share
        # what is not there any more, a container that was replaced, cannot have its part of it
        here = volume[side] > 0
        shown = np.where(here, changed[side] + share * float(changed[side][~here].sum()), 0.0)
        chance = np.sqrt(c.noise * (np.abs(expected) + 0.5)) + _UNEVEN * np.abs(expected)
        away = np.maximum(np.abs(shown - expected) - chance, 0)
        held = max(held, abs(total))
        even = min(even, max(0.0, 1 - 0.5 * float(away.sum()) / abs(total)))
    return held, even


def score(frame: Frame, c: Candidate, left: Mask) -> float:
    held, even = evenness(frame, c, left)
    plain: float = 0.97 ** _PLAIN.get(tuple(c.key), 2)
    if even < _EVEN[len(c.key) == 0]:
        held *= 0.1
    if c.kind == "rate" and c.key.get("side") == "in":
        plain *= 0.9  # it is the caller who calls more
    return held * even * plain * _WEIGHT.get(c.kind, 1.0)


def reach(frame: Frame, lead: Candidate) -> Mask:
    """Keys whose changes the lead explains: its scope, seen from both ends of the wire."""
    level = frame.level(ENDPOINT)
    held = np.abs(level.sum(lead.excess))
    touched = held >= _CHANGED * max(held.sum(), 1e-9)
    mirrored: Mask = touched[level.group]
    if not lead.key:
        return np.ones(frame.size, dtype=bool)
    if "side" in lead.key:
        other = frame.incoming != (lead.key["side"] == "in")
        both: Mask = lead.scope | (mirrored & other)
        return both
    return lead.scope


def leads(frame: Frame, candidates: list[Candidate], tier: dict[int, int]) -> list[Candidate]:
    """Candidates that stand on their own, each with those that it explains folded in.

    tier: by id of the candidate; lower tiers are settled first.
    """
    # that a container or a program is another one now does not explain that its requests fail
    left, still_same = np.ones(frame.size, dtype=bool), np.ones(frame.size, dtype=bool)
    found: list[Candidate] = []
    reaches: list[Mask] = []
    open_ = sorted(candidates, key=lambda c: (tier[id(c)], *c.order()))
    while open_:
        level = min(tier[id(c)] for c in open_)
        now = [c for c in open_ if tier[id(c)] == level]
        for c in now:
            c.score = score(frame, c, still_same if c.kind in _HOW else left)
            c.score *= 1.0 if c.alone is None else c.alone
        best = _best(frame, now)
        found.append(best)
        reaches.append(reach(frame, best))
        left &= ~reaches[-1]
        if "service" not in best.key or best.direction not in ("new", "gone"):
            still_same &= ~reaches[-1]
        rest = [c for c in open_ if c is not best]
        open_ = _fold(frame, rest, found, reaches, (left, still_same))
    return found


def _best(frame: Frame, now: list[Candidate]) -> Candidate:
    """The highest score; that others fail alike at the same places is looked at only then."""
    while True:
        best = min(now, key=lambda c: (-round(c.score, 6), *c.order()))
        if best.alone is not None or best.key.get("side") != "out" or best.kind not in _SHARES:
            return best
        best.alone = contrast(frame, best)
        best.score *= best.alone


def contrast(frame: Frame, c: Candidate) -> float:
    """The part of a caller's failures that other callers of the same endpoints do not have.

    Where they fail alike, the endpoints are the cause and not this caller of them.
    """
    level = frame.level(ENDPOINT)
    failing = (frame.status == 0) if c.kind == "no_response" else frame.failed
    others = ~frame.incoming & ~c.scope
    run = frame.window[:, c.began : c.ended].sum(1)
    before = frame.baseline.sum(1)
    n_w, n_b = level.sum(run * others), level.sum(before * others)
    e_w, e_b = level.sum(run * (others & failing)), level.sum(before * (others & failing))
    known = (n_w >= _KNOWN) & (n_b >= _KNOWN)
    worse = np.where(known, np.maximum(ratio(e_w, n_w) - ratio(e_b, n_b), 0), 0.0)
    own = np.maximum(level.sum(np.where(c.scope, c.excess, 0.0)), 0)
    due = worse * level.sum(np.where(c.scope, c.volume, 0.0))
    return 1 - float(np.minimum(own, due).sum() / max(float(own.sum()), 1e-9))


def _fold(
    frame: Frame,
    rest: list[Candidate],
    found: list[Candidate],
    reaches: list[Mask],
    masks: tuple[Mask, Mask],
) -> list[Candidate]:
    still = []
    for c in rest:
        left = masks[c.kind in _HOW]
        size = np.abs(_net(frame, c.excess))
        total = float(size.sum())
        if float(np.abs(_net(frame, np.where(left, c.excess, 0.0))).sum()) > _LEFT * total:
            still.append(c)
            continue
        inside = [float(np.abs(np.where(r, c.excess, 0.0)).sum()) for r in reaches]
        found[int(np.argmax(inside))].folded.append(c)
    return still


def _net(frame: Frame, excess: Floats) -> Floats:
    """Change of each endpoint and side: gains and losses of single statuses cancel."""
    return frame.level(("side", *ENDPOINT)).sum(excess)

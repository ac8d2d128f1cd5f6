"""One cause, one finding: from all changes found to those that a person has to know.

A failing endpoint makes its host, its callers and its callers' callers look worse as well. A
wider key explains a change only if its parts changed in proportion; a narrower one only if it
holds the change. The score is the change held, times how evenly it is spread over the key.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from queries.core.watch import still_wanted
from queries.diff import limits
from queries.diff.candidate import ENDPOINT, FAILING, HOW, Candidate
from queries.diff.detect.presence import MOVE
from queries.diff.detect.shares import before_of
from queries.diff.explain import graph
from queries.diff.frame import Frame, Level, evenness
from queries.diff.stats import Floats, Mask, distinct

_EVEN = (0.3, 0.8)  # less even than that, a key is no cause; everything at once even less so

# Where two keys explain a change equally well, the one that is easier to say wins.
_PLAIN: dict[tuple[str, ...], int] = {
    ("host",): 0,
    ("side", "host"): 0,
    ENDPOINT: 0,
    ("side", *ENDPOINT): 0,
    ("host", "method"): 1,
    ("side", "instance"): 1,
    (): 3,
}


def score(frame: Frame, c: Candidate, left: Mask) -> float:
    held, even = evenness(frame, c, left)
    plain: float = 0.97 ** _PLAIN.get(tuple(c.key), 2)
    if even < _EVEN[len(c.key) == 0]:
        held *= 0.1
    if c.key.get("side") == "out" and c.kind in HOW and _served_here(frame, c):
        # those who serve the calls see as much, and which of them fails, but not who calls badly
        alone = c.kind in FAILING and graph.contrast(frame, c) >= limits.MOST
        plain = 1.0 if alone else 0.9 * plain
    return held * even * plain


def _served_here(frame: Frame, c: Candidate) -> bool:
    """Whether the other end of the calls is recorded as well."""
    level, keys = frame.level(ENDPOINT), np.flatnonzero(c.scope & (frame.requests > 0))
    both = float(frame.served[distinct(level.group[keys])].sum())
    return both >= limits.MOST * float(frame.requests[keys].sum())


def reach(frame: Frame, lead: Candidate) -> Mask:
    """Keys whose changes the lead explains: its scope, seen from both ends of the wire."""
    if not lead.key:  # how many come of everything: see `leads`
        return np.full(frame.size, lead.kind != "rate")
    if "side" not in lead.key:
        return lead.scope
    other = frame.incoming != (lead.key["side"] == "in")
    both: Mask = lead.scope | (graph.touched_by(frame, lead) & other)
    return both


def leads(frame: Frame, candidates: list[Candidate], tier: dict[int, float]) -> list[Candidate]:
    """Candidates that stand on their own, each with those that it explains folded in.

    tier: by id of the candidate; lower tiers are settled first.
    """
    left = np.ones(frame.size, dtype=bool)
    found: list[Candidate] = []
    reaches: list[Mask] = []
    open_ = sorted(candidates, key=lambda c: (tier[id(c)], *c.order()))
    while open_:
        still_wanted()
        level = min(tier[id(c)] for c in open_)
        now = [c for c in open_ if tier[id(c)] == level]
        for c in now:
            if math.isnan(c.score):
                c.score = score(frame, c, left)
        best = min(now, key=_first)
        while parts := [c for c in now if _surer_part(frame, c, best)]:
            best = min(parts, key=_first)
        found.append(best)
        reaches.append(reach(frame, best))
        left &= ~reaches[-1]
        rest = [c for c in open_ if c is not best]
        if not best.key and best.kind == "rate" and best.direction == "down":
            # less is asked: that explains all but what fails, which may be why
            best.folded += [c for c in rest if not graph.fails(c)]
            rest = [c for c in rest if graph.fails(c)]
        open_ = _fold(rest, found, reaches, left)
    return found


def _first(c: Candidate) -> tuple[Any, ...]:
    return (-float(f"{c.score:.3g}"), *c.order())


def _surer_part(frame: Frame, part: Candidate, c: Candidate) -> bool:
    """Whether a part of what changed alike is surer than all of it, and the rest, as seen from the
    same end, has less than half of its part of the change: the rest adds but noise."""
    inside = abs(float(part.excess[c.scope].sum())) >= limits.NEARLY_ALL * part.affected
    if part.z <= c.z or (part.kind, part.direction) != (c.kind, c.direction) or not inside:
        return False
    here = {"in": frame.incoming, "out": ~frame.incoming}.get(part.key.get("side", ""), True)
    due, rest = graph.outside(c, ~part.scope & here)
    return due >= limits.FEW and rest < limits.MOST * due


def _fold(
    rest: list[Candidate], found: list[Candidate], reaches: list[Mask], left: Mask
) -> list[Candidate]:
    still = []
    for c in rest:
        if len(found) > 1 and not reaches[-1][c.held].any():
            still.append(c)  # as it was before the latest of those found
            continue
        c.score = math.nan
        size = np.abs(c.excess[c.held])
        if float(size[left[c.held]].sum()) > limits.MOST * float(size.sum()):
            still.append(c)
            continue
        inside = [float(np.where(r[c.held], size, 0.0).sum()) for r in reaches]
        found[int(np.argmax(inside))].folded.append(c)
    return still


_PLACES = (
    {"service", "host"}, set(ENDPOINT), {"service", "process"}, {"service", "instance"},
)  # fmt: skip
_LATER = {"signature": 4, "new": 4, "gone": 4, "latency": 5, "rate": 6, "size": 7}
_TOGETHER = 4.5  # before each of the places that are slower


def merge(frame: Frame, candidates: list[Candidate]) -> list[Candidate]:
    """The leading candidates, narrowed, each with what it explains folded in."""
    calls = graph.Graph(frame)
    candidates = _places(_moves(frame, candidates))
    many = graph.of_many_places(calls, candidates)
    candidates = [
        c for c in candidates if (many and c.lasts) or not graph.of_a_place(calls, c, candidates)
    ]
    fresh = [c.scope for c in candidates if c.kind == "new" and set(c.key) == {"service"}]
    came = np.any([np.zeros(frame.size, dtype=bool), *fresh], axis=0)
    tiers = {
        id(c): _TOGETHER if many and c.lasts and not c.key else _tier(c, came) for c in candidates
    }
    found = pair_moved(frame, leads(frame, candidates, tiers))
    found = graph.through_a_door(frame, [_where_time_goes(frame, lead) for lead in found])
    for lead in (found := graph.settle(calls, found)):
        if not lead.key and lead.kind in (*HOW, "rate"):
            lead.kind, lead.blame = "broad", None
        if lead.kind == "rate" and lead.direction == "up":
            _retries(frame, lead)
        narrow(frame, lead)
    return [lead for lead in found if _is_sure(lead)]


def _places(candidates: list[Candidate]) -> list[Candidate]:
    """Those that are sure, and the places that are not, but hold most of what is: of few requests
    it may be that only a part is sure, or nothing but all failures together."""
    if not any(c.sure and graph.fails(c) for c in candidates):
        for c in candidates:
            c.sure |= not c.key and graph.fails(c) and c.z >= limits.Z_ALL
    held = [c for c in candidates if c.sure and graph.fails(c) and c.affected]
    return [c for c in candidates if c.sure or any(
        o.excess[c.scope].sum() >= limits.MOST * o.affected for o in held
    )]  # fmt: skip


def _moves(frame: Frame, candidates: list[Candidate]) -> list[Candidate]:
    """Without names that may have come or gone by chance, unless one went as a like one came, and
    both together (a chi-square of two) are as unlikely as one has to be."""
    for new in (c for c in candidates if c.direction == "new" and c.kind != "back"):
        z2 = limits.bar(frame.level(tuple(new.key)).size) ** 2
        least = z2 + math.log(2 * math.pi * z2) - new.z**2
        for old in (c for c in candidates if c.direction == "gone" and not (c.sure and new.sure)):
            if old.z**2 >= least and _fit(frame, old, new) >= limits.MOST:
                old.sure = new.sure = True
    return [c for c in candidates if c.sure or c.direction not in ("new", "gone")]


def _is_sure(lead: Candidate) -> bool:
    """Whether it is, or something that it explains: that something failed there is as sure."""
    if not lead.sure:
        lead.z = max((c.z for c in lead.folded if c.sure and graph.fails(c)), default=0.0)
    return lead.z > 0


def _tier(c: Candidate, came: Mask) -> int:
    """Hosts, containers and calls that come and go explain most; then failures; then the rest.

    came: keys of new services; a host that they alone know is no other piece of news.
    """
    if c.direction in ("new", "gone") and set(c.key) == {"host"}:
        return 2 if c.kind == "new" and not c.excess[~came].any() else 0
    if c.direction in ("new", "gone") and set(c.key) == {"service"}:
        return 1
    if c.direction in ("new", "gone") and set(c.key) in _PLACES:
        return 2
    if c.kind == "statuses":
        return 3
    if c.kind in FAILING:
        return 3 if c.direction == "up" else 8
    if c.kind == "rate" and not c.key:
        return -1 if c.direction == "down" else 6
    if c.kind == "rate" and (c.ratio or 0) >= limits.STORM:
        return 3
    return _LATER[c.kind] + (4 if c.direction == "down" and c.kind == "latency" else 0)


def _retries(frame: Frame, lead: Candidate) -> None:
    """A service that calls much more without being asked more is trying again and again."""
    if (lead.ratio or 0) < limits.STORM:
        return
    level = frame.level(("side", "service"))
    out = np.where(frame.incoming, 0.0, np.maximum(lead.excess, 0))
    caller = int(np.argmax(level.sum(out)))
    service = level.values[caller][1]
    asked = [g for g, value in enumerate(level.values) if value == ("in", service)]
    now, before = level.sum(frame.requests), level.sum(frame.before)
    if out.any() and service and any(now[g] < 1.5 * before[g] * frame.scale for g in asked):
        lead.kind = "retries"


def _where_time_goes(frame: Frame, lead: Candidate) -> Candidate:
    """Narrow what became slower to the host in which nearly all of the time is lost: a call that
    stands still holds up many others a little, which are more in number."""
    if lead.time is None:
        return lead
    level = frame.level(("host",))
    lost, usual = level.sum(np.maximum(lead.time[0], 0)), level.sum(lead.time[1])
    top = int(np.argmax(lost))
    much = lost[top] >= limits.NEARLY_ALL * lost.sum() > 0
    if much and level.values[top][0] and usual[top] < limits.MOST * usual.sum():
        scope = lead.scope & (level.group == top)
        excess, volume = (np.where(scope, x, 0.0) for x in (lead.excess, lead.volume))
        key = lead.key | {"host": level.values[top][0]}
        return replace(lead, key=key, scope=scope, part=scope, excess=excess, volume=volume)
    return lead


def narrow(frame: Frame, lead: Candidate) -> None:
    """Add to the key every value that holds 90 % of the change and more than its usual part."""
    total = float(np.abs(lead.excess).sum())
    if total <= 0 or lead.direction in ("new", "gone", "moved") or lead.kind == "broad":
        return
    before = before_of(frame, lead.against, lead.newer)
    base = np.where(lead.scope, before + frame.requests * (lead.kind in HOW), 0.0)
    for dims in (("host",), ("method", "route"), ("service",), ("status",)):
        known = set(lead.key) | ({"service"} if "instance" in lead.key else set())
        if dims[-1] in known or (dims == ("status",) and lead.kind not in FAILING):
            continue
        if dims == ("service",) and not frame.incoming[lead.scope].all():
            _caller(frame, lead, base)
            continue
        level = frame.level(dims)
        held = np.abs(level.sum(lead.excess))
        top, usual = int(np.argmax(held)), level.sum(base)
        value = level.values[top][0]
        if not value or (dims == ("status",) and value < 400):
            continue  # of no host, say; or they failed by their gRPC status
        most = held[top] >= limits.NEARLY_ALL * total
        if most and usual[top] < limits.NEARLY_ALL * usual.sum():
            lead.key.update(zip(dims, level.values[top], strict=True))
            if dims != ("status",):
                lead.scope &= level.group == top
                lead.part &= lead.scope


def _caller(frame: Frame, lead: Candidate, base: Floats) -> None:
    """The one service of several from which the calls come that changed.

    Calls that arrived and that no recorded service made are another one's.
    """
    level, out = frame.level(("service",)), ~frame.incoming
    held, usual = (np.abs(level.sum(np.where(out, x, 0.0))) for x in (lead.excess, base))
    if held.sum() <= 0:
        return
    top = int(np.argmax(held))
    every, usually = (
        max(float(sent.sum()), abs(float(x[frame.incoming].sum())))
        for sent, x in ((held, lead.excess), (usual, base))
    )
    if held[top] >= limits.NEARLY_ALL * every and usual[top] < limits.NEARLY_ALL * usually:
        lead.key["service"] = level.values[top][0]
        lead.scope &= out & (level.group == top)
        lead.part &= lead.scope


_WORD = re.compile(r"[A-Za-z]{3,}|\{[a-z_]+\}")


def pair_moved(frame: Frame, leads: list[Candidate]) -> list[Candidate]:
    """Replace each fitting pair of a gone and a new lead by one that has moved. Who no longer calls
    the one, or now calls the other, is no other piece of news."""
    gone = [c for c in leads if c.direction == "gone"]
    fresh = [c for c in leads if c.direction == "new" and c.kind != "back"]
    for old in sorted(gone, key=Candidate.order):
        free = ((i, new) for i, new in enumerate(fresh) if new.direction == "new")
        fits = [(-_fit(frame, old, new), *new.order(), i) for i, new in free]
        if fits and -min(fits)[0] >= limits.MOST:
            _join(old, fresh[min(fits)[-1]])
            leads = [c for c in leads if c is not old]
    _others(frame, leads)
    for c in [c for c in reversed(leads) if c.direction in ("new", "gone", "moved")]:
        wider = (m for m in leads if m is not c and m.direction == "moved")
        if whole := next((m for m in wider if not (c.scope & ~m.scope).any()), None):
            whole.folded.append(c)
            leads = [other for other in leads if other is not c]
    return leads


def _others(frame: Frame, leads: list[Candidate]) -> None:
    """Make new hosts and endpoints `moved` where a like one fell silent as they began, and gone
    ones where a like one began: alone it would be too little to be called gone, or new."""
    for lead in leads:
        if lead.direction not in ("new", "gone") or set(lead.key) not in MOVE:
            continue
        level = frame.level(tuple(lead.key))
        requests = level.sums(frame.once.window)
        expected = level.sums(np.maximum(frame.once.expected, frame.once.usual))
        mine = int(level.group[np.flatnonzero(lead.scope)[0]])
        if lead.direction == "gone":
            before = level.sum(frame.once.before + frame.once.earlier + frame.anyhow_b)
            came = np.flatnonzero((requests.sum(1) >= limits.FEW) & (before == 0)).tolist()
            news = [_one(frame, level, g, "new", float(requests[g].sum())) for g in came]
            pairs = [(lead, new) for new in news if all(new.key != c.key for c in leads)]
            sizes = [(expected[mine].sum(), new.affected) for _, new in pairs]
        else:
            # since the new one began, or since the old one was silent, if that is earlier
            silent = requests.shape[1] - (requests > 0)[:, ::-1].argmax(1)
            begin = np.minimum(np.where(requests.any(1), silent, 0), lead.began)
            since = np.arange(requests.shape[1]) >= begin[:, None]
            due, left = (expected * since).sum(1), (requests * since).sum(1)
            fell = np.flatnonzero((due >= limits.FEW) & (left < limits.MOST * due))
            olds = [_one(frame, level, g, "gone", float(due[g] - left[g])) for g in fell.tolist()]
            pairs = [(old, lead) for old in olds]
            sizes = [(old.affected, requests[mine].sum()) for old in olds]
        fits = [
            (-_likeness(frame, old, new), *old.order(), *new.order(), i)
            for i, (old, new) in enumerate(pairs)
            if _same_size(*sizes[i])
        ]
        if fits and -min(fits)[0] >= limits.MOST:
            old, new = pairs[min(fits)[-1]]
            _join(old, new)
            if old is lead:
                new.z = old.z
                leads[leads.index(old)] = new


def _one(
    frame: Frame, level: Level, g: int, direction: Literal["new", "gone"], requests: float
) -> Candidate:
    """A name that came or went with that many requests, though nobody would say so of it alone."""
    scope = level.group == g
    usual = frame.once.before + frame.once.earlier
    counts = np.where(scope, frame.once.requests if direction == "new" else usual, 0.0)
    volume = counts * (requests / max(float(counts.sum()), 1e-9))
    now, was = (requests, 0.0) if direction == "new" else (0.0, requests)
    return Candidate(
        kind=direction, direction=direction, scope=scope, part=scope, volume=volume,
        excess=volume if direction == "new" else -volume, window=now, baseline=was,
        key=level.key(g), metric="requests",
        began=int(frame.window[scope].any(0).argmax()), ended=frame.window.shape[1],
    )  # fmt: skip


def _fit(frame: Frame, old: Candidate, new: Candidate) -> float:
    """How alike two names are; 0 of those of another sort or size."""
    alike = set(old.key) == set(new.key) and _same_size(old.affected, new.affected)
    return _likeness(frame, old, new) if alike else 0.0


def _same_size(old: float, new: float) -> bool:
    """Within `WIDE`, and what so few requests may differ by."""
    chance = math.sqrt(1 / max(old, 1.0) + 1 / max(new, 1.0))
    change = math.log(max(new, 1e-9) / max(old, 1e-9))
    return abs(change) <= limits.WIDE + chance


def _likeness(frame: Frame, old: Candidate, new: Candidate) -> float:
    """Part of the paths (or, of one path, of the words) that both have in common."""
    if set(old.key) in ({"host"}, {"service"}, {"service", "host"}):
        if len(old.key) > 1 and old.key["service"] != new.key["service"]:
            return 0.0
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
    keys = np.flatnonzero(c.scope & (np.abs(c.excess) > 0)).tolist()
    return {(frame.value("method", k), frame.value("route", k)) for k in keys}


def _common(a: set[object], b: set[object]) -> float:  # type: ignore[type-arg,unused-ignore]
    return len(a & b) / len(a | b) if a and b else 0.0


def _join(old: Candidate, new: Candidate) -> None:
    new.kind, new.direction = "moved", "moved"
    new.folded += [old, *old.folded]
    new.scope = new.scope | old.scope
    new.baseline = old.baseline

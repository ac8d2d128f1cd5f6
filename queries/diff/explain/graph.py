"""Who calls whom, from both ends of the wire, and which change lies deepest.

A recorder sees the caller's outgoing and the callee's incoming requests under the same host.
The service that serves a host is the one whose containers have incoming requests for it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from queries.core.answer import Blame
from queries.diff import limits
from queries.diff.candidate import ENDPOINT, FAILING, HOW, Candidate
from queries.diff.detect.shares import before_of
from queries.diff.frame import Frame
from queries.diff.stats import Floats, Mask, distinct, ratio

_BAD = ("errors", "no_response", "latency", "statuses")
_GATEWAY, _UNAVAILABLE = (502, 503, 504), "14"
_PART = 0.05  # of a change: less has no part in it
_UNSEEN = ""  # whoever lies between those that are recorded, see Frame.between
_FAR = 3  # calls from a cause to the symptoms furthest up

Ends = tuple[dict[str, float], dict[str, float]]  # as Graph.around


class Graph:
    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.services = frame.level(("service",))
        self.callers = _callers(frame)

    def around(self, lead: Candidate) -> Ends:
        """(callers, callees): services and their part of the change, on either end of the wire."""
        held, touched = np.abs(lead.excess), touched_by(self.frame, lead)
        busy = self.frame.requests + self.frame.before
        mine = np.where(lead.scope, held, 0.0)
        incoming = self.frame.incoming
        callers = self._named(np.where(~incoming & touched, mine if mine.any() else busy, 0.0))
        callees = self._named(np.where(incoming & touched, mine, 0.0))
        if not callers:
            callers = self._named(np.where(~incoming & touched, busy, 0.0))
        if not callees:
            callees = self._named(np.where(incoming & touched, busy, 0.0))
        return callers, callees

    def above(self, callers: set[str]) -> set[str]:
        """Those services and all that call them, directly or through others."""
        found, edge = set(callers), set(callers)
        for _ in range(_FAR - 1):
            edge = {c for s in edge for c in self.callers.get(s, ())} - found
            found |= edge
        return found

    def below(self, services: set[str]) -> set[str]:
        """All that those services call, directly or through others."""
        found: set[str] = set()
        edge = services
        while edge:
            edge = {s for s, callers in self.callers.items() if callers & edge} - found
            found |= edge
        return found

    def unseen(self, lead: Candidate, ends: Ends) -> Ends:
        """The same, with who is not recorded where no end is."""
        near = lead.scope & (lead.excess != 0) & self.frame.between
        return tuple(
            end or ({_UNSEEN: 1.0} if near[side].any() else {})
            for end, side in zip(ends, (self.frame.incoming, ~self.frame.incoming), strict=True)
        )  # type: ignore[return-value]

    def _named(self, weights: Floats) -> dict[str, float]:
        sums = self.services.sum(weights)
        least = _PART * max(float(sums.sum()), 1e-9)
        names = [value[0] for value in self.services.values]
        return {n: float(w) for n, w in zip(names, sums, strict=True) if n and w >= least}


def touched_by(frame: Frame, lead: Candidate) -> Mask:
    """Keys of the endpoints that have a part of the change, on both ends of the wire."""
    level = frame.level(ENDPOINT)
    each = level.sum(np.abs(lead.excess))
    touched: Mask = (each >= _PART * max(each.sum(), 1e-9))[level.group]
    return touched


def _callers(frame: Frame) -> dict[str, set[str]]:
    """Service -> the services that call the hosts it serves."""
    level = frame.level(("side", "service", "host"))
    serves: dict[str, set[str]] = {}
    calls: dict[str, set[str]] = {}
    for side, service, host in level.values:
        if service and host and side == "in":
            serves.setdefault(service, set()).add(host)
        elif service and host:
            calls.setdefault(host, set()).add(service)
    found = {s: {c for h in hosts for c in calls.get(h, ())} - {s} for s, hosts in serves.items()}
    for g in distinct(level.group[frame.between]).tolist():
        side, service, host = level.values[g]
        if not host or host.startswith("{"):
            continue  # under the address of a pod come probes, too
        at, whose = (service, _UNSEEN) if side == "in" else (_UNSEEN, service)
        found.setdefault(at, set()).add(whose)
    return found


def of_many_places(calls: Graph, candidates: list[Candidate]) -> bool:
    """Whether most services that call nothing slower, several of them, are slower themselves: they
    have no cause in common but their machine. What waits for the processor waits as long for a
    short answer as for a long one, so that nothing is slower in proportion."""
    late = [c.key for c in candidates if c.lasts and c.direction == "up" and len(c.key) == 2]
    slow = {key["service"] for key in late if key["side"] == "in" and "service" in key}
    level = calls.frame.level(("side", "service"))
    requests = dict(zip(level.values, level.sum(calls.frame.requests).tolist(), strict=True))
    served = {s for s in calls.callers if requests.get(("in", s), 0) >= limits.SEVERAL}
    waiting = {caller for service in slow for caller in calls.callers.get(service, ())}
    ends = served - waiting
    return len(ends & slow) >= max(limits.FEW, limits.MOST * len(ends))


def outside(c: Candidate, away: Mask) -> tuple[float, float]:
    """(the change that some keys of its scope would have of it by their number, theirs)."""
    due = c.affected * float(c.volume[away].sum() / max(c.volume.sum(), 1e-9))
    return due, abs(float(c.excess[away].sum()))


def of_a_place(calls: Graph, c: Candidate, candidates: list[Candidate]) -> bool:
    """Whether what everything shows is one place's change: all but the likeliest one, and who
    calls it, is as it was. Of few requests each endpoint may seem to have its part; not all."""
    kinds = FAILING if c.kind in FAILING else (c.kind,)
    alike = [o for o in candidates if o.key and o.kind in kinds and o.direction == c.direction]
    if c.key or c.kind not in HOW or not alike:
        return False
    frame, level = calls.frame, calls.frame.level(ENDPOINT)
    ends = {id(o): tuple(map(set, calls.unseen(o, calls.around(o)))) for o in alike}
    deeper = alike
    while deeper:  # the surest one, and the surest of those that it calls
        place = max(deeper, key=lambda o: (o.z, *o.order()))
        callers, callees = ends[id(place)]
        alike = [o for o in alike if not ends[id(o)][1] & callees]
        deeper = [o for o in alike if ends[id(o)][0] & callees]
    near = calls.above(callers) | callees
    inside = frame.of_services(near) & frame.incoming | (place.scope & (place.excess != 0))
    if _UNSEEN in near:  # what is asked of it is seen where it is called
        inside |= frame.between & ~frame.incoming
    away = (level.sum(inside * (frame.requests + frame.before)) == 0)[level.group]
    due, rest = outside(c, away)
    clear = due - rest >= 2 * math.sqrt(c.noise * due) or place.z > c.z
    return place.z > c.z if due < limits.FEW else rest < limits.MOST * due and clear


def settle(graph: Graph, leads: list[Candidate]) -> list[Candidate]:
    """Fold what a deeper change explains into that change, and say who is to blame."""
    around = [graph.around(lead) for lead in leads]
    ends = [graph.unseen(*one) for one in zip(leads, around, strict=True)]
    parent = [_deeper(graph, i, leads, ends) for i in range(len(leads))]
    roots = [_root(i, parent) for i in range(len(leads))]
    for i, lead in enumerate(leads):
        if roots[i] != i:
            leads[roots[i]].folded += [lead, *lead.folded]
        elif lead.kind == "size" or _bad(lead, down=True):
            lead.blame = _blame(graph.frame, lead, *around[i])
    return [lead for i, lead in enumerate(leads) if roots[i] == i]


def _deeper(graph: Graph, i: int, leads: list[Candidate], around: list[Ends]) -> int:
    """The lead that explains lead i, and is nearer to the cause."""
    above, explains = leads[i], _fails_below
    if _busier(above):
        explains = _asks
    elif _silent(above) and not above.key:
        explains = _refuses
    elif (_silent(above) or _faster(above)) and "instance" not in above.key:
        explains = _asks_no_more
    elif not _symptom(graph.frame, above):
        return i
    fit = [
        (-below.affected, j)
        for j, below in enumerate(leads)
        if j != i and explains(graph, above, below, around[i], around[j])
    ]
    return min(fit)[1] if fit else i


def _fails_below(graph: Graph, above: Candidate, below: Candidate, near: Ends, far: Ends) -> bool:
    """Whether its callers serve what fails above."""
    if not _explains(graph.frame, below, above):
        return False
    few = below.hit(graph.frame.incoming) < limits.MOST * above.hit(graph.frame.incoming)
    if few and above.metric.endswith("_share"):
        return False  # one failed call is no reason for two failed requests
    serving = set(near[1]) & graph.above(set(far[0]))
    return bool(serving) and not {*near[0], *near[1]} & set(far[1])


def _busier(c: Candidate) -> bool:
    return c.kind == "rate" and c.direction == "up" and bool(c.key)


def through_a_door(frame: Frame, leads: list[Candidate]) -> list[Candidate]:
    """Narrow what everything has more of to the endpoint, of several, where nearly all of it comes
    in from outside: the rest is what that asks for in turn."""
    level = frame.level(ENDPOINT)
    every = (c for lead in leads for c in (lead, *lead.folded))
    whole = next((c for c in every if c.kind == "rate" and c.direction == "up" and not c.key), None)
    if whole is None:
        return leads
    entry = frame.front & frame.incoming
    held, due = (
        level.sum(np.where(entry, x, 0.0)) for x in (np.maximum(whole.excess, 0), frame.due)
    )
    top = int(np.argmax(held))
    most = held[top] >= limits.NEARLY_ALL * held.sum() and held[top] >= max(due[top], limits.MORE)
    if not most or due[top] >= limits.NEARLY_ALL * due.sum():
        return leads
    scope = (level.group == top) & entry
    own = (c for c in leads if _busier(c) and c.affected)
    told = next((c for c in own if c.excess[scope].sum() >= limits.NEARLY_ALL * c.affected), None)
    if told is None:
        excess, volume = (np.where(scope, x, 0.0) for x in (whole.excess, whole.volume))
        told = replace(whole, excess=excess, volume=volume, low=None, high=None)
    told.key, told.scope = dict(zip(ENDPOINT, level.values[top], strict=True)), scope
    told.part = scope
    told.folded += [whole, *whole.folded]
    return [told, *(c for c in leads if c is not whole and c is not told)]


def _asks(graph: Graph, above: Candidate, below: Candidate, near: Ends, far: Ends) -> bool:
    """Whether a service makes more calls because it is asked more itself, about as much."""
    alike = (below.ratio or 0) >= limits.MOST * (above.low or above.ratio or 0)
    return _busier(below) and alike and bool(set(near[0]) & (set(far[1]) - set(near[1])))


def _silent(c: Candidate) -> bool:
    return c.direction == "gone" or (c.kind == "rate" and c.direction == "down")


def _faster(c: Candidate) -> bool:
    return c.kind == "latency" and c.direction == "down"


def _asks_no_more(graph: Graph, above: Candidate, below: Candidate, near: Ends, far: Ends) -> bool:
    """Whether those who alone ask for what fell silent are no longer asked themselves, or ask
    others no more, either; or whether who answers faster asks them no more."""
    asking, ask, served = set(near[_faster(above)]), set(far[0]), set(far[1])
    alone = asking <= ask | served and bool(asking & served or ask <= asking)
    place = _silent(below) and bool(below.key) and "instance" not in below.key
    return bool(asking) and alone and place and not (set(near[1]) - asking) & served


def _refuses(graph: Graph, above: Candidate, below: Candidate, near: Ends, far: Ends) -> bool:
    """Whether it fails though it is asked as often as ever, where what its services and those
    behind them no longer ask for is the larger part of what everything has less."""
    frame, failing = graph.frame, set(far[1])
    if below.kind not in FAILING or below.direction != "up" or not failing:
        return False
    behind = graph.below(failing)
    now, due = (x[below.scope & frame.incoming].sum() for x in (frame.requests, frame.due))
    asked, asking = frame.of_services(behind), frame.of_services(failing | behind)
    missing = np.where(above.scope, np.maximum(-above.excess, 0), 0.0)
    silent = missing[np.where(frame.incoming, asked, asking)].sum()
    still = now > math.exp(-limits.BAND) * due
    return bool(still and silent >= limits.MOST * missing.sum() > 0)


def failing_share(frame: Frame, c: Candidate) -> float:
    """The failed share of a key's requests in the window; of what moved, under its new name."""
    mine = c.scope & (frame.before + frame.earlier == 0) if c.direction == "moved" else c.scope
    n = float(frame.requests[mine].sum())
    return float(frame.requests[mine & frame.failed].sum()) / n if n else 0.0


def broken(frame: Frame, c: Candidate) -> bool:
    """Whether it is a place, a status or a text that is new, and most of its requests fail."""
    return c.direction in ("new", "moved") and failing_share(frame, c) >= limits.MOST


def _explains(frame: Frame, below: Candidate, above: Candidate) -> bool:
    """Whether it is of a kind that shows in callers as `above` does: a size is handed on, and who
    makes many times as many calls waits for them."""
    if "size" in (below.kind, above.kind):
        alike = below.kind == above.kind and below.direction == above.direction
    else:
        storm = _busier(below) and (below.ratio or 0) >= limits.STORM
        alike = _bad(below) or broken(frame, below) or (storm and above.kind == "latency")
    return (alike and bool(below.key)) or _missed(frame, below, above)


def _missed(frame: Frame, below: Candidate, above: Candidate) -> bool:
    """Whether a host is gone, and what fails above says itself that it got no answer from below."""
    if below.direction != "gone" or set(below.key) != {"host"}:
        return False
    unavailable = np.array([name == _UNAVAILABLE for name in frame.labels["grpc_status"]])
    says_so = np.isin(frame.status, _GATEWAY) | unavailable[frame.codes["grpc_status"]]
    held = np.where(above.part & frame.failed, np.maximum(above.excess, 0), 0.0)
    return float(held[says_so].sum()) >= limits.MOST * max(float(held.sum()), 1e-9)


def _symptom(frame: Frame, c: Candidate) -> bool:
    """Whether a change may be the company of another one further down."""
    if not c.key or c.kind == "size" or c.direction == "down":
        return bool(c.key) and c.kind == "size"
    return _bad(c) or broken(frame, c)


def _bad(c: Candidate, down: bool = False) -> bool:
    """Failing, without an answer or slow, and not the other way round unless `down`."""
    harmless = c.kind == "statuses" and c.key["status"] < 400
    return c.kind in _BAD and not harmless and (down or c.direction != "down")


def fails(c: Candidate) -> bool:
    return _bad(c) and c.kind != "latency"


def _root(i: int, parent: list[int]) -> int:
    """Where the parents lead; of those that explain each other, the first."""
    seen = [i]
    while parent[seen[-1]] not in seen:
        seen.append(parent[seen[-1]])
    return min(seen[seen.index(parent[seen[-1]]) :])


def _blame(
    frame: Frame, lead: Candidate, callers: dict[str, float], callees: dict[str, float]
) -> Blame | None:
    caller = _largest(callers)
    mine = lead.key.get("side") == "out" and lead.kind in FAILING
    if mine and contrast(frame, lead) >= limits.MOST:
        return Blame(caller, None, "itself")  # others call the same places, and fare well
    if not callees:
        hosts = frame.level(("host",))
        host = lead.key.get("host") or hosts.values[hosts.sum(np.abs(lead.excess)).argmax()][0]
        edge = (caller, str(host)) if caller and host else None
        return Blame(str(host) if host else caller, edge, "downstream")
    callee = _largest(callees)
    out, seen = _ends(frame, lead)
    if caller and callee and seen < limits.MOST * out and "instance" not in lead.key:
        return Blame(None, (caller, callee), "network")
    return Blame(callee, (caller, callee) if caller and callee else None, "itself")


def contrast(frame: Frame, c: Candidate) -> float:
    """The part of a caller's failures that are at endpoints which others call and fare well.

    Where they fail alike, or nobody else calls, the endpoints are the cause and not this caller.
    """
    level = frame.level(ENDPOINT)
    failing = (frame.status == 0) if c.kind == "no_response" else frame.failed
    others = ~frame.incoming & ~c.scope
    run = frame.window[:, c.began : c.ended].sum(1)
    before = before_of(frame, c.against, c.newer)
    n_w, n_b = level.sum(run * others), level.sum(before * others)
    e_w, e_b = level.sum(run * (others & failing)), level.sum(before * (others & failing))
    known = (n_w >= limits.SEVERAL) & (n_b >= limits.SEVERAL)
    worse = np.where(known, np.maximum(ratio(e_w, n_w) - ratio(e_b, n_b), 0), 0.0)
    own = np.maximum(level.sum(np.where(c.scope, c.excess, 0.0)), 0)
    due = worse * level.sum(np.where(c.scope, c.volume, 0.0))
    return float(np.maximum(own - due, 0)[known].sum() / max(float(own.sum()), 1e-9))


def _ends(frame: Frame, lead: Candidate) -> tuple[float, float]:
    """The change as callers saw it, and as callees did: of the lead, or of what is folded into it
    at the same endpoints and is of its kind."""
    level = frame.level(ENDPOINT)
    mine = (level.sum(np.abs(lead.excess)) > 0)[level.group]
    alike = [c for c in lead.folded if (c.kind, c.direction) == (lead.kind, lead.direction)]
    out, seen = (
        max(float(np.abs(c.excess[mine & side]).sum()) for c in [lead, *alike])
        for side in (~frame.incoming, frame.incoming)
    )
    return out, seen


def _largest(weights: dict[str, float]) -> str | None:
    return min(weights, key=lambda n: (-weights[n], n)) if weights else None

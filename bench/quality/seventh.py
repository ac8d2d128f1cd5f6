"""Incidents kept back, the seventh set: from how systems are known to fail; as third.py is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.quality.oracle import Look
from bench.quality.stage import (
    FAILING,
    Incident,
    Key,
    Planted,
    Stage,
    Truth,
    at_service,
    is_one_of,
    only_if,
    outside,
    serves,
)
from bench.quality.system import PUBLIC, SERVICES, Route, container, pod_name
from bench.quality.world import NONE, Fault, Visit


def _front(s: Stage) -> tuple[Key, ...]:
    return {}, {"host": frozenset({PUBLIC})}, {"container": s.names_of("gateway")}


def _at_front(s: Stage, routes: list[Route], look: Look, *faults: Fault, **more: Any) -> Planted:
    """A fault of what is asked for at the front: told as all of it, or as one of its pages."""
    names = frozenset().union(*(s.around(r) for r in s.world.system.of("gateway")))
    keys = (*_front(s), *(key for r in routes for key in s.endpoint(r)))
    kinds = more.get("kinds", (*FAILING, "broad"))
    return list(faults), Truth(kinds, keys, more.get("direction", "up"), look, names)


def _passed(s: Stage, visit: Visit) -> Any:
    """The part of the fault's time that is over, of each request."""
    return (visit.at() - s.begin) / (s.until - s.begin)


def _several(s: Stage) -> tuple[str, int]:
    """A service of three pods or more, and one of them."""
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    return service, int(s.rng.integers(s.world.system.pods[service]))


def certificate_lapses(s: Stage) -> Planted:
    """A service's certificate is no longer valid: who had a connection goes on until that is
    closed, and more and more calls end before they have begun."""
    service = s.service(s.served)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        refused = mask & (rng.random(len(visit)) < 2 * _passed(s, visit)) & bool(visit.caller)
        visit.fail(refused, NONE)
        visit.lost |= refused

    numbers = {r.number for r in s.world.system.of(service)}
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress", "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    kinds = (*FAILING, "gone", "rate")
    faults, truth = at_service(s, service, look, fault, kinds=kinds, direction="any", any=True)
    return faults, replace(truth, blame=truth.blame | {"network"})


def flag_for_few(s: Stage) -> Planted:
    """A flag is on for one person in twenty, who get no page at the front from then on."""
    routes = [r for r in s.world.system.of("gateway") if r.path != "/stories"]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if mask.any():
            visit.fail(mask & (rng.random(int(visit.cluster.max()) + 1) < 0.05)[visit.cluster], 500)

    fault = s.fault(only_if(lambda v: is_one_of(*routes)(v.route), change))
    return _at_front(s, routes, Look(s.at(*routes), "failed"), fault)


def pod_pauses(s: Stage) -> Planted:
    """One pod collects its garbage for two seconds of each fifteen, and what comes then waits."""
    service, pod = _several(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        left = 2.0 - 60 * np.mod(visit.at(), 0.25)
        waits = mask & (visit.pod == pod) & (left > 0)
        visit.own[waits] += 1000 * left[waits]

    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    look = Look(s.at_pod(service, pod), "slow")
    faults, truth = at_service(s, service, look, fault, kinds=("latency",), any=True)
    return faults, replace(truth, keys=truth.keys + s.pod(service, pod))


def batch_collides(s: Stage) -> Planted:
    """A batch that begins by the clock asks a service for a lot at the busiest time: for a quarter
    of the window whatever that serves takes four times as long."""
    route = s.route(lambda r: r.inside and r.service != "gateway" and s.served(r.service))
    s.begin = -s.length * float(s.rng.uniform(0.3, 0.95))
    s.until = s.begin + 0.25 * s.length
    twin, per_hour = replace(route), 10 * s.shares[route.number] * s.world.requests

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] *= 4.0
        if visit.route is twin:
            visit.again(mask)
            visit.caller = "worker"

    fault = s.fault(
        only_if(lambda v: v.route is twin or serves(route.service)(v.route), change),
        (twin, per_hour),
    )  # fmt: skip
    look = Look(s.at(*s.world.system.of(route.service)), "slow")
    kinds = ("latency", "rate", "retries", "new", "edge")
    faults, truth = at_service(s, route.service, look, fault, kinds=kinds, any=True)
    names = truth.names | s.names_of("worker")
    return faults, replace(truth, names=names, blame=frozenset())


def wrong_region(s: Stage) -> Planted:
    """A release reads the data of another region: all takes 180 ms more, and one thing in eight is
    not there."""
    service = s.service()

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] += 180.0
        visit.fail(mask & (rng.random(len(visit)) < 1 / 8), 404)

    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    look = Look(s.at(*s.world.system.of(service)), "slow")
    return at_service(s, service, look, fault, kinds=(*FAILING, "latency"), any=True)


def connection_pinned(s: Stage) -> Planted:
    """One pod of a service keeps a connection to a backend that is dead: whatever it asks of that
    service is never answered, and the others' calls are."""

    def callers(route: Route) -> list[str]:
        known = s.world.system.callers(route.number)
        return [c for c in known if s.served(c) and SERVICES[c][0] > 1 and c != "worker"]

    route = s.route(lambda r: r.inside and r.service != "gateway" and bool(callers(r)))
    caller = callers(route)[int(s.rng.integers(len(callers(route))))]
    pod = int(s.rng.integers(s.world.system.pods[caller]))
    mine = s.world.system.of(route.service)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        stuck = mask & (visit.caller_pod == pod)
        visit.fail(stuck, NONE)
        visit.lost |= stuck

    numbers, name, box = {r.number for r in mine}, pod_name(caller, pod), container(caller, pod)
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress"
                and (n["pod_name"], n["container_name"]) == (name, box), "failed")  # fmt: skip
    hosts = s.hosts_of(route)
    keys = (*s.pod(caller, pod), {"container": s.names_of(caller), "host": hosts}, {"host": hosts})
    keys += tuple(key for r in mine for key in s.endpoint(r))
    names = s.names_of(caller).union(*(s.around(r) for r in mine))
    fault = s.fault(only_if(lambda v: v.caller == caller and serves(route.service)(v.route),
                            change))  # fmt: skip
    return [fault], Truth(FAILING, keys, "up", look, names)


def client_polls(s: Stage) -> Planted:
    """A release of the app asks for a page that is new, again and again, evenly."""
    like = s.route(lambda r: r.service == "gateway", 0.004)
    route = replace(
        like, number=len(s.world.system.routes), method="GET", path="/v1/inbox/unread", ms=4.0,
        fails=0.0, ok=200, size=90.0, calls=[],
    )  # fmt: skip

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(mask)

    fault = s.fault(only_if(lambda v: v.route is route, change), (route, 0.25 * s.world.requests))
    look = Look(lambda n: n["number"] == route.number, "count", "new")
    keys = ({"route": frozenset({route.path})},)
    return [fault], Truth(("new", "edge", "rate"), keys, "new", look, s.around(route))


def stampede(s: Stage) -> Planted:
    """What a cache had expires at once, three times in the window: for a twentieth of it each
    request asks behind the cache, six times, and that takes five times as long."""
    parent = s.route(lambda r: r.inside and bool(r.calls), 0.004)
    place = int(s.rng.integers(len(parent.calls)))
    number = parent.calls[place].route
    called, every = s.world.system.routes[number], s.length / 3

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        cold = mask & (np.mod(visit.at(), every) < 0.15 * every)
        if visit.route.number == parent.number:
            visit.chances[place] = np.where(cold, 1.0, visit.chances[place])
        else:
            visit.own[cold] *= 5.0
            visit.again(np.where(cold, 6, 1) if visit.caller == parent.service else 1)

    look = Look(s.at(called), "count", "up")
    keys = tuple(key for r in (called, parent) for key in s.endpoint(r)) + s.place(called)
    names = s.around(called) | s.around(parent)
    some = is_one_of(called, parent)
    fault = s.fault(only_if(lambda v: some(v.route), change))
    kinds = ("rate", "retries", "latency", "edge")
    return [fault], Truth(kinds, keys, "up", look, names)


def all_sign_in_again(s: Stage) -> Planted:
    """Everybody's session ends at once: for a tenth of the window six of ten pages answer 401, and
    the page for signing in is asked for five times as often for as long again."""
    pages = s.world.system.of("gateway")
    sign_in = s.route(lambda r: r.service == "gateway", 0.01)
    others = [r for r in pages if r.number != sign_in.number]
    s.begin = -s.length * float(s.rng.uniform(0.3, 0.95))
    s.until = s.begin + 0.2 * s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == sign_in.number:
            visit.again(np.where(mask, 5, 1))
        else:
            early = mask & (_passed(s, visit) < 0.5)
            visit.fail(early & (rng.random(len(visit)) < 0.6), 401)

    fault = s.fault(only_if(lambda v: is_one_of(*pages)(v.route), change))
    look = Look(s.at(*others), "failed")
    kinds = (*FAILING, "broad", "rate")
    return _at_front(s, pages, look, fault, kinds=kinds)


def uploads_stall(s: Stage) -> Planted:
    """Packets above a size are dropped on the way in: one in three requests that writes at the
    front takes three seconds more, or is given up."""
    routes = [r for r in s.world.system.of("gateway") if r.method != "GET"]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        large = mask & (rng.random(len(visit)) < 1 / 3)
        visit.own[large] += 3_000.0 + rng.exponential(1_000.0, int(large.sum()))
        visit.fail(large & (rng.random(len(visit)) < 0.2), 408)

    fault = s.fault(only_if(lambda v: is_one_of(*routes)(v.route), change))
    kinds = (*FAILING, "latency", "broad")
    return _at_front(s, routes, Look(s.at(*routes), "slow"), fault, kinds=kinds)


def name_flips(s: Stage) -> Planted:
    """An outside host has another address, and nobody is at the old one any more; each caller goes
    there until it asks for the name again, a third of the window or less."""
    host = outside(s)
    s.begin = -s.length * float(s.rng.uniform(0.4, 0.95))
    s.until = s.begin + 0.35 * s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        until = (0.3 + 0.7 * np.mod(0.618 * visit.caller_pod, 1.0)) * (s.until - s.begin)
        visit.fail(mask & (visit.at() < s.begin + until), NONE)

    look = Look(s.at(*s.world.system.of(host)), "failed")
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    return at_service(s, host, look, fault, any=True)


def one_way_closed(s: Stage) -> Planted:
    """A firewall's rule lets one service reach another no more: its calls hang for ten seconds and
    are not answered, and everybody else's are."""
    route = s.route(
        lambda r: r.inside and r.service != "gateway"
        and any(s.served(c) for c in s.world.system.callers(r.number)),
    )  # fmt: skip
    callers = [c for c in s.world.system.callers(route.number) if s.served(c)]
    caller, mine = callers[int(s.rng.integers(len(callers)))], s.world.system.of(route.service)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask, NONE)
        visit.lost |= mask
        visit.wire[mask] += 10_000.0

    numbers = {r.number for r in mine}
    look = Look(lambda n: n["number"] in numbers and n["caller"] == caller
                and n["direction"] != "ingress", "failed")  # fmt: skip
    hosts = s.hosts_of(route)
    keys: tuple[Key, ...] = ({"container": s.names_of(caller), "host": hosts}, {"host": hosts})
    keys += tuple(key for r in mine for key in s.endpoint(r))
    names = s.names_of(caller).union(*(s.around(r) for r in mine))
    fault = s.fault(only_if(lambda v: v.caller == caller and serves(route.service)(v.route),
                            change))  # fmt: skip
    return [fault], Truth((*FAILING, "gone"), keys, "any", look, names)


def scaled_down(s: Stage) -> Planted:
    """Of a service's pods one is left, which takes four times as long for all the work."""
    service, pod = _several(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.pod[mask] = pod
        if not visit.route.probe:
            visit.own[mask] *= 4.0

    fault = s.fault(only_if(lambda v: v.route.service == service, change))
    look = Look(s.at(*s.world.system.of(service)), "slow")
    kinds = ("latency", "gone", "rate")
    faults, truth = at_service(s, service, look, fault, kinds=kinds, direction="any", any=True)
    pods = range(s.world.system.pods[service])
    return faults, replace(
        truth, keys=truth.keys + tuple(key for one in pods for key in s.pod(service, one))
    )  # fmt: skip


def crawled(s: Stage) -> Planted:
    """A crawler reads all that can be read at the front, three times what people do, evenly, and
    half of what it asks for is not there any more."""
    reads = [r for r in s.world.system.of("gateway") if r.method == "GET"]
    routes = [r for r in reads if r.path != "/stories" and s.shares[r.number] > 0.002] or reads
    twins = [replace(r) for r in routes]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(mask)
        visit.fail(rng.random(len(visit)) < 0.5, 404)

    extra = [(r, 3 * s.shares[r.number] * s.world.requests) for r in twins]
    fault = s.fault(only_if(lambda v: any(v.route is r for r in twins), change), *extra)
    kinds = (*FAILING, "broad", "rate")
    return _at_front(s, routes, Look(s.at(*routes), "count", "up"), fault, kinds=kinds)


def leaks_and_restarts(s: Stage) -> Planted:
    """The pods of a service become slower, up to eight times, until each is killed and begins anew
    under another name, three times in the window."""
    service = s.service(s.served)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        age = 3 * _passed(s, visit) + 0.37 * visit.pod
        visit.own[mask] *= 1 + 7 * np.mod(age, 1.0)[mask] ** 2
        visit.pod[mask] += 100 * np.floor(age).astype(np.int64)[mask]

    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    look = Look(s.at(*s.world.system.of(service)), "slow")
    return at_service(s, service, look, fault, kinds=("latency",), any=True)


SEVENTH: dict[str, Incident] = {
    f.__name__: f
    for f in (
        certificate_lapses, flag_for_few, pod_pauses, batch_collides, wrong_region,
        connection_pinned, client_polls, stampede, all_sign_in_again, uploads_stall, name_flips,
        one_way_closed, scaled_down, crawled, leaks_and_restarts,
    )
}  # fmt: skip

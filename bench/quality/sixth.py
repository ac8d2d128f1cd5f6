"""Incidents kept back, the sixth set: from published post-mortems; as third.py is used."""

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
    at_route,
    at_service,
    failing,
    is_one_of,
    only_if,
    outside,
    serves,
)
from bench.quality.system import GRPC, PUBLIC, SERVICES, Route, address, container, pod_name
from bench.quality.world import MINUTE_US, NONE, Fault, Visit


def _more(s: Stage, route: Route, per_hour: float, caller: str = "") -> Fault:
    """So many requests more to a route, while the fault lasts."""
    twin = replace(route)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(mask)
        visit.caller = caller

    return s.fault(only_if(lambda v: v.route is twin, change), (twin, per_hour))


def _front(s: Stage) -> tuple[Key, ...]:
    return {}, {"host": frozenset({PUBLIC})}, {"container": s.names_of("gateway")}


def _elsewhere(s: Stage, visit: Visit, times: Any, rng: np.random.Generator) -> None:
    """Each request comes so many times, all but the first at any time of the fault."""
    visit.again(times)
    copy = np.arange(len(visit)) - np.repeat(np.cumsum(times) - times, times)
    visit.cluster = visit.cluster + copy * (int(visit.cluster.max(initial=0)) + 1)
    begin, until = (s.world.end_us + round(m * MINUTE_US) for m in (s.begin, s.until))
    own = begin + ((until - begin) * rng.random(len(visit))).astype(np.int64)
    visit.start = np.where(copy > 0, own, visit.start)


def zone_lost(s: Stage) -> Planted:
    """The first pod of every service that has several is not reached any more; calls to it fail,
    until after a third of the time the others do its work."""
    several = [name for name in s.world.system.pods if SERVICES[name][0] > 1 and s.served(name)]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        pods = s.world.system.pods[visit.route.service]
        there = mask & (visit.pod == 0)
        early = there & (visit.at() < s.begin + 0.3 * (s.until - s.begin))
        visit.fail(early, NONE)
        visit.lost |= early
        if visit.route.probe:
            visit.again(~there)
        else:
            late = there & ~early
            visit.pod[late] = rng.integers(1, pods, int(late.sum()))

    names = {(container(name, 0), pod_name(name, 0)) for name in several}
    look = Look(lambda n: n["direction"] == "ingress" and n["host"] is not None
                and (n["container_name"], n["pod_name"]) in names, "count", "down")  # fmt: skip
    known = frozenset().union(*(s.around(r) for r in s.world.system.routes if r.inside))
    keys = ({}, *(key for name in several for key in s.pod(name, 0)))
    fault = s.fault(only_if(lambda v: v.route.service in several, change))
    kinds = (*FAILING, "gone", "rate", "broad")
    return [fault], Truth(kinds, keys, "any", look, known)


def ids_run_out(s: Stage) -> Planted:
    """The numbers of a table's rows are used up: nothing new can be stored, all else goes on."""
    route = s.route(
        lambda r: r.inside and r.method == "POST" and r.service not in GRPC and r.fails < 0.3
    )
    change = failing(is_one_of(route), 1.0, 500)
    return at_route(s, route, Look(s.at(route), "failed"), s.fault(change))


def job_does_not_end(s: Stage) -> Planted:
    """A job that runs for some minutes does not see what it has done, and runs on and on."""
    entries = [e for e in s.world.system.entries if e.job and e.job[1] > 0]
    entry = entries[int(s.rng.integers(len(entries)))]
    route, length = s.world.system.routes[entry.route], (entry.job or (1.0, 1.0))[0]
    fault = _more(s, route, s.world.scale * entry.weight * 60 / length, entry.caller)
    look = Look(s.at(route), "count", "up")
    names = s.around(route) | s.names_of(entry.caller)
    keys = (*s.endpoint(route), {"container": s.names_of(entry.caller)})
    return [fault], Truth(("rate", "retries", "edge"), keys, "up", look, names)


def migration_locks(s: Stage) -> Planted:
    """For a tenth of the window a table is locked: all that needs it waits for the end of that, or
    gives up after half a minute."""
    service = s.service()
    s.begin = -s.length * float(s.rng.uniform(0.3, 0.9))
    s.until = s.begin + 0.1 * s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        left = 60_000.0 * (s.until - visit.at())
        visit.own[mask] += np.minimum(left, 30_000.0)[mask]
        visit.fail(mask & (left > 30_000.0), 504)

    look = Look(s.at(*s.world.system.of(service)), "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=(*FAILING, "latency"), any=True)


def token_lapses(s: Stage) -> Planted:
    """A token is renewed too late: for the last fifth of each quarter of the window whatever one
    service asks of an outside host is refused."""
    route = s.route(lambda r: not r.inside, 0.002)
    callers = s.world.system.callers(route.number)
    caller = callers[int(s.rng.integers(len(callers)))]
    mine = {r.number for r in s.world.system.of(route.service)}
    every = s.length / 4

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask & (np.mod(visit.at(), every) > 0.8 * every), 401)

    look = Look(lambda n: n["number"] in mine and n["caller"] == caller
                and n["direction"] != "ingress", "failed")  # fmt: skip
    fault = s.fault(only_if(lambda v: v.route.number in mine and v.caller == caller, change))
    names = s.around(route).union(*(s.around(r) for r in s.world.system.of(route.service)))
    keys = (*s.place(route), *(key for n in sorted(mine)
                               for key in s.endpoint(s.world.system.routes[n])))  # fmt: skip
    return [fault], Truth(FAILING, keys, "up", look, names)


def n_plus_one(s: Stage) -> Planted:
    """A release asks for each thing of a list on its own: twelve calls where one was enough, one
    after the other."""
    parent = s.route(lambda r: r.inside and bool(r.calls), 0.004)
    number = parent.calls[int(s.rng.integers(len(parent.calls)))].route
    called = s.world.system.routes[number]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(np.where(mask, 12, 1))

    ask = [r for r in s.world.system.of(parent.service) if any(c.route == number for c in r.calls)]
    keys = tuple(key for r in (called, *ask) for key in s.endpoint(r))
    names = frozenset().union(*(s.around(r) for r in (called, *ask)))
    look = Look(lambda n: n["number"] == number and n["caller"] == parent.service
                and n["direction"] != "ingress", "count", "up")  # fmt: skip
    fault = s.fault(only_if(lambda v: v.route.number == number and v.caller == parent.service,
                            change))  # fmt: skip
    return [fault], Truth(("rate", "retries", "latency", "edge"), keys, "up", look, names)


def page_without_end(s: Stage) -> Planted:
    """A client asks for the next page of a list again and again: a page at the front has six times
    as many requests, evenly."""
    route = s.route(lambda r: r.service == "gateway", 0.004)
    fault = _more(s, route, 6 * s.shares[route.number] * s.world.requests)
    look = Look(s.at(route), "count", "up")
    return at_route(s, route, look, fault, kinds=("rate", "retries"), blame=False)


def short_cut(s: Stage) -> Planted:
    """A flag is off: a route answers at once, with next to nothing, and asks nobody any more."""
    route = s.route(lambda r: r.inside and r.size > 600 and bool(r.calls), 0.004)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.size[mask], visit.own[mask] = 120.0, 2.0
        visit.chances = [np.where(mask, 0.0, chance) for chance in visit.chances]

    below = [s.world.system.routes[c.route] for c in route.calls]
    names = frozenset().union(*(s.around(r) for r in (route, *below)))
    keys = tuple(key for r in (route, *below) for key in s.endpoint(r))
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    kinds = ("size", "latency", "rate", "gone", "edge")
    look = Look(s.at(route), "size", "down")
    return [fault], Truth(kinds, keys, "any", look, names)


def calls_put_off(s: Stage) -> Planted:
    """What a service had to hand on stays in its queue: it answers, and calls nobody any more."""
    parent = s.route(lambda r: r.inside and r.service != "gateway" and bool(r.calls), 0.004)
    mine = s.world.system.of(parent.service)
    below = [s.world.system.routes[n] for n in sorted({c.route for r in mine for c in r.calls})]
    numbers = {r.number for r in below}

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.chances = [np.where(mask, 0.0, chance) for chance in visit.chances]

    look = Look(lambda n: n["number"] in numbers and n["caller"] == parent.service,
                "count", "down")  # fmt: skip
    keys = tuple(key for r in below for key in (*s.endpoint(r), *s.place(r)))
    keys += ({"container": s.names_of(parent.service)},)
    names = s.names_of(parent.service).union(*(s.around(r) for r in below))
    fault = s.fault(only_if(lambda v: serves(parent.service)(v.route), change))
    return [fault], Truth(("gone", "rate", "edge"), keys, "gone", look, names)


def disk_slow(s: Stage) -> Planted:
    """The disk of one pod is slow: what is written there takes a second more, what is read does
    not."""

    def writes(name: str) -> list[Route]:
        return [r for r in s.world.system.of(name) if r.method != "GET"]

    service = s.service(lambda n: SERVICES[n][0] > 2 and s.served(n) and bool(writes(n)))
    pod, routes = int(s.rng.integers(s.world.system.pods[service])), writes(service)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        there = mask & (visit.pod == pod)
        visit.own[there] += 300.0 + rng.exponential(700.0, int(there.sum()))

    numbers, there = {r.number for r in routes}, s.at_pod(service, pod)
    look = Look(lambda n: n["number"] in numbers and there(n), "slow")
    fault = s.fault(only_if(lambda v: v.route.number in numbers, change))
    faults, truth = at_service(s, service, look, fault, kinds=("latency",), any=True)
    return faults, replace(truth, keys=truth.keys + s.pod(service, pod))


def canary_slow(s: Stage) -> Planted:
    """A tenth of a service's requests goes to a new release, which takes eight times as long."""
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        there = mask & (rng.random(len(visit)) < 0.1)
        visit.pod[there] = 100
        visit.own[there] = 8 * visit.own[there] + 60

    look = Look(s.at(*s.world.system.of(service)), "slow")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    faults, truth = at_service(s, service, look, fault, kinds=("latency",), any=True)
    return faults, replace(truth, keys=truth.keys + s.pod(service, 100))


def prefix_doubled(s: Stage) -> Planted:
    """Who calls a route was given a wrong address, with a prefix twice: nothing is there."""
    route = s.route(
        lambda r: r.inside and r.service not in GRPC
        and len(s.world.system.callers(r.number)) == 1, 0.004,
    )  # fmt: skip
    path = "/internal" + route.path
    variant = s.world.variant(route=path)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.variant[mask] = variant
        visit.fail(mask, 404)
        visit.chances = [np.where(mask, 0.0, chance) for chance in visit.chances]

    here = s.at(route)
    look = Look(lambda n: here(n) and n["route"] == path, "count", "new")
    keys = ({"route": frozenset({path, route.path})}, *s.endpoint(route))
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return [fault], Truth((*FAILING, "moved", "gone"), keys, "any", look, s.around(route) | {path})


def site_read_only(s: Stage) -> Planted:
    """Until a database is repaired the front refuses all that writes, and shows the rest."""
    routes = [r for r in s.world.system.of("gateway") if r.method != "GET"]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask, 503)
        visit.chances = [np.where(mask, 0.0, chance) for chance in visit.chances]

    look = Look(s.at(*routes), "failed")
    names = frozenset().union(*(s.around(r) for r in s.world.system.of("gateway")))
    keys = (*_front(s), *(key for r in routes for key in s.endpoint(r)))
    fault = s.fault(only_if(lambda v: is_one_of(*routes)(v.route), change))
    return [fault], Truth((*FAILING, "broad"), keys, "up", look, names)


def probes_too_often(s: Stage) -> Planted:
    """A balancer that was set up anew asks a service for its health twenty times as often."""
    service = s.service(s.served)
    route = next(r for r in s.world.system.routes if r.service == service and r.path == "/healthz")
    fault = _more(s, route, 20 * s.shares[route.number] * s.world.requests)
    pods = range(s.world.system.pods[service])
    hosts = {"{ip}:8080", *(address(service, pod) for pod in pods)}
    instances = {str(pod_name(service, pod) or container(service, pod)) for pod in pods}
    look = Look(s.at(route), "count", "up")
    names = s.around(route) | hosts | instances
    return [fault], Truth(("rate", "retries"), s.endpoint(route), "up", look, names)


def cache_in_front_lost(s: Stage) -> Planted:
    """What a cache in front of the system answered comes through: reading is six times as much,
    each at a time of its own, and all else as ever."""
    routes = [r for r in s.world.system.of("gateway") if r.method == "GET"]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if mask.any():
            _elsewhere(s, visit, np.where(mask, 6, 1), rng)

    look = Look(s.at(*routes), "count", "up")
    names = frozenset().union(*(s.around(r) for r in routes))
    keys = (*_front(s), *(key for r in routes for key in s.endpoint(r)))
    fault = s.fault(only_if(lambda v: not v.caller and is_one_of(*routes)(v.route), change))
    return [fault], Truth(("broad", "rate"), keys, "up", look, names)


def asked_first(s: Stage) -> Planted:
    """A page moved to another name, so browsers ask whether they may before each request."""
    number, faults, numbers = len(s.world.system.routes), [], set()
    routes = [r for r in s.world.system.of("gateway") if r.path != "/stories"]
    for place, route in enumerate(routes):
        numbers.add(number + place)
        ask = replace(
            route, number=number + place, method="OPTIONS", ms=2.0, fails=0.0, ok=204, size=100.0,
            calls=[],
        )  # fmt: skip
        faults.append(_more(s, ask, s.shares[route.number] * s.world.requests))
    look = Look(lambda n: n["number"] in numbers, "count", "new")
    names = frozenset({"OPTIONS"}).union(*(s.around(r) for r in routes))
    keys = ({"method": frozenset({"OPTIONS"})},)
    return faults, Truth(("new", "edge", "rate"), keys, "new", look, names)


def falls_back_to_default(s: Stage) -> Planted:
    """A setting was lost: who called an outside host calls a port of its own machine, where
    nobody answers."""
    host, other = outside(s), "localhost:8081"
    routes, variant = s.world.system.of(host), s.world.variant(host=other)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.variant[mask] = variant
        visit.fail(mask, NONE)

    numbers = {r.number for r in routes}
    look = Look(lambda n: n["number"] in numbers and n["host"] == other, "count", "new")
    names = frozenset({other}).union(*(s.around(r) for r in routes))
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    keys: tuple[Key, ...] = ({"host": frozenset({host, other})},)
    return [fault], Truth((*FAILING, "moved", "gone"), keys, "any", look, names)


def herd_comes_back(s: Stage) -> Planted:
    """For a third of the time nobody gets in; then all come at once, three times as many, and one
    in four is turned away."""
    s.begin = -s.length * float(s.rng.uniform(0.5, 1.0))
    opened = 0.7 * s.begin

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        late = mask & (visit.at() >= opened)
        visit.fail(late & (rng.random(len(visit)) < 0.25), 503)
        visit.again(np.where(late, 3, np.where(mask, 0, 1)))

    look = Look(s.at(*s.world.system.of("gateway")), "failed")
    names = frozenset().union(*(s.around(r) for r in s.world.system.of("gateway")))
    fault = s.fault(only_if(lambda v: not v.caller and serves("gateway")(v.route), change))
    kinds = (*FAILING, "broad", "rate", "retries")
    return [fault], Truth(kinds, _front(s), "up", look, names)


SIXTH: dict[str, Incident] = {
    f.__name__: f
    for f in (
        zone_lost, ids_run_out, job_does_not_end, migration_locks, token_lapses, n_plus_one,
        page_without_end, short_cut, calls_put_off, disk_slow, canary_slow, prefix_doubled,
        site_read_only, probes_too_often, cache_in_front_lost, asked_first,
        falls_back_to_default, herd_comes_back,
    )
}  # fmt: skip

"""Incidents kept back, the fourth set: from how systems are known to fail; as third.py is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.quality.oracle import Look
from bench.quality.stage import (
    FAILING,
    Incident,
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
from bench.quality.system import SERVICES, Route
from bench.quality.world import NONE, Visit

_READS = ("GET",)


def _several(s: Stage) -> tuple[str, int]:
    """A service of three pods or more, and one of them."""
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    return service, int(s.rng.integers(s.world.system.pods[service]))


def _turns(visit: Visit, every: float, lasting: float) -> Any:
    """Which requests come in the first `lasting` of each `every` minutes."""
    return np.mod(visit.at(), every) < lasting


def crash_loop(s: Stage) -> Planted:
    """One pod dies again and again: half of each two minutes its calls fail at once."""
    service, pod = _several(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        down = mask & (visit.pod == pod) & _turns(visit, 2.0, 1.0)
        visit.fail(down, 503)
        visit.own[down] = 2.0

    look = Look(s.at_pod(service, pod), "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    faults, truth = at_service(s, service, look, fault, any=True)
    return faults, Truth(FAILING, truth.keys + s.pod(service, pod), "up", look, truth.names)


def address_of_a_dead_pod(s: Stage) -> Planted:
    """A pod is gone, its address still handed out: calls to it are never answered."""
    service, pod = _several(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hit = mask & (visit.pod == pod) & bool(visit.caller)
        visit.fail(hit, NONE)
        visit.lost |= hit

    numbers = {r.number for r in s.world.system.of(service)}
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress", "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    faults, truth = at_service(s, service, look, fault, kinds=(*FAILING, "gone"), direction="any")
    return faults, Truth(
        truth.kinds, truth.keys + s.pod(service, pod), "any", look, truth.names,
        truth.blame | {"network"},
    )  # fmt: skip


def timeout_lowered(s: Stage) -> Planted:
    """Who calls a route hangs up after what it usually takes, and a half."""
    route = s.route(lambda r: r.inside and bool(s.world.system.callers(r.number)), 0.005)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        late = mask & (visit.own > 1.5 * route.ms)
        visit.fail(late, NONE)
        visit.own[late] = 1.5 * route.ms

    look = Look(s.at(route), "failed")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault)


def pauses(s: Stage) -> Planted:
    """A service stands still for four of each forty seconds, and all that comes then waits."""
    service = s.service()

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        left = 4.0 - 60 * np.mod(visit.at(), 2 / 3)
        waits = mask & (left > 0)
        visit.own[waits] += 1000 * left[waits]

    look = Look(s.at(*s.world.system.of(service)), "slow")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=("latency",))


def writes_locked(s: Stage) -> Planted:
    """Whoever writes waits for a lock, and some give up; reads are as ever."""
    writes = s.fit(lambda r: r.inside and r.method not in _READS, 0.001)
    service = writes[int(s.rng.integers(len(writes)))].service
    routes = [r for r in s.world.system.of(service) if r.method not in _READS]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] += rng.exponential(900.0, len(visit))[mask]
        visit.fail(mask & (visit.own > 2_500), 503)

    fault = s.fault(only_if(lambda v: is_one_of(*routes)(v.route), change))
    look = Look(s.at(*routes), "slow")
    return at_service(s, service, look, fault, kinds=(*FAILING, "latency"), any=True)


def canary_bad(s: Stage) -> Planted:
    """A tenth of a service's requests goes to a new release, where six of ten fail."""
    service, _ = _several(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        there = mask & (rng.random(len(visit)) < 0.1)
        visit.pod[there] = 100
        visit.fail(there & (rng.random(len(visit)) < 0.6), 500)

    look = Look(s.at(*s.world.system.of(service)), "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    faults, truth = at_service(s, service, look, fault)
    keys = truth.keys + s.pod(service, 100)
    return faults, Truth(FAILING, keys, "up", look, truth.names, truth.blame)


def outside_slow(s: Stage) -> Planted:
    """An outside host takes five times as long, and answers one call in twenty with 504."""
    host = outside(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] = 5 * visit.own[mask] + 40
        visit.fail(mask & (rng.random(len(visit)) < 0.05), 504)

    look = Look(s.at(*s.world.system.of(host)), "slow")
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    return at_service(s, host, look, fault, kinds=(*FAILING, "latency"))


def redirect_loop(s: Stage) -> Planted:
    """A page at the front sends everybody back to itself, and browsers try five times."""
    route = s.route(lambda r: r.service == "gateway", 0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        good = mask & (visit.status == route.ok)
        visit.status[good] = 302
        visit.chances = [np.where(good, 0.0, chance) for chance in visit.chances]
        visit.again(np.where(good, 5, 1))

    look = Look(s.at(route), "status", "up", 302)
    kinds = ("statuses", "new", "rate", "retries", "broad")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault, kinds=kinds, direction="any", blame=False)


def keys_rotated(s: Stage) -> Planted:
    """Tokens that were given out before are good no more: seven of ten checks are refused."""
    look = Look(s.at(*s.world.system.of("auth")), "failed")
    return at_service(s, "auth", look, s.fault(failing(serves("auth"), 0.7, 401)))


def call_not_made(s: Stage) -> Planted:
    """A release forgot one call: a service does not ask another one any more, and nobody sees an
    error."""
    route = s.route(lambda r: len(s.world.system.callers(r.number)) == 1, 0.004)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(~mask)

    look = Look(s.at(route), "count", "down")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    kinds = ("gone", "rate", "edge")
    return at_route(s, route, look, fault, kinds=kinds, direction="gone", blame=False)


def passwords_tried(s: Stage) -> Planted:
    """Somebody tries passwords: a form at the front is sent twelve times as often, in vain."""
    route = s.route(lambda r: r.service == "gateway" and r.method == "POST", 0.004)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(np.where(mask, 12, 1))
        visit.fail((visit.at() >= s.begin) & (rng.random(len(visit)) < 0.9), 401)

    look = Look(s.at(route), "failed")
    kinds = (*FAILING, "rate", "retries")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault, kinds=kinds, direction="any", blame=False)


def list_without_end(s: Stage) -> Planted:
    """A list is given whole instead of a page of it: fifteen times as large, and it takes long."""
    route = s.route(lambda r: r.inside and r.method == "GET" and r.size > 300, 0.005)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.size[mask] *= 15
        visit.own[mask] = 4 * visit.own[mask] + 30

    look = Look(s.at(route), "size")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault, kinds=("size", "latency"))


def leader_lost(s: Stage) -> Planted:
    """Until another one is chosen nothing can be written; a sixth of the window, and it is over."""
    writes = s.fit(lambda r: r.inside and r.method not in _READS, 0.001)
    service = writes[int(s.rng.integers(len(writes)))].service
    routes = [r for r in s.world.system.of(service) if r.method not in _READS]
    s.begin = -s.length * float(s.rng.uniform(0.4, 0.9))
    s.until = s.begin + s.length / 6
    fault = s.fault(failing(is_one_of(*routes), 1.0, 503))
    return at_service(s, service, Look(s.at(*routes), "failed"), fault, any=True)


def rollout_stuck(s: Stage) -> Planted:
    """Half of a service's pods are of the new release, which does not know one of the routes."""
    route = s.route(
        lambda r: r.inside and r.service != "gateway" and SERVICES[r.service][0] > 1
        and s.served(r.service), 0.005,
    )  # fmt: skip

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        new = mask & (visit.pod % 2 == 0)
        visit.pod[new] += 100
        if visit.route.number == route.number:
            visit.fail(new, 404)

    fault = s.fault(only_if(lambda v: v.route.service == route.service, change))
    return at_route(s, route, Look(s.at(route), "failed"), fault)


def way_out_overloaded(s: Stage) -> Planted:
    """What goes outside, wherever it goes, waits on the way, and one in twelve calls is lost."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.wire[mask] += rng.exponential(400.0, len(visit))[mask]
        visit.fail(mask & (rng.random(len(visit)) < 0.08), NONE)

    routes = [r for r in s.world.system.routes if not r.inside]
    look = Look(s.at(*routes), "slow")
    names = frozenset().union(*(s.around(r) for r in routes))
    keys = ({}, *(key for r in routes for key in s.place(r)))
    fault = s.fault(only_if(lambda v: not v.route.inside, change))
    kinds = (*FAILING, "latency", "broad", "edge")
    return [fault], Truth(kinds, keys, "up", look, names)


def data_missing(s: Stage) -> Planted:
    """A table was restored from last week: four of ten things that are asked for are not there."""

    def fits(route: Route) -> bool:
        return route.inside and route.method == "GET" and "{id}" in route.path

    route = s.route(fits, 0.004)
    change = failing(is_one_of(route), 0.4, 404)
    return at_route(s, route, Look(s.at(route), "failed"), s.fault(change))


def large_lost(s: Stage) -> Planted:
    """Large answers of a service do not get through the network: its callers wait in vain."""
    service = s.service(lambda name: s.served(name))
    routes = s.world.system.of(service)
    typical = float(np.median([r.size for r in routes]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hit = mask & (visit.size > typical) & bool(visit.caller)
        visit.fail(hit, NONE)
        visit.wire[hit] += 10_000.0

    look = Look(s.at(*routes), "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, any=True)


def one_tenant(s: Stage) -> Planted:
    """What one customer of six asks of a service fails, all of it."""
    service = s.service()

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask & (visit.cluster % 6 == 0), 500)

    look = Look(s.at(*s.world.system.of(service)), "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault)


FOURTH: dict[str, Incident] = {
    f.__name__: f
    for f in (
        crash_loop, address_of_a_dead_pod, timeout_lowered, pauses, writes_locked, canary_bad,
        outside_slow, redirect_loop, keys_rotated, call_not_made, passwords_tried,
        list_without_end, leader_lost, rollout_stuck, way_out_overloaded, data_missing,
        large_lost, one_tenant,
    )
}  # fmt: skip

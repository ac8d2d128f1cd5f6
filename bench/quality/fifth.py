"""Incidents kept back, the fifth set: from how systems are known to fail; as third.py is used."""

from __future__ import annotations

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
    new_pods,
    only_if,
    outside,
    serves,
    slower,
)
from bench.quality.system import GRPC, SERVICES, container, pod_name
from bench.quality.world import NONE, Visit


def grpc_unavailable(s: Stage) -> Planted:
    """Three of ten calls of a gRPC service end as UNAVAILABLE, with HTTP status 200."""
    service = str(s.rng.choice(sorted(GRPC)))
    look = Look(s.at(*s.world.system.of(service)), "failed")
    return at_service(s, service, look, s.fault(failing(serves(service), 0.3, 503)), any=True)


def circuit_opens(s: Stage) -> Planted:
    """An outside host refuses everybody; after a quarter of the time its callers leave it alone
    but for one request in ten."""
    host = outside(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask, 403)
        opened = visit.at() > s.begin - 0.25 * s.begin
        visit.again(np.where(mask & opened & (rng.random(len(visit)) < 0.9), 0, 1))

    look = Look(s.at(*s.world.system.of(host)), "failed")
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    return at_service(s, host, look, fault, kinds=(*FAILING, "gone", "rate"), direction="any")


def hangs(s: Stage) -> Planted:
    """A fifth of a route's requests gets no further until 30 seconds are over."""
    route = s.route(lambda r: r.inside)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hit = mask & (rng.random(len(visit)) < 0.2)
        visit.fail(hit, 504)
        visit.own[hit] = 30_000.0

    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    kinds = (*FAILING, "latency")
    return at_route(s, route, Look(s.at(route), "failed"), fault, kinds=kinds)


def given_up(s: Stage) -> Planted:
    """A page at the front takes 3 s more, and every third person closes it before it comes."""
    route = s.route(lambda r: r.service == "gateway", 0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] += 3_000.0
        visit.fail(mask & (rng.random(len(visit)) < 0.35), 499)

    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    kinds = (*FAILING, "latency")
    return at_route(s, route, Look(s.at(route), "slow"), fault, kinds=kinds)


def connections_reset(s: Stage) -> Planted:
    """One in fifteen calls to a service meets a connection that was closed a moment ago."""
    service = s.service(s.served)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hit = mask & (rng.random(len(visit)) < 1 / 15) & bool(visit.caller)
        visit.fail(hit, NONE)
        visit.lost |= hit

    numbers = {r.number for r in s.world.system.of(service)}
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress", "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    faults, truth = at_service(s, service, look, fault, any=True)
    return faults, Truth(
        FAILING, truth.keys, "up", look, truth.names, truth.blame | {"network"}
    )  # fmt: skip


def restarted_cold(s: Stage) -> Planted:
    """All pods of a service are new, and for a quarter of the window their caches are empty."""
    service = s.service(s.served)
    s.begin = -s.length * float(s.rng.uniform(0.4, 0.95))
    warm = s.begin + 0.25 * s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        cold = mask & (visit.at() < warm)
        visit.own[cold] = 6 * visit.own[cold] + 30

    look = Look(s.at(*s.world.system.of(service)), "slow")
    faults = (
        s.fault(only_if(lambda v: serves(service)(v.route), change)),
        s.fault(new_pods([service])),
    )
    return at_service(s, service, look, *faults, kinds=("latency",), any=True)


def gateway_slow(s: Stage) -> Planted:
    """What stands in front of everything takes a quarter of a second more for each request."""
    change = slower(serves("gateway"), 1.0, 250.0)
    look = Look(s.at(*s.world.system.of("gateway")), "slow")
    return at_service(s, "gateway", look, s.fault(change), kinds=("latency",))


def machine_starved(s: Stage) -> Planted:
    """Another program takes the processors: whatever runs here takes three times as long."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask] = 3.0 * visit.own[mask] + 5 * rng.exponential(1.0, int(mask.sum()))

    inside = only_if(lambda v: v.route.service in s.world.system.seen, change)
    look = Look(lambda n: n["direction"] == "ingress", "slow")
    everything = frozenset().union(*(s.around(r) for r in s.world.system.routes if r.inside))
    return [s.fault(inside)], Truth(("latency", "broad"), ({},), "up", look, everything)


def way_out_of_one(s: Stage) -> Planted:
    """What one service asks of anybody goes through a proxy that has become slow."""
    callers = sorted({c for r in s.fit(lambda r: True, 0.002)
                      for c in s.world.system.callers(r.number) if s.served(c)})  # fmt: skip
    caller = callers[int(s.rng.integers(len(callers)))]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.wire[mask] += 200.0 + rng.exponential(200.0, int(mask.sum()))

    mine = [r for r in s.world.system.routes
            if not r.probe and caller in s.world.system.callers(r.number)]  # fmt: skip
    look = Look(lambda n: n["caller"] == caller and n["direction"] != "ingress", "slow")
    names = s.names_of(caller).union(*(s.around(r) for r in mine))
    keys: tuple[Key, ...] = ({"container": s.names_of(caller)},)
    if len({r.service for r in mine}) == 1:
        keys += s.place(mine[0])
    fault = s.fault(only_if(lambda v: v.caller == caller, change))
    return [fault], Truth(("latency", "edge"), keys, "up", look, names)


def not_compressed(s: Stage) -> Planted:
    """A release sends what it sends five times as large, all routes of a service."""
    service = s.service(lambda name: all(r.size > 200 for r in s.world.system.of(name)))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.size[mask] *= 5

    look = Look(s.at(*s.world.system.of(service)), "size")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=("size",), any=True)


def conflicts(s: Stage) -> Planted:
    """Two writers are in each other's way: a quarter of what is written answers 409."""
    route = s.route(lambda r: r.inside and r.method in ("POST", "PUT", "DELETE"))
    change = failing(is_one_of(route), 0.25, 409)
    return at_route(s, route, Look(s.at(route), "failed"), s.fault(change))


def bad_client(s: Stage) -> Planted:
    """A new app sends what a page at the front does not take: half of its requests answer 400,
    and are sent again once."""
    route = s.route(lambda r: r.service == "gateway", 0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        refused = mask & (rng.random(len(visit)) < 0.5)
        visit.fail(refused, 400)
        visit.again(np.where(refused, 2, 1))

    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    kinds = (*FAILING, "retries")
    return at_route(s, route, Look(s.at(route), "failed"), fault, kinds=kinds, blame=False)


def blip(s: Stage) -> Planted:
    """For 40 seconds nothing of a service works, and it is over."""
    service = s.service()
    s.begin = -s.length * float(s.rng.uniform(0.3, 0.9))
    s.until = min(s.begin + 40 / 60, 0.0)
    look = Look(s.at(*s.world.system.of(service)), "failed")
    return at_service(s, service, look, s.fault(failing(serves(service), 1.0, 503)), any=True)


def other_failure(s: Stage) -> Planted:
    """What was refused with its usual status now ends in 500, as often as before."""
    route = s.busiest(lambda r: r.fails >= 0.05 and r.service not in GRPC and r.status < 500)
    one = route[0] if route else s.busiest(lambda r: r.fails >= 0.05)[0]
    status = 500 if one.status != 500 else 502

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.status[mask & (visit.status == one.status)] = status

    fault = s.fault(only_if(lambda v: v.route.number == one.number, change))
    look = Look(s.at(one), "status", "up", status)
    return at_route(s, one, look, fault, direction="any")


def not_ready(s: Stage) -> Planted:
    """One pod of several says that it is not ready, gets no requests, and is asked on."""
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    pod = int(s.rng.integers(s.world.system.pods[service]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        there = mask & (visit.pod == pod)
        if visit.route.probe:
            visit.fail(there, 503)
        else:
            others = s.world.system.pods[service] - 1
            visit.pod[there] = (pod + 1 + rng.integers(others, size=int(there.sum()))) % (
                others + 1
            )

    box, name = container(service, pod), pod_name(service, pod)
    probes = [r for r in s.world.system.routes if r.service == service and r.probe]
    numbers = {r.number for r in probes}
    look = Look(lambda n: n["number"] in numbers
                and (n["container_name"], n["pod_name"]) == (box, name), "failed")  # fmt: skip
    names = s.names_of(service).union(*(s.around(r) for r in probes))
    keys = (*s.pod(service, pod), *(key for r in probes for key in s.endpoint(r)))
    fault = s.fault(only_if(lambda v: v.route.service == service, change))
    kinds = (*FAILING, "gone", "rate")
    return [fault], Truth(kinds, keys, "any", look, names)


FIFTH: dict[str, Incident] = {
    f.__name__: f
    for f in (
        grpc_unavailable, circuit_opens, hangs, given_up, connections_reset, restarted_cold,
        gateway_slow, machine_starved, way_out_of_one, not_compressed, conflicts, bad_client,
        blip, other_failure, not_ready,
    )
}  # fmt: skip

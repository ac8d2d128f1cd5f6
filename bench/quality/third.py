"""Incidents kept back, the third set: run once, when the comparison is finished, never tuned on."""

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
    only_if,
    outside,
    serves,
)
from bench.quality.system import PUBLIC, SERVICES, Route, container, pod_name
from bench.quality.world import NONE, Visit


def certificate_expired(s: Stage) -> Planted:
    service = s.service(lambda name: name not in ("session",))
    routes = s.world.system.of(service)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hit = mask & bool(visit.caller)
        visit.fail(hit, NONE)
        visit.lost |= hit

    numbers = {r.number for r in routes}
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress", "failed")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=(*FAILING, "gone", "rate"), direction="any")


def name_not_resolved(s: Stage) -> Planted:
    """No request is ever made; what would have made it fails."""
    host = outside(s)
    routes = s.world.system.of(host)
    called = {r.number for r in routes}

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == host:
            visit.again(~mask)
        elif any(c.route in called and c.fatal > 0.5 for c in visit.route.calls):
            visit.fail(mask & (rng.random(len(visit)) < 0.5), 500)

    look = Look(s.at(*routes), "count", "down")
    return at_service(
        s, host, look, s.fault(change), kinds=("gone", "rate", "edge", *FAILING), direction="any"
    )


def pool_exhausted(s: Stage) -> Planted:
    """First some requests wait for a connection, later more of them, and then they fail."""
    service = s.service()

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        grown = (visit.at() - s.begin) / max(-s.begin, 1e-9)
        waits = mask & (rng.random(len(visit)) < 0.1 + 0.6 * grown)
        visit.own[waits] += 2_000.0 * rng.random(int(waits.sum()))
        visit.fail(waits & (grown > 0.4) & (rng.random(len(visit)) < 0.6), 503)

    look = Look(s.at(*s.world.system.of(service)), "slow")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=(*FAILING, "latency"))


def configured_wrong(s: Stage) -> Planted:
    """One of several pods calls an outside host with a wrong key."""

    def callers(route: Route) -> list[str]:
        some = s.world.system.callers(route.number)
        return [c for c in some if s.served(c) and SERVICES[c][0] > 1]

    route = s.route(lambda r: not r.inside and bool(callers(r)))
    service = callers(route)[0]
    pod = int(s.rng.integers(s.world.system.pods[service]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask & (visit.caller_pod == pod), 401)

    numbers = {r.number for r in s.world.system.of(route.service)}
    box, name = container(service, pod), pod_name(service, pod)
    look = Look(lambda n: n["number"] in numbers and n["caller"] == service
                and (n["container_name"], n["pod_name"]) == (box, name), "failed")  # fmt: skip
    names = s.around(route).union(*(s.around(r) for r in s.world.system.of(route.service)))
    fault = s.fault(
        only_if(lambda v: v.route.service == route.service and v.caller == service, change)
    )
    return [fault], Truth(FAILING, s.pod(service, pod), "up", look, names)


def limit_reached(s: Stage) -> Planted:
    """An outside host begins to answer 429, and each refusal is tried again twice."""
    host = outside(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        refused = mask & (rng.random(len(visit)) < 0.3)
        visit.fail(refused, 429)
        visit.again(np.where(refused, 3, 1))

    look = Look(s.at(*s.world.system.of(host)), "failed")
    return at_service(s, host, look, s.fault(only_if(lambda v: v.route.service == host, change)))


def flag_turned_on(s: Stage) -> Planted:
    """A route makes one of its calls three times instead of once."""
    route = s.route(lambda r: bool(s.world.system.callers(r.number)), 0.01)
    callers = s.world.system.callers(route.number)
    caller = callers[int(s.rng.integers(len(callers)))]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(np.where(mask, 3, 1))

    look = Look(s.at(route), "count", "up")
    fault = s.fault(
        only_if(lambda v: v.route.number == route.number and v.caller == caller, change)
    )
    return at_route(s, route, look, fault, kinds=("rate", "retries", "edge"), blame=False)


def cache_emptied(s: Stage) -> Planted:
    """What a route had at hand it must ask for again: it is slower, and its callee busier."""
    route = s.route(lambda r: r.inside and any(c.chance < 0.3 for c in r.calls), 0.004)
    below = [s.world.system.routes[c.route] for c in route.calls if c.chance < 0.3]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.chances = [np.where(mask & (c < 0.3), 0.95, c) for c in visit.chances]
        visit.own[mask] = visit.own[mask] * 2 + 15.0

    look = Look(s.at(route), "slow")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    faults, truth = at_route(s, route, look, fault, kinds=("latency", "rate", "retries"))
    keys = truth.keys + tuple(key for r in below for key in s.endpoint(r))
    names = truth.names.union(*(s.around(r) for r in below))
    return faults, Truth(truth.kinds, keys, "up", look, names)


def answers_empty(s: Stage) -> Planted:
    """Seven answers of ten are an empty list, with status 200."""
    route = s.route(lambda r: r.size > 600, 0.005)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.size[mask & (rng.random(len(visit)) < 0.7)] = 2.0

    look = Look(s.at(route), "size", "down")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault, kinds=("size",), direction="down", blame=False)


def schema_changed(s: Stage) -> Planted:
    route = s.route(lambda r: r.method in ("POST", "PUT"), 0.003)
    change = failing(is_one_of(route), float(s.rng.choice([0.25, 0.9])), 422)
    return at_route(s, route, Look(s.at(route), "failed"), s.fault(change))


def index_dropped(s: Stage) -> Planted:
    """A third of a route's requests run a query that takes many times as long."""
    route = s.route(lambda r: r.inside, 0.005)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.own[mask & (rng.random(len(visit)) < 0.35)] += 800.0

    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, Look(s.at(route), "slow"), fault, kinds=("latency",))


def memory_leaks(s: Stage) -> Planted:
    """A service becomes slower from minute to minute, five times in the end."""
    service = s.service()
    s.begin = -s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        grown = np.clip((visit.at() - s.begin) / s.length, 0, 1)
        visit.own[mask] = (visit.own * (1 + 4 * grown) + 30 * grown)[mask]

    look = Look(s.at(*s.world.system.of(service)), "slow")
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return at_service(s, service, look, fault, kinds=("latency", "trend"))


def failed_over(s: Stage) -> Planted:
    """Calls to an outside host go to another region, farther away."""
    host = outside(s)
    other = f"us-west-2.{host}"
    variant = s.world.variant(host=other)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.variant[mask] = variant
        visit.wire[mask] += 60.0

    numbers = {r.number for r in s.world.system.of(host)}
    look = Look(lambda n: n["number"] in numbers and n["host"] == other, "count", "new")
    names = s.around(s.world.system.of(host)[0]) | {other}
    keys: tuple[Key, ...] = ({"host": frozenset({host, other})},)
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    return [fault], Truth(("moved", "new", "gone"), keys, "any", look, names)


def published_twice(s: Stage) -> Planted:
    """Everything that one service sends outside is sent twice."""
    route = s.route(lambda r: not r.inside, 0.004)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.again(np.where(mask, 2, 1))

    look = Look(s.at(*s.world.system.of(route.service)), "count", "up")
    fault = s.fault(only_if(lambda v: v.route.service == route.service, change))
    return at_service(
        s, route.service, look, fault, kinds=("rate", "retries", "edge"), any=True
    )  # fmt: skip


def token_expired(s: Stage) -> Planted:
    """All calls of one service to the others inside are refused."""
    callers = sorted({c for r in s.fit(lambda r: r.inside, 0.001)
                      for c in s.world.system.callers(r.number) if s.served(c)})  # fmt: skip
    caller = callers[int(s.rng.integers(len(callers)))]

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask, 401)

    mine = [r for r in s.world.system.routes
            if r.inside and not r.probe and caller in s.world.system.callers(r.number)]  # fmt: skip
    numbers = {r.number for r in mine}
    look = Look(lambda n: n["number"] in numbers and n["caller"] == caller
                and n["direction"] != "ingress", "failed")  # fmt: skip
    names = s.names_of(caller).union(*(s.around(r) for r in mine))
    keys: tuple[Key, ...] = ({"container": s.names_of(caller)},)
    if len({r.service for r in mine}) == 1:
        keys += s.place(mine[0])
    fault = s.fault(only_if(lambda v: v.caller == caller and v.route.number in numbers, change))
    return [fault], Truth(FAILING, keys, "up", look, names)


def disk_read_only(s: Stage) -> Planted:
    """A service can read and not write."""
    writes = s.fit(lambda r: r.inside and r.method in ("POST", "PUT", "DELETE"), 0.001)
    service = writes[int(s.rng.integers(len(writes)))].service
    routes = [r for r in s.world.system.of(service) if r.method != "GET"]
    fault = s.fault(failing(is_one_of(*routes), 0.95, 507))
    return at_service(s, service, Look(s.at(*routes), "failed"), fault, any=True)


def resolver_slow(s: Stage) -> Planted:
    """One in eight calls to an outside host waits five seconds for its name."""
    host = outside(s)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.wire[mask & (rng.random(len(visit)) < 0.12)] += 5_000.0

    look = Look(s.at(*s.world.system.of(host)), "slow")
    fault = s.fault(only_if(lambda v: v.route.service == host, change))
    return at_service(s, host, look, fault, kinds=("latency",), any=True)


def shard_hot(s: Stage) -> Planted:
    """A quarter of a route's keys lie on a node that times out half of the time."""
    route = s.route(lambda r: r.inside, 0.005)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        hot = mask & (rng.random(len(visit)) < 0.25)
        visit.own[hot] = 1_500.0
        visit.fail(hit := hot & (rng.random(len(visit)) < 0.5), 504)
        visit.own[hit] = 3_000.0

    look = Look(s.at(route), "failed")
    fault = s.fault(only_if(lambda v: v.route.number == route.number, change))
    return at_route(s, route, look, fault, kinds=(*FAILING, "latency"))


def out_of_rotation(s: Stage) -> Planted:
    """One pod of three or more gets no requests any more, the others do its work."""
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    pods = s.world.system.pods[service]
    pod = int(s.rng.integers(pods))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        moved = mask & (visit.pod == pod)
        visit.pod[moved] = (pod + rng.integers(1, pods, len(visit))[moved]) % pods

    look = Look(s.at_pod(service, pod), "count", "gone")
    names = s.around(s.world.system.of(service)[0])
    fault = s.fault(only_if(lambda v: serves(service)(v.route), change))
    return [fault], Truth(("gone", "rate"), s.pod(service, pod), "gone", look, names)


def retried_all_the_way(s: Stage) -> Planted:
    """A service fails now and then, and whoever calls it tries twice more."""
    service = s.service()

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        bad = mask & (rng.random(len(visit)) < 0.25)
        visit.fail(bad, 503)
        visit.again(np.where(bad, 3, 1))

    look = Look(s.at(*s.world.system.of(service)), "failed")
    return at_service(
        s, service, look, s.fault(only_if(lambda v: serves(service)(v.route), change))
    )


def front_door_closed(s: Stage) -> Planted:
    """For a fifth of the window the gateway answers everybody 503; it is over."""
    s.begin = -s.length * float(s.rng.uniform(0.4, 0.9))
    s.until = s.begin + 0.2 * s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask, 503)
        visit.chances = [np.where(mask, 0.0, chance) for chance in visit.chances]

    look = Look(s.at(*s.world.system.of("gateway")), "failed")
    keys: tuple[Key, ...] = (
        {}, {"host": frozenset({PUBLIC})}, {"container": s.names_of("gateway")}
    )  # fmt: skip
    fault = s.fault(only_if(lambda v: serves("gateway")(v.route), change))
    return [fault], Truth((*FAILING, "broad"), keys, "up", look)


THIRD: dict[str, Incident] = {
    f.__name__: f
    for f in (
        certificate_expired, name_not_resolved, pool_exhausted, configured_wrong, limit_reached,
        flag_turned_on, cache_emptied, answers_empty, schema_changed, index_dropped, memory_leaks,
        failed_over, published_twice, token_expired, disk_read_only, resolver_slow, shard_hot,
        out_of_rotation, retried_all_the_way, front_door_closed,
    )
}  # fmt: skip

"""The incidents to plant, by name: each gives its faults and what a right answer says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.quality.oracle import Look
from bench.quality.stage import (
    FAILING,
    Incident,
    Stage,
    Truth,
    failing,
    is_one_of,
    new_pods,
    serves,
    slower,
)
from bench.quality.system import PUBLIC, SERVICES, Route
from bench.quality.world import MINUTE_US, NONE, Fault, Visit


def _failed(s: Stage, route: Route, share: float, status: int) -> tuple[list[Fault], Truth]:
    look = Look(s.at(route), "failed")
    truth = Truth(
        FAILING, s.endpoint(route), "up", look, s.around(route), s.names_of(route.service)
    )  # fmt: skip
    return [s.fault(failing(is_one_of(route), share, status))], truth


def endpoint_fails(s: Stage) -> tuple[list[Fault], Truth]:
    share = float(s.rng.choice([0.05, 0.15, 0.5]))
    return _failed(s, s.route(), share, int(s.rng.choice([500, 502, 503])))


def high_share_rises(s: Stage) -> tuple[list[Fault], Truth]:
    """What fails often fails nearly always."""
    route = s.busiest(lambda r: r.fails >= 0.1)[0]
    return _failed(s, route, 0.9, route.status)


def no_answer(s: Stage) -> tuple[list[Fault], Truth]:
    """A host does not answer any more; calls to it wait in vain."""
    first = s.route(lambda r: not r.inside, 0.002)
    part = float(s.rng.choice([0.15, 0.6]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == first.service:
            hit = mask & (rng.random(len(visit)) < part)
            visit.fail(hit, NONE)
            visit.own[hit] = 5_000.0

    look = Look(s.at(*s.world.system.of(first.service)), "failed")
    truth = Truth(
        FAILING, s.place(first), "up", look, s.around(first), frozenset({first.service})
    )  # fmt: skip
    return [s.fault(change)], truth


def key_expired(s: Stage) -> tuple[list[Fault], Truth]:
    first = s.route(lambda r: not r.inside, 0.002)
    look = Look(s.at(*s.world.system.of(first.service)), "failed")
    truth = Truth(
        FAILING, s.place(first), "up", look, s.around(first), frozenset({first.service})
    )  # fmt: skip
    return [s.fault(failing(serves(first.service), 0.95, 401))], truth


def one_pod_fails(s: Stage) -> tuple[list[Fault], Truth]:
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    pod = int(s.rng.integers(s.world.system.pods[service]))
    change = failing(serves(service), 0.6, 500, lambda visit: visit.pod == pod)
    look = Look(s.at_pod(service, pod), "failed")
    names = frozenset().union(*(s.around(r) for r in s.world.system.of(service)))
    return [s.fault(change)], Truth(
        FAILING, s.pod(service, pod), "up", look, names, s.names_of(service)
    )  # fmt: skip


def one_caller_fails(s: Stage) -> tuple[list[Fault], Truth]:
    """One of several callers of a route gets failures, others do not."""
    route = s.route(lambda r: len(s.world.system.callers(r.number)) > 1)
    callers = [c for c in s.world.system.callers(route.number) if s.served(c)]
    caller = callers[0] if callers else ""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number and visit.caller == caller:
            visit.fail(mask & (rng.random(len(visit)) < 0.4), 400)

    keys = tuple({**key, "container": s.names_of(caller)} for key in s.endpoint(route)[:1])
    keys += ({"container": s.names_of(caller), "host": s.hosts_of(route)},)
    look = Look(lambda name: name["number"] == route.number and name["caller"] == caller
                and name["direction"] != "ingress", "failed")  # fmt: skip
    return [s.fault(change)], Truth(FAILING, keys, "up", look, s.around(route))


def service_fails(s: Stage) -> tuple[list[Fault], Truth]:
    """A service deep in the graph fails and is slow; those above it suffer."""
    service = s.service()
    routes = s.world.system.of(service)
    share = float(s.rng.choice([0.1, 0.3, 0.8]))
    faults = [
        s.fault(failing(serves(service), share, 500)),
        s.fault(slower(serves(service), 2.0)),
    ]
    names = frozenset().union(*(s.around(r) for r in routes))
    look = Look(s.at(*routes), "failed")
    return faults, Truth(FAILING, s.place(routes[0]), "up", look, names, s.names_of(service))


def bad_release(s: Stage) -> tuple[list[Fault], Truth]:
    """All pods of a service are new, and a tenth of its answers fail."""
    service = s.service(lambda name: s.served(name))
    routes = s.world.system.of(service)
    faults = [s.fault(failing(serves(service), 0.12, 500)), s.fault(new_pods([service]))]
    names = frozenset().union(*(s.around(r) for r in routes))
    look = Look(s.at(*routes), "failed")
    return faults, Truth(FAILING, s.place(routes[0]), "up", look, names, s.names_of(service))


def everything_fails(s: Stage) -> tuple[list[Fault], Truth]:
    """A machine's disk, say: each request may fail, whatever it is."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        visit.fail(mask & (rng.random(len(visit)) < 0.15), 500)

    look = Look(lambda name: name["direction"] == "ingress", "failed")
    return [s.fault(change)], Truth(("broad",), ({},), "up", look)


def everything_stops(s: Stage) -> tuple[list[Fault], Truth]:
    """Nobody comes in any more, or a fifth of those who did; jobs and probes go on."""
    left = float(s.rng.choice([0.0, 0.2]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if not visit.caller and not visit.route.probe:
            visit.again(~mask | (rng.random(len(visit)) < left))

    look = Look(lambda name: not name["caller"], "total", "down")
    keys: tuple[Any, ...] = (
        {},
        {"host": frozenset({PUBLIC})},
        {"container": s.names_of("gateway")},
    )
    return [s.fault(change)], Truth(("broad", "gone", "rate"), keys, "gone", look)


def everybody_comes(s: Stage) -> tuple[list[Fault], Truth]:
    """Four times as many people, each at a time of their own; jobs and probes as ever."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.caller or visit.route.probe or not mask.any():
            return
        times = np.where(mask, 4, 1)
        visit.again(times)
        copy = np.arange(len(visit)) - np.repeat(np.cumsum(times) - times, times)
        visit.cluster = visit.cluster + copy * (int(visit.cluster.max()) + 1)
        clusters, place = np.unique(visit.cluster, return_inverse=True)
        first = np.full(clusters.size, np.iinfo(np.int64).max)
        np.minimum.at(first, place, visit.start)
        begin, until = (s.world.end_us + round(m * MINUTE_US) for m in (s.begin, s.until))
        own = begin + ((until - begin) * rng.random(clusters.size)).astype(np.int64)
        visit.start = np.where(copy > 0, visit.start + (own - first)[place], visit.start)

    look = Look(lambda name: not name["caller"], "total", "up")
    keys: tuple[Any, ...] = (
        {},
        {"host": frozenset({PUBLIC})},
        {"container": s.names_of("gateway")},
    )
    return [s.fault(change)], Truth(("broad", "rate"), keys, "up", look)


def endpoint_slow(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route()
    factor = float(s.rng.choice([1.6, 3.0, 10.0]))
    look = Look(s.at(route), "slow")
    truth = Truth(
        ("latency",), s.endpoint(route), "up", look, s.around(route), s.names_of(route.service)
    )  # fmt: skip
    return [s.fault(slower(is_one_of(route), factor, 20.0))], truth


def tail_slow(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route(least=0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.own[mask & (rng.random(len(visit)) < 0.09)] *= 15

    look = Look(s.at(route), "slow")
    return [s.fault(change)], Truth(
        ("latency",), s.endpoint(route), "up", look, s.around(route), s.names_of(route.service)
    )  # fmt: skip


def starved(s: Stage) -> tuple[list[Fault], Truth]:
    """A service gets too little processor: its own work takes longer, and its callers wait."""
    service = s.service()
    routes = s.world.system.of(service)
    names = frozenset().union(*(s.around(r) for r in routes))
    look = Look(s.at(*routes), "slow")
    truth = Truth(("latency",), s.place(routes[0]), "up", look, names, s.names_of(service))
    return [s.fault(slower(serves(service), 4.0, 10.0))], truth


def slow_wire(s: Stage) -> tuple[list[Fault], Truth]:
    """The network in front of a service delays: callers wait, its own times are as ever."""
    service = s.service()
    routes = s.world.system.of(service)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == service and visit.caller:
            visit.wire[mask] += 150.0

    names = frozenset().union(*(s.around(r) for r in routes))
    numbers = {r.number for r in routes}
    look = Look(lambda n: n["number"] in numbers and n["direction"] != "ingress", "slow")
    keys = s.place(routes[0]) + s.endpoint(routes[0]) * (len(routes) == 1)
    blame = s.names_of(service) | {"network"}
    return [s.fault(change)], Truth(("latency", "edge"), keys, "up", look, names, blame)


def one_pod_slow(s: Stage) -> tuple[list[Fault], Truth]:
    service = s.service(lambda name: SERVICES[name][0] > 2 and s.served(name))
    pod = int(s.rng.integers(s.world.system.pods[service]))
    routes = s.world.system.of(service)
    change = slower(serves(service), 6.0, 20.0, lambda visit: visit.pod == pod)
    names = frozenset().union(*(s.around(r) for r in routes))
    look = Look(s.at_pod(service, pod), "slow")
    return [s.fault(change)], Truth(
        ("latency",), s.pod(service, pod), "up", look, names, s.names_of(service)
    )  # fmt: skip


def new_host(s: Stage) -> tuple[list[Fault], Truth]:
    """A service sends something to a host that nobody has called before."""
    like = s.route(lambda r: r.inside and s.served(r.service), 0.01)
    target = replace(
        like, number=len(s.world.system.routes), service="telemetry.evil.example",
        host="telemetry.evil.example", method="POST", path="/collect", fails=0.0, calls=[],
    )  # fmt: skip
    truth = _comes(s, target, {"host": frozenset({target.service})})
    truth = replace(truth, names=truth.names | s.names_of(like.service))
    return [_side_call(s, like, target)], truth


def new_endpoint_fails(s: Stage) -> tuple[list[Fault], Truth]:
    """A new endpoint is called from outside and fails every time."""
    route = Route(
        len(s.world.system.routes), "gateway", PUBLIC, "POST", "/v2/pay", 20.0, 0.4, 900.0, 1.0,
        int(s.rng.choice([404, 500])), 201,
    )  # fmt: skip
    rate = s.world.requests * 0.02
    truth = _comes(s, route, {"route": frozenset({"/v2/pay"})})
    fault = Fault(lambda visit, mask, rng: None, s.begin, s.until, ((route, rate),))
    return [_only_then(fault, route)], replace(truth, kinds=FAILING)


def _only_then(fault: Fault, route: Route) -> Fault:
    """Requests to a route that is there only because of the fault, and only while it is."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.again(mask)

    return replace(fault, change=change)


def _side_call(s: Stage, like: Route, target: Route) -> Fault:
    """Requests that `like` makes to a new target: as if a route called it."""
    rate = s.world.requests * 0.01

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == target.number:
            visit.again(mask)
            visit.caller = like.service

    return Fault(change, s.begin, s.until, ((target, rate),))


def _comes(s: Stage, route: Route, key: dict[str, frozenset[str]]) -> Truth:
    number = route.number
    look = Look(lambda name: name["number"] == number, "count", "new")
    return Truth(("new", "edge"), (key,), "new", look, s.around(route))


def host_gone(s: Stage) -> tuple[list[Fault], Truth]:
    first = s.route(lambda r: not r.inside, 0.002)
    s.begin = -s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == first.service:
            visit.again(~mask)

    look = Look(s.at(*s.world.system.of(first.service)), "count", "gone")
    return [s.fault(change)], Truth(
        ("gone", "edge", "rate"), s.place(first), "gone", look, s.around(first)
    )


def host_moved(s: Stage) -> tuple[list[Fault], Truth]:
    first = s.route(lambda r: not r.inside, 0.002)
    host = "eu." + first.service
    variant = s.world.variant(host=host)
    s.begin = -s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == first.service:
            visit.variant[mask] = variant

    numbers = {r.number for r in s.world.system.of(first.service)}
    look = Look(lambda n: n["number"] in numbers and n["host"] == host, "count", "new")
    keys = ({"host": frozenset({host, first.service})},)
    return [s.fault(change)], Truth(("moved",), keys, "moved", look, s.around(first) | {host})


def route_renamed(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route(lambda r: r.path.startswith("/v1/"), 0.01)
    path = route.path.replace("/v1/", "/v2/")
    variant = s.world.variant(route=path)
    s.begin = -s.length

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.variant[mask] = variant

    here = s.at(route)
    look = Look(lambda name: here(name) and name["route"] == path, "count", "new")
    keys = ({"route": frozenset({path, route.path})},)
    return [s.fault(change)], Truth(("moved",), keys, "moved", look, s.around(route) | {path})


def retries(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route(lambda r: bool(s.world.system.callers(r.number)))
    times = int(s.rng.choice([4, 10]))

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.again(np.where(mask, times, 1))

    look = Look(s.at(route), "count", "up")
    return [s.fault(change)], Truth(
        ("rate", "retries"), s.endpoint(route), "up", look, s.around(route)
    )


def endpoint_quieter(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route(least=0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.again(~mask | (rng.random(len(visit)) < 0.15))

    look = Look(s.at(route), "count", "down")
    truth = Truth(("rate", "gone"), s.endpoint(route), "gone", look, s.around(route))
    return [s.fault(change)], truth


def size_changes(s: Stage) -> tuple[list[Fault], Truth]:
    route = s.route()
    factor = float(s.rng.choice([0.002, 0.2, 8.0]))
    direction = "up" if factor > 1 else "down"

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            visit.size[mask] *= factor

    look = Look(s.at(route), "size", direction)
    return [s.fault(change)], Truth(("size",), s.endpoint(route), direction, look, s.around(route))


def other_status(s: Stage) -> tuple[list[Fault], Truth]:
    """Half of the good answers of an endpoint become 304."""
    route = s.route(lambda r: r.ok == 200 and r.service not in ("reco", "seats"), 0.01)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.number == route.number:
            hit = mask & (rng.random(len(visit)) < 0.5) & (visit.status == route.ok)
            visit.status[hit] = 304

    look = Look(s.at(route), "status", "up", 304)
    truth = Truth(("statuses", "new"), s.endpoint(route), "any", look, s.around(route))
    return [s.fault(change)], truth


def rate_limited(s: Stage) -> tuple[list[Fault], Truth]:
    """A host refuses with 429 in some minutes of ten."""
    first = s.route(lambda r: not r.inside, 0.002)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service == first.service:
            peak = np.floor(visit.at()) % 10 < 4
            visit.fail(mask & peak & (rng.random(len(visit)) < 0.6), 429)

    look = Look(s.at(*s.world.system.of(first.service)), "failed")
    return [s.fault(change)], Truth(
        FAILING, s.place(first), "up", look, s.around(first), frozenset({first.service})
    )


def begun_earlier(s: Stage) -> tuple[list[Fault], Truth]:
    """As an endpoint that fails, since 30 to 180 minutes ago: before the window, or in it."""
    s.begin = -float(s.rng.uniform(30, 180))
    return _failed(s, s.route(), 0.6, 503)


def over_again(s: Stage) -> tuple[list[Fault], Truth]:
    """A third of the window long an endpoint fails; then all is well."""
    s.begin = -s.length * float(s.rng.uniform(0.5, 0.95))
    s.until = s.begin + s.length / 3
    return _failed(s, s.route(), 0.8, 503)


INCIDENTS: dict[str, Incident] = {
    f.__name__: f
    for f in (
        endpoint_fails, high_share_rises, no_answer, key_expired, one_pod_fails, one_caller_fails,
        service_fails, bad_release, everything_fails, everything_stops, everybody_comes,
        endpoint_slow, tail_slow, starved, slow_wire, one_pod_slow, new_host, new_endpoint_fails,
        host_gone, host_moved, route_renamed, retries, endpoint_quieter, size_changes,
        other_status, rate_limited, begun_earlier, over_again,
    )
}  # fmt: skip
NEEDS_PAST = frozenset({"begun_earlier"})

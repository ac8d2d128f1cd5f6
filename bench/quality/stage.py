"""Where an incident plays, and what a right answer says: places, faults, the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.quality.oracle import Look
from bench.quality.system import BY_ADDRESS, SERVICES, Route, address, container, pod_name
from bench.quality.world import Fault, Visit, World
from tests.world.rows import Batch, Name

Key = Mapping[str, frozenset[str]]
Change = Callable[[Visit, Any, np.random.Generator], None]
FAILING = ("errors", "statuses", "no_response", "new", "signature")
_ENOUGH = 40  # requests
_FREE = {"status", "grpc_status", "signature", "process", "direction", "side", "recorder", "group"}


@dataclass(frozen=True)
class Truth:
    """keys: any of them does; a dimension "*" is met by any. names: values that may be named
    beside it. blame: the services of which one is at fault, or empty where nobody is to blame."""

    kinds: tuple[str, ...]
    keys: tuple[Key, ...]
    direction: str
    look: Look
    names: frozenset[str] = frozenset()
    blame: frozenset[str] = frozenset()


@dataclass
class Stage:
    """A world, the rows of its past, and the window: minutes before the end."""

    world: World
    past: Batch
    rng: np.random.Generator
    length: float  # of the window, minutes
    expected: float = 1e6  # rows of the window
    begin: float = 0.0
    until: float = 0.0
    shares: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = np.array([name["number"] for name in self.past.names], dtype=np.int64)
        counts = np.bincount(numbers[self.past.name], minlength=len(self.world.system.routes))
        self.shares = dict(enumerate((counts / max(counts.sum(), 1)).tolist()))
        late = 0.0 if self.rng.random() < 0.3 else self.rng.uniform(0, 0.6)
        self.begin = -self.length * (1 - late)

    def route(
        self, test: Callable[[Route], bool] = lambda route: True, least: float = 0.005
    ) -> Route:
        """Some route with its part of the traffic, probes and jobs left out: such a one as has
        enough requests in the window, else one of the busiest."""
        fit = self.fit(test, max(least, _ENOUGH / self.expected)) or self.busiest(test)
        return fit[int(self.rng.integers(len(fit)))]

    def busiest(self, test: Callable[[Route], bool]) -> list[Route]:
        return sorted(self.fit(test, -1.0), key=lambda r: -self.shares[r.number])[:3]

    def fit(self, test: Callable[[Route], bool], least: float) -> list[Route]:
        jobs = {e.route for e in self.world.system.entries if e.job or e.slugs}
        return [
            r for r in self.world.system.routes
            if not r.probe and r.number not in jobs and self.shares[r.number] > least and test(r)
        ]  # fmt: skip

    def service(self, test: Callable[[str], bool] = lambda service: True) -> str:
        return self.route(lambda r: r.inside and r.service != "gateway" and test(r.service)).service

    def fault(self, change: Change, *extra: tuple[Route, float]) -> Fault:
        return Fault(change, self.begin, self.until, extra)

    def served(self, service: str) -> bool:
        return service in SERVICES and service in self.world.system.seen

    # what a right answer may be called

    def names_of(self, service: str) -> frozenset[str]:
        """A service, and its containers."""
        pods = range(self.world.system.pods.get(service, 1))
        several = {container(service, p) for p in pods} if service in SERVICES else set()
        return frozenset({service, f"shop_{service}", *several})

    def hosts_of(self, route: Route) -> frozenset[str]:
        pods = range(self.world.system.pods.get(route.service, 1))
        if route.service == BY_ADDRESS:
            addresses = {address(route.service, p) for p in pods}
            shown = {"{ip}:" + one.partition(":")[2] for one in addresses}  # as qrec calls them
            return frozenset(addresses | shown | {route.service})
        return frozenset({route.host or route.service, route.service})

    def around(self, route: Route) -> frozenset[str]:
        """What may be named beside a route: all that its requests have in common, or some."""
        callers = self.world.system.callers(route.number)
        near = [self.names_of(name) for name in (route.service, *callers)]
        return frozenset().union(
            *near, self.hosts_of(route), {route.method, route.path}
        )  # fmt: skip

    def endpoint(self, route: Route) -> tuple[Key, ...]:
        path = frozenset({route.path})
        keys: list[Key] = [
            {"route": path, "host": self.hosts_of(route)},
            {"route": path, "container": self.names_of(route.service)},
        ]
        if route.host is None:
            keys.append({"route": path})
        mine = sum(self.shares[r.number] for r in self.world.system.of(route.service))
        return (*keys, *(self.place(route) if self.shares[route.number] > 0.9 * mine else ()))

    def place(self, route: Route) -> tuple[Key, ...]:
        """The host, or the service that serves it."""
        keys: list[Key] = [{"host": self.hosts_of(route)}]
        if route.inside:
            keys.append({"container": self.names_of(route.service)})
        if route.host is None:  # of such a service only the routes have names
            keys.append({"route": frozenset(r.path for r in self.world.system.of(route.service))})
        return tuple(keys)

    def pod(self, service: str, number: int) -> tuple[Key, ...]:
        name = pod_name(service, number) or container(service, number)
        return ({"*": frozenset({name, address(service, number)})},)

    # where the oracle looks

    def at(self, *routes: Route) -> Callable[[Name], bool]:
        """Requests to the routes, seen at one end."""
        numbers = {r.number for r in routes}
        here = routes[0].inside and self.served(routes[0].service)
        return lambda name: name["number"] in numbers and (name["direction"] == "ingress") == here

    def at_pod(self, service: str, number: int) -> Callable[[Name], bool]:
        pod, box = pod_name(service, number), container(service, number)
        numbers = {r.number for r in self.world.system.of(service)}
        return lambda name: (
            name["number"] in numbers
            and name["direction"] == "ingress"
            and (name["pod_name"], name["container_name"]) == (pod, box)
        )


Planted = tuple[list[Fault], Truth]
Incident = Callable[[Stage], Planted]


def failing(
    test: Callable[[Route], bool],
    share: float,
    status: int,
    only: Callable[[Visit], Any] | None = None,
) -> Change:
    """A share of the requests to some routes ends as `status` (0: no response)."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if test(visit.route):
            hit = mask & (rng.random(len(visit)) < share)
            visit.fail(hit & only(visit) if only else hit, status)

    return change


def slower(
    test: Callable[[Route], bool], factor: float, more_ms: float = 0.0,
    only: Callable[[Visit], Any] | None = None,
) -> Change:  # fmt: skip
    """The own work of some routes takes longer."""

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if test(visit.route):
            hit = mask & only(visit) if only else mask
            visit.own[hit] = visit.own[hit] * factor + more_ms

    return change


def new_pods(services: Iterable[str]) -> Change:
    """All pods of the services are of the next release, with new names and addresses."""
    some = frozenset(services)

    def change(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if visit.route.service in some:
            visit.pod[mask & (visit.pod < 100)] += 100
        if visit.caller in some:
            visit.caller_pod[mask & (visit.caller_pod < 100)] += 100

    return change


def is_one_of(*routes: Route) -> Callable[[Route], bool]:
    numbers = {r.number for r in routes}
    return lambda route: route.number in numbers


def serves(service: str) -> Callable[[Route], bool]:
    return lambda route: route.service == service and not route.probe


def only_if(
    test: Callable[[Visit], bool], change: Callable[[Visit, Any, np.random.Generator], None]
) -> Change:
    """What `change` does to the requests of the fault's time, where the visit passes the test."""

    def whole(visit: Visit, mask: Any, rng: np.random.Generator) -> None:
        if test(visit):
            change(visit, mask, rng)

    return whole


def at_service(s: Stage, service: str, look: Look, *faults: Fault, **more: Any) -> Planted:
    """A fault of a whole service or host, or of the one route that it has."""
    routes = s.world.system.of(service)
    names = s.around(routes[0]).union(*(s.around(r) for r in routes))
    kinds, direction = more.get("kinds", FAILING), more.get("direction", "up")
    keys = s.place(routes[0]) + tuple(k for r in routes for k in s.endpoint(r) if more.get("any"))
    return list(faults), Truth(kinds, keys, direction, look, names, s.names_of(service))


def at_route(s: Stage, route: Route, look: Look, *faults: Fault, **more: Any) -> Planted:
    kinds, direction = more.get("kinds", FAILING), more.get("direction", "up")
    blame = s.names_of(route.service) if more.get("blame", True) else frozenset()
    return list(faults), Truth(kinds, s.endpoint(route), direction, look, s.around(route), blame)


def outside(s: Stage) -> str:
    return s.route(lambda r: not r.inside, 0.002).service


# Is a finding the planted one?


def matches(finding: Mapping[str, Any], truth: Truth) -> bool:
    if finding["kind"] not in truth.kinds:
        return False
    usual = {"up": ("up", "new"), "new": ("new", "up"), "gone": ("gone", "down")}
    wanted = usual.get(truth.direction, (truth.direction,))
    if truth.direction != "any" and finding["direction"] not in wanted:
        return False
    return any(_is(finding["key"], key, truth.names) for key in truth.keys)


def _is(named: Mapping[str, Any], key: Key, names: Iterable[str]) -> bool:
    met = {d for d, values in key.items() if d != "*" and named.get(d) in values}
    if met != key.keys() - {"*"}:
        return False
    if "*" in key:
        hit = {d for d, value in named.items() if value in key["*"]}
        if not hit:
            return False
        met |= hit
    elif "instance" in named:
        return False
    return all(d in met or d in _FREE or value in names for d, value in named.items())


def blamed(finding: Mapping[str, Any], truth: Truth) -> bool | None:
    """Whether the right one is blamed; None where nobody is to be."""
    if not truth.blame:
        return None
    blame = finding["blame"]
    if blame is None:
        return bool(set(map(str, finding["key"].values())) & truth.blame)
    return blame["service"] in truth.blame or blame["why"] in truth.blame

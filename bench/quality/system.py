"""What the made-up system is made of: services and their pods, routes, who calls what, who comes.

It follows from the seed. Some services run as pods behind one container name, some as numbered
containers; one is called by address, two speak gRPC; outside hosts, jobs and probes are there.
Routes fail at shares from none to six in ten on quiet days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

# service -> (how many of it run, what it calls)
SERVICES: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "gateway": (3, ("frontend", "user", "cart", "reco")),
    "frontend": (3, ("catalog", "cart", "checkout", "session")),
    "catalog": (3, ("search", "inventory", "cdn.example.net")),
    "search": (2, ("es.example.org",)),
    "cart": (2, ("catalog", "inventory")),
    "checkout": (3, ("payment", "shipping", "seats", "notifier")),
    "payment": (6, ("ledger", "api.stripe.example", "risk.sift.example")),
    "ledger": (2, ()),
    "inventory": (2, ()),
    "shipping": (2, ("api.easypost.example",)),
    "user": (3, ("auth",)),
    "auth": (2, ("login.okta.example",)),
    "notifier": (2, ("api.sendgrid.example", "hooks.slack.example")),
    "session": (2, ()),
    "reco": (2, ("inventory",)),
    "seats": (2, ()),
    "worker": (2, ("ledger", "inventory", "s3.amazonaws.example", "api.github.example")),
}
BY_ADDRESS: Final = "session"  # called by the addresses of its pods
GRPC: Final = {"reco": "grpc", "seats": "http2"}  # without a host, and with one
PUBLIC: Final = "shop.example"
NOUNS: Final = ("items", "orders", "users", "prices", "quotes", "tokens", "events", "labels")
FORMS: Final = (
    ("GET", "/v1/{n}"), ("GET", "/v1/{n}/{{id}}"), ("POST", "/v1/{n}"), ("PUT", "/v1/{n}/{{id}}"),
    ("DELETE", "/v1/{n}/{{id}}"), ("POST", "/v1/{n}/search"),
)  # fmt: skip
_SHARES: Final = (0.0, 0.002, 0.01, 0.05, 0.15, 0.35, 0.6)
_OFTEN: Final = (0.25, 0.3, 0.2, 0.1, 0.07, 0.05, 0.03)


@dataclass(frozen=True)
class Call:
    """A route that is called while another one answers: how often, and how often its failure is
    one of the caller as well (`fatal`)."""

    route: int
    chance: float
    fatal: float


@dataclass
class Route:
    """What is served at one place; `service` is the host itself where that is outside."""

    number: int
    service: str
    host: str | None
    method: str
    path: str
    ms: float
    sigma: float
    size: float
    fails: float
    status: int
    ok: int
    calls: list[Call] = field(default_factory=list)

    @property
    def inside(self) -> bool:
        return self.service in SERVICES

    @property
    def probe(self) -> bool:
        return self.path in ("/healthz", "/metrics")


@dataclass(frozen=True)
class Entry:
    """Requests that begin here: of people at the gateway, of jobs in a service, of probes.

    weight: its part of all entries. caller: the service that makes them, "" for those from
    outside. cluster: how many come together. job: (minutes on, minutes between) of one that runs
    for some minutes; between below 0: at random, on average so often. steady: no day's rhythm.
    """

    route: int
    weight: float
    caller: str = ""
    cluster: float = 2.0
    job: tuple[float, float] | None = None
    steady: bool = False
    slugs: bool = False


@dataclass
class System:
    """Routes and entries of a seed."""

    routes: list[Route]
    entries: list[Entry]
    seen: frozenset[str]  # the services on the machines that are recorded
    pods: dict[str, int]

    def of(self, service: str) -> list[Route]:
        return [r for r in self.routes if r.service == service and not r.probe]

    def callers(self, number: int) -> list[str]:
        by_call = {r.service for r in self.routes for c in r.calls if c.route == number}
        return sorted(by_call | {e.caller for e in self.entries if e.route == number} - {""})


def container(service: str, pod: int) -> str:
    """Its container's name: every third service is numbered by compose, others are pods."""
    return f"shop_{service}_{pod % 100 + 1}" if numbered(service) else service


def pod_name(service: str, pod: int) -> str | None:
    """Pods have a number by release: 100 and more are of the next one."""
    if numbered(service):
        return None
    rng = np.random.default_rng([sum(service.encode()), pod // 100])
    release = "".join(rng.choice(list("bcdf2456789"), 9))
    tail = np.random.default_rng([sum(service.encode()), pod]).choice(list("bcdfghjklmnpqrst2"), 5)
    return f"{service}-{release}-{''.join(tail)}"


def address(service: str, pod: int) -> str:
    return f"10.42.{sum(service.encode()) % 200}.{pod % 100 + 3 + 40 * (pod // 100)}:8080"


def numbered(service: str) -> bool:
    return list(SERVICES).index(service) % 3 == 2


class _Maker:
    """Draws the routes and entries of a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.routes: list[Route] = []

    def serve(self, service: str) -> None:
        """Two to four routes of a service or an outside host."""
        rng = self.rng
        forms = rng.permutation(len(FORMS))[: int(rng.integers(2, 5))].tolist()
        noun = str(rng.choice(NOUNS))
        hosts: dict[str, str | None] = {"gateway": PUBLIC, "reco": None, "seats": "seats:9090"}
        for place, form in enumerate(forms):
            method, path = FORMS[form]
            path = path.format(n=noun)
            if service in GRPC:
                verb = ("Get", "List", "Put", "Find")[place]
                method, path = "POST", f"/acme.{service.title()}/{verb}"
            if service == "gateway" and place == 0:
                method, path = "POST", "/graphql"
            median = float(rng.lognormal(np.log(12 if service in SERVICES else 36), 0.7))
            route = self.add(
                service, method, path, hosts.get(service, service), median,
                float(rng.choice(_SHARES, p=_OFTEN)),
            )  # fmt: skip
            route.sigma, route.size = float(rng.uniform(0.3, 0.8)), float(rng.lognormal(7.5, 1.0))
            route.status = int(rng.choice([500, 404, 503, 401, 400]))
            route.ok = {"POST": 201, "DELETE": 204}.get(method, 200)

    def add(
        self, service: str, method: str, path: str, host: str | None, ms: float = 5.0,
        fails: float = 0.0,
    ) -> Route:  # fmt: skip
        number = len(self.routes)
        self.routes.append(
            Route(number, service, host, method, path, ms, 0.4, 800.0, fails, 503, 200)
        )
        return self.routes[-1]

    def connect(self) -> None:
        """Each service's routes call some of the routes of those that it depends on."""
        for service, (_, callees) in SERVICES.items():
            mine = [r for r in self.routes if r.service == service]
            for target in [r for r in self.routes if r.service in callees and mine]:
                for place in self.rng.permutation(len(mine))[: int(self.rng.integers(1, 3))]:
                    chance = float(self.rng.choice([0.1, 0.25, 0.6]))
                    fatal = float(self.rng.choice([0.2, 0.7, 0.95]))
                    mine[place].calls.append(Call(target.number, chance, fatal))

    def entries(self) -> list[Entry]:
        """People at the gateway, jobs by the clock and at random, stories, probes and scrapes."""
        entries = [
            Entry(
                r.number,
                float(self.rng.pareto(1.3) + 0.3),
                "",
                float(self.rng.choice([1, 2, 4, 8])),
            )
            for r in self.routes
            if r.service == "gateway"
        ]
        people = sum(entry.weight for entry in entries)
        jobs = (
            ("ledger", "POST", "/jobs/close", 0.02, (2.0, 60.0)),
            ("inventory", "POST", "/jobs/sync", 0.02, (8.0, 120.0)),
            ("s3.amazonaws.example", "PUT", "/backup/{id}", 0.03, (6.0, -150.0)),
            ("api.github.example", "GET", "/repos/{id}", 0.02, (4.0, -45.0)),
        )
        for host, method, path, weight, job in jobs:
            route = self.add(host, method, path, host, 60.0, 0.02)
            entries.append(Entry(route.number, weight * people, "worker", 3.0, job))
        stories = self.add("gateway", "GET", "/stories", PUBLIC, 8.0)
        entries.append(Entry(stories.number, 0.08 * people, slugs=True))
        for service in SERVICES:
            for path, weight, caller in (
                ("/healthz", 0.004, ""),
                ("/metrics", 0.002, "prometheus"),
            ):
                route = self.add(service, "GET", path, None)
                entries.append(Entry(route.number, weight * people, caller, 1.0, steady=True))
        return entries


def make_system(seed: int) -> System:
    maker = _Maker(seed)
    called = {host for _, hosts in SERVICES.values() for host in hosts} | {"gateway"}
    for service in sorted(called):
        maker.serve(service)
    maker.connect()
    inside = [route for route in maker.routes if route.inside]
    loud = inside[int(maker.rng.integers(len(inside)))]  # on any day something fails a lot
    loud.fails = float(maker.rng.choice([0.15, 0.35, 0.5]))
    seen = frozenset(SERVICES)
    if seed % 3 == 2:  # one machine of two is recorded
        some = maker.rng.permutation(sorted(SERVICES))[: len(SERVICES) // 2].tolist()
        seen = frozenset([*some, "gateway", "payment"])
    pods = {name: count for name, (count, _) in SERVICES.items()}
    return System(maker.routes, maker.entries(), seen | {"prometheus"}, pods)

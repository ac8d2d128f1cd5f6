"""Hours of traffic of a made-up system, as rows: every request and the calls that it causes.

A request's time is its own work, the wire, and what it waited for; a failure below becomes one
above as often as the call is fatal. So an incident is planted at one place, by a `Fault`, and its
symptoms follow. Volume, failing shares and latency drift from hour to hour and from minute to
minute; requests come in clusters that share their fate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.quality.system import (
    BY_ADDRESS,
    GRPC,
    Route,
    System,
    address,
    container,
    make_system,
    pod_name,
)
from store.hours import to_us
from tests.world.rows import Batch, Ints
from tests.world.traffic import SWING, swing

Floats = NDArray[np.float64]
MINUTE_US: Final = 60_000_000
AXIS: Final = 27 * 60  # minutes before the end that a world has
_MONDAY: Final = datetime(2026, 11, 16, tzinfo=UTC)
NONE: Final = 0  # the status of no response
_GRPC_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14, 504: 4}


@dataclass
class Visit:
    """Requests to one route by one caller, an array each, for faults to change.

    parent: the place of the request that caused each; start in µs; own, wire in ms; gen: added to
    the pods' numbers (100: of the next release); variant: of the name, 0 for none; lost: never
    came to the callee; cause: fails by a fault, so that callers may fail with it.
    """

    world: World
    route: Route
    caller: str
    parent: Ints
    start: Ints
    caller_pod: Ints
    pod: Ints
    own: Floats
    wire: Floats
    size: Floats
    status: Ints
    cause: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    cluster: Ints
    variant: Ints
    chances: list[Any] = field(default_factory=list)  # of each of the route's calls, or arrays

    def __len__(self) -> int:
        return int(self.start.size)

    def at(self) -> Floats:
        """Minutes from the end of the world, so negative."""
        return (self.start - self.world.end_us) / MINUTE_US

    def fail(self, mask: Any, status: int) -> None:
        self.status[mask] = status
        self.cause[mask] = True

    def again(self, times: Any) -> None:
        """Each request comes so many times (an array, or a number for all)."""
        place = np.repeat(np.arange(len(self)), np.broadcast_to(times, self.start.shape))
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                setattr(self, item.name, value[place])
        self.chances = [c[place] if np.ndim(c) else c for c in self.chances]


@dataclass(frozen=True)
class Fault:
    """From `begin` up to `until` (minutes before the end, negative), `change` is made to what goes
    by: it gets the visit, a mask of the requests of that time, and random numbers.
    extra: (route, requests an hour) that begin at the gateway only because of it."""

    change: Callable[[Visit, Any, np.random.Generator], None]
    begin: float = -1e9
    until: float = 0.0
    extra: tuple[tuple[Route, float], ...] = ()


class World:
    """One system and its time; `requests` is what a typical hour has in rows."""

    def __init__(self, seed: int, requests: float, weekday: int = 1) -> None:
        rng = np.random.default_rng([seed, 2])
        self.seed, self.requests = seed, requests
        self.system: System = make_system(seed)
        end = _MONDAY + timedelta(days=7 + weekday, seconds=int(rng.integers(86_400)))
        self.end, self.end_us = end, to_us(end)
        routes, entries = len(self.system.routes), len(self.system.entries)
        self.volume = np.exp(0.1 * self._hourly(rng, entries) + _ar(rng, entries, AXIS, 0.15, 0.8))
        self.slow = np.exp(0.06 * self._hourly(rng, routes) + _ar(rng, routes, AXIS, 0.05, 0.6))
        self.shares = 0.25 * self._hourly(rng, routes) + _ar(rng, routes, AXIS, 0.25, 0.8)
        for number, entry in enumerate(self.system.entries):
            self.volume[number] *= self._rhythm(entry.steady, end)
            if entry.job is not None:
                self.volume[number] *= self._job(rng, *entry.job)
        self.variants: list[dict[str, Any]] = [{}]
        self._numbers: dict[tuple[Any, ...], int] = {}
        self.names: list[dict[str, Any]] = []
        weight = np.array([entry.weight for entry in self.system.entries])
        self.scale = requests / float(weight @ self._rows_each())

    def _hourly(self, rng: np.random.Generator, size: int) -> Floats:
        return np.repeat(rng.standard_normal((size, AXIS // 60)), 60, axis=1)

    def _rhythm(self, steady: bool, end: datetime) -> Floats:
        hour = (end - _MONDAY) / timedelta(hours=1) + (np.arange(AXIS) - AXIS) / 60
        if steady:
            return np.ones(AXIS)
        weekend = np.where((hour // 24) % 7 >= 5, 0.5, 1.0)
        return np.asarray((1 + SWING * swing(hour, 13)) * weekend)

    def _job(self, rng: np.random.Generator, length: float, between: float) -> Floats:
        """60 times as much as on average while it runs, nothing else."""
        if between > 0:
            begins = np.arange(float(rng.integers(60)), AXIS, between)
        else:
            begins = np.cumsum(rng.exponential(-between, 200))
        minute = np.arange(AXIS)
        on = ((minute[:, None] >= begins) & (minute[:, None] < begins + length)).any(1)
        return np.where(on, 60 / length, 0.0)

    def _rows_each(self) -> Floats:
        """Rows that a request of each entry makes, by its route and those that it calls."""
        seen, cache = self.system.seen, dict[tuple[int, str], float]()

        def rows(number: int, caller: str) -> float:
            if (number, caller) not in cache:
                route = self.system.routes[number]
                own = (caller in seen) + (route.inside and route.service in seen)
                below = sum(c.chance * rows(c.route, route.service) for c in route.calls)
                cache[number, caller] = own + below
            return cache[number, caller]

        return np.array([rows(e.route, e.caller) for e in self.system.entries])

    def play(
        self, begin: float, until: float, salt: int = 0, faults: Iterable[Fault] = ()
    ) -> Batch:
        """The rows of the requests that begin between two moments (minutes before the end)."""
        rng = np.random.default_rng([self.seed, 3, salt])
        play = _Play(self, begin, until, rng, list(faults))
        return play.rows()

    def name(self, key: tuple[Any, ...], columns: Callable[[], dict[str, Any]]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.names)
            self.names.append(columns())
        return self._numbers[key]

    def variant(self, **columns: Any) -> int:
        if columns not in self.variants:
            self.variants.append(columns)
        return self.variants.index(columns)


class _Play:
    def __init__(
        self, world: World, begin: float, until: float, rng: np.random.Generator,
        faults: list[Fault],
    ) -> None:  # fmt: skip
        self.world, self.rng, self.faults = world, rng, faults
        self.begin, self.until = begin, until
        self.parts: list[tuple[Ints, Ints, Ints, Ints]] = []

    def rows(self) -> Batch:
        world = self.world
        for number, entry in enumerate(world.system.entries):
            start, cluster = self._arrivals(world.volume[number] * entry.weight, entry.cluster)
            variant = self._slugs(start) if entry.slugs else np.zeros(start.size, np.int64)
            self._visit(world.system.routes[entry.route], entry.caller, start, cluster, variant)
        for fault in self.faults:
            for route, per_hour in fault.extra:
                flat = np.full(AXIS, per_hour / world.scale)
                start, cluster = self._arrivals(flat, 1.0)
                self._visit(route, "", start, cluster, np.zeros(start.size, np.int64))
        whole = [np.concatenate(arrays) for arrays in zip(*self.parts, strict=True)]
        batch = Batch(world.names, *whole)
        low, high = (world.end_us + round(m * MINUTE_US) for m in (self.begin, self.until))
        return batch.between(low, high)

    def _arrivals(self, volume: Floats, cluster: float) -> tuple[Ints, Ints]:
        """(starts in µs, the cluster of each)."""
        first, last = int(np.floor(self.begin)) + AXIS, int(np.ceil(self.until)) + AXIS
        rate = volume[max(first, 0) : last] * self.world.scale / 60 / cluster
        minute = np.repeat(np.arange(max(first, 0), last), self.rng.poisson(rate))
        begins = (minute - AXIS + self.rng.random(minute.size)) * MINUTE_US
        size = self.rng.geometric(1 / cluster, minute.size)
        start = np.repeat(begins, size) + 2e6 * self.rng.random(int(size.sum())) * (cluster > 1)
        number = np.repeat(np.arange(minute.size), size)
        kept = (start >= self.begin * MINUTE_US) & (start < self.until * MINUTE_US)
        return (start[kept] + self.world.end_us).astype(np.int64), number[kept]

    def _slugs(self, start: Ints) -> Ints:
        """Four new stories an hour, each read for three hours or so."""
        age = self.rng.exponential(60.0, start.size)
        story = np.floor(((start - self.world.end_us) / MINUTE_US - age) / 15).astype(np.int64)
        ids, place = np.unique(story, return_inverse=True)
        words = ("harbour-bridge", "school-reform", "late-frost", "cup-final", "new-tram")
        numbers = [
            self.world.variant(route=f"/stories/{words[n % 5]}-{_letters(n)}") for n in ids.tolist()
        ]
        return np.array(numbers, dtype=np.int64)[place] if numbers else story

    def _visit(
        self, route: Route, caller: str, start: Ints, cluster: Ints, variant: Ints | None = None,
        caller_pod: Ints | None = None,
    ) -> tuple[Ints, Floats, Any]:  # fmt: skip
        """Let the requests happen. Returns (parent, ms that the caller waited, failed by a fault)
        of what became of them."""
        visit = self._drawn(route, caller, start, cluster, variant, caller_pod)
        at = visit.at()
        for fault in self.faults:
            fault.change(visit, (at >= fault.begin) & (at < fault.until), self.rng)
            at = visit.at()
        below = visit.own.copy()
        for place, call in enumerate(route.calls):
            chosen = np.flatnonzero(
                (self.rng.random(len(visit)) < visit.chances[place]) & ~visit.lost
            )
            if chosen.size:
                below += self._called(visit, call.route, call.fatal, chosen)
        self._emit(visit, below)
        return visit.parent, below + visit.wire, visit.cause

    def _called(self, visit: Visit, number: int, fatal: float, chosen: Ints) -> Floats:
        """Make one of the calls of the chosen requests; ms that each request waits for it."""
        parent, took, cause = self._visit(
            self.world.system.routes[number],
            visit.route.service,
            visit.start[chosen] + (300 * visit.own[chosen]).astype(np.int64),
            visit.cluster[chosen],
            None,
            visit.pod[chosen],
        )
        waited = np.zeros(len(visit))
        np.add.at(waited, chosen[parent], took)
        hurt = chosen[parent[cause & (self.rng.random(cause.size) < fatal)]]
        visit.fail(hurt, 500 if visit.route.service != "gateway" else 502)
        return waited

    def _drawn(
        self, route: Route, caller: str, start: Ints, cluster: Ints, variant: Ints | None,
        caller_pod: Ints | None,
    ) -> Visit:  # fmt: skip
        world, rng, size = self.world, self.rng, start.size
        minute = np.clip((start - world.end_us) // MINUTE_US + AXIS, 0, AXIS - 1)
        logit = np.log(max(route.fails, 1e-12) / max(1 - route.fails, 1e-12))
        share = 1 / (1 + np.exp(-logit - world.shares[route.number % len(world.shares)][minute]))
        luck = rng.random(size)
        if size:  # half of the requests share the luck of their cluster
            luck = np.where(
                rng.random(size) < 0.5, rng.random(int(cluster.max()) + 1)[cluster], luck
            )
        status = np.where(luck < share, route.status, route.ok).astype(np.int64)
        status[rng.random(size) < 1e-4] = NONE
        own = route.ms * np.exp(route.sigma * rng.standard_normal(size))
        pods = world.system.pods
        return Visit(
            world, route, caller,
            parent=np.arange(size),
            start=start,
            caller_pod=caller_pod
            if caller_pod is not None
            else rng.integers(pods.get(caller, 1), size=size),
            pod=rng.integers(pods.get(route.service, 1), size=size),
            own=own * world.slow[route.number % len(world.slow)][minute],
            wire=(0.5 if route.inside else 3.0) * rng.exponential(size=size),
            size=route.size * np.exp(0.3 * rng.standard_normal(size)),
            status=status,
            cause=np.zeros(size, dtype=bool),
            lost=np.zeros(size, dtype=bool),
            cluster=cluster,
            variant=np.zeros(size, np.int64) if variant is None else variant,
            chances=[call.chance for call in route.calls],
        )  # fmt: skip

    def _emit(self, visit: Visit, took: Floats) -> None:
        """The rows of both ends, as far as they are recorded."""
        seen, route = self.world.system.seen, visit.route
        if visit.caller in seen:
            self._side(visit, took + visit.wire, "out", slice(None))
        if route.inside and route.service in seen:
            self._side(visit, took, "in", ~visit.lost)

    def _side(self, visit: Visit, took: Floats, side: str, kept: Any) -> None:
        pod = (visit.caller_pod if side == "out" else visit.pod)[kept]
        at = visit.pod[kept] if visit.route.host is None or visit.route.service == BY_ADDRESS else 0
        codes = np.stack(np.broadcast_arrays(pod, at, visit.status[kept], visit.variant[kept]))
        packed = ((codes[0] * 1000 + codes[1]) * 1000 + codes[2]) * 100_000 + codes[3]
        kinds, place = np.unique(packed, return_inverse=True)
        numbers = [self._name(visit, side, int(kind)) for kind in kinds]
        ms = np.maximum(np.rint(took[kept]), 1).astype(np.int64)
        done = visit.start[kept] + 1000 * ms
        ms = np.where(visit.status[kept] == NONE, -1, ms)
        good = (visit.status[kept] > 0) & (visit.status[kept] < 400)
        size = np.where(good, visit.size[kept], 150).astype(np.int64)
        self.parts.append((np.array(numbers, dtype=np.int64)[place], done, ms, size))

    def _name(self, visit: Visit, side: str, kind: int) -> int:
        kind, variant = divmod(kind, 100_000)
        kind, status = divmod(kind, 1000)
        pod, at = divmod(kind, 1000)
        route, caller = visit.route, visit.caller
        key = (route.number, route.path, caller, side, pod, at, status, variant)
        return self.world.name(
            key,
            lambda: {
                **_name(route, caller, side, pod, at, status),
                **self.world.variants[variant],
            },
        )


def _name(
    route: Route, caller: str, side: str, pod: int, at: int, status: int
) -> dict[str, Any]:  # fmt: skip
    who = caller if side == "out" else route.service
    host = route.host
    if (host is None and route.service not in GRPC) or route.probe or route.service == BY_ADDRESS:
        host = address(route.service, at)
    outward = "egress-internal" if route.inside else "egress-external"
    name: dict[str, Any] = {
        "number": route.number,  # these three are for the evaluation alone
        "service": route.service,
        "caller": caller,
        "host": host,
        "method": route.method,
        "route": route.path,
        "direction": outward if side == "out" else "ingress",
        "container_name": who if who == "prometheus" else container(who, pod),
        "pod_name": None if who == "prometheus" else pod_name(who, pod),
        "process_exe": f"/app/{who}",
        "status": status or None,
    }
    if status >= 400 or not status:
        name["error_signature"] = f"{route.service}: {status}" if status else None
    if route.service in GRPC and not route.probe and status:
        name["protocol"] = GRPC[route.service]
        code = _GRPC_CODES.get(status, 2) if status >= 400 else 0
        name |= {"status": 200, "grpc_status": str(code)}
    return name


def _letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(abs(number)))


def _ar(rng: np.random.Generator, rows: int, steps: int, sd: float, rho: float) -> Floats:
    """First-order autoregressive noise with standard deviation sd, [rows, steps]."""
    shocks = rng.standard_normal((steps, rows)) * sd * np.sqrt(1 - rho * rho)
    shocks[0] = rng.standard_normal(rows) * sd
    for step in range(1, steps):
        shocks[step] += rho * shocks[step - 1]
    return np.ascontiguousarray(shocks.T)

"""Incidents to plant: each changes the plan of the window and says what should be found.

An incident is a function of a `Stage`. It may add flows to the stage's own copy of the world,
asks for the window's plan, changes it from the onset on, and returns the `Truth`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.quality.world import CALLS, INTERNAL, Flow, Hours, World

Mask = Any


@dataclass(frozen=True)
class Truth:
    """What a right answer names. `key` must be in the finding; `extra` may be."""

    kinds: tuple[str, ...]
    key: dict[str, Any]
    direction: str
    affected: float
    effect: float  # times as much as before; inf for new and gone
    onset: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    blame: str | None = None
    blast: frozenset[str] = frozenset()  # hosts and services that suffer with it


@dataclass
class Stage:
    """Where an incident plays: a copy of the world, the window's hour, a random source."""

    world: World
    hour: int
    rng: np.random.Generator
    severity: float
    salt: int = 1
    plan: Hours | None = None
    leaking: int | None = None  # the endpoint that leaked in the hours before as well

    @staticmethod
    def of(world: World, hour: int, seed: int, severity: float) -> Stage:
        own = copy.copy(world)
        own.flows, own.endpoints = list(world.flows), list(world.endpoints)
        return Stage(own, hour, np.random.default_rng([world.seed, 11, seed]), severity, seed + 1)

    def window(self) -> Hours:
        self.plan = self.world.hours(self.hour, salt=self.salt)
        return self.plan

    def onset(self) -> int:
        return int(self.rng.choice([0, 0, *range(5, 46, 5), 13, 22, 37]))

    def flows(self, test: Callable[[Flow], bool]) -> Mask:
        return np.array([test(f) for f in self.world.flows])

    def volume(self) -> Any:
        return np.array([f.weight if f.cron is None else 0 for f in self.world.flows])

    def endpoint(self, internal: bool | None = None, least: float = 0.004) -> Flow:
        """Some endpoint with its part of the traffic, health checks left out."""
        heavy: dict[int, float] = {}
        for f in self.world.flows:
            if f.cron is None and f.route != "/healthz" and f.caller:
                heavy[f.endpoint] = heavy.get(f.endpoint, 0) + f.weight
        fit = [e for e, w in sorted(heavy.items()) if w >= least]
        first = {f.endpoint: f for f in reversed(self.world.flows)}
        chosen = [first[e] for e in fit if internal is None or bool(first[e].callee) == internal]
        return chosen[int(self.rng.integers(len(chosen)))]

    def add(self, like: Flow, **changed: Any) -> Flow:
        new = copy.copy(like)
        for name, value in changed.items():
            setattr(new, name, value)
        if (new.host, new.method, new.route) not in self.world.endpoints:
            self.world.endpoints.append((new.host, new.method, new.route))
        new.endpoint = self.world.endpoints.index((new.host, new.method, new.route))
        self.world.flows.append(new)
        return new


def at(f: Flow) -> dict[str, Any]:
    return {"host": f.host, "method": f.method, "route": f.route}


def spread(stage: Stage, plan: Hours, target: Mask, onset: int, share: float) -> frozenset[str]:
    """Callers of what fails fail too: two endpoints of each calling service, two levels up."""
    hurt: set[str] = set()
    level = {f.caller for f, t in zip(stage.world.flows, target, strict=True) if t and f.caller}
    for _ in range(2):
        above: set[str] = set()
        for service in sorted(level):
            own = sorted(
                {
                    f.endpoint
                    for f in stage.world.flows
                    if f.callee == service and f.route != "/healthz" and f.cron is None
                }
            )[:2]
            mask = stage.flows(lambda f, own=own, s=service: f.endpoint in own and f.callee == s)  # type: ignore[misc]
            plan.p_error[mask, onset:] += 0.5 * share
            plan.code[mask] = 500
            hurt.add(service)
            above |= {
                f.caller for f, m in zip(stage.world.flows, mask, strict=True) if m and f.caller
            }
        level, share = above - hurt, 0.5 * share
    return frozenset(hurt)


def count(plan: Hours, mask: Mask, onset: int) -> float:
    return float(plan.rate[mask, onset:].sum())


def new_host(s: Stage) -> Truth:
    like = s.endpoint(internal=False)
    onset = s.onset()
    names = s.world.containers[like.caller]
    for name in names:
        s.add(
            like,
            host="telemetry.evil.example",
            route="/collect",
            method="POST",
            caller_container=name,
            weight=0.003 * s.severity / len(names),
            p_error=0.0005,
        )
    plan = s.window()
    mask = s.flows(lambda f: f.host == "telemetry.evil.example")
    plan.rate[mask, :onset] = 0
    return Truth(
        ("new", "edge"),
        {"host": "telemetry.evil.example"},
        "new",
        count(plan, mask, onset),
        np.inf,
        onset,
        blast=frozenset({"telemetry.evil.example"}),
    )


def host_gone(s: Stage) -> Truth:
    f = s.endpoint(internal=False)
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host)
    affected = count(plan, mask, 0)
    plan.rate[mask] = 0
    return Truth(
        ("gone", "edge"), {"host": f.host}, "gone", affected, np.inf, 0, blast=frozenset({f.host})
    )


def new_status(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.p_error[mask, onset:] += 0.04 * s.severity
    plan.code[mask] = 502
    before = f.p_error
    hurt = spread(s, plan, mask, onset, 0.04 * s.severity)
    return Truth(
        ("errors", "statuses", "new"),
        at(f),
        "up",
        count(plan, mask, onset) * 0.04 * s.severity,
        (before + 0.04 * s.severity) / before,
        onset,
        {"status": 502},
        f.callee or f.host,
        hurt | {f.host},
    )


def one_container(s: Stage) -> Truth:
    onset = s.onset()
    f = s.endpoint(internal=True)
    service = f.callee
    bad = s.world.containers[service][int(s.rng.integers(len(s.world.containers[service])))]
    plan = s.window()
    mask = s.flows(lambda x: x.callee_container == bad and x.route != "/healthz")
    plan.p_error[mask, onset:] += 0.05 * s.severity
    base = float(np.average([x.p_error for x, m in zip(s.world.flows, mask, strict=True) if m]))
    return Truth(
        ("errors", "statuses"),
        {"container": bad},
        "up",
        count(plan, mask, onset) * 0.05 * s.severity,
        (base + 0.05 * s.severity) / base,
        onset,
        {"host": service if service != "gateway" else "shop.example.com"},
        service,
        frozenset({service, f.host}),
    )


def latency(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.slow[mask, onset:] *= s.severity
    return Truth(
        ("latency",),
        at(f),
        "up",
        count(plan, mask, onset),
        s.severity,
        onset,
        blame=f.callee or f.host,
        blast=frozenset({f.host}),
    )


def tail(s: Stage) -> Truth:
    f = s.endpoint(least=0.01)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.tail[mask, onset:] = 0.025 * s.severity
    return Truth(
        ("latency",),
        at(f),
        "up",
        count(plan, mask, onset) * 0.025 * s.severity,
        s.severity,
        onset,
        blame=f.callee or f.host,
        blast=frozenset({f.host}),
    )


def retry_storm(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint and x.caller == f.caller)
    before = count(plan, mask, onset)
    plan.rate[mask, onset:] *= 4 * s.severity
    return Truth(
        ("rate", "retries"),
        at(f),
        "up",
        before * (4 * s.severity - 1),
        4 * s.severity,
        onset,
        {"container": f.caller},
        blast=frozenset({f.host, f.caller}),
    )


def moved(s: Stage) -> Truth:
    f = s.endpoint(internal=False)
    onset = 0
    old = [x for x in s.world.flows if x.host == f.host]
    for x in old:
        s.add(x, host="eu." + f.host)
    plan = s.window()
    gone = s.flows(lambda x: x.host == f.host)
    affected = count(plan, gone, 0)
    plan.rate[gone] = 0
    return Truth(
        ("moved",),
        {"host": "eu." + f.host},
        "moved",
        affected,
        np.inf,
        onset,
        blast=frozenset({f.host, "eu." + f.host}),
    )


def endpoint_removed(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.p_error[mask, onset:] = 0.97
    plan.code[mask] = 404
    hurt = spread(s, plan, mask, onset, 0.4)
    return Truth(
        ("errors", "statuses", "gone", "new"),
        at(f),
        "up",
        count(plan, mask, onset) * 0.97,
        0.97 / f.p_error,
        onset,
        {"status": 404},
        f.callee or f.host,
        hurt | {f.host},
    )


def new_signature(s: Stage) -> Truth:
    f = s.endpoint(least=0.01)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.signature = [
        f"E{f.endpoint}: out of memory" if m else t
        for m, t in zip(mask, plan.signature, strict=True)
    ]
    plan.p_error[mask, onset:] *= 1.2
    p = f.p_error * 1.2
    return Truth(
        ("signature", "errors", "new"),
        at(f),
        "new",
        count(plan, mask, 0) * p,
        np.inf,
        0,
        {"signature": f"E{f.endpoint}: out of memory"},
        blast=frozenset({f.host}),
    )


def key_expired(s: Stage) -> Truth:
    f = s.endpoint(internal=False)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host)
    plan.p_error[mask, onset:] = 0.95
    plan.code[mask] = 401
    hurt = spread(s, plan, mask, onset, 0.4)
    return Truth(
        ("errors", "statuses"),
        {"host": f.host},
        "up",
        count(plan, mask, onset) * 0.95,
        50,
        onset,
        {"status": 401},
        f.host,
        hurt | {f.host},
    )


def rate_limit(s: Stage) -> Truth:
    f = s.endpoint(internal=False)
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host)
    peaks = np.array([m % 10 < 3 for m in range(60)])
    rate = np.where(peaks, 0.25 * s.severity, 0.0)
    plan.p_error[mask] = np.minimum(plan.p_error[mask] + rate, 0.95)
    plan.code[mask] = 429
    affected = float((plan.rate[mask] * np.minimum(rate, 0.95)).sum())
    return Truth(
        ("errors", "statuses"),
        {"host": f.host},
        "up",
        affected,
        20,
        None,
        {"status": 429},
        f.host,
        frozenset({f.host}),
    )


def renamed(s: Stage) -> Truth:
    f = s.endpoint()
    old = [x for x in s.world.flows if x.endpoint == f.endpoint]
    route = f.route.replace("/v1/", "/v2/")
    for x in old:
        s.add(x, route=route)
    plan = s.window()
    gone = s.flows(lambda x: x.endpoint == f.endpoint)
    affected = count(plan, gone, 0)
    plan.rate[gone] = 0
    return Truth(
        ("moved",),
        {"host": f.host, "method": f.method, "route": route},
        "moved",
        affected,
        np.inf,
        0,
        blast=frozenset({f.host}),
    )


def size_collapse(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.size[mask, onset:] /= 3 * s.severity
    return Truth(
        ("size",),
        at(f),
        "down",
        count(plan, mask, onset),
        3 * s.severity,
        onset,
        blast=frozenset({f.host}),
    )


def no_response(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host and x.route != "/healthz")
    plan.p_none[mask, onset:] += 0.05 * s.severity
    hurt = spread(s, plan, mask, onset, 0.03 * s.severity)
    return Truth(
        ("no_response", "errors"),
        {"host": f.host},
        "up",
        count(plan, mask, onset) * 0.05 * s.severity,
        50,
        onset,
        {"status": None},
        f.callee or f.host,
        hurt | {f.host},
    )


def interaction(s: Stage) -> Truth:
    """One caller's calls to one endpoint fail; its other calls and other callers do not."""
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint and x.caller_container == f.caller_container)
    plan.p_error[mask, onset:] += 0.06 * s.severity
    return Truth(
        ("errors", "statuses"),
        {**at(f), "container": f.caller_container},
        "up",
        count(plan, mask, onset) * 0.06 * s.severity,
        0.06 * s.severity / f.p_error + 1,
        onset,
        blast=frozenset({f.host, f.caller}),
    )


def broad(s: Stage) -> Truth:
    """Everything fails a little and is slower: the node's disk, say. No key is to blame."""
    onset = s.onset()
    plan = s.window()
    plan.p_error[:, onset:] += 0.02 * s.severity
    return Truth(
        ("broad",),
        {},
        "up",
        float(plan.rate[:, onset:].sum()) * 0.02 * s.severity,
        5,
        onset,
        blast=frozenset(INTERNAL),
    )


def slow_leak(s: Stage) -> Truth:
    """Failures grow by a ninth every hour for half a day: no hour differs much from the last."""
    f = s.endpoint(least=0.01)
    plan = s.window()
    s.leaking = f.endpoint
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    leak(s.world, plan, f.endpoint, s.severity, 12)
    return Truth(
        ("trend", "errors"),
        at(f),
        "up",
        count(plan, mask, 0) * 0.005 * s.severity * 12,
        3,
        None,
        blast=frozenset({f.host}),
    )


def leak(world: World, plan: Hours, endpoint: int, severity: float, hours: int) -> None:
    mask = np.array([f.endpoint == endpoint for f in world.flows])
    plan.p_error[mask] = 0.01 + 0.005 * severity * hours


def deep_service(s: Stage) -> Truth:
    """A service fails and is slow by itself; those above it suffer."""
    service = str(s.rng.choice(["ledger", "inventory", "auth", "payment", "catalog", "search"]))
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.callee == service and x.route != "/healthz" and x.cron is None)
    plan.p_error[mask, onset:] += 0.05 * s.severity
    plan.slow[mask, onset:] *= s.severity
    plan.code[mask] = 500
    hurt = spread(s, plan, mask, onset, 0.05 * s.severity)
    return Truth(
        ("errors", "statuses"),
        {"host": service},
        "up",
        count(plan, mask, onset) * 0.05 * s.severity,
        10,
        onset,
        {"container": service},
        service,
        hurt | {service},
    )


# name -> (function, severities); "effect x2 and more" starts at the second severity
INCIDENTS: dict[str, tuple[Callable[[Stage], Truth], tuple[float, ...]]] = {
    "new_host": (new_host, (1, 3, 10)),
    "host_gone": (host_gone, (1,)),
    "new_status": (new_status, (1, 3, 10)),
    "one_container": (one_container, (1, 3, 10)),
    "latency": (latency, (1.3, 2, 10)),
    "tail": (tail, (1, 2, 4)),
    "retry_storm": (retry_storm, (1, 2.5, 5)),
    "moved": (moved, (1,)),
    "endpoint_removed": (endpoint_removed, (1,)),
    "new_signature": (new_signature, (1,)),
    "key_expired": (key_expired, (1,)),
    "rate_limit": (rate_limit, (0.4, 1, 3)),
    "renamed": (renamed, (1,)),
    "size_collapse": (size_collapse, (1, 3)),
    "no_response": (no_response, (1, 3, 10)),
    "interaction": (interaction, (1, 3, 10)),
    "broad": (broad, (1, 3)),
    "slow_leak": (slow_leak, (1,)),
    "deep_service": (deep_service, (1, 3, 10)),
}
assert set(CALLS) - {""} <= set(INTERNAL)

"""Where an incident plays and what it claims: the stage it changes, and the truth of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.quality.system import Flow, Hours
from bench.quality.world import World

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
    grpc: str | None = None  # the host that speaks gRPC, in the hours before as well

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

"""Incidents in which nothing fails: what comes, goes, moves, slows, multiplies or shrinks."""

from __future__ import annotations

import numpy as np

from bench.quality.stage import Stage, Truth, at, count


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


def good_mix(s: Stage) -> Truth:
    """An endpoint that answered with its usual status begins to answer 204 to a third of them."""
    f = s.endpoint(least=0.01)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    part = 0.3 * s.severity
    plan.answered(mask, np.where(np.arange(60) >= onset, part, 0.0), 204)
    return Truth(
        ("statuses", "new"),
        at(f),
        "any",
        count(plan, mask, onset) * part,
        np.inf,
        onset,
        {"status": 204},
        blast=frozenset({f.host}),
    )


def other_program(s: Stage) -> Truth:
    """The same containers now run another program, which behaves as the old one did."""
    service = s.endpoint(internal=True).callee
    plan = s.window()
    plan.programs |= dict.fromkeys(s.world.containers[service], f"/opt/next/{service}-ng")
    mask = s.flows(lambda x: service in (x.caller, x.callee))
    return Truth(
        ("new", "moved"),
        {"container": service, "process": f"/opt/next/{service}-ng"},
        "any",
        count(plan, mask, 0),
        np.inf,
        0,
        blast=frozenset({service}),
    )


def one_stops(s: Stage) -> Truth:
    """One container of a service of three or more is not asked any more, the others are."""
    several = sorted(n for n, names in s.world.containers.items() if len(names) == 3)
    service = several[int(s.rng.integers(len(several)))]
    names = s.world.containers[service]
    dead = names[int(s.rng.integers(len(names)))]
    plan = s.window()
    lost = s.flows(lambda x: dead in (x.callee_container, x.caller_container))
    for role in ("callee", "caller"):
        others = s.flows(lambda x, r=role: getattr(x, r) == service) & ~lost  # type: ignore[misc]
        plan.rate[others] *= len(names) / (len(names) - 1)
    affected = count(plan, lost, 0)
    plan.rate[lost] = 0
    return Truth(
        ("gone",),
        {"container": dead},
        "gone",
        affected,
        np.inf,
        0,
        blast=frozenset({service, dead}),
    )

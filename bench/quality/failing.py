"""Incidents in which requests fail: by status, without an answer, in one place or everywhere."""

from __future__ import annotations

import numpy as np

from bench.quality.stage import Stage, Truth, at, count, spread
from bench.quality.system import INTERNAL, Hours
from bench.quality.world import World


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


def grpc_unavailable(s: Stage) -> Truth:
    """An endpoint of a gRPC service ends as UNAVAILABLE, with HTTP 200 as ever: at the largest
    severity half of the calls."""
    f = s.endpoint(internal=True)
    onset = s.onset()
    s.grpc = f.host
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.p_error[mask, onset:] += 0.05 * s.severity
    plan.code[mask] = 503
    return Truth(
        ("errors", "statuses", "new"),
        at(f),
        "up",
        count(plan, mask, onset) * 0.05 * s.severity,
        (f.p_error + 0.05 * s.severity) / f.p_error,
        onset,
        {"grpc_status": "14"},
        f.callee,
        frozenset({f.host}),
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

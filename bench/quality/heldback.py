"""Incidents kept back: written before the comparison was tuned, and run only at the end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.quality.stage import Stage, Truth, at, count, spread


def brownout(s: Stage) -> Truth:
    """An upstream fails in waves: two minutes in every seven."""
    f = s.endpoint(internal=False)
    onset = int(s.rng.integers(0, 20))
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host)
    wave = np.array([m >= onset and m % 7 < 2 for m in range(60)])
    plan.p_error[mask] = np.where(wave, 0.6, plan.p_error[mask])
    plan.code[mask] = 503
    affected = float((plan.rate[mask] * np.where(wave, 0.6, 0)).sum())
    return Truth(
        ("errors", "statuses"),
        {"host": f.host},
        "up",
        affected,
        50,
        None,
        {"status": 503},
        f.host,
        frozenset({f.host}),
    )


def replica_silent(s: Stage) -> Truth:
    """One of a service's containers stops serving; the others take its requests over."""
    service = "payment"
    names = s.world.containers[service]
    dead = names[int(s.rng.integers(len(names)))]
    plan = s.window()
    lost = s.flows(lambda x: x.callee_container == dead or x.caller_container == dead)
    others = s.flows(lambda x: x.callee == service and x.callee_container != dead)
    affected = count(plan, lost, 0)
    plan.rate[lost] = 0
    plan.rate[others] *= len(names) / (len(names) - 1)
    return Truth(
        ("gone", "rate"),
        {"container": dead},
        "gone",
        affected,
        np.inf,
        0,
        {"host": service},
        blast=frozenset({service, dead}),
    )


def method_forbidden(s: Stage) -> Truth:
    """Every POST to one host is refused with 403, other methods go through."""
    posts = [
        f
        for f in s.world.flows
        if f.method == "POST" and f.cron is None and f.caller and not f.callee
    ]
    f = posts[int(s.rng.integers(len(posts)))]
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host and x.method == "POST" and x.cron is None)
    plan.p_error[mask, onset:] = 0.9
    plan.code[mask] = 403
    return Truth(
        ("errors", "statuses"),
        {"host": f.host, "method": "POST"},
        "up",
        count(plan, mask, onset) * 0.9,
        50,
        onset,
        {"status": 403, "route": f.route},
        f.host,
        frozenset({f.host}),
    )


def timeouts(s: Stage) -> Truth:
    """An upstream is slow, and one call in five gets no answer at all: one cause."""
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.slow[mask, onset:] *= 6
    plan.p_none[mask, onset:] = 0.2
    hurt = spread(s, plan, mask, onset, 0.1)
    return Truth(
        ("no_response", "errors", "latency"),
        at(f),
        "up",
        count(plan, mask, onset) * 0.2,
        50,
        onset,
        {"status": None},
        f.callee or f.host,
        hurt | {f.host},
    )


def larger_answers(s: Stage) -> Truth:
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    plan.size[mask, onset:] *= 8
    return Truth(
        ("size",), at(f), "up", count(plan, mask, onset), 8, onset, blast=frozenset({f.host})
    )


def new_caller(s: Stage) -> Truth:
    """A service starts to call a host that others have called all along."""
    f = s.endpoint(internal=False)
    caller = next(c for c in ("frontend", "cart", "user") if c != f.caller)
    for name in s.world.containers[caller]:
        s.add(f, caller=caller, caller_container=name, weight=0.002)
    plan = s.window()
    mask = s.flows(lambda x: x.caller == caller and x.host == f.host)
    return Truth(
        ("edge", "new"),
        {"host": f.host, "container": caller},
        "new",
        count(plan, mask, 0),
        np.inf,
        0,
        blast=frozenset({f.host}),
    )


def slow_wire(s: Stage) -> Truth:
    """Calls to a service take longer though the service itself answers as fast as before."""
    service = str(s.rng.choice(["inventory", "ledger", "search", "auth"]))
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.callee == service and x.route != "/healthz" and x.cron is None)
    plan.slow[mask, onset:] *= 4
    plan.slow_in[mask, onset:] *= 4
    return Truth(
        ("latency",),
        {"host": service},
        "up",
        count(plan, mask, onset),
        4,
        onset,
        blame="network",
        blast=frozenset({service}),
    )


def traffic_falls(s: Stage) -> Truth:
    """One endpoint is called at a fifth of its rate; all others as before."""
    f = s.endpoint(least=0.01)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    before = count(plan, mask, onset)
    plan.rate[mask, onset:] *= 0.2
    return Truth(("rate",), at(f), "down", before * 0.8, 5, onset, blast=frozenset({f.host}))


def new_endpoint(s: Stage) -> Truth:
    f = s.endpoint()
    like = [x for x in s.world.flows if x.endpoint == f.endpoint]
    for x in like:
        s.add(x, route="/v1/exports", method="POST")
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.route == "/v1/exports" and x.host == f.host)
    plan.rate[mask, :onset] = 0
    return Truth(
        ("new",),
        {"host": f.host, "method": "POST", "route": "/v1/exports"},
        "new",
        count(plan, mask, onset),
        np.inf,
        onset,
        blast=frozenset({f.host}),
    )


def bad_release(s: Stage) -> Truth:
    """A roll-out of one service: every container new, and a tenth of its answers are 500."""
    service = str(s.rng.choice(["frontend", "checkout", "user", "cart"]))
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.callee == service and x.route != "/healthz")
    plan.p_error[mask, onset:] += 0.1
    plan.code[mask] = 500
    plan.renamed |= {
        n: f"{service}-7f00aa41bd-{i}k4qz" for i, n in enumerate(s.world.containers[service])
    }
    return Truth(
        ("errors", "statuses"),
        {"host": service},
        "up",
        count(plan, mask, onset) * 0.1,
        10,
        onset,
        {"container": service, "status": 500},
        service,
        frozenset({service}),
    )


HELD_BACK: dict[str, tuple[Callable[[Stage], Truth], tuple[float, ...]]] = {
    f.__name__: (f, (1,))
    for f in (
        brownout,
        replica_silent,
        method_forbidden,
        timeouts,
        larger_answers,
        new_caller,
        slow_wire,
        traffic_falls,
        new_endpoint,
        bad_release,
    )
}

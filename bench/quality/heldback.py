"""Incidents kept back: a set written before the comparison was tuned, run only at the end of it,
and a second one, written before the work that followed the first one's misses.

The second one's kinds are others than those of both sets before; some have a relative there, on
purpose: what was learned from one shape should hold for its neighbour.
"""

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


def not_modified(s: Stage) -> Truth:
    """Half of an endpoint's good answers become 304: somebody turned caching on."""
    f = s.endpoint(least=0.01)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.endpoint == f.endpoint)
    part = np.where(np.arange(60) >= onset, 0.5, 0.0)
    plan.answered(mask, part, 304)
    affected = count(plan, mask, onset) * 0.5
    return Truth(
        ("statuses", "new", "size"), at(f), "any", affected, np.inf, onset,
        {"status": 304}, blast=frozenset({f.host}),
    )  # fmt: skip


def _shared(s: Stage) -> tuple[str, str]:
    """A host with several callers, and one of them."""
    shared: dict[str, set[str]] = {}
    for x in s.world.flows:
        if x.caller and x.cron is None and x.route != "/healthz":
            shared.setdefault(x.host, set()).add(x.caller)
    hosts = sorted(h for h, callers in shared.items() if len(callers) > 1)
    host = hosts[int(s.rng.integers(len(hosts)))]
    caller = sorted(shared[host])[int(s.rng.integers(len(shared[host])))]
    return host, caller


def caller_stops(s: Stage) -> Truth:
    """One of two callers no longer calls a host; the other one does as before."""
    host, caller = _shared(s)
    plan = s.window()
    mask = s.flows(lambda x: x.host == host and x.caller == caller and x.cron is None)
    affected = count(plan, mask, 0)
    plan.rate[mask] = 0
    return Truth(
        ("gone", "edge", "rate"), {"host": host, "container": caller}, "gone", affected, np.inf, 0,
        blast=frozenset({host, caller}),
    )  # fmt: skip


def one_container_offline(s: Stage) -> Truth:
    """One container of several gets no answer from anywhere outside: its network is broken."""
    service = str(s.rng.choice(["payment", "notifier", "catalog"]))
    names = s.world.containers[service]
    bad = names[int(s.rng.integers(len(names)))]
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.caller_container == bad and x.callee == "" and x.cron is None)
    plan.p_none[mask, onset:] = 0.9
    hosts = {x.host for x, m in zip(s.world.flows, mask, strict=True) if m}
    extra = {"host": next(iter(hosts))} if len(hosts) == 1 else {}
    return Truth(
        ("no_response", "errors"), {"container": bad}, "up", count(plan, mask, onset) * 0.9, 50,
        onset, {"status": None, **extra}, blast=frozenset({service, bad, *hosts}),
    )  # fmt: skip


def slow_container(s: Stage) -> Truth:
    """One container of a service is five times as slow as the others."""
    service = s.endpoint(internal=True).callee
    names = s.world.containers[service]
    bad = names[int(s.rng.integers(len(names)))]
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.callee_container == bad and x.route != "/healthz")
    plan.slow[mask, onset:] *= 5
    host = service if service != "gateway" else "shop.example.com"
    return Truth(
        ("latency",), {"container": bad}, "up", count(plan, mask, onset), 5, onset,
        {"host": host}, blame=service, blast=frozenset({service, host, bad}),
    )  # fmt: skip


def throttled_caller(s: Stage) -> Truth:
    """A host that two services call answers one of them with 429."""
    host, caller = _shared(s)
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.host == host and x.caller == caller and x.cron is None)
    plan.p_error[mask, onset:] = 0.4
    plan.code[mask] = 429
    return Truth(
        ("errors", "statuses"), {"host": host, "container": caller}, "up",
        count(plan, mask, onset) * 0.4, 20, onset, {"status": 429},
        blast=frozenset({host, caller}),
    )  # fmt: skip


def writes_fail(s: Stage) -> Truth:
    """A service's disk is full: its POST and PUT fail with 507, reading goes on."""
    services = ["ledger", "inventory", "shipping", "user", "cart", "catalog"]
    service = str(s.rng.choice(services))
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.callee == service and x.method in ("POST", "PUT") and x.cron is None)
    plan.p_error[mask, onset:] = 0.7
    plan.code[mask] = 507
    hit = sorted({(x.method, x.route) for x, m in zip(s.world.flows, mask, strict=True) if m})
    extra = {"method": hit[0][0], "route": hit[0][1]} if len(hit) == 1 else {}
    if len({m for m, _ in hit}) == 1:
        extra |= {"method": hit[0][0]}
    return Truth(
        ("errors", "statuses", "new"), {"host": service}, "up", count(plan, mask, onset) * 0.7, 50,
        onset, {"status": 507, **extra}, service, frozenset({service}),
    )  # fmt: skip


def busy_host(s: Stage) -> Truth:
    """A host is asked six times as much by everybody: a batch somewhere far up."""
    f = s.endpoint()
    onset = s.onset()
    plan = s.window()
    mask = s.flows(lambda x: x.host == f.host and x.cron is None and x.route != "/healthz")
    before = count(plan, mask, onset)
    plan.rate[mask, onset:] *= 6
    return Truth(
        ("rate", "retries"), {"host": f.host}, "up", before * 5, 6, onset,
        blast=frozenset({f.host, f.callee}),
    )  # fmt: skip


SECOND: dict[str, tuple[Callable[[Stage], Truth], tuple[float, ...]]] = {
    f.__name__: (f, (1,))
    for f in (
        not_modified,
        caller_stops,
        one_container_offline,
        slow_container,
        throttled_caller,
        writes_fail,
        busy_host,
    )
}

"""A second set kept back, written before the work that followed the first set's misses.

Its kinds are others than those of both sets before; some have a relative there, on purpose: what
was learned from one shape should hold for its neighbour.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.quality.stage import Stage, Truth, at, count


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

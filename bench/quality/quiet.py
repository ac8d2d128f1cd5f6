"""Pairs of hours in which nothing happened, and pairs in which only the recorder was at fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.quality.stage import Stage
from bench.quality.system import EPOCH, NODES, Hours
from bench.quality.world import pods


@dataclass
class Pair:
    """A window's plan, how many hours back its baseline lies, and changes to the baseline."""

    window: Hours
    back: int = 1
    baseline: Callable[[Hours], None] | None = None
    known_drops: bool = False
    seconds: float = 60.0  # covered in the minutes that `partly` names
    partly: tuple[int, ...] = ()


def adjacent(s: Stage) -> Pair:
    return Pair(s.window())


def yesterday(s: Stage) -> Pair:
    return Pair(s.window(), 24)


def weekend(s: Stage) -> Pair:
    """Saturday against Friday at the same time."""
    while (s.hour // 24) % 7 != 5:
        s.hour += 24
    return Pair(s.window(), 24)


def night_and_day(s: Stage) -> Pair:
    return Pair(s.window(), 12)


def tiny(s: Stage) -> Pair:
    plan = s.window()
    thin = 20 / max(float(plan.rate.sum()), 20.0)
    plan.thin = thin

    def change(before: Hours) -> None:
        before.thin = thin

    return Pair(plan, 1, change)


def doubled(s: Stage) -> Pair:
    plan = s.window()
    plan.rate *= 2
    return Pair(plan)


def tenth(s: Stage) -> Pair:
    plan = s.window()
    plan.rate /= 10
    return Pair(plan)


def restart(s: Stage) -> Pair:
    """A rolling restart: every container of half the services has a new name."""
    plan = s.window()
    for service, names in sorted(s.world.containers.items()):
        if names[0].startswith("shop_"):
            continue
        plan.renamed |= dict(zip(names, pods(service, len(names), s.rng), strict=True))
    return Pair(plan)


def rescheduled(s: Stage) -> Pair:
    """One container of each service that has such names runs elsewhere, under a new name."""
    plan = s.window()
    for service, names in sorted(s.world.containers.items()):
        if not names[0].startswith("shop_"):
            plan.renamed[names[0]] = pods(service, 1, s.rng)[0]
    return Pair(plan)


def id_churn(s: Stage) -> Pair:
    """Names in paths that no template caught: up to a hundred routes that are asked for once."""
    f = s.endpoint()
    for i in range(max(1, min(100, int(s.world.requests / 400)))):
        s.add(
            f,
            route=f"/v1/by-name/{'abcdefghij'[i % 10]}{i}-thing",
            method="GET",
            weight=2.0 / 60 / max(s.world.requests, 1),
        )
    plan = s.window()
    once = s.flows(lambda x: x.route.startswith("/v1/by-name/"))
    when = s.rng.integers(60, size=int(once.sum()))
    plan.rate[once] = 0
    plan.rate[np.flatnonzero(once), when] = 2.0
    return Pair(plan)


def cron(s: Stage) -> Pair:
    """The hour of the jobs that run every second and every sixth hour, against one without."""
    while s.hour % 6:
        s.hour += 1
    return Pair(s.window())


def scanner(s: Stage) -> Pair:
    for i in range(300):
        s.add(
            next(f for f in s.world.flows if f.callee == "gateway"),
            caller="",
            caller_container="",
            route=f"/admin{i}/login.php",
            ok=404,
            p_error=0.0,
            weight=0.0,
        )
    plan = s.window()
    scan = s.flows(lambda x: x.route.endswith("login.php"))
    begin = int(s.rng.integers(0, 40))
    plan.rate[scan, begin : begin + 15] = max(0.0002 * s.world.requests / 15, 3 / 300 / 15)
    return Pair(plan)


def clock_step(s: Stage) -> Pair:
    """The clock steps back: five minutes hold twice their requests, and none is lost."""
    plan = s.window()
    plan.rate[:, 20:25] *= 2
    return Pair(plan)


QUIET: dict[str, Callable[[Stage], Pair]] = {
    f.__name__: f
    for f in (
        adjacent,
        yesterday,
        weekend,
        night_and_day,
        tiny,
        doubled,
        tenth,
        restart,
        rescheduled,
        id_churn,
        cron,
        scanner,
        clock_step,
    )
}


def agent_restart(s: Stage) -> Pair:
    plan = s.window()
    begin, length = int(s.rng.integers(0, 9)), int(s.rng.choice([5, 20, 50]))
    plan.seen[:, begin : begin + length] = False
    return Pair(plan)


def node_silent(s: Stage) -> Pair:
    plan = s.window()
    plan.seen[int(s.rng.integers(NODES))] = False
    return Pair(plan)


def reconnect(s: Stage) -> Pair:
    """Half a minute lost."""
    plan = s.window()
    minute = int(s.rng.integers(60))
    plan.rate[:, minute] /= 2
    return Pair(plan, seconds=30.0, partly=(minute,))


def queue_drop(s: Stage) -> Pair:
    plan = s.window()
    plan.thin = 0.82
    return Pair(plan, known_drops=True)


def large_bodies_dropped(s: Stage) -> Pair:
    plan = s.window()
    large = s.flows(lambda f: f.size > 4000)
    plan.rate[large] *= 0.1
    return Pair(plan, known_drops=True)


def started_mid_baseline(s: Stage) -> Pair:
    def change(before: Hours) -> None:
        before.seen[:, :33] = False

    return Pair(s.window(), 1, change)


def late_file(s: Stage) -> Pair:
    """One node's file of the baseline hour has not come yet."""
    node = int(s.rng.integers(NODES))

    def change(before: Hours) -> None:
        before.seen[node] = False

    return Pair(s.window(), 1, change)


GAPS: dict[str, Callable[[Stage], Pair]] = {
    f.__name__: f
    for f in (
        agent_restart,
        node_silent,
        reconnect,
        queue_drop,
        large_bodies_dropped,
        started_mid_baseline,
        late_file,
    )
}
assert EPOCH.weekday() == 0

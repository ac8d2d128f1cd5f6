"""Pairs of stretches in which nothing happened that anybody has to know: no row is the answer."""

from __future__ import annotations

from collections.abc import Callable

from bench.quality.stage import Stage, new_pods, serves, slower
from bench.quality.system import PUBLIC, Route
from bench.quality.world import Fault

Quiet = Callable[[Stage], list[Fault]]


def adjacent(s: Stage) -> list[Fault]:
    """The stretch before, on the day's curve, with jobs by the clock and at random."""
    return []


def yesterday(s: Stage) -> list[Fault]:
    """Against the same time of the day before."""
    return []


def saturday(s: Stage) -> list[Fault]:
    """A Saturday against the Friday before it: people halve, machines do not."""
    return []


def deploy(s: Stage) -> list[Fault]:
    """All pods of half the services are new, with new names and addresses."""
    services = s.rng.permutation(sorted(s.world.system.pods)).tolist()
    return [s.fault(new_pods(services[::2]))]


def scanner(s: Stage) -> list[Fault]:
    """Somebody asks the gateway for two hundred paths that are not there, once or twice each."""
    number = len(s.world.system.routes)
    each = 300 / s.length  # an hour: five a window or fewer
    routes = [
        Route(number + n, "gateway", PUBLIC, "GET", f"/{w}{n}/login.php", 2, 0.3, 300, 0, 404, 404)
        for n, w in enumerate(s.rng.choice(["admin", "wp", "old", "shop"], 200).tolist())
    ]
    return [s.fault(lambda visit, mask, rng: None, *((r, each / 5) for r in routes))]


def warm_up(s: Stage) -> list[Fault]:
    """One pod of several was restarted, and is three times as slow for a minute or less."""
    service = s.service()
    fault = s.fault(slower(serves(service), 3.0, only=lambda visit: visit.pod == 0))
    return [Fault(fault.change, s.begin, s.begin + min(1.0, s.length / 20))]


QUIET: dict[str, Quiet] = {
    f.__name__: f for f in (adjacent, yesterday, saturday, deploy, scanner, warm_up)
}
VS_YESTERDAY = frozenset({"yesterday", "saturday"})

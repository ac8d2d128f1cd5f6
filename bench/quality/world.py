"""A made-up system of services whose hours of traffic come out as per-minute cells.

Everything follows from the seed. Rates have a daily and weekly rhythm, drift from hour to hour,
correlated noise from minute to minute, and requests that come in clusters (retries) and share
their fate; there are cron jobs, health checks, scanners and a long tail of rarely seen hosts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from bench.quality.system import CALLS, EPOCH, FORMS, INTERNAL, NODES, NOUNS, Floats, Flow, Hours
from tests.world.traffic import SWING, swing


class World:
    """One system; `requests` is what a typical hour holds, both ends of the wire counted once."""

    def __init__(self, seed: int, requests: float) -> None:
        self.seed = seed
        self.requests = requests
        rng = np.random.default_rng([seed, 1])
        self.containers = _containers(rng)
        self.flows: list[Flow] = []
        self.endpoints: list[tuple[str, str, str]] = []
        self._system(rng)
        self._cron(rng)
        self._probes()
        total = sum(f.weight for f in self.flows)
        for flow in self.flows:
            flow.weight /= total
        self._tail(rng)
        self.drift_seed = int(rng.integers(2**31))
        self.phase = float(rng.uniform(0, 24))

    def _system(self, rng: np.random.Generator) -> None:
        called = {host for hosts in CALLS.values() for host in hosts}
        popular = dict(zip(sorted(called), rng.dirichlet(np.full(len(called), 2.0)), strict=True))
        for host in sorted(called):
            nouns = rng.choice(NOUNS, 2, replace=False)
            forms = rng.permutation(len(FORMS))[: int(rng.integers(3, 6))]
            for place, form in enumerate(forms):
                method, route = FORMS[form]
                noun = str(nouns[place % 2])
                self._endpoint(
                    rng, host, method, route.format(n=noun), popular[host] / (place + 1) ** 1.2
                )

    def _endpoint(
        self, rng: np.random.Generator, host: str, method: str, route: str, weight: float
    ) -> None:
        number = len(self.endpoints)
        self.endpoints.append((host, method, route))
        latency, sigma = float(rng.lognormal(np.log(40), 0.9)), float(rng.uniform(0.4, 0.9))
        p_error = float(rng.choice([0.0005, 0.002, 0.01, 0.03], p=[0.3, 0.4, 0.2, 0.1]))
        error, size = int(rng.choice([500, 404, 503, 429, 401])), float(rng.lognormal(7.5, 1.2))
        callers = [c for c, hosts in CALLS.items() if host in hosts]
        if len(callers) > 2:
            callers = [callers[int(i)] for i in rng.permutation(len(callers))[:2]]
        ok = {"POST": 201, "DELETE": 204}.get(method, 200)
        for caller in callers:
            for cc in self.containers.get(caller, [""]):
                for rc in self.containers.get(host, [""]):
                    share = weight / len(callers) / max(1, len(self.containers.get(caller, [""])))
                    share /= len(self.containers.get(host, [""]))
                    name = "shop.example.com" if host == "gateway" else host
                    self.flows.append(
                        Flow(
                            caller,
                            cc,
                            name,
                            method,
                            route,
                            host if host in INTERNAL else "",
                            rc,
                            share,
                            number,
                            ok,
                            error,
                            f"E{number}: upstream said no",
                            p_error,
                            latency,
                            sigma,
                            size,
                        )
                    )

    def _cron(self, rng: np.random.Generator) -> None:
        """Jobs of the worker: every hour, every second or sixth one, some minutes long."""
        for i, (start, length, every) in enumerate(((5, 2, 1), (30, 4, 1), (0, 8, 2), (15, 10, 6))):
            number = len(self.endpoints)
            host = ("ledger", "s3.amazonaws.example", "inventory", "api.github.example")[i]
            self.endpoints.append((host, "POST", f"/jobs/run-{'abcd'[i]}"))
            callee = self.containers.get(host, [""])
            for rc in callee:
                self.flows.append(
                    Flow(
                        "worker",
                        self.containers["worker"][i % 2],
                        host,
                        "POST",
                        f"/jobs/run-{'abcd'[i]}",
                        host if host in INTERNAL else "",
                        rc,
                        float(rng.uniform(0.004, 0.012)) / len(callee),
                        number,
                        cron=(start, length, every),
                        latency=200.0,
                    )
                )

    def _probes(self) -> None:
        for service, names in self.containers.items():
            number = len(self.endpoints)
            self.endpoints.append((service, "GET", "/healthz"))
            for name in names:
                self.flows.append(
                    Flow(
                        "",
                        "",
                        service,
                        "GET",
                        "/healthz",
                        service,
                        name,
                        0.0015,
                        number,
                        p_error=1e-5,
                        latency=3.0,
                        cluster=1.0,
                        size=20.0,
                    )
                )

    def _tail(self, rng: np.random.Generator) -> None:
        """Hosts and paths seen once in a while: a few requests, then days of silence."""
        for i in range(60):
            number = len(self.endpoints)
            host = f"tail-{i}.example.{'com' if i % 2 else 'net'}"
            self.endpoints.append((host, "GET", "/"))
            caller = str(rng.choice(["worker", "notifier", "catalog"]))
            self.flows.append(
                Flow(
                    caller,
                    self.containers[caller][0],
                    host,
                    "GET",
                    "/",
                    "",
                    "",
                    float(rng.uniform(0.00002, 0.0003)),
                    number,
                    cron=(-1, 2, 12),
                )
            )
        for i in range(30):
            number = len(self.endpoints)
            self.endpoints.append(("shop.example.com", "GET", f"/wp-{i}.php"))
            self.flows.append(
                Flow(
                    "",
                    "",
                    "shop.example.com",
                    "GET",
                    f"/wp-{i}.php",
                    "gateway",
                    self.containers["gateway"][i % 3],
                    0.0004,
                    number,
                    ok=404,
                    p_error=0.0,
                    cron=(-1, 1, 6),
                    latency=2.0,
                )
            )

    # -- traffic ---------------------------------------------------------------------------------

    def hours(self, first: int, count: int = 1, salt: int = 0) -> Hours:
        """The plan of `count` hours from hour `first` of the world's time; `salt` varies it."""
        minutes = count * 60
        rng = np.random.default_rng([self.seed, 2, first, count, salt])
        size = (len(self.flows), minutes)
        weight = np.array([f.weight for f in self.flows])
        endpoint = np.array([f.endpoint for f in self.flows])
        drift = np.stack([self.drift(first + h) for h in range(count)], axis=1).repeat(60, axis=1)
        noise = _ar(rng, len(self.endpoints), minutes, 0.25, 0.7) + drift
        rate = weight[:, None] * self.requests / 60 * np.exp(noise[endpoint])
        rate *= self.rhythm(first, minutes)[None, :]
        self._schedule(rng, rate, first, minutes)
        ones = np.ones(size)
        p_error = np.array([f.p_error for f in self.flows])[:, None] * np.exp(
            _ar(rng, len(self.endpoints), minutes, 0.4, 0.8)[endpoint]
        )
        slow = np.exp(_ar(rng, len(self.endpoints), minutes, 0.1, 0.5)[endpoint])
        return Hours(
            first,
            minutes,
            rate,
            p_error,
            np.full(size, 0.0001),
            slow,
            ones.copy(),
            np.zeros(size),
            ones.copy(),
            np.array([f.error for f in self.flows]),
            [f.signature for f in self.flows],
            np.ones((NODES, minutes), dtype=bool),
            p_usual=p_error.copy(),
        )

    def rhythm(self, first: int, minutes: int) -> Floats:
        at = first + np.arange(minutes) / 60
        day = 1 + SWING * swing(at, self.phase + 6)  # the phase is where the wave rises
        weekend = np.where((at // 24) % 7 >= 5, 0.6, 1.0)
        return np.asarray(day * weekend)

    def drift(self, hour: int) -> Floats:
        """Log drift of each endpoint in an hour: part stays for the day, part is the hour's own."""
        day = np.random.default_rng([self.drift_seed, hour // 24])
        own = np.random.default_rng([self.drift_seed, 7, hour])
        size = len(self.endpoints)
        return 0.1 * day.standard_normal(size) + 0.1 * own.standard_normal(size)

    def _schedule(self, rng: np.random.Generator, rate: Floats, first: int, minutes: int) -> None:
        for i, flow in enumerate(self.flows):
            if flow.cron is None:
                continue
            start, length, every = flow.cron
            on = np.zeros(minutes)
            for h in range(minutes // 60):
                hour = np.random.default_rng([self.drift_seed, 3, first + h, flow.endpoint])
                if start < 0:
                    begin = int(hour.integers(60)) if hour.random() < 1 / every else -1
                else:
                    begin = start if (first + h) % every == 0 else -1
                if begin >= 0:
                    strength = float(hour.lognormal(0, 0.4)) * 60 / length
                    on[h * 60 + begin : min(h * 60 + begin + length, h * 60 + 60)] = strength
            rate[i] *= on

    def moment(self, first: int) -> datetime:
        return EPOCH + timedelta(hours=first)


def _containers(rng: np.random.Generator) -> dict[str, list[str]]:
    """Pods with hashes in their names for some services, numbered compose names for others."""
    names: dict[str, list[str]] = {}
    for i, (service, replicas) in enumerate(INTERNAL.items()):
        if i % 2:
            names[service] = pods(service, replicas, rng)
        else:
            names[service] = [f"shop_{service}_{n + 1}" for n in range(replicas)]
    return names


def pods(service: str, replicas: int, rng: np.random.Generator) -> list[str]:
    release = "".join(rng.choice(list("0123456789abcdef"), 9)) + "d"
    tails = ["".join(rng.choice(list("bcdfghjklmnpqrstvwxz2456789"), 5)) for _ in range(replicas)]
    return [f"{service}-{release}-{tail}" for tail in tails]


def node_of(container: str) -> int:
    return sum(container.encode()) % NODES


def _ar(rng: np.random.Generator, rows: int, steps: int, sd: float, rho: float) -> Floats:
    """First-order autoregressive noise with standard deviation sd, [rows, steps]."""
    shocks = rng.standard_normal((rows, steps)) * sd * np.sqrt(1 - rho * rho)
    out = np.empty((rows, steps))
    last = rng.standard_normal(rows) * sd
    for step in range(steps):
        last = rho * last + shocks[:, step]
        out[:, step] = last
    return out

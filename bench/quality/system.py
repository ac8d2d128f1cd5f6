"""What the made-up system is made of: its services, who calls whom, its paths, and its flows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EPOCH = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday, hour 0 of every world
NODES = 4

# service -> (replicas, endpoints it serves, what it calls: host -> endpoints)
INTERNAL: dict[str, int] = {
    "gateway": 3,
    "frontend": 3,
    "catalog": 3,
    "search": 2,
    "cart": 2,
    "checkout": 3,
    "payment": 6,
    "ledger": 2,
    "inventory": 2,
    "shipping": 2,
    "user": 3,
    "auth": 2,
    "notifier": 2,
    "worker": 2,
}
CALLS: dict[str, tuple[str, ...]] = {
    "": ("gateway",),
    "gateway": ("frontend", "user", "cart"),
    "frontend": ("catalog", "cart", "checkout", "user"),
    "catalog": ("search", "inventory", "cdn.example.net"),
    "cart": ("catalog", "inventory"),
    "checkout": ("payment", "shipping", "inventory", "notifier"),
    "payment": ("ledger", "api.stripe.com", "risk.sift.example"),
    "shipping": ("api.easypost.example",),
    "user": ("auth",),
    "auth": ("login.okta.example",),
    "notifier": ("api.sendgrid.example", "hooks.slack.example"),
    "search": ("es.example.org",),
    "worker": ("ledger", "inventory", "s3.amazonaws.example", "api.github.example"),
}
NOUNS = (
    "items",
    "orders",
    "users",
    "prices",
    "carts",
    "quotes",
    "tokens",
    "events",
    "reports",
    "labels",
    "charges",
    "refunds",
    "sessions",
    "stock",
    "images",
    "messages",
)
FORMS = (
    ("GET", "/v1/{n}"),
    ("GET", "/v1/{n}/{{id}}"),
    ("POST", "/v1/{n}"),
    ("PUT", "/v1/{n}/{{id}}"),
    ("GET", "/v1/{n}/{{id}}/detail"),
    ("POST", "/v1/{n}/search"),
    ("DELETE", "/v1/{n}/{{id}}"),
)


@dataclass
class Flow:
    """Requests from one caller container to one endpoint, served by one callee container."""

    caller: str
    caller_container: str
    host: str
    method: str
    route: str
    callee: str  # "" outside
    callee_container: str
    weight: float
    endpoint: int
    ok: int = 200
    error: int = 500
    signature: str = ""
    p_error: float = 0.002
    latency: float = 40.0
    sigma: float = 0.7
    size: float = 2000.0
    cron: tuple[int, int, int] | None = None  # first minute, minutes, every so many hours
    cluster: float = 3.0


@dataclass
class Hours:
    """What is about to happen in some hours: [flows, minutes] each, for incidents to change.

    p_error makes failed responses: as many as p_usual of the flow's own status, those beyond it of
    the status code; p_none makes calls without a response; slow multiplies all
    durations, tail is the part of the requests that takes ten times as long; size multiplies the
    bytes; odd is the part of the good answers that comes as odd_code [flows], without a body.
    seen: whether a node's minute is covered, [nodes, minutes]. renamed: container -> its new name;
    programs: container -> the program that runs in it instead of its usual one.
    """

    first: int
    minutes: int
    rate: Floats
    p_error: Floats
    p_none: Floats
    slow: Floats
    slow_in: Floats
    tail: Floats
    size: Floats
    code: NDArray[np.int64]
    signature: list[str]
    seen: NDArray[np.bool_]
    thin: float = 1.0
    renamed: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    p_usual: Floats | None = None
    odd: Floats | None = None
    odd_code: NDArray[np.int64] | None = None

    def answered(self, target: Any, part: Any, code: int) -> None:
        """From now on `part` of the good answers of the `target` flows is `code`."""
        if self.odd is None or self.odd_code is None:
            self.odd = np.zeros_like(self.rate)
            self.odd_code = np.full(self.rate.shape[0], 204)
        self.odd[target] = part
        self.odd_code[target] = code

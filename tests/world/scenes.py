"""Scenes that a person on call may meet, and what may be said of them.

Times are minutes after noon; the hour asked about is 0 to 60, the one before it -60 to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from tests.world.rows import Batch
from tests.world.steady import Recording, at, traffic

Record = Callable[..., Recording]
FAILING: Final = ("errors", "statuses", "no_response")
CHARGE: Final[dict[str, Any]] = {"host": "pay.example", "route": "/charge"}
HOURS_9: Final = -600.0  # nine hours before the baseline
DAY: Final = -1440.0


def shop(per_hour: float, from_: float = -60.0, to: float = 60.0) -> list[Batch]:
    """Three containers and four hosts that do well: half a percent fails."""
    lines = [
        ("shop.example", "/", "ingress", "web", 0.3),
        ("shop.example", "/search", "ingress", "web", 0.2),
        ("cart.internal", "/carts/{id}", "egress-internal", "web", 0.2),
        ("stock.internal", "/stock/{id}", "egress-internal", "cart", 0.2),
        ("mail.example", "/send", "egress-external", "mailer", 0.1),
    ]
    return [
        traffic(
            host, route, share * per_hour, failing=0.005, direction=direction,
            container=container, from_=from_, to=to,
        )
        for host, route, direction, container, share in lines
    ]  # fmt: skip


def slugs(from_: float) -> list[Batch]:
    """Six new articles an hour, each read for an hour and a half."""
    titles = ("school-reform-vote", "harbour-bridge-opens", "late-frost-in-may")
    return [
        traffic(
            "news.example", f"/2026/11/{titles[n % 3]}-{chr(107 + n // 5)}{chr(97 + n % 5)}",
            200, direction="ingress", from_=from_ + 10 * n, to=from_ + 10 * n + 90,
        )
        for n in range(-9, int((60 - from_) // 10))
    ]  # fmt: skip


def probe(from_: float = -60.0) -> Batch:
    return traffic("status.internal", "/ping", 60, direction="ingress", from_=from_)


def step(minute: float, before: float, after: float) -> Callable[[Any], Any]:
    return lambda minutes: np.where(minutes >= minute, after, before)


def charges(per_hour: float, before: float, after: float, since: float = 15, **more: Any) -> Batch:
    """Calls to a payment provider that fail otherwise from a minute on."""
    more = {"container": "pay", "method": "POST", "status": 503, **more}
    return traffic(**CHARGE, per_hour=per_hour, failing=step(since, before, after), **more)


def first(document: dict[str, Any]) -> dict[str, Any]:
    assert document["verdict"] == "changed", document["notes"]
    finding: dict[str, Any] = document["findings"][0]
    return finding


def says(
    finding: dict[str, Any],
    kinds: Sequence[str] = FAILING,
    key: dict[str, Any] | None = None,
    direction: str | None = None,
    severity: str | None = None,
    since: float | None = None,
) -> None:
    """A finding of one of the kinds, under this key at least, since that minute or so."""
    assert finding["kind"] in kinds, finding["summary"]
    assert (key or {}).items() <= finding["key"].items(), finding["summary"]
    assert direction in (None, finding["direction"]), finding["summary"]
    assert severity in (None, finding["severity"]), finding["summary"]
    if since is not None:
        assert abs(minute(finding["since"]) - since) <= 2, finding["summary"]


def minute(moment: str) -> float:
    return (datetime.fromisoformat(moment) - at(0)) / timedelta(minutes=1)


def quiet(document: dict[str, Any]) -> None:
    assert [f["summary"] for f in document["findings"]] == []
    assert document["verdict"] == "nothing_changed"


def codes(document: dict[str, Any]) -> set[str]:
    return {note["code"] for note in document["notes"]}

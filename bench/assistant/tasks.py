"""Incidents as tasks: what a customer says, what is the cause, and what must not be blamed.

They happen in the shop of the recorded streams (tests.world), with blemishes that no fixture has;
one hour as ever, then the hour of the incident. One task is peace: the right answer is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from recorder.options import RecordOptions
from recorder.replay import replay
from store.layout import Store
from store.marks import add_mark
from tests.world.incidents import QUIET
from tests.world.model import Call, Change, Endpoint, Source, World
from tests.world.scenarios import START, frames, write_stream
from tests.world.shop import SOURCES, WORLD

BEGIN: Final = datetime.fromtimestamp(START / 1e9, UTC)
NOW: Final = BEGIN + timedelta(hours=2)
REQUESTS: Final = 12_000


@dataclass(frozen=True)
class Task:
    """One incident. cause: of each group one word has to be in the answer's cause, no word of
    `innocent` may; since: when it began, None in peace."""

    name: str
    symptom: str
    cause: tuple[tuple[str, ...], ...]
    innocent: tuple[str, ...]
    since: datetime | None
    seed: int
    changes: tuple[Change, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    sources: tuple[Source, ...] = SOURCES
    mark: str = ""

    def build(self, folder: Path) -> Path:
        """The recording of it, made in `folder` where it is not there yet."""
        path = folder / self.name
        if path.is_dir():
            return path
        endpoints = {**WORLD.endpoints, **{one.name: one for one in self.endpoints}}
        world = World(WORLD.services, endpoints)
        scenario = replace(
            QUIET, name=self.name, world=world, sources=self.sources, seed=self.seed,
            requests=REQUESTS, changes=self.changes, expected=None, story=(),
        )  # fmt: skip
        stream = folder / f"{self.name}.sse.gz"
        write_stream(stream, frames(scenario))
        replay([stream], RecordOptions(store=path, recorder="shop"))
        stream.unlink()
        if self.mark:
            add_mark(Store.open(path), self.mark, _minute(0))
        return path

    def right(self, answer: str) -> bool:
        """Whether the cause that the answer names, in its last line `CAUSE: …`, is right."""
        lines = re.findall(r"^CAUSE:(.*)$", answer, re.MULTILINE)
        said = lines[-1].lower() if lines else ""
        named = all(any(word in said for word in words) for words in self.cause)
        return bool(said.strip()) and named and not any(word in said for word in self.innocent)

    def dated(self, answer: str) -> bool:
        """Whether the answer says when it began, within three minutes (`SINCE: 13:25`)."""
        times = re.findall(r"^SINCE:.*?(\d\d):(\d\d)", answer, re.MULTILINE)
        if self.since is None or not times:
            return self.since is None
        hour, minute = map(int, times[-1])
        off = self.since.replace(hour=hour, minute=minute) - self.since
        return abs(off) <= timedelta(minutes=3)


def _minute(number: float) -> datetime:
    return BEGIN + timedelta(hours=1, minutes=number)


def _after(minute: float) -> float:
    return 3600 + 60 * minute


def _swapped(name: str, at: float, other: str) -> tuple[Source, ...]:
    """The sources, but that one endpoint is another from then on."""
    [old] = [one for one in SOURCES if one.endpoint == name]
    kept = (one for one in SOURCES if one.endpoint != name)
    return (*kept, replace(old, stop=at), replace(old, endpoint=other, start=at))


_PAGE: Final = {
    "product": "{product}", "title": "{words}", "price": "{price}", "stock": "{stock}",
    "description": " ".join(f"{{words{n}}}" for n in range(20)),
    "images": [f"/media/{{slug{n}}}.webp" for n in range(6)],
}  # fmt: skip
_PAGES: Final = tuple(
    replace(WORLD.endpoints[name], response=_PAGE)
    for name in ("shop.product", "storefront.product")
)
_EMPTY: Final = (
    *_PAGES,
    replace(WORLD.endpoints["shop.product"], name="shop.empty", response={},
            calls=(Call("storefront.empty", 1, 502),)),
    replace(WORLD.endpoints["storefront.product"], name="storefront.empty", response={}),
)  # fmt: skip

TASKS: Final[Sequence[Task]] = (
    Task(
        "checkout-slow",
        "Customers say that checking out has become sluggish. What is it, and since when?",
        (("/v1/reservations", "inventory-service"), ("slow", "latency", "p95", "ms")),
        ("stripe", "taxjar", "easypost", "auth-service"),
        _minute(25), 101,
        changes=(Change("inventory.reserve", _after(25), slower=30.0),),
    ),
    Task(
        "no-mail",
        "Customers have stopped getting order confirmations by e-mail. Why?",
        (("sendgrid",), ("429",)),
        ("twilio", "slack", "order-service"),
        _minute(30), 102,
        changes=(Change("sendgrid.send", _after(30), statuses={429: 0.97, 202: 0.03},
                        errors={429: {"errors": [{"message": "Maximum credits exceeded"}]}}),),
    ),
    Task(
        "empty-pages",
        "Product pages are blank for everybody, but nothing is red on our dashboards.",
        (("/products/", "storefront"), ("size", "byte", "small", "empty", "body")),
        ("inventory-service", "acme-media", "recommendation"),
        _minute(15), 103,
        endpoints=_EMPTY, sources=_swapped("shop.product", _after(15), "shop.empty"),
    ),
    Task(
        "baskets",
        "Now and then putting something into the basket fails. Which service is it?",
        (("cart-service", "/v1/carts"), ("503",)),
        ("redis", "inventory-service", "storefront:"),
        _minute(10), 104,
        changes=(Change("cart.add", _after(10), statuses={201: 0.6, 503: 0.4},
                        errors={503: {"detail": "no healthy upstream"}}),),
    ),
    Task(
        "stale-rates",
        "Prices in dollars have not moved since some time after lunch. What happened?",
        (("exchangeratesapi",), ("gone", "stopped", "no longer", "silent")),
        ("taxjar", "stripe"),
        _minute(20), 105,
        sources=(*(one for one in SOURCES if one.endpoint != "rates.latest"),
                 Source("rates.latest", 180, "every", stop=_after(20))),
    ),
    Task(
        "peace",
        "We rolled out a new version at 13:00 (mark: release 61). Is anything broken?",
        (("nothing",),), ("failing", "slower", "gone"),
        None, 106, mark="release 61",
    ),
)  # fmt: skip

"""Small recordings for questions about a comparison: each line of traffic a call, all of it steady.

Minutes count from NOON, which is where the hour asked about begins; those before it are negative.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from queries.core.answer import to_document
from queries.core.window import Asked, resolve_windows
from queries.diff.what_changed import what_changed
from store.hours import from_us, to_us
from store.layout import Store
from tests.world.rows import SESSION, Batch, cover, joined, write_rows

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
MINUTE_US: Final = 60_000_000
RECORDER: Final = "web-1"
Level = float | Callable[[Any], Any]  # a number, or what it is at each minute


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def traffic(
    host: str = "shop.example",
    route: str = "/",
    per_hour: Level = 600.0,
    *,
    failing: Level = 0.0,
    from_: float = -60.0,
    to: float = 60.0,
    method: str = "GET",
    ok: int = 200,
    status: int | None = 500,
    ms: Level = 40.0,
    spread: float = 0.4,
    size: float = 2000.0,
    container: str | None = "web",
    pod: str | None = None,
    direction: str = "egress-external",
    only: tuple[int, int] | None = None,
    **more: Any,
) -> Batch:
    """One line of traffic from minute `from_` up to `to`: as many requests as a Poisson process of
    that rate gives, of which the share `failing` ends as `status` (None: no response).

    only: (a, b): a minute has traffic if it is a modulo b. more: further columns; `grpc_status` is
    that of the failures, which keep the good status, and `signature` their error. The same line
    gives the same rows whenever it is asked for.
    """
    text = f"{host} {route} {method} {ok} {status} {container} {pod} {direction} {from_} {to}"
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    minutes = np.arange(np.floor(from_), np.ceil(to))
    rate = np.broadcast_to(_level(per_hour, minutes), minutes.shape) / 60
    if only is not None:
        rate = np.where(minutes % only[1] == only[0], rate, 0.0)
    when: Any = np.repeat(minutes, rng.poisson(rate))
    when = when + rng.random(when.size)
    when = when[(when >= from_) & (when < to)]
    bad = rng.random(when.size) < _level(failing, when)
    took = _level(ms, when) * np.exp(spread * rng.standard_normal(when.size))
    took = np.maximum(np.rint(took), 1)
    grpc, signature = more.pop("grpc_status", None), more.pop("signature", None)
    name = {
        "host": host, "route": route, "path": route, "method": method, "status": ok,
        "direction": direction, "container_name": container, "pod_name": pod,
        "process_exe": f"/app/{container}", **more,
    }  # fmt: skip
    fails = {**name, "status": status, "error_signature": signature}
    if grpc is not None:
        name["grpc_status"], fails = "0", {**name, "grpc_status": grpc}
    return Batch(
        (name, fails),
        bad.astype(np.int64),
        to_us(NOON) + np.rint(when * MINUTE_US).astype(np.int64),
        np.where(bad & (grpc is None) & (status is None), -1, took).astype(np.int64),
        np.where(bad, 150, size * np.exp(0.1 * rng.standard_normal(when.size))).astype(np.int64),
    )


def _level(level: Level, minutes: Any) -> Any:
    return level(minutes) if callable(level) else level


def calls(host: str, route: str, per_hour: Level, caller: str, callee: str, **more: Any) -> Batch:
    """Calls inside the system, seen at both ends; served by the container `callee`."""
    out = traffic(
        host, route, per_hour, container=caller, direction="egress-internal", **more
    )  # fmt: skip
    [name, fails] = out.names
    served = {"direction": "ingress", "container_name": callee, "process_exe": f"/app/{callee}"}
    inside = Batch(({**name, **served}, {**fails, **served}), out.name, out.ts, out.ms, out.size)
    return joined([out, inside])


class Recording:
    """A store of one recorder that saw everything from the first minute to the last one."""

    def __init__(
        self, path: Path, lines: Iterable[Batch], from_: float = -60.0, to: float = 60.0
    ) -> None:
        self.rows = joined(lines).between(to_us(at(from_)), to_us(at(to)))
        order = np.argsort(self.rows.ts, kind="stable")
        self.rows = self.rows.where(order)
        self.store = Store.create(path)
        write_rows(self.store, RECORDER, self.rows)
        cover(self.store, RECORDER, [(to_us(at(from_)), to_us(at(to)))])

    def diff(self, now: float = 60.0, explain: str | None = None, **asked: Any) -> Any:
        """The document of `qrec diff`, asked at a minute."""
        window, baseline = resolve_windows(Asked(**asked), at(now), UTC)
        return to_document(what_changed(self.store, window, baseline, explain=explain))

    def row(self, transaction: str) -> tuple[float, int]:
        """(minute, ms) of a transaction, by the id that an answer gives."""
        recorder, session, seq = transaction.split(":")
        assert (recorder, session) == (RECORDER, SESSION)
        place = int(seq) - 1
        return (
            (from_us(int(self.rows.ts[place])) - NOON) / timedelta(minutes=1),
            int(self.rows.ms[place]),
        )

    def count(self, from_: float, to: float) -> int:
        return len(self.rows.between(to_us(at(from_)), to_us(at(to))))

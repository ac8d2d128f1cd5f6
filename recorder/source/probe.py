"""Asking a live source who it is and what it honours, without being a burden to it.

A probe never asks for the snapshot of processes: hanging up while Qtap sends that could end it.
Everything is bounded in time, whatever the other side does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import filters
from recorder.decode.events import CONNECTED, decode, knows_filters
from recorder.source.request import Subscription
from recorder.source.subscription import LinkError, Stream, hang_up, open_stream

TRANSACTION = "request.http_transaction"
_AFTERMATH_S = 1.0  # how long the slower subscriptions may take to bring what the first one has
_ENOUGH = 300  # transactions after which more would tell nothing new

T = TypeVar("T")


@dataclass(frozen=True)
class Greeting:
    """A source's first event. `ahead_s`: its clock against ours; None where it tells no time."""

    filters: bool  # whether it knows any
    connected: bool  # the first event was system.connected
    ahead_s: float | None


def greet(url: str, condition: str | None = None, seconds: float = 5.0) -> Greeting:
    """Subscribe, read one event, hang up. LinkError when that fails or takes too long."""
    return _within(seconds, lambda: _greet(url, condition, seconds))


def _greet(url: str, condition: str | None, seconds: float) -> Greeting:
    asked = Subscription(url, condition, headers_s=seconds)
    with open_stream(asked) as response:
        for name, data in response.events():
            here = time.time()
            ts = decode(name, data).ts
            ahead = None if ts is None else ts / 1e6 - here
            return Greeting(knows_filters(data), name == CONNECTED, ahead)
    raise LinkError("ended", "it ended the stream without a word")


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The work's result, or LinkError after so long: a byte a minute resets a socket's timeout."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds + 1.0)
    if errors:
        raise errors[0]
    if not results:
        raise LinkError("timeout", f"no event within {seconds:g} s")
    return results[0]


@dataclass(frozen=True)
class Condition:
    """A filter to try: `name` is what it is about, `text` goes to the source."""

    name: str
    text: str


@dataclass(frozen=True)
class Honoured:
    """What became of a condition, counted over the transactions that everybody could see.

    expected: those for which it holds as Qtap's language has it; missing: of these, not sent;
    extra: sent although it does not hold; refused: why the source would not take it at all.
    """

    condition: Condition
    expected: int = 0
    missing: int = 0
    extra: int = 0
    refused: str = ""


@dataclass
class _Listener:
    """One subscription of a probe: the ids of the transactions that it was sent."""

    condition: Condition | None
    ids: set[str] = field(default_factory=set)
    since: int | None = None  # the source's time at its beginning, µs
    refused: str = ""
    up: threading.Event = field(default_factory=threading.Event)
    response: Stream | None = None


class Probe:
    """Compares what a source sends under several conditions with what it sends without any."""

    def __init__(self, url: str, conditions: Sequence[Condition]) -> None:
        self._url = url
        self._listeners = [_Listener(one) for one in conditions]
        self._all = _Listener(None)
        self._holds = [filters.predicate(filters.parse(c.text), "qtap") for c in conditions]
        self._seen: dict[str, tuple[int, list[bool]]] = {}  # id: broadcast time, what holds
        self._done = threading.Event()

    def run(self, seconds: float) -> tuple[int, list[Honoured]]:
        """(transactions compared, what became of each condition). LinkError as `greet`."""
        everybody = [self._all, *self._listeners]
        threads = [threading.Thread(target=self._listen, args=(one,), daemon=True)
                   for one in everybody]  # fmt: skip
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        for one in everybody:
            one.up.wait(max(0.0, deadline - time.monotonic()))
        if self._all.since is None:
            raise LinkError("broken", self._all.refused or "no event in time")
        self._done.wait(max(0.0, deadline - time.monotonic()))
        compared = self._compared()
        self._wait_for(compared)
        result = [self._verdict(at, compared) for at in range(len(self._listeners))]
        for one in everybody:
            if one.response is not None:
                hang_up(one.response)
        for thread in threads:
            thread.join(1.0)
        return len(compared), result

    def _listen(self, listener: _Listener) -> None:
        text = listener.condition.text if listener.condition else None
        try:
            with open_stream(Subscription(self._url, text)) as response:
                listener.response = response
                for name, data in response.events():
                    self._hear(listener, name, data)
        except LinkError as error:
            listener.refused = "" if listener.up.is_set() else error.text
        except Exception as error:  # hanging up breaks a read in many ways
            listener.refused = "" if listener.up.is_set() else type(error).__name__
        finally:
            listener.up.set()
            if listener is self._all:
                self._done.set()

    def _hear(self, listener: _Listener, name: str, data: str) -> None:
        decoded = decode(name, data)
        if name == CONNECTED:
            listener.since = decoded.ts
            listener.up.set()
        if name != TRANSACTION or decoded.row is None or decoded.row.request_id is None:
            return
        tx = decoded.row
        listener.ids.add(tx.request_id)
        if listener is self._all and decoded.ts is not None:
            fields = filters.Row(tx)
            self._seen[tx.request_id] = decoded.ts, [holds(fields) for holds in self._holds]
            if len(self._seen) >= _ENOUGH:
                self._done.set()

    def _compared(self) -> dict[str, list[bool]]:
        """What was broadcast after the last subscription stood: everybody had the chance."""
        since = max(one.since or 0 for one in [self._all, *self._listeners])
        return {key: holds for key, (ts, holds) in self._seen.copy().items() if ts >= since}

    def _wait_for(self, compared: dict[str, list[bool]]) -> None:
        deadline = time.monotonic() + _AFTERMATH_S
        while time.monotonic() < deadline:
            if not any(self._verdict(at, compared).missing for at in range(len(self._holds))):
                return
            time.sleep(0.02)

    def _verdict(self, at: int, compared: dict[str, list[bool]]) -> Honoured:
        listener = self._listeners[at]
        assert listener.condition is not None
        expected = {key for key, holds in compared.items() if holds[at]}
        sent = listener.ids & compared.keys()
        return Honoured(
            listener.condition, len(expected), len(expected - sent), len(sent - expected),
            listener.refused,
        )  # fmt: skip

"""The source: whether it answers, as what, what of a filter it takes, and who else may listen.

With --probe, which filters a live Qtap honours is seen from what it then sends. Its documentation
and its code disagree about this, and a field that never matches gives an empty stream in silence.
So ask: the same few seconds of traffic, with each condition and without any.

Nobody asks for the snapshot of processes: hanging up while Qtap sends that could end it. All is
bounded in time, whatever the other side does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import filters
from qrec.doctor import Check
from qrec.settings import is_loopback
from queries.core.format import plural, span
from recorder.decode.events import CONNECTED, decode, knows_filters
from recorder.source.request import Subscription, advice, check_url, shown
from recorder.source.subscription import LinkError, Stream, hang_up, open_stream
from store.errors import QrecError

_SKEW_S = 2.0  # windows end now, by this machine's clock
_LISTEN = "0A"
_TRANSACTION = "request.http_transaction"
_AFTERMATH_S = 1.0  # how long the slower subscriptions may take to bring what the first one has
_ENOUGH = 300  # transactions after which more would tell nothing new


@dataclass(frozen=True)
class Greeting:
    """A source's first event. `ahead_s`: its clock against ours; None where it tells no time."""

    filters: bool  # whether it knows any
    connected: bool  # the first event was system.connected
    ahead_s: float | None


def greet(url: str, condition: str | None = None, seconds: float = 5.0) -> Greeting:
    """Subscribe, read one event, hang up. LinkError when that fails or takes too long."""
    late = threading.Event()

    def hang_up_late(response: Stream) -> None:
        late.set()
        hang_up(response)

    with open_stream(Subscription(url, condition, headers_s=seconds)) as response:
        timer = threading.Timer(seconds, hang_up_late, [response])  # each byte sets a timeout back
        timer.start()
        try:
            for name, data in response.events():
                here = time.time()
                ts = decode(name, data).ts
                ahead = None if ts is None else ts / 1e6 - here
                return Greeting(knows_filters(data), name == CONNECTED, ahead)
        except LinkError:
            if not late.is_set():
                raise
        finally:
            timer.cancel()
    if late.is_set():
        raise LinkError("timeout", f"no event within {seconds:g} s")
    raise LinkError("ended", "it ended the stream without a word")


def greeted(url: str) -> Greeting:
    """The source's greeting. QrecError, with what to do, where there is none."""
    check_url(url)
    try:
        return greet(url)
    except LinkError as error:
        raise QrecError(f"{shown(url)}: {error.text}", advice(error.kind)) from None


def source(url: str, greeting: Greeting) -> Iterator[Check]:
    """Who answers, what its clock says, and whether others can reach it."""
    url = shown(url)
    facts = {"url": url, "filters": greeting.filters}
    if not greeting.connected:
        yield Check(
            "source", "warning", f"{url} streams events, but does not greet as Qtap does",
            "Check the address: this may be another program.", facts,
        )  # fmt: skip
    elif greeting.filters:
        yield Check("source", "ok", f"Qtap 0.14 or newer answers at {url}", facts=facts)
    else:
        text = f"Qtap before 0.14 answers at {url}; it knows no filters, so they are applied here"
        yield Check("source", "ok", text, facts=facts)
    if greeting.ahead_s is not None:
        yield _clock(greeting.ahead_s)
    if (open_to := _open_to_all(url)) is not None:
        yield _exposure(open_to)


def _clock(ahead: float) -> Check:
    facts = {"ahead_s": round(ahead, 3)}
    if abs(ahead) < _SKEW_S:
        return Check("clock", "ok", "the source's clock and this one agree", facts=facts)
    way = "ahead of" if ahead > 0 else "behind"
    return Check(
        "clock", "warning", f"the source's clock is {span(abs(ahead))} {way} this one",
        "Set both by NTP: windows end at this machine's now, and rows carry the source's time.",
        facts,
    )  # fmt: skip


def _exposure(port: int) -> Check:
    if port < 0:
        return Check("exposure", "ok", "the source listens on this machine only")
    return Check(
        "exposure", "warning",
        f"port {port} is open on every network interface: whoever reaches it reads the decrypted "
        "traffic of this host, without a password",
        f"Start Qtap with --httpd-listen 127.0.0.1:{port} (--status-listen in older versions), "
        "or close the port in the firewall.",
        {"port": port},
    )  # fmt: skip


def _open_to_all(url: str) -> int | None:
    """The port where it listens on all interfaces; -1 where not; None where it cannot be told."""
    parts = urlsplit(url)
    if not is_loopback(parts.hostname or ""):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = False
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except (OSError, ValueError):
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTEN and int(number, 16) == port:
                found = True
                if not int(address, 16):
                    return port
    return -1 if found else None


def filter_check(text: str, push: str, url: str, greeting: Greeting | None) -> Iterator[Check]:
    """Whether the filter is valid, how it is read, and what of it the source takes."""
    if not text:
        yield Check("filter", "ok", "no filter: every transaction is recorded")
        return
    try:
        expression = filters.parse(text)
        filters.check(expression, "record")
    except QrecError as error:
        remedy = error.hint or "Mend it where the caret stands; docs/filters.md has the language."
        yield Check("filter", "problem", error.message, remedy)
        return
    pushed = filters.pushable(expression, push)  # type: ignore[arg-type]
    facts = {"filter": text, "pushed": pushed, "reads": expression.pretty()}
    if pushed is not None and greeting is not None and greeting.filters:
        try:
            greet(url, pushed)
        except LinkError as error:
            said = f"the source does not take {pushed}: {error.text}"
            yield Check("filter", "problem", said, advice(error.kind), facts)
            return
    what = f"Qtap gets {pushed}" if pushed else "Qtap gets none of it: everything is sent here"
    remarks = filters.remarks(expression)
    doubtful = len(remarks) > expression.mixes
    yield Check(
        "filter", "warning" if doubtful else "ok", "; ".join(["valid", *remarks, what]),
        "Mend the part that is named; docs/filters.md has the language." if doubtful else "", facts,
    )  # fmt: skip


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
        if name != _TRANSACTION or decoded.row is None or decoded.row.request_id is None:
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


_NOTHING = "nothing"
_YOURS = "your filter"
_SAFE = ("req.method", "req.host", "res.status")
# Each holds wherever its field is there at all; `nothing` holds nowhere.
_CONDITIONS = (
    (_NOTHING, 'req.method == "QREC-PROBE"'),
    ("req.method", 'req.method != "QREC-PROBE"'),
    ("req.host", 'req.host != "probe.invalid"'),
    ("res.status", "res.status != 1"),
    ("container.name", 'container.name != "qrec-probe"'),
    ("direction", 'direction != "qrec-probe"'),
)


def conditions(pushed: str | None) -> list[Condition]:
    """What a probe tries; `pushed` is the part of a filter that a recording would send."""
    tried = [Condition(name, text) for name, text in _CONDITIONS]
    return tried + ([Condition(_YOURS, pushed)] if pushed else [])


def probed(
    url: str, greeting: Greeting, text: str, push: str, seconds: float
) -> Iterator[Check]:  # fmt: skip
    """Try the filter `text` and the fields of Qtap for at most so long, and say what it showed."""
    if not greeting.filters:
        yield Check("probe", "ok", "nothing to probe: a Qtap before 0.14 knows no filters")
        return
    pushed = filters.pushable(filters.parse(text), push) if text else None  # type: ignore[arg-type]
    try:
        count, results = Probe(url, conditions(pushed)).run(seconds)
    except LinkError as error:
        raise QrecError(f"{shown(url)}: {error.text}", "See the check of the source.") from None
    facts = {
        "transactions": count,
        "conditions": [
            {"name": one.condition.name, "text": one.condition.text, "expected": one.expected,
             "missing": one.missing, "extra": one.extra, "refused": one.refused or None}
            for one in results
        ],
    }  # fmt: skip
    if not count:
        yield Check(
            "probe", "warning", f"no transaction came by in {span(seconds)}: nothing to tell by",
            "Probe again under traffic, or for longer: --probe-for 30s.", facts,
        )  # fmt: skip
        return
    seen = f"by {plural(count, 'transaction')}"
    yield from meaning(results, seen, facts)


def meaning(results: Sequence[Honoured], seen: str, facts: dict[str, object]) -> Iterator[Check]:
    by_name = {one.condition.name: one for one in results}
    if by_name[_NOTHING].extra:
        yield Check(
            "probe", "warning", f"{seen}, Qtap sends what a filter excludes: it applies none",
            "Nothing is wrong with recordings (the filter is applied here); --push none says so.",
            facts,
        )  # fmt: skip
        return
    bad = [one for name, one in by_name.items() if name in (*_SAFE, _YOURS) and not _good(one)]
    if bad:
        yield Check(
            "probe", "problem", f"{seen}: {'; '.join(_fault(one) for one in bad)}",
            "Record with --push none: a pushed filter would lose transactions in silence.", facts,
        )  # fmt: skip
        return
    more = [
        _beyond(one) for name, one in by_name.items() if name in ("container.name", "direction")
    ]
    honoured = [name for name in _SAFE if by_name[name].expected]
    yield Check("probe", "ok", f"{seen}: Qtap honours {', '.join(honoured)}; {'; '.join(more)}",
                facts=facts)  # fmt: skip


def _good(one: Honoured) -> bool:
    return not (one.refused or one.missing or one.extra)


def _fault(one: Honoured) -> str:
    if one.refused:
        return f"{one.condition.text} is refused ({one.refused})"
    parts = [f"{one.missing:,} of {one.expected:,} not sent" if one.missing else "",
             f"{one.extra:,} sent that it excludes" if one.extra else ""]  # fmt: skip
    return f"{one.condition.text}: {', '.join(part for part in parts if part)}"


def _beyond(one: Honoured) -> str:
    """A field that is documented, and by Qtap's code never matches."""
    name = one.condition.name
    if one.refused:
        return f"it refuses {name}"
    if not one.expected:
        return f"nothing had {name} to tell by"
    if one.missing == one.expected:
        return f"{name} never matches, so do not use --push all"
    return f"{name} works as well" if _good(one) else _fault(one)

"""The ledger of a recording: the source's clock, and what could be seen of it, stretch by stretch.

Coverage is told in the source's time, carried on by a monotonic clock between events. So a wall
clock that steps, here or there, neither tears a hole into coverage nor papers over one, and a
recording that is replayed covers the hours of which it tells, not the seconds it took.

A file of coverage is replaced as its stretches grow; a crash leaves the one of the flush before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from recorder.write.intake import Connected, Part
from recorder.write.loss import LossEstimator
from store.coverage import (
    CLOCK_STEPPED,
    KILLED,
    LATE_EVENTS,
    NOT_RUNNING,
    SEEING,
    SILENT,
    UNREADABLE,
    Stretch,
    coverage_file,
    read_stretches,
    write_stretches,
)
from store.hours import HOUR_US, hour_key
from store.layout import Store

COUNTERS = (
    "events", "rejected", "duplicates", "filtered", "other", "bodies_shed", "dropped",
)  # fmt: skip
_LAGGING_US, _CAUGHT_UP_US = 2_000_000, 500_000
_MINUTE_US, _DAY_US = 60_000_000, 24 * HOUR_US
# An event this far from where the clock should be is a lone oddity, until several agree.
_BACK_US, _FORWARD_US = _MINUTE_US, 10 * _MINUTE_US
_AGREE = 5
_LAG_MINUTES = 10  # lag is told against the quickest event of so long: clocks drift and step
_LONGEST_US = 7 * _DAY_US  # no link is silent for longer and still good
_REMEMBERED = 3  # hours whose files are kept in memory
DISK_FULL = "disk_full"
_SILENT_US = _MINUTE_US
_SLEPT = "nothing was heard: the machine slept, or the recorder stood still"
_STEPPED = "the source's clock stepped"


class SourceClock:
    """Microseconds since the epoch at the source. `mono` is this machine's monotonic clock, µs."""

    def __init__(self, ts: int, mono: int) -> None:
        self.lag_us = 0
        self._begin(ts, mono)

    def _begin(self, ts: int, mono: int) -> None:
        self.ts = ts
        self._mono = mono
        self._odd = 0
        # The least of `mono - ts` of each minute, by the minute: what the quickest events take.
        self._offsets = deque([(mono // _MINUTE_US, mono - ts)], maxlen=_LAG_MINUTES)
        self._offset = mono - ts

    def now(self, mono: int) -> int:
        return self.ts + max(0, mono - self._mono)

    def observe(self, ts: int, mono: int) -> bool:
        """Take an event's broadcast time. False when the clock stepped: a new stretch begins."""
        if ts < self.ts - _BACK_US or ts > self.now(mono) + _FORWARD_US:
            self._odd += 1
            if self._odd < _AGREE:
                return True
            self._begin(ts, mono)
            return False
        self._odd = 0
        if ts > self.ts:
            self.ts, self._mono = ts, mono
        self._take_offset(mono // _MINUTE_US, mono - ts)
        self.lag_us = mono - ts - self._offset
        return True

    def _take_offset(self, minute: int, offset: int) -> None:
        newest, least = self._offsets[-1]
        if minute <= newest:
            if offset < least:
                self._offsets[-1] = newest, offset
                self._offset = min(self._offset, offset)
            return
        self._offsets.append((minute, offset))
        while self._offsets[0][0] <= minute - _LAG_MINUTES:
            self._offsets.popleft()
        self._offset = min(least for _, least in self._offsets)


class Ledger:
    """The coverage of one recorder's run. Counters belong to the stretch in which they arose."""

    def __init__(
        self,
        store: Store,
        recorder: str,
        session: str,
        filter_: str | None = None,
        pushed: str | None = None,
        topics: Sequence[str] = ("http",),
        group: str | None = None,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._session = session
        self._filter = filter_
        self._pushed = pushed
        self._topics = list(topics)
        self._group = group
        self._hours: dict[str, list[Stretch]] = {}
        self._dirty: set[str] = set()
        self._lost: deque[tuple[str, str]] = deque()
        self._heard = 0
        self._loss = LossEstimator()
        self.clock: SourceClock | None = None
        self.open: Stretch | None = None
        self.connection = False  # whether a stream is open, whatever the disk does meanwhile
        self.gaps = 0
        # Undecided are events among the filtered that lack a field of the filter.
        self.totals = dict.fromkeys((*COUNTERS, "undecided"), 0)

    def state(self) -> str:
        return self.open.state if self.open else "stopped"

    def connected(self, ts: int, mono: int) -> None:
        """The stream runs from `ts` on. A new connection's time is believed at once.

        Where it lies more than a day from what it should be, the clock stepped meanwhile, and
        the time between belongs to nobody. (A recording that is replayed has no time of its own.)
        """
        self.connection = True
        self._heard = mono
        self._loss.restart()
        due = self.clock.now(mono) if self.clock is not None and mono else ts
        stepped = abs(ts - due) > _DAY_US
        self._extend(due if stepped else ts)
        self.clock = SourceClock(ts, mono)
        if stepped:
            self._begin("receiving", _STEPPED, ts, CLOCK_STEPPED)
        else:
            self._begin("receiving", None, ts)

    def nothing_pushed(self) -> None:
        """The source turned out to apply no filter; here the whole of it is."""
        self._pushed = None
        if self.open is not None:
            self.open.pushed = None

    def observe(self, ts: int | None, mono: int, *, newest: bool = True) -> None:
        """An event was broadcast at `ts` (source) and arrived at `mono`; where others came with it,
        the `newest` of them tells how late the stream is: the others only gathered here."""
        if ts is None or self.clock is None or self.open is None:
            return
        before = self.clock.ts
        if not self.clock.observe(ts, mono):
            self._extend(before)  # what was seen before the step was seen
            self._begin("receiving", _STEPPED, ts, CLOCK_STEPPED)
        if not newest:
            return
        lag = self.clock.lag_us
        if lag > self.open.max_lag_ms * 1000:
            self.open.max_lag_ms = lag // 1000
        if lag > _LAGGING_US and self.open.state == "receiving":
            late = "events arrive late: the source may be dropping some"
            self.change("lagging", late, mono, LATE_EVENTS)
        elif lag < _CAUGHT_UP_US and self.open.state == "lagging":
            self.change("receiving", None, mono)

    def heard(self, mono: int) -> None:
        """A sign of life came at `mono`. There is one every few seconds: where none was for longer,
        the machine slept or the recorder stood still, and what passed meanwhile is not seen. (Of a
        recording that is replayed nothing is heard.)"""
        if not self._heard:
            return
        silent = mono - self._heard > _SILENT_US
        self._heard = max(self._heard, mono)
        if silent and self.clock is not None and self.open is not None:
            if self.open.state in SEEING:
                to = self.clock.now(mono)
                self.gaps += 1
                self._begin("disconnected", _SLEPT, self.open.to_ts, SILENT)
                self._reach(max(to, self.open.to_ts))
                self._begin("receiving", None, self.open.to_ts)
            self._loss.restart()

    def alive(self, mono: int) -> None:
        """The link is known to be good at `mono`, events or none: coverage reaches to there."""
        self.heard(mono)
        if self.clock is not None and self.open is not None:
            self._extend(self.clock.now(mono))
            self.estimate({}, mono)  # in silence, too, what came before it settles

    def refused(self, why: str, mono: int) -> bool:
        """The disk takes no writes: what comes now may not be kept. True when that is news."""
        if self.state() not in SEEING:
            return False
        self.change(DISK_FULL, f"writing failed: {why}", mono)
        return True

    def accepted(self, mono: int) -> None:
        """The disk takes writes."""
        if self.state() == DISK_FULL:
            self.change("receiving", "the disk takes writes again", mono)

    def lost(self, reason: str, mono: int) -> None:
        """The stream is gone; what the disk does matters no more until it is back."""
        self.connection = False
        self.change("disconnected", reason, mono)

    def change(self, state: str, reason: str | None, mono: int, code: str | None = None) -> None:
        """Go over into another state at `mono`; `code` where the reason is more than the state.

        A stretch that sees ends where the link was last known to be good; one that does not see
        ends now.
        """
        if self.clock is None or self.open is None:
            return
        if (self.open.state, self.open.reason) == (state, reason):
            return
        if self.open.state not in SEEING or state in SEEING:
            self._extend(self.clock.now(mono))
        if self.open.state in SEEING and state not in SEEING and state != "stopped":
            self.gaps += 1  # the end of a run is none
        self._begin(state, reason, self.open.to_ts, code)

    def count(self, name: str, amount: int = 1) -> None:
        if amount:
            self.totals[name] += amount
        if self.open is not None and amount and name in COUNTERS:
            setattr(self.open, name, getattr(self.open, name) + amount)
            self._dirty.add(hour_key(self.open.from_ts))

    def estimate(self, numbers: Mapping[int, Sequence[int]], mono: int) -> None:
        """Take the numbers of events that arrived at `mono`, and count what seems to be missing.

        A source that filters sends some numbers only: that tells nothing.
        """
        if self._pushed is not None or self.open is None:
            return
        dropped, basis = self._loss.observe(numbers, mono), self._loss.basis
        if basis is not None:
            self.open.dropped_estimate = (self.open.dropped_estimate or 0) + dropped
            self.open.dropped_basis = basis
            if dropped:
                self._dirty.add(hour_key(self.open.from_ts))

    def carry_on(self, previous: Stretch | None, ts: int) -> None:
        """Write down the time since the run before this one as a stretch of its own."""
        if previous is None or previous.to_ts >= ts:
            return
        reason, code = "the recorder ended without a word (killed or crashed)", KILLED
        if previous.state == "stopped":
            reason, code = "not running", NOT_RUNNING
        stretch = Stretch(
            self._recorder, self._session, previous.to_ts, ts, "stopped", reason, code,
            group_name=self._group,
        )  # fmt: skip
        self._keep(stretch)
        self.gaps += 1

    def lose(self, hour: str, reason: str) -> None:
        """What was seen of an hour can no longer be read; any thread may say so."""
        self._lost.append((hour, reason))

    def flush(self) -> None:
        """Write every hour that changed. OSError when the disk refuses; then nothing is lost."""
        while self._lost:
            self._mark_lost(*self._lost.popleft())
        for hour in sorted(self._dirty):
            write_stretches(coverage_file(self._store, hour, self._recorder), self._rows(hour))
            self._dirty.discard(hour)
        if self.open is not None:  # what grows must never be read anew, as a copy
            self._rows(hour_key(self.open.from_ts))
        used = list(self._hours)[-_REMEMBERED:]
        self._hours = {hour: self._hours[hour] for hour in used}

    def _mark_lost(self, hour: str, reason: str) -> None:
        for stretch in self._rows(hour):
            if stretch.state in SEEING and stretch is not self.open:
                stretch.state, stretch.reason, stretch.reason_code = "lost", reason, UNREADABLE
                self._dirty.add(hour)

    def _begin(self, state: str, reason: str | None, ts: int, code: str | None = None) -> None:
        if reason is not None and code is None:
            code = state
        self.open = Stretch(
            self._recorder, self._session, ts, ts, state, reason, code,
            self._filter, self._pushed, self._topics, group_name=self._group,
        )  # fmt: skip
        self._keep(self.open)

    def _keep(self, stretch: Stretch) -> None:
        hour = hour_key(stretch.from_ts)
        self._rows(hour).append(stretch)
        self._dirty.add(hour)

    def _extend(self, to: int) -> None:
        """Let the open stretch reach to `to`: one that sees in pieces that each lie in one hour."""
        if self.open is None or to <= self.open.to_ts:
            return
        if self.open.state in SEEING and to - self.open.to_ts > _LONGEST_US:
            state, reason, code = self.open.state, self.open.reason, self.open.reason_code
            self._begin("disconnected", "nothing was heard for days", self.open.to_ts, SILENT)
            self._reach(to)
            self._begin(state, reason, to, code)
        elif self.open.state in SEEING:
            while to > (end := (self.open.from_ts // HOUR_US + 1) * HOUR_US):
                self._reach(end)
                self._begin(self.open.state, self.open.reason, end, self.open.reason_code)
            self._reach(to)
        else:
            self._reach(to)

    def _reach(self, to: int) -> None:
        assert self.open is not None
        self.open.to_ts = to
        self._dirty.add(hour_key(self.open.from_ts))

    def _rows(self, hour: str) -> list[Stretch]:
        """The stretches of an hour; the hours used last stay in memory."""
        stretches = self._hours.pop(hour, None)
        if stretches is None:
            try:
                stretches = read_stretches(coverage_file(self._store, hour, self._recorder))
            except (OSError, pa.ArrowInvalid):
                stretches = []
        self._hours[hour] = stretches
        return stretches


def count(
    ledger: Ledger,
    parts: Iterable[Part],
    mono: int,
    on_connected: Callable[[str], None] = lambda data: None,
) -> None:
    """Tell the ledger of events of which the last arrived at `mono` (µs, monotonic)."""
    for part in parts:
        if isinstance(part, Connected):
            _connected(ledger, part.ts, mono)
            on_connected(part.data)
            continue
        if not ledger.connection:  # a stream that does not say how it begins
            _connected(ledger, part.times[0] if part.times else None, mono)
        ledger.heard(mono)
        for place, ts in enumerate(part.times, 1):
            ledger.observe(ts, mono, newest=place == len(part.times))
        for name, amount in part.counts.items():
            ledger.count(name, amount)
        ledger.estimate(part.numbers, mono)
    ledger.alive(mono)


def _connected(ledger: Ledger, ts: int | None, mono: int) -> None:
    """A stream begins: Qtap says so first, with an echo of the topics it understood."""
    if ts is None:
        ts = time.time_ns() // 1000
    if ledger.connection:  # a recording of several connections, one after the other
        ledger.alive(mono)
        ledger.lost("the recording was interrupted here", mono)
    ledger.connected(ts, mono)

"""What the recorder could see and what not, stretch by stretch, and kept as data.

A stretch is a time in one state under one filter. It is written a file an hour and recorder, and
that file is replaced as the stretch grows; a crash leaves the one of the flush before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.write.clock import SourceClock
from store import Store
from store.files import make_folder, replacing
from store.hours import HOUR_US, hour_key
from store.schema import COVERAGE

SEEING = frozenset({"receiving", "lagging"})
_LAGGING_US, _CAUGHT_UP_US = 2_000_000, 500_000
COUNTERS = (
    "events", "rejected", "duplicates", "filtered", "other", "bodies_shed", "dropped",
)  # fmt: skip


@dataclass
class Stretch:
    """One row of coverage; times are microseconds since the epoch at the source."""

    recorder: str
    session: str
    from_ts: int
    to_ts: int
    state: str
    reason: str | None = None
    filter: str | None = None
    pushed: str | None = None
    topics: list[str] = field(default_factory=list)
    events: int = 0
    rejected: int = 0
    duplicates: int = 0
    filtered: int = 0
    other: int = 0
    bodies_shed: int = 0
    dropped: int = 0
    max_lag_ms: int = 0
    dropped_estimate: int | None = None


def read_stretches(path: Any) -> list[Stretch]:
    """The stretches of one coverage file; FileNotFoundError and pa.ArrowInvalid as they come."""
    rows = pq.read_table(path, partitioning=None).select(COVERAGE.names)
    whole = rows.set_column(2, "from_ts", rows["from_ts"].cast(pa.int64())).set_column(
        3, "to_ts", rows["to_ts"].cast(pa.int64())
    )
    return [Stretch(**row) for row in whole.to_pylist()]


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
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._session = session
        self._filter = filter_
        self._pushed = pushed
        self._topics = list(topics)
        self._hours: dict[str, list[Stretch]] = {}
        self._dirty: set[str] = set()
        self.clock: SourceClock | None = None
        self.open: Stretch | None = None
        self.connection = False  # whether a stream is open, whatever the disk does meanwhile
        self.gaps = 0
        self.totals = dict.fromkeys(COUNTERS, 0)

    def state(self) -> str:
        return self.open.state if self.open else "stopped"

    def connected(self, ts: int, mono: int) -> None:
        """The stream runs from `ts` on. A new connection's time is believed at once."""
        self.connection = True
        self._extend(ts)
        self.clock = SourceClock(ts, mono)
        self._begin("receiving", None, ts)

    def nothing_pushed(self) -> None:
        """The source turned out to apply no filter; here the whole of it is."""
        self._pushed = None
        if self.open is not None:
            self.open.pushed = None

    def observe(self, ts: int | None, mono: int) -> None:
        """An event was broadcast at `ts` (source) and arrived at `mono`."""
        if ts is None or self.clock is None or self.open is None:
            return
        if not self.clock.observe(ts, mono):
            self._begin("receiving", "the source's clock stepped", ts)
        lag = self.clock.lag_us
        if lag > self.open.max_lag_ms * 1000:
            self.open.max_lag_ms = lag // 1000
        if lag > _LAGGING_US and self.open.state == "receiving":
            self.change("lagging", "events arrive late: the source may be dropping some", mono)
        elif lag < _CAUGHT_UP_US and self.open.state == "lagging":
            self.change("receiving", None, mono)

    def alive(self, mono: int) -> None:
        """The link is known to be good at `mono`, events or none: coverage reaches to there."""
        if self.clock is not None and self.open is not None:
            self._extend(self.clock.now(mono))

    def lost(self, reason: str, mono: int) -> None:
        """The stream is gone; what the disk does matters no more until it is back."""
        self.connection = False
        self.change("disconnected", reason, mono)

    def change(self, state: str, reason: str | None, mono: int) -> None:
        """Go over into another state at `mono`.

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
        self._begin(state, reason, self.open.to_ts)

    def count(self, name: str, amount: int = 1) -> None:
        if amount:
            self.totals[name] += amount
        if self.open is not None and amount:
            setattr(self.open, name, getattr(self.open, name) + amount)
            self._dirty.add(hour_key(self.open.from_ts))

    def carry_on(self, previous: Stretch | None, ts: int) -> None:
        """Write down the time since the run before this one as a stretch of its own."""
        if previous is None or previous.to_ts >= ts:
            return
        killed = "the recorder ended without a word (killed or crashed)"
        reason = "not running" if previous.state == "stopped" else killed
        row = Stretch(self._recorder, self._session, previous.to_ts, ts, "stopped", reason)
        self._keep(row)
        self.gaps += 1

    def flush(self) -> None:
        """Write every hour that changed. OSError when the disk refuses; then nothing is lost."""
        for hour in sorted(self._dirty):
            path = coverage_file(self._store, hour, self._recorder)
            make_folder(path.parent)
            table = pa.Table.from_pylist(
                [dataclasses.asdict(row) for row in self._rows(hour)], schema=_IN_MICROSECONDS
            ).cast(COVERAGE)
            with replacing(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
            self._dirty.discard(hour)
        newest = sorted(self._hours)[-3:]
        self._hours = {hour: self._hours[hour] for hour in newest}

    def _begin(self, state: str, reason: str | None, ts: int) -> None:
        self.open = Stretch(
            self._recorder, self._session, ts, ts, state, reason,
            self._filter, self._pushed, self._topics,
        )  # fmt: skip
        self._keep(self.open)

    def _keep(self, stretch: Stretch) -> None:
        hour = hour_key(stretch.from_ts)
        self._rows(hour).append(stretch)
        self._dirty.add(hour)

    def _extend(self, to: int) -> None:
        """Let the open stretch reach to `to`, in pieces that each lie in one hour."""
        while self.open is not None and to > self.open.to_ts:
            end = (self.open.from_ts // HOUR_US + 1) * HOUR_US
            self._dirty.add(hour_key(self.open.from_ts))
            self.open.to_ts = min(to, end)
            if to <= end:
                return
            self._begin(self.open.state, self.open.reason, end)

    def _rows(self, hour: str) -> list[Stretch]:
        if hour not in self._hours:
            try:
                path = coverage_file(self._store, hour, self._recorder)
                self._hours[hour] = read_stretches(path)
            except (OSError, pa.ArrowInvalid):
                self._hours[hour] = []
        return self._hours[hour]


_IN_MICROSECONDS = pa.schema(
    [pa.field(f.name, pa.int64() if f.name.endswith("_ts") else f.type) for f in COVERAGE]
)


def coverage_file(store: Store, hour: str, recorder: str) -> Any:
    """Coverage needs no segments: it is small, and its file is replaced as it grows."""
    return store.sealed_hour("coverage", hour) / f"{recorder}.parquet"


def last_stretch(store: Store, recorder: str) -> Stretch | None:
    """Where this recorder's coverage ended; None when it never ran (or nothing is readable)."""
    for hour in reversed(store.hours("coverage")):
        path = coverage_file(store, hour, recorder)
        try:
            rows = read_stretches(path)
        except (OSError, pa.ArrowInvalid):
            continue
        if rows:
            # "stopped" begins and ends where the stretch before it ends: the later row counts
            return max(reversed(rows), key=lambda row: (row.to_ts, row.from_ts))
    return None

"""How many events the source dropped before they were sent, by what the events themselves show.

Qtap drops events for a client whose buffer is full, and tells nobody. But ids of its requests and
connections are xids, of which the last three bytes count up by one with every id that the process
makes: a number that never arrives was made for a connection without requests, or for something
that was dropped. What share of the numbers arrives is learnt; where it suddenly falls, while many
events come at a time (else no buffer runs full), the difference is the estimate. It is a guess, and
`basis` says how good a one: where other things take most of the numbers, or the share is uneven, it
is weak. What is dropped evenly for minutes is learnt as usual: of that, about half is counted.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import NamedTuple

_XID = re.compile("[0-9a-v]{20}")
_NUMBERS = 1 << 24
_PROCESSES = 4  # that are followed at the same time: Qtap is one
_BEGIN = 8  # numbers at once that make a process worth following: ids may be no xids, but random
_RING = 1 << 21  # numbers of a process that are not judged yet
_BUCKET = 256  # numbers that are judged together
_SETTLE_US = 15_000_000  # an id is made when a request begins, and comes when it has ended
_FAST = 50.0  # numbers that come a second: below, no buffer of the source runs full
_LEARN, _REMEMBER = 16, 512  # buckets
_FIRM, _EVEN = 0.8, 0.1
_CONNECTION, _REQUEST = 1, 2


def number_of(xid: str | None) -> tuple[int, int] | None:
    """(the process that made an id, its number, 0 to 2**24 - 1); None where it is no xid."""
    if xid is None or not _XID.fullmatch(xid):
        return None
    value = int(xid, 32) >> 4
    return value >> 24 & 0xFFFFFFFFFF, value & 0xFFFFFF


class Numbers:
    """The numbers of the ids of some events, as they go from one process to another."""

    def __init__(self) -> None:
        self._codes: dict[int, list[int]] = {}
        self._connections: set[str] = set()  # most come again and again

    def add(self, request_id: str | None, connection_id: str | None) -> None:
        if number := number_of(request_id):
            self._codes.setdefault(number[0], []).append(number[1] << 2 | _REQUEST)
        if connection_id and connection_id not in self._connections:
            self._connections.add(connection_id)
            if number := number_of(connection_id):
                self._codes.setdefault(number[0], []).append(number[1] << 2 | _CONNECTION)

    def take(self) -> dict[int, list[int]]:
        """What was added since the last time: number * 4 + kind, by process."""
        codes, self._codes = self._codes, {}
        self._connections.clear()
        return codes


class LossEstimator:
    """Counts what seems to have been dropped. Times are of a monotonic clock, µs."""

    def __init__(self) -> None:
        self._processes: dict[int, _Process] = {}
        self._shares: deque[float] = deque(maxlen=_REMEMBER)  # of a bucket's numbers that came
        self._requests: deque[float] = deque(maxlen=_REMEMBER)  # of those, requests

    def restart(self) -> None:
        """A connection begins: what was missed before it is a gap, no drop."""
        self._processes.clear()

    def observe(self, codes: Mapping[int, Sequence[int]], mono: int) -> int:
        """Take the numbers of events that arrived at `mono`; how many more seem to be dropped."""
        for process, values in codes.items():
            known = self._processes.pop(process, None)
            if known is None and len(values) < _BEGIN:
                continue
            self._processes[process] = known = known or _Process()
            known.take(values, mono)
        while len(self._processes) > _PROCESSES:
            del self._processes[next(iter(self._processes))]
        buckets = (one for known in self._processes.values() for one in known.settled(mono))
        return round(sum(self._judge(*bucket) for bucket in buckets))

    def _judge(self, came: int, requests: int, fast: bool) -> float:
        missing = 0.0
        if fast and len(self._shares) >= _LEARN:
            usual = self._usual()
            lacking = _BUCKET * usual - came
            if lacking > 4 * math.sqrt(_BUCKET * usual * (1 - usual)) + 3:
                missing = lacking * fmean(self._requests)
        self._shares.append(came / _BUCKET)
        self._requests.append(requests / max(came, 1))
        return missing

    def _usual(self) -> float:
        shares = sorted(self._shares)
        return shares[round(0.9 * (len(shares) - 1))]

    @property
    def basis(self) -> str | None:
        """`firm` or `weak`; None where too little is known to say anything."""
        if len(self._shares) < _LEARN:
            return None
        usual, middle = self._usual(), median(self._shares)
        return "firm" if usual >= _FIRM and usual - middle <= _EVEN else "weak"


class _Mark(NamedTuple):
    mono: int
    newest: int  # of the numbers until then
    arrived: int  # so many


class _Process:
    """The numbers of one process that came, counted from the newest of its first block on."""

    def __init__(self) -> None:
        self._came: dict[int, bytearray] = {}  # by bucket: the kind of each number, 0 for none
        self._first = -1
        self._newest = self._judged = 0
        self._arrived = 0
        self._marks: deque[_Mark] = deque()

    def take(self, codes: Sequence[int], mono: int) -> None:
        if self._first < 0:
            self._first = max(codes) >> 2
        behind = newest = self._newest
        behind -= _NUMBERS // 2
        for code in codes:
            number = behind + ((code >> 2) - self._first - behind) % _NUMBERS
            if number >= self._judged:
                bucket = self._came.get(number // _BUCKET)
                if bucket is None:
                    bucket = self._came[number // _BUCKET] = bytearray(_BUCKET)
                bucket[number % _BUCKET] = code & 3
                newest = max(newest, number)
        if newest - self._judged >= _RING:  # more than can be followed: begin anew
            self.__init__()  # type: ignore[misc]
            return
        self._newest = newest
        self._arrived += len(codes)
        self._marks.append(_Mark(mono, self._newest, self._arrived))

    def settled(self, mono: int) -> Iterable[tuple[int, int, bool]]:
        """(numbers that came, requests among them, whether they came fast) of each new bucket."""
        while len(self._marks) > 1 and self._marks[1].mono <= mono - _SETTLE_US:
            before, last = self._marks.popleft(), self._marks[0]
            seconds = max(last.mono - before.mono, 1) / 1e6
            fast = last.arrived - before.arrived >= _FAST * seconds
            while self._judged + _BUCKET <= last.newest:
                came = self._came.pop(self._judged // _BUCKET, b"")
                requests = came.count(_REQUEST)
                yield requests + came.count(_CONNECTION), requests, fast
                self._judged += _BUCKET

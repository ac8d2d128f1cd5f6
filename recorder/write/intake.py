"""What becomes of events on their way to the disk.

A worker makes `Part`s of the events of a block, writes their rows, and hands on what is left to be
counted: so the process that keeps coverage carries no rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

# Qtap gives each transaction one id; a repeat within about 200,000 is the same transaction again.
REPEATS_BYTES = 4 << 20
_WAYS = 8  # rows whose hashes fall into one place; of a ninth, the oldest is forgotten
_KEY = (1 << 64) - 1
_ROW_BYTES = 512  # about what a connection or a statement takes
_SAMPLES = 100  # rejected events of one block that are told of one by one


class Rejected(msgspec.Struct, array_like=True):
    """An event that gave no row: why, how large it was, and how it began (redacted)."""

    event: str
    reason: str
    size: int
    sample: str


class Connected(msgspec.Struct, tag="connected", array_like=True):
    """system.connected: a stream begins. `data` echoes the topics that the source understood."""

    ts: int | None
    data: str


class Rows(msgspec.Struct, tag="rows", array_like=True):
    """Clean rows of some events. `times`: when each was broadcast, µs; `counts`: as coverage."""

    times: list[int] = []
    counts: dict[str, int] = {}
    transactions: Any = None  # a pa.RecordBatch
    connections: list[dict[str, Any]] = []
    database: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    numbers: dict[int, list[int]] = {}  # of the events' ids: recorder.write.loss

    def size(self) -> tuple[int, int]:
        """How many rows these are, and about how many bytes."""
        others = len(self.connections) + len(self.database)
        if self.transactions is None:
            return others, others * _ROW_BYTES
        return others + self.transactions.num_rows, (others * _ROW_BYTES + self.transactions.nbytes)

    def give_up(self, reason: str) -> None:
        """Make rejected events of the rows."""
        rows, size = self.size()
        self.counts["rejected"] = self.counts.get("rejected", 0) + rows
        self.rejected.append(Rejected(f"{rows} rows", reason, size, ""))
        self.transactions, self.connections, self.database = None, [], []


Part = Connected | Rows


def without_rows(parts: Iterable[Part]) -> list[Part]:
    """What is to be counted of parts whose rows are written."""
    return [
        Rows(part.times, part.counts, rejected=part.rejected[:_SAMPLES], numbers=part.numbers)
        if isinstance(part, Rows)
        else part
        for part in parts
    ]


def rejected(parts: Iterable[Part]) -> list[Rejected]:
    return [one for part in parts if isinstance(part, Rows) for one in part.rejected]


class Repeats:
    """Knows the rows that came lately, to tell a repeat: the same id, table and time in another
    event. `memory`, zeroed at first, may be shared by processes that hash alike (PYTHONHASHSEED).

    It keeps a hash and the event's number of each row, so that a block which is tried again is no
    repeat of itself. `block`: the number of the first event of the block; where that is 0, each
    call is of another event. `known`: ids that the run before this one took (of a replay).
    """

    def __init__(self, memory: Any = None) -> None:
        self.known: set[str] = set()
        self.block = 0
        self._calls = itertools.count(1)
        memory = memoryview(bytearray(REPEATS_BYTES) if memory is None else memory).cast("Q")
        self._keys, self._numbers = memory[: len(memory) // 2], memory[len(memory) // 2 :]
        self._buckets = len(self._keys) // _WAYS

    def has(self, table: str, request_id: str | None, ts: int | None, place: int = 0) -> bool:
        """Whether this row came before; from now on it did. `place`: its event's in the block."""
        if not request_id:
            return False
        if request_id in self.known:
            return True
        number = self._number(place)
        key = hash((table, request_id, ts or 0)) & _KEY or 1
        start = key % self._buckets * _WAYS
        numbers = self._numbers[start : start + _WAYS].tolist()
        keys = self._keys[start : start + _WAYS].tolist()
        if key in keys:
            return bool(numbers[keys.index(key)] != number)
        oldest = start + numbers.index(min(numbers))
        # In this order: killed between the two, nothing has a number that is not its own.
        self._numbers[oldest] = number
        self._keys[oldest] = key
        return False

    def _number(self, place: int) -> int:
        return self.block + place if self.block else next(self._calls)

"""Any sequence of events, flushes, merges, seals, crashes, restarts and late events gives a store
equal to the plain list of acknowledged events, however many files an hour is sealed into."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recorder.write import seal, sort
from recorder.write.seal import Housekeeper
from recorder.write.segments import live_segments, merge
from recorder.write.sort import write_sorted
from store.cover import maximal_cover
from store.hours import HOUR_US, hour_key
from tests.kit import NOON, Desk, S, connected, transaction, visible_ids

HOURS = st.integers(0, 2)


class StoreHistory(RuleBasedStateMachine):
    """`acknowledged` is what flushes have returned for; `waiting` may be lost by a crash."""

    @initialize(rows=st.sampled_from([3, 10, 1000]))
    def begin(self, rows: int) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(seal, "_ROWS", rows)
        self.patch.setattr(seal, "_ROW_S", 0.0)
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store"
        self.acknowledged: list[str] = []
        self.waiting: list[str] = []
        self.given = 0
        self.start()

    def start(self) -> None:
        self.desk = Desk(self.path)
        self.desk.take(connected(NOON))
        self.keeper = Housekeeper(self.desk.store, "r", "policy", grace_s=0)

    @rule(hour=HOURS, second=st.integers(0, 3599), amount=st.integers(1, 4))
    def events(self, hour: int, second: int, amount: int) -> None:
        for _ in range(amount):
            self.given += 1
            name = f"id{self.given:05d}"
            ts = NOON + hour * HOUR_US + second * S
            self.desk.take(transaction(name, ts, sent=NOON + 2 * HOUR_US))
            self.waiting.append(name)

    @rule()
    def flush(self) -> None:
        self.desk.flush()
        self.acknowledged += self.waiting
        self.waiting = []

    @rule(hour=HOURS, skip=st.integers(0, 3), amount=st.integers(2, 4))
    def merge_some(self, hour: int, skip: int, amount: int) -> None:
        found = live_segments(self.desk.store, "r", "transactions", self.key(hour))
        run = maximal_cover(found)[skip : skip + amount]
        if len(run) > 1:
            merge("transactions", run, self.desk.writer.footer)

    @rule(hour=HOURS)
    def seal(self, hour: int) -> None:
        self.keeper.seal("transactions", self.key(hour))

    @rule(hour=HOURS, written=st.integers(0, 2))
    def crash_while_sealing(self, hour: int, written: int) -> None:
        """So many files of the hour are there, the next one is half written."""
        files = itertools.count()

        def write(*parameters: Any) -> None:
            if next(files) == written:
                raise MemoryError
            write_sorted(*parameters)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(MemoryError):
            patch.setattr(sort, "write_sorted", write)
            self.keeper.seal("transactions", self.key(hour))
        self.crash_and_restart()

    @rule()
    def keep_house(self) -> None:
        self.keeper.round(NOON + 5 * HOUR_US)

    @rule()
    def keep_house_while_the_hours_go_on(self) -> None:
        self.keeper.round(NOON)

    @rule()
    def seal_all_and_clear(self) -> None:
        self.keeper.round(NOON + 5 * HOUR_US, everything=True)
        self.keeper.tidy()

    @rule()
    def crash_and_restart(self) -> None:
        self.waiting = []
        self.start()

    @invariant()
    def the_store_holds_what_was_acknowledged(self) -> None:
        if hasattr(self, "path"):
            assert visible_ids(self.path) == sorted(self.acknowledged)

    def key(self, hour: int) -> str:
        return hour_key(NOON + hour * HOUR_US)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()
            self.patch.undo()


TestStoreHistory = StoreHistory.TestCase
TestStoreHistory.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

"""Whatever happens to a store, and however often shipping or compaction breaks off or forgets: a
bucket never holds a row twice, what is merged counts exactly the rows that are there or is not
believed, and in the end it answers as the store does."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from recorder.write.compact import compact
from recorder.write.ship import LEDGER, Shipper
from store.bucket import Bucket, Limits
from store.cover import sealed_in
from store.errors import UnavailableError
from store.hours import HOUR_US
from tests.kit import NOON, rows_of
from tests.property.test_store_history import StoreHistory


def counted(what: str, paths: Sequence[Path]) -> int:
    with duckdb.connect() as con:
        relation = con.read_parquet([str(path) for path in paths], union_by_name=True)
        return int(relation.aggregate(what).fetchall()[0][0])


class ShippingHistory(StoreHistory):
    """The events, seals and crashes of a store's history, with a bucket beside it."""

    @rule(amount=st.integers(1, 12))
    def ship_some(self, amount: int) -> None:
        """And break off: the next one begins anew."""
        shipper = Shipper(self.desk.store, self.url)
        for one in shipper.due()[:amount]:
            shipper.ship(one)
        self.the_bucket_is_true()

    @rule()
    def ship_what_runs(self) -> None:
        """An early generation of each hour that is not sealed."""
        shipper = Shipper(self.desk.store, self.url)
        shipper.ship_early(dt.datetime.fromtimestamp(NOON / 1e6, dt.UTC))
        self.the_bucket_is_true()

    @rule()
    def forget_what_was_shipped(self) -> None:
        (self.path / LEDGER).unlink(missing_ok=True)

    @rule(made=st.integers(0, 8))
    def compact(self, made: int) -> None:
        """And break off when so many files were made."""
        bucket, add, left = self.bucket(), Bucket.add, itertools.count(made, -1)
        if bucket is None:
            return

        def put(bucket: Bucket, path: Path, file: Path) -> bool:
            if not next(left):
                raise UnavailableError("the network is gone", "Wait.")
            return add(bucket, path, file)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(UnavailableError):
            patch.setattr(Bucket, "add", put)
            list(compact(bucket, bucket.hours("transactions")))
        self.the_bucket_is_true()

    def the_bucket_is_true(self) -> None:
        """It holds no row twice and none of its own, and what is merged counts what is there."""
        if (bucket := self.bucket()) is not None:
            shipped = rows_of(bucket)
            assert len(shipped) == len(set(shipped))
            assert set(shipped) <= set(self.acknowledged)
            self.merged_hours(bucket)
            self.early_is_true(bucket)

    def early_is_true(self, bucket: Bucket) -> None:
        """Early keys count the rows up to the number in their name, of hours without rows there."""
        early = bucket.early(bucket.hours("coverage") + self.desk.store.hours("coverage"))
        for keys in early.keys:
            [file] = sealed_in([keys])
            hour = keys.parent.name.removeprefix("hour=")
            assert file.recorder not in {
                recorder for recorder, _ in bucket.visible("transactions", hour)
            }
            bucket.fetch([keys])
            rows = [path for recorder, path in self.desk.store.visible("transactions", hour)
                    if recorder == file.recorder]  # fmt: skip
            with duckdb.connect() as con:
                there = con.read_parquet([str(path) for path in rows], union_by_name=True)
                expected = there.filter(f"seq <= {file.last}").aggregate("count(*)").fetchall()
            assert counted("sum(requests)", [keys]) == expected[0][0]

    def merged_hours(self, bucket: Bucket) -> set[str]:
        """The hours of which a merged rollup is believed; what it says is true."""
        hours = set()
        for hour in bucket.hours("transactions"):
            rows = [path for _, path in bucket.visible("transactions", hour)]
            merged = bucket.merged_rollup(hour, rows, {})
            if merged:
                bucket.fetch([*rows, *merged.values()])
                sums = {counted("sum(requests)", [path]) for path in merged.values()}
                assert sums == {counted("count(*)", rows)}
                hours.add(hour)
        return hours

    @property
    def url(self) -> str:
        return (self.path.parent / "bucket").as_uri()

    def bucket(self) -> Bucket | None:
        if not (self.path.parent / "bucket" / "store.json").exists():
            return None
        return Bucket.at(self.url, Limits(self.path.parent / "cache", 1 << 40, 1 << 40))

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.keeper.round(NOON + 5 * HOUR_US, everything=True)
            shipper = Shipper(self.desk.store, self.url)
            for one in shipper.due():
                shipper.ship(one)
            bucket = self.bucket()
            shipped = [] if bucket is None else rows_of(bucket)
            assert shipped == sorted(self.acknowledged)
            assert bucket is None or not bucket.early(bucket.hours("coverage")).keys
            if bucket is not None:
                hours = bucket.hours("transactions")
                states = {one.hour: one.state for one in compact(bucket, hours)}
                several = {hour for hour, state in states.items() if state != "single"}
                assert self.merged_hours(bucket) == several, states
                assert {states[hour] for hour in several} <= {"merged", "ready"}
        super().teardown()


TestShippingHistory = ShippingHistory.TestCase
TestShippingHistory.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)

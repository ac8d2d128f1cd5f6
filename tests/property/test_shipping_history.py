"""Whatever happens to a store, and however often shipping breaks off or forgets: a bucket never
holds a row twice, and in the end it answers as the store does."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from recorder.write.ship import LEDGER, Shipper
from store.bucket import Bucket, Limits
from store.hours import HOUR_US
from tests.kit import NOON, rows_of
from tests.property.test_store_history import StoreHistory


class ShippingHistory(StoreHistory):
    """The events, seals and crashes of a store's history, with a bucket beside it."""

    @rule(amount=st.integers(1, 12))
    def ship_some(self, amount: int) -> None:
        """And break off: the next one begins anew."""
        shipper = Shipper(self.desk.store, self.url)
        for one in shipper.due()[:amount]:
            shipper.ship(one)

    @rule()
    def forget_what_was_shipped(self) -> None:
        (self.path / LEDGER).unlink(missing_ok=True)

    @invariant()
    def the_bucket_holds_no_row_twice_and_none_of_its_own(self) -> None:
        if hasattr(self, "path"):
            shipped = self.shipped()
            assert len(shipped) == len(set(shipped))
            assert set(shipped) <= set(self.acknowledged)

    @property
    def url(self) -> str:
        return (self.path.parent / "bucket").as_uri()

    def shipped(self) -> list[str]:
        if not (self.path.parent / "bucket" / "store.json").exists():
            return []
        cache = Path(self.path.parent / "cache")
        return rows_of(Bucket.at(self.url, Limits(cache, 1 << 40, 1 << 40)))

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.keeper.round(NOON + 5 * HOUR_US, everything=True)
            shipper = Shipper(self.desk.store, self.url)
            for one in shipper.due():
                shipper.ship(one)
            assert self.shipped() == sorted(self.acknowledged)
        super().teardown()


TestShippingHistory = ShippingHistory.TestCase
TestShippingHistory.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)

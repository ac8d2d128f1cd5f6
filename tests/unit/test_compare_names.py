"""Containers under the part of their name that a restart leaves alone."""

from __future__ import annotations

import pytest

from queries.diff.keys import service_of


@pytest.mark.parametrize(
    ("container", "service"),
    [
        ("payment-7d9f8b6c5d-x2k4q", "payment"),
        ("shop_payment_1", "shop_payment"),
        ("shop-payment-12", "shop-payment"),
        ("payment-4f2a9c01be77", "payment"),
        ("worker-28417205-xbc4d", "worker"),
        ("payment", "payment"),
        ("payment-service", "payment-service"),
        ("postgres", "postgres"),
        ("", ""),
    ],
)
def test_rolled(container: str, service: str) -> None:
    assert service_of(container) == service

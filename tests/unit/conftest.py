"""The recording that tests of the comparison ask about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.rows import Batch
from tests.world.scenes import Record, shop
from tests.world.steady import Recording


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Make a recording of lines of traffic; `beside`: requests an hour of a healthy shop."""

    def make(
        *lines: Batch, from_: float = -60.0, to: float = 60.0, beside: float = 5_000.0
    ) -> Recording:
        around = shop(beside, from_, to) if beside else []
        return Recording(tmp_path / "store", [*around, *lines], from_, to)

    return make

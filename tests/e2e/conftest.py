"""What tests of the stand-in share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.incidents import QUIET
from tests.world.scenarios import frames, write_stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "small.sse"
    write_stream(path, frames(QUIET, requests=300))
    return path

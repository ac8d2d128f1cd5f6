"""The compiled part, for the tests of it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from recorder.native import FILE
from recorder.native.build import build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once for all processes of the tests."""
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo to build the compiled part with")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "native.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = folder / FILE.name
        return file if file.exists() else build(folder)

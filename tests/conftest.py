"""Fixtures of tests that call commands in their own process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from qrec.__main__ import main
from tests.kit import Cli

# How long an example takes says how busy the machine is, not whether the code is right. The
# examples are the same in each run: who changes one thing is not stopped by a hole elsewhere. Holes
# are looked for on purpose: `pytest --hypothesis-profile=search tests/property`.
settings.register_profile("qrec", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("qrec")


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the settings of whoever runs the tests: a home, configuration and store below
    the folder returned, which is the working folder; UTC, 80 columns."""
    for name in [name for name in os.environ if name.startswith("QREC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("QREC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("QREC_TIMEZONE", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(isolated: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call `qrec WORDS` in this process: exit code, stdout, stderr. A traceback comes with
    the exit code of a bug alone."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        assert code == 70 or "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call

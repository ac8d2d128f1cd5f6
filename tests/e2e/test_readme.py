"""Every command that the README shows in a console block is run, in order, as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.shell import ROOT, background, environment

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.+?)```", TEXT, re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line[:2] == "$ "]


@pytest.mark.timeout(240)
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures", ignore=shutil.ignore_patterns("*.py"))
    assert COMMANDS[0].startswith("qrec serve ")
    with background(*COMMANDS[0].split()[1:], home=tmp_path) as standin:
        assert standin.stdout is not None
        for command in COMMANDS[1:]:
            done = _run(command, tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if command.startswith("qrec record"):
        command += " --wait"  # the stand-in may still be starting
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_two_commands_are_the_first_ones() -> None:
    shell = re.findall(r"```sh\n(.+?)\n```", TEXT, re.DOTALL)
    assert shell[:2] == ["pip install . && qrec demo", "pip install -e '.[dev]' && pytest"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target

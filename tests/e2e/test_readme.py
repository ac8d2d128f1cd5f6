"""Every command that the README shows in a console block is run, in order, as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.shell import ROOT, background, environment
from tests.kit import PATIENCE_S, visible_ids, wait_for

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.+?)```", TEXT, re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line[:2] == "$ "]
FACTS = json.loads((ROOT / "fixtures/facts.json").read_text())["streams"]["checkout-incident"]
TRANSACTIONS: int = FACTS["events"]["request.http_transaction"]


@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures", ignore=shutil.ignore_patterns("*.py"))
    served, *commands = COMMANDS
    assert served.startswith("qrec serve checkout-incident ")
    with background(*served.split()[1:], "--port", "0", home=tmp_path) as standin:
        assert standin.stdout is not None
        url = standin.stdout.readline().split()[-1]
        for command in commands:
            if command.startswith("qrec record"):
                _record(command, url, tmp_path)
            else:
                _run(command, tmp_path)


def _record(command: str, url: str, folder: Path) -> None:
    """Record as the command says, but from this stand-in, and until all that it plays is stored:
    how many seconds that takes is the machine's affair. Then press Ctrl-C."""
    words = shlex.split(command)[1:]
    place = words.index("--duration")
    del words[place : place + 2]
    with background(*words, url, home=folder) as recorder:
        wait_for(lambda: _stored(url, folder / "store"))
        recorder.send_signal(signal.SIGINT)
        said, _ = recorder.communicate(timeout=PATIENCE_S)
    assert recorder.returncode == 0, f"{command}\n{said}"


def _stored(url: str, store: Path) -> bool:
    stats = httpx.get(f"{url}/stats", trust_env=False).json()
    heard = any(subscription["open"] for subscription in stats["subscriptions"])
    if not heard or stats["state"] != "quiet" or not (store / "store.json").exists():
        return False
    dropped: int = stats["dropped"]
    return len(visible_ids(store)) >= TRANSACTIONS - dropped


def _run(command: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True,
        text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_the_two_commands_are_the_first_ones() -> None:
    shell = re.findall(r"```sh\n(.+?)\n```", TEXT, re.DOTALL)
    assert shell[:2] == ["pip install . && qrec demo", "pip install -e '.[dev]' && pytest"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target

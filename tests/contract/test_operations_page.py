"""docs/operations.md is true: its commands are taken, its series served, its checks made."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from qrec import doctor as checks
from qrec.cli import command
from recorder import metrics

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    """Every call of qrec in the page's shell blocks, as words."""
    found = []
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        if "qrec" in words and words[0] in ("qrec", "sudo", "kubectl") and "useradd" not in words:
            found.append(words[words.index("qrec") + 1 :])
    return found


def taken(words: list[str]) -> Any:
    """What the command line makes of the words; a usage error when it does not take them."""
    name, rest = words[0], words[1:]
    found = command(name)
    if name == "service":
        found, rest = found.commands[rest[0]], rest[1:]
    return found.make_context(name, rest).params


def test_the_page_has_commands() -> None:
    named = {words[0] for words in commands()}
    assert named >= {"service", "prune", "pin", "pins", "unpin", "doctor", "record", "diff"}


@pytest.mark.parametrize("words", commands(), ids=shlex.join)
def test_its_commands_are_taken(words: list[str]) -> None:
    taken(words)


def test_the_manifests_arguments_are_taken() -> None:
    [manifest] = [block for block in blocks("yaml") if "kind: DaemonSet" in block]
    listed = re.search(r" args:\n((?: +- .*\n)+)", manifest)
    assert listed is not None
    words = [line.strip().removeprefix("- ") for line in listed[1].splitlines()]
    assert words[0] == "record"
    given = taken(words)
    assert (given["wait"], given["keep"], given["max_size"]) == (True, "7d", "20GB")


def test_its_series_are_served() -> None:
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    for name in re.findall(r"qrec_[a-z_]+", PAGE):
        bare = re.sub(r"_(total|bucket)$", "", name).removeprefix("qrec_")
        assert f'"{bare}"' in source or f'"qrec_{bare}"' in source, name
    states = re.search(r"present `state`: ([a-z_, ]+)", PAGE)
    assert states is not None
    assert set(states[1].strip().split(", ")) == set(metrics.STATES)


def test_every_check_of_the_doctor_has_its_line() -> None:
    folder = Path(checks.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    made = set(re.findall(r'Check\(\s*"([a-z]+)"', source)) | {"settings"}
    told = set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE))
    assert made <= told


def test_lines_fit_and_links_lead_somewhere() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= 100 or line.startswith("|"), line
    for target in re.findall(r"\]\((\w+\.md)\)", PAGE):
        assert (DOCS / target).exists(), target

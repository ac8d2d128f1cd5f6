"""The parts of docs/ that qrec prints: `python -m tests.contract.documents` renews them.

Blocks that begin with ```console hold commands and what they print, over the bundled incident
replayed into a fresh store, at 80 columns, in UTC, at the end of the incident's hour.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from qrec.__main__ import main
from qrec.cli import COMMANDS
from qrec.settings import SETTINGS, env_name
from queries.core.question import every_question, question_names
from queries.diff import limits

DOCS = Path(__file__).parents[2] / "docs"
SERVICE = ("service", "service install", "service status", "service uninstall")
# Pages whose outputs differ from run to run (sessions, fingerprints); their help does not.
VARYING = ("show.md", "sensitive.md", "tail.md")
PAGES = tuple(dict.fromkeys(question.docs for question in every_question()))
_CLI_HEAD = """# The command line

`qrec --help` lists all commands, `qrec COMMAND --help` shows what is printed here. Questions have
a page each, with their help at its end.
"""
_BLOCK = re.compile(r"```console\n(\$ .*?)```", re.DOTALL)
_LIMIT = re.compile(r"\| `([A-Z][A-Z0-9_]*)` \| (x?)[\d.]+ \|")
_TABLE = re.compile(r"(\| --- \| --- \| --- \| --- \|\n)(?:\|.*\n|\{table\}\n)*")


@contextlib.contextmanager
def world(folder: Path) -> Iterator[None]:
    """A store with the incident, and nothing of this machine's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QREC_")}
    ours = {
        "QREC_STORE": str(folder / "store"), "QREC_NOW": "2026-11-22T14:00Z", "COLUMNS": "80",
        "QREC_TIMEZONE": "UTC", "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder),
    }  # fmt: skip
    with mock.patch.dict(os.environ, {**kept, **ours}, clear=True), contextlib.chdir(folder):
        run("replay checkout-incident --recorder shop --connections")
        yield


def run(command: str) -> str:
    """What `qrec <command>` prints to stdout. AssertionError when it does not exit 0."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(command))
    assert code == 0, f"qrec {command}: {code}, {err.getvalue()}"
    return out.getvalue()


def page(name: str) -> str:
    """The page with the output of each of its commands as it is now."""

    def renewed(block: re.Match[str]) -> str:
        command = block[1].splitlines()[0].removeprefix("$ qrec ")
        if name in VARYING and not command.endswith(" --help"):
            return block[0]
        return f"```console\n$ qrec {command}\n{run(command)}```"

    return _BLOCK.sub(renewed, (DOCS / name).read_text(encoding="utf-8"))


def cli_page() -> str:
    """docs/cli.md: the help of each command that is no question; those have a page of their own."""
    parts = [_CLI_HEAD]
    for name in (
        *(name for name in COMMANDS if name not in question_names()),
        *SERVICE,
    ):
        title = f"qrec {name}"
        parts.append(f"\n## {title}\n\n```text\n{run(f'{name} --help').rstrip()}\n```\n")
    return "".join(parts)


def settings_page(text: str) -> str:
    """docs/settings.md with a row for each setting."""
    rows = []
    for setting in SETTINGS:
        default = "" if callable(setting.default) or not setting.default else setting.default
        code = f"`{default}`" if default else ""
        rows.append(f"| `{setting.name}` | `{env_name(setting.name)}` | {code} | {setting.doc} |\n")
    return _TABLE.sub(lambda match: match[1] + "".join(rows), text, count=1)


def method_page(text: str) -> str:
    """docs/method.md with the thresholds as they are; `x2` stands for a factor, kept as its log."""

    def renewed(cells: re.Match[str]) -> str:
        value = getattr(limits, cells[1])
        return f"| `{cells[1]}` | {f'x{math.exp(value):g}' if cells[2] else f'{value:g}'} |"

    return _LIMIT.sub(renewed, text)


def limits_shown(text: str) -> set[str]:
    """The names of the thresholds that the table of docs/method.md has."""
    return {name for name, _ in _LIMIT.findall(text)}


def renew() -> None:
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)):
        for name in PAGES:
            (DOCS / name).write_text(page(name), encoding="utf-8")
        (DOCS / "cli.md").write_text(cli_page(), encoding="utf-8")
        for name, of in (("settings.md", settings_page), ("method.md", method_page)):
            path = DOCS / name
            path.write_text(of(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    renew()

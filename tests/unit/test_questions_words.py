"""The words of a command line mean the same to the quick way and to Typer."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from qrec import cli
from qrec.questions import answered, command, given_values


@pytest.mark.parametrize(
    "line",
    [
        "hosts",
        "hosts --last 15m --limit 3 --json",
        "hosts --where='res.status >= 500' --from=14:00 --to 15:00",
        "hosts --last 1h --last 2h",
        "hosts --where --json",
        "search 'res.status >= 500' --limit 5",
        "search --limit 5 -- -odd",
        "search -",
        "diff --vs-from 12:00 --exit-code --explain 1 --color never",
        "show shop:1 shop:2 --bodies --chars 10",
        "sql 'select 1' --timeout 3s",
        "tail --duration 1s",
        "errors --by container --store ./x",
        "dependencies --as dot",
        "record http://10.0.0.7:10001 --wait --keep 14d",
        "import one.har two.har --shift-to now",
        "report -o x.html --note one --note two",
        "serve quiet --port 0",
        "info",
    ],
)
def test_both_read_the_same(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(line)
    asked = command(name)
    assert asked is not None
    quick = given_values(words, asked.arguments)
    assert quick is not None
    taken: dict[str, Any] = {}
    monkeypatch.setattr(type(asked), "__call__", lambda self, **values: taken.update(values) or 0)
    cli.command(name).main(words, standalone_mode=False)
    defaults = {one.name: one.default for one in asked.arguments}
    assert {**defaults, **quick} == {key: _plain(value) for key, value in taken.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "line",
    [
        "",
        "service status",
        "record --no-such",
        "bogus",
        "../x",
        "--version",
        "hosts --help",
        "hosts extra",
        "hosts --lats 1h",
        "hosts --limit many",
        "hosts --json=yes",
        "hosts --last",
        "show",
        "sql one two",
    ],
)
def test_whatever_else_is_typers(line: str) -> None:
    assert answered(shlex.split(line)) is None

"""One question, one document: the command line's --json and the MCP tool's structured content."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent, Tool

from mcp_tools.server import build as build_server
from qrec.__main__ import main
from store.marks import add_mark
from tests.contract.stored import NOW, build, minute, row, stretch
from tests.contract.test_transactions import COMMANDS as OF_TRANSACTIONS

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "what_changed": "diff",
    "get_hosts": "hosts",
    "get_statuses": "statuses",
    "get_endpoints": "endpoints",
    "get_coverage": "coverage",
}
FLAGS = {"from_time": "--from", "to_time": "--to"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    *((tool, {}) for tool in COMMANDS),
    *((tool, {"last": "20m", "limit": 2}) for tool in COMMANDS),
    ("what_changed", {"around": "deploy"}),
    ("what_changed", {"vs_from": "12:10", "vs_to": "12:40", "where": "res.status < 500"}),
    ("what_changed", {"from_time": "11:00", "to_time": "11:30"}),
    ("get_hosts", {"since": "deploy", "where": 'req.host == "api.stripe.com"'}),
    ("get_endpoints", {"sort": "errors", "from_time": "13:10Z", "to_time": "13:50Z"}),
    ("get_coverage", {"from_time": "yesterday", "to_time": "now"}),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours, in the second of which charges fail and a host appears; with a gap."""
    rows = []
    for number in range(-60, 60):
        rows += [row(minute(number + part / 12), duration_ms=80 + part) for part in range(12)]
        failing = number >= 20
        rows += [
            row(minute(number + part / 6), method="POST", host="api.stripe.com",
                route="/v1/charges", status=500 if failing and part % 2 else 200,
                error_signature="charge_failed" if failing and part % 2 else None)
            for part in range(6)
        ]  # fmt: skip
        if number >= 10:
            rows.append(row(minute(number), host="new\x1b[2J.example.com"))
    made = build(
        tmp_path_factory.mktemp("contract") / "store",
        rows,
        [
            stretch(NOW - timedelta(hours=2), NOW - timedelta(minutes=90)),
            stretch(NOW - timedelta(minutes=85), minute(0)),
            stretch(minute(0), NOW),
        ],
    )
    add_mark(made, "deploy", minute(20))
    return made.path


def by_command_line(
    store: Path, tool: str, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> Any:
    argv = [COMMANDS[tool], "--json", "--store", str(store), "--timezone", "UTC"]
    argv += ["--now", NOW.isoformat()]
    for name, value in arguments.items():
        argv += [FLAGS.get(name, "--" + name.replace("_", "-")), str(value)]
    assert main(argv) == 0
    return json.loads(capsys.readouterr().out)


async def _call(server: Any, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """The structured content of each call; its text has to be the same document."""
    found = []
    async with Client(server) as client:
        for tool, arguments in asked:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            assert isinstance(result.content[0], TextContent)
            assert json.loads(result.content[0].text) == result.structured_content
            found.append(result.structured_content)
    return found


def by_mcp(store: Path, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    return asyncio.run(_call(build_server(store, UTC, lambda: NOW), asked))


async def _tools(store: Path) -> list[Tool]:
    async with Client(build_server(store, UTC, lambda: NOW)) as client:
        return (await client.list_tools()).tools


@pytest.mark.parametrize(("tool", "arguments"), ASKED, ids=str)
def test_both_faces_give_the_same_document(
    store: Path, tool: str, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    [document] = by_mcp(store, [(tool, arguments)])
    assert document == by_command_line(store, tool, arguments, capsys)


def test_over_a_real_stdio_process_it_is_the_same(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an assistant runs it: `qrec mcp`, spoken to over its standard input and output."""
    environ = {**os.environ, "QREC_NOW": NOW.isoformat(), "QREC_TIMEZONE": "UTC"}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "qrec", "mcp", "--store", str(store)],
        env=environ, cwd=str(ROOT),
    )  # fmt: skip
    asked = ASKED[: len(COMMANDS)]
    found = asyncio.run(_call(server, asked))
    for (tool, arguments), document in zip(asked, found, strict=True):
        assert document == by_command_line(store, tool, arguments, capsys)


def test_the_contract_is_about_something(store: Path) -> None:
    """The documents that are compared hold what was planted, not only empty lists."""
    changes, hosts = by_mcp(store, [("what_changed", {}), ("get_hosts", {})])
    assert changes["verdict"] == "changed"
    assert {f["key"].get("host") for f in changes["findings"]} >= {"api.stripe.com"}
    assert {h["host"] for h in hosts["hosts"]} >= {"new\x1b[2J.example.com"}


def test_documents_keep_to_their_published_schema(store: Path) -> None:
    """The client checks each result against the schema; here, that the schema says it all."""
    tools = {tool.name: tool for tool in asyncio.run(_tools(store))}
    for (name, _), document in zip(ASKED, by_mcp(store, ASKED), strict=True):
        schema = tools[name].output_schema
        assert schema is not None
        assert next(iter(document)) == "version"
        assert set(document) == set(schema["properties"]) == set(schema["required"])


def test_tools_say_what_they_are(store: Path) -> None:
    for tool in asyncio.run(_tools(store)):
        assert tool.title
        assert tool.description
        assert len(tool.description) > 200
        assert "Next:" in tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert not tool.annotations.open_world_hint
        assert tool.input_schema["additionalProperties"] is False
        for name, argument in tool.input_schema["properties"].items():
            assert argument["description"], name
            text = json.dumps(argument)
            assert "maxLength" in text or "maximum" in text or "enum" in text, name


def test_every_question_is_on_both_sides(store: Path) -> None:
    from qrec.app import COMMANDS as known

    every = COMMANDS | OF_TRANSACTIONS
    assert {tool.name for tool in asyncio.run(_tools(store))} == set(every)
    assert {command.split()[0] for command in every.values()} <= set(known)

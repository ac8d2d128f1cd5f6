"""One question, one document: the command line's --json and the MCP tool's structured content."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent, Tool

from mcp_tools.server import build as build_server
from mcp_tools.text import MOST_BYTES
from qrec.__main__ import main
from queries.core.question import question_names, questions_of, tools
from store.marks import add_mark
from tests.contract.stored import NOW, build, call, connection, minute, row, stretch

ROOT = Path(__file__).parents[2]
# Questions that take a window: tool -> question, and the command of its document.
QUESTIONS = {tool: one for tool, one in tools().items() if one.window}
COMMANDS = {tool: one.name for tool, one in QUESTIONS.items()} | {
    "get_errors_by_container": "errors --by container",
    "get_coverage_by_recorder": "coverage --by recorder",
    "get_traffic": "search",  # the newest of all; `qrec tail` follows them instead
    "compare_schemas": "schema --vs previous",
}
EVERYWHERE = 'container.name == "shop"'  # a filter that every recorded table understands


def asked_of(tool: str) -> list[dict[str, Any]]:
    """What a tool is asked: nothing, windows, and every choice of each of its own arguments."""
    question = QUESTIONS[tool]
    asked: list[dict[str, Any]] = [
        {}, {"last": "20m", "limit": 2}, {"from_time": "13:10Z", "to_time": "13:50Z"},
        {"since": "deploy"},
    ]  # fmt: skip
    extra = {
        "where": [EVERYWHERE], "container": ["shop", "shp"], "every": ["hour", "90s"],
    }  # fmt: skip
    if question.name == "coverage":  # which knows nothing but recorders
        extra["where"] = ['group == ""']
    for argument in question.arguments:
        asked += [{argument.name: one} for one in extra.get(argument.name, argument.choices)]
    return asked


ASKED: list[tuple[str, list[dict[str, Any]]]] = [
    *((tool, asked_of(tool)) for tool in COMMANDS),
    ("what_changed", [
        {"around": "deploy"}, {"explain": "1"}, {"limit": 1},
        {"vs_from": "12:10", "vs_to": "12:40", "where": "res.status < 500"},
        {"from_time": "11:00", "to_time": "11:30"},
    ]),
    ("get_coverage", [{"from_time": "yesterday", "to_time": "now"}]),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours, in the second of which charges fail and a host appears; with a gap."""
    rows = []
    for number in range(-60, 60):
        rows += [row(minute(number + part / 12), duration_ms=80 + part) for part in range(12)]
        rows += [
            row(minute(number + part / 3), direction="ingress", host="shop.example.com",
                user_agent=f"client/{part}", route="/", container_name="web")
            for part in range(2)
        ]  # fmt: skip
        failing = number >= 20
        rows += [
            row(minute(number + part / 6), method="POST", host="api.stripe.com",
                route="/v1/charges", status=500 if failing and part % 2 else 200,
                error_signature="charge_failed" if failing and part % 2 else None)
            for part in range(6)
        ]  # fmt: skip
        if number >= 10:
            rows.append(row(minute(number), host="new\x1b[2J.example.com", container_name=None,
                            status=404 if number % 7 == 0 else 200))  # fmt: skip
    made = build(
        tmp_path_factory.mktemp("contract") / "store",
        rows,
        [
            stretch(NOW - timedelta(hours=2), NOW - timedelta(minutes=90)),
            stretch(NOW - timedelta(minutes=85), minute(0)),
            stretch(minute(0), NOW),
        ],
        database=[call(minute(n), is_error=n == 9) for n in range(60)]
        + [call(minute(n), database_type="mysql", statement="SELECT ?") for n in range(30)],
        connections=[connection(minute(n)) for n in range(60)]
        + [connection(minute(n), event="opened", endpoint_id="db") for n in range(7)],
    )
    add_mark(made, "deploy", minute(20))
    return made.path


def by_command_line(
    store: Path, tool: str, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> Any:
    argv = [*COMMANDS[tool].split(), "--json", "--store", str(store), "--timezone", "UTC"]
    argv += ["--now", NOW.isoformat()]
    flags = {argument.name: argument.option for argument in QUESTIONS[tool].every_argument}
    for name, value in arguments.items():
        argv += [flags[name], str(value)]
    assert main(argv) == 0
    return json.loads(capsys.readouterr().out)


async def _call(server: Any, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """The structured content of each call; its text is the head of it, never the whole again."""
    found = []
    async with Client(server) as client:
        for tool, arguments in asked:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            assert isinstance(result.content[0], TextContent)
            assert len(result.content[0].text.encode()) <= MOST_BYTES
            found.append(result.structured_content)
    return found


def by_mcp(store: Path, asked: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    return asyncio.run(_call(_server(store), asked))


@cache
def _server(store: Path) -> Any:
    """One for all tests: pydantic takes a second to make the models of its tools."""
    return build_server(store, UTC, lambda: NOW, listed="all")


@cache
def _tools(store: Path) -> list[Tool]:
    async def listed() -> list[Tool]:
        async with Client(_server(store)) as client:
            return (await client.list_tools()).tools

    return asyncio.run(listed())


@pytest.mark.parametrize(("tool", "asked"), ASKED, ids=str)
def test_both_faces_give_the_same_document(
    store: Path, tool: str, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Through every registered question, with every choice of its arguments."""
    schema = {one.name: one for one in _tools(store)}[tool].output_schema
    assert schema is not None
    for arguments, document in zip(asked, by_mcp(store, [(tool, a) for a in asked]), strict=True):
        assert document == by_command_line(store, tool, arguments, capsys), arguments
        assert next(iter(document)) == "version"
        assert set(document) == set(schema["properties"]) == set(schema["required"])
        assert {"window", "notes", "truncated"} <= set(document)


@pytest.mark.parametrize(("tool", "asked"), ASKED, ids=str)
def test_a_program_may_ask_for_text(store: Path, tool: str, asked: list[dict[str, Any]]) -> None:
    """Its tools have promised documents, which come with it."""
    [document] = by_mcp(store, [(tool, {**asked[0], "format": "text"})])
    assert document == by_mcp(store, [(tool, asked[0])])[0]


PAGED = [  # but those of single transactions, of which there are thousands
    tool
    for tool, one in QUESTIONS.items()
    if "cursor" in [a.name for a in one.arguments]
    and "transactions" not in (one.group, one.rows)
    and tool != "get_calibration"  # this store is too young to have any
    and not tool.startswith("get_coverage")  # there is one recorder, and see below
]


@pytest.mark.parametrize("tool", PAGED)
def test_pages_are_the_whole_answer_on_both_faces(
    store: Path, tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"by": "host"} if tool == "get_timeline" else {}
    [whole] = by_mcp(store, [(tool, {"limit": 200, **more})])
    key = QUESTIONS[tool].rows
    part = -(-len(whole[key]) // 3)  # three pages, of which the last may be shorter
    rows, arguments = [], {"limit": part, **more}
    while True:
        [page] = by_mcp(store, [(tool, arguments)])
        assert page == by_command_line(store, tool, arguments, capsys)
        rows += page[key]
        assert page["truncated"] == (page["next_cursor"] is not None)
        if page["next_cursor"] is None:
            break
        arguments = {"limit": part, **more, "cursor": page["next_cursor"]}
    if tool == "get_errors":  # bodies are longer where there is room for them
        rows, whole[key] = (
            [dict(row, example=None) for row in part] for part in (rows, whole[key])
        )
    assert rows == whole[key]
    assert len(rows) > 1


def test_coverage_of_many_recorders_goes_on_page_by_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = [stretch(minute(n), minute(n + 1 + r / 4), recorder=f"node-{r}")
          for r in range(3) for n in range(0, 60, 20)]  # fmt: skip
    made = build(tmp_path / "many", [], on).path
    for tool, part in (("get_coverage_by_recorder", 1), ("get_coverage", 2)):
        pages, arguments = [], {"limit": part}
        by = {"by": "recorder"} if part == 1 else {}  # as the command is told
        while True:
            [page] = by_mcp(made, [(tool, {**arguments, **by})])
            assert page == by_command_line(made, tool, arguments, capsys)
            pages.append(page["recorders"])
            assert page["truncated"] == (page["next_cursor"] is not None)
            if page["next_cursor"] is None:
                break
            arguments = {"limit": part, "cursor": page["next_cursor"]}
        if tool == "get_coverage":  # of each recorder the latest two, then the first
            assert [len(one["stretches"]) for rows in pages for one in rows] == [2, 2, 2, 1, 1, 1]
        else:  # the one that missed most comes first
            names = [one["recorder"] for rows in pages for one in rows]
            assert names == ["node-0", "node-1", "node-2"]


def test_over_a_real_stdio_process_it_is_the_same(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an assistant runs it: `qrec mcp`, spoken to over its standard input and output."""
    environ = {**os.environ, "QREC_NOW": NOW.isoformat(), "QREC_TIMEZONE": "UTC"}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "qrec", "mcp", "--tools", "all", "--store", str(store)],
        env=environ, cwd=str(ROOT),
    )  # fmt: skip
    asked: list[tuple[str, dict[str, Any]]] = [(tool, {}) for tool in COMMANDS]
    found = asyncio.run(_call(server, asked))
    for (tool, arguments), document in zip(asked, found, strict=True):
        assert document == by_command_line(store, tool, arguments, capsys)


def test_the_contract_is_about_something(store: Path) -> None:
    """The documents that are compared hold what was planted, not only empty lists."""
    changes, hosts = by_mcp(store, [("what_changed", {}), ("get_hosts", {})])
    assert changes["verdict"] == "changed"
    assert {f["key"].get("host") for f in changes["findings"]} >= {"api.stripe.com"}
    assert {h["host"] for h in hosts["hosts"]} >= {"new\x1b[2J.example.com"}


def test_tools_say_what_they_are(store: Path) -> None:
    for tool in _tools(store):
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
    """Every module of queries/ declares a question."""
    from qrec.cli import COMMANDS as known

    declared = {name for name in question_names() if questions_of(name)}
    assert set(question_names()) == declared
    assert set(question_names()) <= set(known)
    assert {tool.name for tool in _tools(store)} == set(tools())

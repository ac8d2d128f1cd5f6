"""However long the recorded texts are, an answer over MCP can still be read."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp_types import TextContent

from bench.assistant.sizes import measured, tokens
from fixtures import bundled_stream
from mcp_tools.server import build as build_server
from mcp_tools.text import MAX_ANSWER, MOST_BYTES
from queries.core.question import tools
from recorder.options import RecordOptions
from recorder.replay import replay
from tests.contract.stored import NOW, build, call, minute, row, stretch

LONG = "".join(chr(97 + n % 26) for n in range(5000))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hundreds of everything, each with names of 5,000 characters."""
    rows = [
        row(minute(n / 5), host=f"{n}.{LONG}.example", path=f"/{n}/{LONG}", route=f"/{LONG}",
            status=500, error_signature=f"{n} {LONG}", container_name=f"box-{n}-{LONG}",
            process_exe=f"/bin/{n}/{LONG}", res_body=f"{n}{LONG}".encode(), res_body_bytes=5000)
        for n in range(250)
    ]  # fmt: skip
    calls = [call(minute(n / 5), statement=f"SELECT {n} {LONG}", database_type="mysql",
                  is_error=True, error_message=LONG) for n in range(250)]  # fmt: skip
    return build(tmp_path_factory.mktemp("sizes") / "store", rows, database=calls).path


def answered(server: MCPServer[Any], tool: str, **arguments: Any) -> str:
    async def run() -> str:
        async with Client(server) as client:
            result = await client.call_tool(tool, {"limit": 200, **arguments})
            assert not result.is_error, result.content
            assert isinstance(result.content[0], TextContent)
            if result.structured_content is None:
                return result.content[0].text
            return json.dumps(result.structured_content, separators=(",", ":"))

    return asyncio.run(run())


@pytest.fixture(scope="module")
def server(store: Path) -> MCPServer[Any]:
    return build_server(store, UTC, lambda: NOW)


LIMITED = [name for name, question in tools().items() if question.limit]


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is listed and answered over the recording of the demo."""
    path = tmp_path_factory.mktemp("sizes") / "demo"
    replay([bundled_stream("checkout-incident")], RecordOptions(store=path, recorder="demo"))
    demo = build_server(path, UTC, lambda: NOW)
    found: dict[str, Any] = asyncio.run(measured(demo))
    return found


def test_the_list_costs_little(sizes: dict[str, Any]) -> None:
    """What every conversation begins with, counted as four bytes a token; no output schemas."""
    assert tokens(sizes["tools"], "description", "input", "output") <= 5_000
    assert all(one["output"] == 0 for one in sizes["tools"].values())
    assert sizes["instructions"] <= 2_000


def test_answers_cost_little(sizes: dict[str, Any]) -> None:
    answers = [one["text"] + one["document"] for one in sizes["answers"].values()]
    assert len(answers) == len(tools())
    assert statistics.median(answers) <= 800 * 4
    assert max(answers) <= MOST_BYTES
    assert all(one["document"] == 0 for one in sizes["answers"].values())


@pytest.mark.parametrize("tool", LIMITED)
def test_an_answer_can_be_read(server: MCPServer[Any], tool: str) -> None:
    text = answered(server, tool)
    assert len(text.encode()) <= MOST_BYTES == 8_000
    document = answered(server, tool, format="json")
    assert len(document) <= MAX_ANSWER


def test_what_was_cut_is_told(server: MCPServer[Any]) -> None:
    text = answered(server, "get_hosts", format="json")
    assert '"next_cursor":"' in text
    assert "more characters" not in text.partition('"next_cursor"')[2]


def test_the_rest_comes_by_cursor(server: MCPServer[Any]) -> None:
    """However little fits: page after page gives every host once."""
    hosts: list[str] = []
    arguments: dict[str, str] = {}
    while True:
        text = answered(server, "get_hosts", **arguments)
        hosts += re.findall(r"^(\d+)\.abc", text, re.MULTILINE)
        cursor = re.search(r"cursor=(\S+)", text)
        if cursor is None:
            break
        arguments = {"cursor": cursor[1]}
    assert sorted(map(int, hosts)) == list(range(250))


def test_the_stretches_of_a_recorder_that_often_broke_off_come_by_cursor(tmp_path: Path) -> None:
    on = [stretch(minute(n / 5), minute(n / 5 + 0.1)) for n in range(300)]
    broken = build_server(build(tmp_path / "store", [], on).path, UTC, lambda: NOW)
    seen: list[str] = []
    arguments: dict[str, str] = {}
    while True:
        text = answered(broken, "get_coverage", **arguments)
        assert len(text.encode()) <= MOST_BYTES
        seen += re.findall(r"^2026.* \| web \| receiving", text, re.MULTILINE)
        cursor = re.search(r"cursor=(\S+)", text)
        if cursor is None:
            break
        arguments = {"cursor": cursor[1]}
    assert len(seen) == len(set(seen)) == 300

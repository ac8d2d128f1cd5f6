"""However long the recorded texts are, an answer over MCP can still be read."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path

import pytest
from mcp import Client
from mcp_types import TextContent

from mcp_tools.server import build as build_server
from mcp_tools.text import MAX_ANSWER
from queries.core.question import tools
from tests.contract.stored import NOW, build, call, minute, row

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


def answered(store: Path, tool: str) -> str:
    async def run() -> str:
        async with Client(build_server(store, UTC, lambda: NOW)) as client:
            result = await client.call_tool(tool, {"limit": 200})
            assert not result.is_error, result.content
            assert isinstance(result.content[0], TextContent)
            return result.content[0].text

    return asyncio.run(run())


LIMITED = [name for name, question in tools().items() if question.limit]


@pytest.mark.parametrize("tool", LIMITED)
def test_an_answer_can_be_read(store: Path, tool: str) -> None:
    text = answered(store, tool)
    assert len(text) <= 2 * MAX_ANSWER
    if len(text) > MAX_ANSWER:
        assert '"shortened"' in text


def test_what_was_cut_is_told(store: Path) -> None:
    text = answered(store, "get_hosts")
    assert "texts are cut at" in text
    assert '"next_cursor":"' in text
    assert "more characters" not in text.partition('"next_cursor"')[2]

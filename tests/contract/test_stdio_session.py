"""As an assistant lives with it: one stdio session through every tool, resource and prompt."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, TextContent

from queries.core.question import tools as tools_of
from tests.contract.stored import NOW, build, minute, row

ROOT = Path(__file__).parents[2]
NEEDED: dict[str, dict[str, Any]] = {
    "get_transaction": {"id": "web:3"},
    "get_payloads": {"ids": ["web:3", "web:4"]},
    "query_sql": {"sql": "SELECT count(*) FROM transactions"},
}
PROMPTS = {"before_and_after": {"mark": "12:30"}, "explain_transaction": {"id": "web:3"}}


def test_every_tool_resource_and_prompt_answers(tmp_path: Path) -> None:
    made = build(tmp_path / "store", [row(minute(number)) for number in range(-30, 30)])
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "qrec", "mcp", "--store", str(made.path), "--allow-sql"],
        env={**os.environ, "QREC_NOW": NOW.isoformat(), "QREC_TIMEZONE": "UTC"},
        cwd=str(ROOT),
    )

    async def session() -> None:
        async with Client(server) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            questions = tools_of(sql=True)
            assert listed == {name for name, one in questions.items() if one.core} | {"ask"}
            for name in sorted(questions):
                arguments = NEEDED.get(name, {})
                result = await client.call_tool(name, arguments)
                assert not result.is_error, (name, result.content)
                assert isinstance(result.content[0], TextContent)
                if name == "get_transaction":  # its lines have a number of their own each time
                    continue
                if name == "what_changed":
                    assert result.content[0].text.startswith("Nothing changed")
                asked = await client.call_tool("ask", {"question": name, **arguments})
                assert asked.content == result.content
            for wrong in ("get_host", "asks"):
                with pytest.raises(MCPError) as caught:
                    await client.call_tool(wrong, {})
                assert caught.value.code == INVALID_PARAMS
            with pytest.raises(MCPError) as caught:
                await client.get_prompt("triag", {})
            assert caught.value.code == INVALID_PARAMS
            assert "triage" in str(caught.value)
            for resource in (await client.list_resources()).resources:
                assert (await client.read_resource(str(resource.uri))).contents
            assert (await client.read_resource("qrec://transaction/web:3")).contents
            for prompt in (await client.list_prompts()).prompts:
                given = PROMPTS.get(prompt.name, {})
                assert (await client.get_prompt(prompt.name, given)).messages

    asyncio.run(session())

"""What an assistant reads when it holds a tool wrong: what is wrong, what to write, no more."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server import MCPServer
from mcp_types import TextContent

from mcp_tools.server import build as build_server
from mcp_tools.text import MAX_ERROR, without_paths
from queries.core.question import tools
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(tmp_path_factory.mktemp("errors") / "store", [row(minute(1))])


@pytest.fixture(scope="module")
def server(store: Store) -> MCPServer:
    """One for all examples: to build one takes longer than most of its answers."""
    return build_server(store.path, UTC, lambda: NOW)


def call(server: MCPServer | Path, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Whether the call failed, and the text of its answer; a path stands for a server of it."""
    if isinstance(server, Path):
        server = build_server(server, UTC, lambda: NOW)

    async def run() -> tuple[bool, str]:
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments)
            assert isinstance(result.content[0], TextContent)
            return bool(result.is_error), result.content[0].text

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"last": "1q"}, "90s, 15m, 1h"),
        ({"lst": "1h"}, "Did you mean 'last'?"),
        ({"limit": 10_000}, "limit: Input should be less than or equal to 200."),
        ({"limit": "many"}, "limit: "),
        ({"last": "x" * 1000}, "last: "),
        ({"from_time": "15:00", "to_time": "12:00"}, "Swap from_time and to_time"),
        ({"since": "no such mark"}, "there is no mark"),
        ({"where": "res.statu == 500"}, "res.status"),
        ({"where": "res.status ="}, "filter 1:"),
        ({"now": "yesterday"}, "There is no argument now"),
    ],
)
def test_an_error_says_what_to_write(
    server: MCPServer, arguments: dict[str, Any], said: str
) -> None:
    failed, text = call(server, "get_hosts", arguments)
    assert failed
    assert said in text
    assert len(text) <= MAX_ERROR
    assert "pydantic" not in text


def test_a_missing_store_is_told_without_its_path(tmp_path: Path) -> None:
    failed, text = call(tmp_path / "nowhere", "what_changed", {})
    assert failed
    assert "there is no qrec store" in text
    assert "qrec record" in text
    assert str(tmp_path) not in text


def test_a_store_made_later_is_found(tmp_path: Path) -> None:
    assert call(tmp_path / "store", "get_hosts", {})[0]
    build(tmp_path / "store", [row(minute(1))])
    assert not call(tmp_path / "store", "get_hosts", {})[0]


def test_paths_go_and_routes_stay() -> None:
    home = Path.home()
    assert without_paths(f"no store at {home}/x y: '{home}'") == "no store at … y: '…'"
    assert without_paths("GET /v1/charges failed") == "GET /v1/charges failed"


ARGUMENTS = st.dictionaries(
    st.sampled_from(["last", "from_time", "to_time", "since", "around", "where", "limit", "vs"]),
    st.text(max_size=30) | st.integers() | st.none() | st.lists(st.integers(), max_size=2)
    | st.sampled_from(["1h", "14:00", "now", "yesterday", 'req.host == "/etc/passwd"', "a or b"]),
    max_size=4,
)  # fmt: skip


@given(st.sampled_from(sorted(tools())), ARGUMENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked_only_readable_errors_come_back(
    store: Store, server: MCPServer, tool: str, arguments: dict[str, Any]
) -> None:
    failed, text = call(server, tool, arguments)
    if failed:
        assert len(text) <= MAX_ERROR
        assert str(store.path) not in text
        assert text != f"Error executing tool {tool}"  # what an unforeseen error looks like

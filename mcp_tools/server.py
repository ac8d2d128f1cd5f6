"""The MCP server: the questions of queries/ as tools, over stdio or HTTP on this machine.

A tool is a question with the arguments and the text of its declaration. Every one answers when it
is called by its name; listed are those that an incident needs, and `ask`, which takes the name of
any other: a list of all costs an assistant three times as much before its first question. A server
for programs (`listed="all"`) lists all with their output schemas.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from mcp_tools.prompts import add_prompts, add_resources, instructions
from mcp_tools.text import Context
from mcp_tools.tools import Listed, ask_tool, tool_of
from queries.core.escape import visible
from queries.core.question import tools
from store import __version__
from store.errors import did_you_mean
from store.layout import Store

_INTERRUPTED = 130


class Server(MCPServer[Any]):
    """Tells what it lists, and refuses unknown names of tools and prompts as the protocol says."""

    listed: frozenset[str] = frozenset()

    async def list_tools(self) -> list[Any]:
        """Those that are listed; every other one answers all the same."""
        return [tool for tool in await super().list_tools() if tool.name in self.listed]

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """As the base class. Raises MCPError (-32602) for a tool that there is not."""
        _check_known("tool", name, [tool.name for tool in await super().list_tools()])
        return await super().call_tool(name, arguments, context)

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Any = None
    ) -> Any:
        """As the base class. Raises MCPError (-32602) for a prompt that there is not."""
        _check_known("prompt", name, [prompt.name for prompt in await self.list_prompts()])
        return await super().get_prompt(name, arguments, context)


def _check_known(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        hint = did_you_mean(name, known, f"There are: {', '.join(known)}.")
        raise MCPError(INVALID_PARAMS, f"There is no {kind} {visible(name[:60])!r}. {hint}")


def build(
    store: Path | Callable[[], Store],
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    allow_sql: bool = False,
    listed: Listed = "core",
) -> Server:
    """A server over the store at `store`, which is opened anew for each question.

    tz: the zone of times that an assistant writes without one; now: what "the last hour" ends at;
    allow_sql: whether the assistant may write SELECT statements of its own; listed: see above.
    """
    # Before the constructor, which would set up logging in its own way.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="qrec mcp: %(message)s")
    context = Context(store, tz, now)
    questions = tools(allow_sql)
    known = {name: tool_of(question, context, listed) for name, question in questions.items()}
    others = [question for question in questions.values() if not question.core]
    server = Server(
        "qrec",
        title="qrec",
        instructions=instructions(context),
        version=__version__,
        log_level="WARNING",
        tools=[*known.values(), ask_tool(others, known)],
    )
    core = [name for name, question in questions.items() if question.core]
    server.listed = frozenset(known if listed == "all" else [*core, "ask"])
    add_resources(server, context)
    add_prompts(server, context)
    return server


def serve(server: Server, http_port: int | None = None) -> None:
    """Serve until the client goes away (stdio) or forever (HTTP on 127.0.0.1, path /mcp)."""
    if http_port is not None:
        server.run("streamable-http", host="127.0.0.1", port=http_port)
        return
    # The thread that reads stdin cannot be woken: without this, Ctrl-C would wait for a line.
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    server.run("stdio")

"""The MCP server: the questions of queries/ as tools, over stdio or HTTP on this machine."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict

from mcp_tools.arguments import with_arguments
from mcp_tools.context import Context
from mcp_tools.errors import CarefulTool
from mcp_tools.instructions import instructions
from mcp_tools.prompts import add_prompts
from mcp_tools.resources import add_resources
from mcp_tools.schemas import model_of
from mcp_tools.tools import SQL_TOOLS, TOOLS
from store.errors import UnavailableError
from store.version import __version__

_INTERRUPTED = 130
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def build(
    store: Path,
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    allow_sql: bool = False,
) -> MCPServer[Any]:
    """A server over the store at `store`, which is opened anew for each question.

    tz: the zone of times that an assistant writes without one; now: what "the last hour" ends at;
    allow_sql: whether the assistant may write SELECT statements of its own.
    """
    # Before the constructor, which would set up logging in its own way.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="qrec mcp: %(message)s")
    context = Context(store, tz, now)
    server: MCPServer[Any] = MCPServer(
        "qrec",
        title="qrec",
        instructions=instructions(context),
        version=__version__,
        log_level="WARNING",
        tools=[_tool(name, context) for name in (*TOOLS, *(SQL_TOOLS if allow_sql else ()))],
    )
    add_resources(server, context)
    add_prompts(server, context)
    return server


def _tool(name: str, context: Context) -> Tool:
    spec = {**TOOLS, **SQL_TOOLS}[name]
    function = with_arguments(context, spec.question)
    returns = Annotated[CallToolResult, model_of(spec.answer_class())]
    signature = inspect.signature(function).replace(return_annotation=returns)
    function.__signature__ = signature  # type: ignore[attr-defined]
    tool = CarefulTool.from_function(
        function,
        name=name,
        title=spec.title,
        description=inspect.getdoc(spec.question),
        annotations=_READ_ONLY,
        structured_output=True,
    )
    # A mistyped argument that is silently ignored gives a right answer to a wrong question.
    given = tool.fn_metadata.arg_model
    strict = {"model_config": ConfigDict(extra="forbid"), "__module__": __name__}
    tool.fn_metadata.arg_model = type(given.__name__, (given,), strict)
    tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
    return tool


def serve(
    store: Path,
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    http_port: int | None = None,
    allow_sql: bool = False,
) -> None:
    """Serve until the client goes away (stdio) or forever (HTTP on 127.0.0.1, path /mcp).

    Raises UnavailableError when the port is taken.
    """
    server = build(store, tz, now, allow_sql)
    if http_port is None:
        # The thread that reads stdin cannot be woken: without this, Ctrl-C would wait for a line.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        server.run("stdio")
        return
    _check_port(http_port)
    server.run("streamable-http", host="127.0.0.1", port=http_port)


def _check_port(port: int) -> None:
    """Find out in advance whether the port is free: uvicorn would end the process with a log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UnavailableError(
                f"cannot listen on 127.0.0.1:{port}: {reason}",
                "Choose another port with --http PORT.",
            ) from None

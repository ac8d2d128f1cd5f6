"""The MCP server: the questions of queries/ as tools, over stdio or HTTP on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from mcp.server import MCPServer

from mcp_tools.context import Context
from mcp_tools.prompts import add_prompts, instructions
from mcp_tools.resources import add_resources
from mcp_tools.tools import tool_of
from queries.core.question import tools
from store.errors import UnavailableError
from store.version import __version__

_INTERRUPTED = 130


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
        tools=[tool_of(question, context) for question in tools(allow_sql).values()],
    )
    add_resources(server, context)
    add_prompts(server, context)
    return server


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

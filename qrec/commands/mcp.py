"""`qrec mcp`: the questions as tools for an assistant."""

from __future__ import annotations

import sys
from typing import Literal

from qrec.commands.web import listener
from qrec.output import say
from qrec.run import STORE, Run, switch, takes
from queries.core.question import Argument


@takes(
    Argument("http", "Serve streamable HTTP on 127.0.0.1 instead of stdio.", "PORT", kind=int),
    switch("allow_sql", "Let the assistant run SELECT statements of its own."),
    Argument("tools", "List core (few, for a model) or all (with schemas, for a program).", "WHICH",
             default="core", choices=("core", "all")),
    *STORE,
)  # fmt: skip
def mcp(run: Run, http: int | None, allow_sql: bool, tools: Literal["core", "all"]) -> None:
    """Answer an assistant's questions over the Model Context Protocol (stdio).

    \b
    Examples:
      claude mcp add qrec -- qrec mcp
      qrec mcp --store /var/lib/qrec
      qrec mcp --http 8765
    """
    from mcp_tools.server import build, serve

    if http is None and sys.stdin is not None and sys.stdin.isatty():
        say("waiting for an MCP client on stdin (Ctrl-C ends); to set one up: "
            "claude mcp add qrec -- qrec mcp")  # fmt: skip
    server = build(run.settings.store, run.tz, lambda: Run(run.values).now, allow_sql, tools)
    if http is not None:  # found out here: Uvicorn would end the process with a log
        listener("127.0.0.1", http, "--http").close()
    serve(server, http)

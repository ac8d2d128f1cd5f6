"""`qrec mcp`: the questions as tools for an assistant."""

from __future__ import annotations

import sys
from typing import Annotated

from qrec.output import say
from qrec.run import Run, StoreFlags, flag, switch
from store.errors import check_choice


def mcp(
    http: Annotated[
        int | None, flag("PORT", "Serve streamable HTTP on 127.0.0.1 instead of stdio.")
    ] = None,
    allow_sql: Annotated[
        bool, switch("--allow-sql", "Let the assistant run SELECT statements of its own.")
    ] = False,
    tools: Annotated[
        str, flag("WHICH", "List core (few, for a model) or all (with schemas, for a program).")
    ] = "core",
    *,
    store: StoreFlags,
) -> None:
    """Answer an assistant's questions over the Model Context Protocol (stdio).

    \b
    Examples:
      claude mcp add qrec -- qrec mcp
      qrec mcp --store /var/lib/qrec
      qrec mcp --http 8765
    """
    from mcp_tools.server import build, serve

    run = Run(store)
    check_choice("--tools", tools, ("core", "all"))
    if http is None and sys.stdin is not None and sys.stdin.isatty():
        say("waiting for an MCP client on stdin (Ctrl-C ends); to set one up: "
            "claude mcp add qrec -- qrec mcp")  # fmt: skip
    server = build(
        run.settings.store, run.tz, lambda: Run(store).now, allow_sql,
        listed="all" if tools == "all" else "core",
    )  # fmt: skip
    serve(server, http)

"""`qrec mcp`: the questions for an assistant, over the Model Context Protocol."""

from __future__ import annotations

import sys
from typing import Annotated, Final

from mcp_tools.server import Listed, build, serve
from qrec.output import say
from qrec.run import Run, StoreFlags, flag, switch
from store.errors import UsageError

_LISTED: Final[dict[str, Listed]] = {"core": "core", "all": "all"}


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
    run = Run(store)
    listed = _LISTED.get(tools)
    if listed is None:
        raise UsageError(f"--tools cannot be {tools[:40]!r}", "It is one of core, all.")
    if http is None and sys.stdin is not None and sys.stdin.isatty():
        say("waiting for an MCP client on stdin (Ctrl-C ends); to set one up: "
            "claude mcp add qrec -- qrec mcp")  # fmt: skip
    server = build(run.settings.store, run.tz, lambda: Run(store).now, allow_sql, listed)
    serve(server, http)

"""How an assistant fares in an incident: right cause, calls, and bytes that it had to read.

    python -m bench.assistant.run                       # the scripted experts, as a table
    python -m bench.assistant.run --list                # tasks and symptoms, for a driver
    python -m bench.assistant.run --serve TASK          # an MCP server over stdio for any client
    python -m bench.assistant.run --score TASK < answer # after that: its answer, calls and bytes

A driver starts its client on --serve, gives the model the symptom and asks it to end with the two
lines `CAUSE: …` (nothing, where nothing is wrong) and `SINCE: HH:MM`. Every call is written to
TASK.calls in --folder, where the recordings are kept, too; the list of tools counts as read once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_types import TextContent

from bench.assistant.experts import with_sql, with_tools
from bench.assistant.sizes import BYTES_A_TOKEN, size
from bench.assistant.tasks import NOW, TASKS, Task
from mcp_tools.server import Server, build


class Calls:
    """A server that writes down what is asked of it, and how many bytes each answer has."""

    def __init__(self, task: Task, folder: Path, sql: bool = True) -> None:
        self.server: Server = build(task.build(folder), UTC, lambda: NOW, sql)
        self.sizes: list[int] = []
        self.path = folder / f"{task.name}.calls"
        self.path.write_text("")
        self._answer = self.server.call_tool
        self.server.call_tool = self._call  # type: ignore[method-assign]

    async def _call(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        result = await self._answer(name, arguments, context)
        texts = "".join(one.text for one in result.content if isinstance(one, TextContent))
        self.sizes.append(size(texts))
        with self.path.open("a") as file:
            line = {"tool": name, "arguments": arguments, "bytes": self.sizes[-1]}
            file.write(json.dumps(line) + "\n")
        return result


async def solved(task: Task, folder: Path, expert: Callable[..., Any]) -> dict[str, Any]:
    """One task, solved by a scripted expert."""
    calls = Calls(task, folder)
    async with Client(calls.server) as client:

        async def ask(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, arguments)
            [content] = result.content
            assert isinstance(content, TextContent)
            assert not result.is_error, content.text
            return content.text

        answer = await expert(task, ask)
    return scored(task, answer, calls.sizes)


def scored(task: Task, answer: str, sizes: Sequence[int]) -> dict[str, Any]:
    """What an answer is worth, and what it cost."""
    return {
        "task": task.name, "right": task.right(answer), "dated": task.dated(answer),
        "calls": len(sizes), "bytes": sum(sizes), "answer": answer,
    }  # fmt: skip


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Both experts side by side, as Markdown; tokens are of the answers alone."""
    lines = [
        "| task | who | right cause | right minute | calls | tokens |",
        "|---|---|---|---|---|---|",
    ]
    for who, rows in results.items():
        for row in rows:
            lines.append(
                f"| {row['task']} | {who} | {'yes' if row['right'] else 'no'} |"
                f" {'yes' if row['dated'] else 'no'} | {row['calls']} |"
                f" {row['bytes'] // BYTES_A_TOKEN:,} |"
            )
        right, calls = sum(r["right"] for r in rows), sum(r["calls"] for r in rows)
        tokens = sum(r["bytes"] for r in rows) // BYTES_A_TOKEN
        dated = sum(r["dated"] for r in rows)
        lines.append(f"| all | {who} | {right} of {len(rows)} | {dated} of {len(rows)} | {calls} |"
                     f" {tokens:,} |")  # fmt: skip
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.assistant.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [task.name for task in TASKS]
    parser.add_argument("--folder", type=Path, help="where recordings are kept; default: nowhere")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--serve", choices=names)
    parser.add_argument("--score", choices=names)
    parser.add_argument("--no-sql", action="store_true", help="serve without the tool for SELECTs")
    parser.add_argument("--json", action="store_true", help="print the results as one document")
    arguments = parser.parse_args(argv)
    if arguments.list:
        print(json.dumps({task.name: task.symptom for task in TASKS}, indent=1))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = {task.name: task for task in TASKS}.get(arguments.serve or arguments.score or "")
        if arguments.serve and chosen:
            Calls(chosen, folder, not arguments.no_sql).server.run("stdio")
        elif chosen:
            lines = (folder / f"{chosen.name}.calls").read_text().splitlines()
            sizes = [json.loads(line)["bytes"] for line in lines]
            print(json.dumps(scored(chosen, sys.stdin.read(), sizes), indent=1))
        else:
            experts = {"tools": with_tools, "SQL alone": with_sql}
            results = {
                who: [asyncio.run(solved(task, folder, expert)) for task in TASKS]
                for who, expert in experts.items()
            }
            print(json.dumps(results, indent=1) if arguments.json else table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

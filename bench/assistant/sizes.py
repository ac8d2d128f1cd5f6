"""What the tools cost an assistant to read: the list of them, and an answer of each.

    python -m bench.assistant.sizes STORE            # a table
    python -m bench.assistant.sizes STORE --json

The list is counted as it travels: descriptions, input and output schemas of tools/list, in bytes of
compact UTF-8; answers as the text that a model is shown and the structured content beside it. A
token is taken to be BYTES_A_TOKEN bytes. `listed` counts what a client sees; every tool is asked
with its default arguments over the whole of its store's last hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mcp import Client
from mcp_types import TextContent

from mcp_tools.server import build
from queries.core.notes import received
from queries.core.question import BASELINE, CURSOR, LIMIT, WHERE, WINDOW, tools
from store.layout import Store

BYTES_A_TOKEN: Final = 4
_TWO_FAILED: Final = {"where": "res.status >= 400", "limit": 2, "format": "json"}


def size(value: Any) -> int:
    """Bytes of a text, or of a document as compact JSON."""
    text = value if isinstance(value, str) else json.dumps(
        value, ensure_ascii=False, separators=(",", ":"))  # fmt: skip
    return len(text.encode())


async def listing(client: Client) -> dict[str, dict[str, int]]:
    """Of each listed tool the bytes of its description, input schema and output schema."""
    listed = (await client.list_tools()).tools
    return {
        tool.name: {
            "description": size(tool.description or ""),
            "input": size(tool.input_schema),
            "output": size(tool.output_schema) if tool.output_schema else 0,
        }
        for tool in listed
    }


def tokens(sizes: Mapping[str, Mapping[str, int]], *parts: str) -> int:
    return sum(one[part] for one in sizes.values() for part in parts) // BYTES_A_TOKEN


async def answers(client: Client) -> dict[str, dict[str, int]]:
    """Of each tool the bytes of the text and of the structured content of one answer."""
    sizes = {}
    result = await client.call_tool("search_traffic", _TWO_FAILED)
    ids = [one["id"] for one in (result.structured_content or {})["transactions"]]
    for name in tools():
        arguments = {"get_transaction": {"id": ids[0]}, "get_payloads": {"ids": ids}}.get(name, {})
        result = await client.call_tool(name, arguments)
        assert not result.is_error, (name, result.content)
        texts = [one.text for one in result.content if isinstance(one, TextContent)]
        document = result.structured_content
        sizes[name] = {"text": size("".join(texts)), "document": size(document) if document else 0}
    return sizes


async def measured(server: Any) -> dict[str, Any]:
    async with Client(server) as client:
        return {
            "instructions": size(client.instructions or ""),
            "tools": await listing(client),
            "answers": await answers(client),
        }


_SHARED: Final = {one.name for one in (*WINDOW, *BASELINE, WHERE, LIMIT, CURSOR)}


async def designs(store: Path, now: datetime) -> dict[str, int]:
    """Tokens of descriptions and input schemas of the list, if it were made otherwise."""
    full = build(store, UTC, lambda: now, listed="all")
    listed = await full.list_tools()
    chosen = await build(store, UTC, lambda: now).list_tools()
    [ask] = [tool for tool in chosen if tool.name == "ask"]
    three = ("what_changed", "search_traffic", "get_transaction")
    more = "\n".join(
        f"{tool.name}: {(tool.description or '').splitlines()[0]}"
        for tool in chosen
        if tool.name not in (*three, "ask")
    )
    few = [tool for tool in chosen if tool.name in three]
    short = [
        {"description": (tool.description or "").splitlines()[0], "input": _bare(tool.input_schema)}
        for tool in listed
    ]
    return {
        "every tool in full": sum(map(_one, listed)) // BYTES_A_TOKEN,
        "every tool in a sentence, what they share told in the instructions": (
            sum(size(one["description"]) + size(one["input"]) for one in short)
            + sum(len(one.help) for one in (*WINDOW, *BASELINE, WHERE, LIMIT, CURSOR))
        ) // BYTES_A_TOKEN,
        "three tools, the rest through ask": (
            sum(map(_one, few)) + _one(ask) + size(more)
        ) // BYTES_A_TOKEN,
        "ten tools, the rest through ask": sum(map(_one, chosen)) // BYTES_A_TOKEN,
    }  # fmt: skip


def _one(tool: Any) -> int:
    return size(tool.description or "") + size(tool.input_schema)


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without what is said of the arguments that nearly every tool has."""
    properties = {
        name: {k: v for k, v in one.items() if k != "description"} if name in _SHARED else one
        for name, one in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def table(sizes: Mapping[str, Any]) -> str:
    lines = [f"{'tool':26}{'words':>8}{'input':>8}{'output':>8}{'answer':>9}{'document':>9}"]
    for name, answer in sizes["answers"].items():
        one = sizes["tools"].get(name, {})
        lines.append(f"{name:26}" + "".join(f"{one.get(part, '-'):>8}" for part in
                     ("description", "input", "output"))
                     + f"{answer['text']:>9}{answer['document']:>9}")  # fmt: skip
    for name in sizes["tools"].keys() - sizes["answers"].keys():
        one = sizes["tools"][name]
        lines.append(f"{name:26}{one['description']:>8}{one['input']:>8}{one['output']:>8}")
    told = [one["text"] for one in sizes["answers"].values()]
    whole = [one["text"] + one["document"] for one in sizes["answers"].values()]
    listed = sizes["tools"]
    lines += [
        f"list: {tokens(listed, 'description', 'input'):,} tokens, with output schemas "
        f"{tokens(listed, 'description', 'input', 'output'):,}; instructions "
        f"{sizes['instructions'] // BYTES_A_TOKEN:,}",
        f"answers: median {statistics.median(told) / BYTES_A_TOKEN:,.0f} tokens of text, largest "
        f"{max(told) // BYTES_A_TOKEN:,}; with structured content median "
        f"{statistics.median(whole) / BYTES_A_TOKEN:,.0f}, largest "
        f"{max(whole) // BYTES_A_TOKEN:,}",
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.assistant.sizes", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("store", type=Path)
    parser.add_argument("--now", type=datetime.fromisoformat, help="default: the newest recording")
    parser.add_argument("--tools", choices=("core", "all"), default="core")
    parser.add_argument("--designs", action="store_true", help="what other lists would cost")
    parser.add_argument("--json", action="store_true", help="print the figures as one document")
    arguments = parser.parse_args(argv)
    whole = received(Store.open(arguments.store))
    now = arguments.now or (whole.to_ts if whole else datetime.now(UTC))
    server = build(arguments.store, UTC, lambda: now, listed=arguments.tools)
    if arguments.designs:
        print(json.dumps(asyncio.run(designs(arguments.store, now)), indent=1))
        return 0
    sizes = asyncio.run(measured(server))
    print(json.dumps(sizes, indent=1) if arguments.json else table(sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())

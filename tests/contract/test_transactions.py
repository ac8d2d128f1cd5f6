"""Questions about transactions and bodies: one document on both faces, and what is shown of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mcp_tools.server import build as build_server
from qrec.__main__ import main
from tests.contract.stored import NOW, build, minute, row

# Each tool of these questions, and how its command is called.
COMMANDS = {
    "search_traffic": "search",
    "get_traffic": "search",
    "get_transaction": "show",
    "get_payloads": "show --bodies",
    "check_sensitive_data": "sensitive",
    "get_schema": "schema",
    "compare_schemas": "schema --vs previous",
}
ASKED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("search_traffic", {}, []),
    ("search_traffic", {"where": "res.status >= 500", "limit": 2},
     ["res.status >= 500", "--limit", "2"]),
    ("search_traffic", {"last": "10m", "where": 'req.host == "api.example.com"'},
     ["--last", "10m", "--where", 'req.host == "api.example.com"']),
    ("get_traffic", {"limit": 3}, ["--limit", "3"]),
    ("get_transaction", {"id": "web:3"}, ["web:3"]),
    ("get_transaction", {"id": "web:s1:3", "max_chars": 10}, ["web:s1:3", "--chars", "10"]),
    ("check_sensitive_data", {}, []),
    ("get_schema", {}, []),
    ("get_schema", {"last": "20m", "where": "res.status == 500"},
     ["--last", "20m", "--where", "res.status == 500"]),
    ("compare_schemas", {"last": "20m"}, ["--last", "20m"]),
    ("compare_schemas", {"last": "10m", "limit": 1, "vs": "previous"},
     ["--last", "10m", "--limit", "1"]),
    ("check_sensitive_data", {"last": "30m", "limit": 1, "where": "res.status == 500"},
     ["--last", "30m", "--limit", "1", "--where", "res.status == 500"]),
    ("get_payloads", {"ids": ["web:3", "web:4"]}, ["web:3", "web:4"]),
    ("get_payloads", {"ids": ["web:3"], "max_chars": 9, "offset": 5},
     ["web:3", "--chars", "9", "--offset", "5"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        row(minute(number), status=500 if number % 3 == 0 else 200,
            req_body=b'{"amount": %d, "note": "\\u001b[31m"}' % number, req_body_bytes=38,
            req_content_type="application/json",
            res_body=b'{"id": "ch_%d", "items": [{"n": 1}]}' % number,
            res_content_type="application/json",
            findings=[{"kind": "card", "place": "request.body.card", "hint": "ab12cd34ef56"}])
        for number in range(-20, 60)
    ]  # fmt: skip
    return build(tmp_path_factory.mktemp("transactions") / "store", rows).path


def by_command_line(store: Path, argv: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    place = ["--store", str(store), "--timezone", "UTC", "--now", NOW.isoformat()]
    code = main([*argv, "--json", *place])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


def by_mcp(store: Path, tool: str, arguments: dict[str, Any]) -> Any:
    async def call() -> Any:
        async with Client(build_server(store, UTC, lambda: NOW, listed="all")) as client:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            schema = {t.name: t for t in (await client.list_tools()).tools}[tool].output_schema
            assert schema is not None
            assert set(result.structured_content or ()) == set(schema["properties"])
            return result.structured_content

    return asyncio.run(call())


@pytest.mark.parametrize(("tool", "arguments", "argv"), ASKED, ids=str)
def test_both_faces_give_the_same_document(
    store: Path,
    tool: str,
    arguments: dict[str, Any],
    argv: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = by_mcp(store, tool, arguments)
    assert next(iter(document)) == "version"
    assert document == by_command_line(store, [*COMMANDS[tool].split(), *argv], capsys)


def test_the_cursor_of_one_face_goes_on_at_the_other(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cursor = by_mcp(store, "search_traffic", {"limit": 5})["next_cursor"]
    second = by_command_line(store, ["search", "--limit", "5", "--cursor", cursor], capsys)
    assert second == by_mcp(store, "get_traffic", {"limit": 5, "cursor": cursor})


def test_recorded_escapes_reach_no_terminal(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--store", str(store), "--timezone", "UTC", "--now", NOW.isoformat()]
    assert main(["show", "web:3", *place]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert '"note": "\\\\x1b[31m"' not in out
    assert "[31m" in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "web"], "RECORDER:SEQ"),
        (["show", "web:3", "web:4", "--json"], "jsonl"),
        (["show", "web:3", "--format", "csv"], "json, jsonl or table"),
        (["show", "web:3", "--raw", "both"], "--raw response"),
        (["show", "web:3", "--chars", "0"], "50000"),
        (["search", "a", "--where", "b"], "not both"),
        (["search", "card"], "no field card"),
        (["search", "--cursor", "zzz"], "next_cursor"),
    ],
)
def test_held_wrong_they_say_what_to_write(
    store: Path, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--store", str(store), "--now", NOW.isoformat()]) == 2
    assert said in capsys.readouterr().err

"""What five incidents asked through the tools alone brought to light: an assistant is not misled.

Each test is asked over stdio, by the official client, as an assistant asks.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent

from tests.contract.stored import NOW, build, minute, row
from tests.e2e.shell import ROOT

Ask = Callable[..., Awaitable[tuple[bool, str]]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours; from 13:25 on one endpoint within the machine is slow, and product pages are
    empty from 13:15 on."""
    rows = []
    for number in range(-60, 60):
        slow = 900 if number >= 25 else 15
        empty = number >= 15
        for part in range(6):
            moment = minute(number + part / 6)
            inner: dict[str, Any] = {"host": "stock:8080", "route": "/v1/reserve", "method": "POST"}
            rows += [
                row(moment, direction="egress-internal", container_name="checkout",
                    pod_name=f"checkout-{part % 2}", duration_ms=slow + part, **inner),
                row(moment, direction="ingress", container_name="stock", pod_name="stock-0",
                    duration_ms=slow + part, **inner),
                row(moment, host="shop.example", route="/products/{id}", path=f"/products/{part}",
                    direction="ingress", container_name="shop", duration_ms=20,
                    res_content_type="application/json", res_body_bytes=2 if empty else 300,
                    bytes_received=150 if empty else 450,
                    res_body=b"{}" if empty else b'{"title": "a chair", "price": 12}'),
            ]  # fmt: skip
    return build(tmp_path_factory.mktemp("assistant") / "store", rows).path


def session(store: Path, questions: Callable[[Ask], Awaitable[None]]) -> None:
    """Ask over one connection; an answer is whether it failed, and its text."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "qrec", "mcp", "--store", str(store)], cwd=str(ROOT),
        env={**os.environ, "QREC_NOW": NOW.isoformat(), "QREC_TIMEZONE": "UTC"},
    )  # fmt: skip

    async def run() -> None:
        async with Client(server) as client:

            async def ask(tool: str, **arguments: Any) -> tuple[bool, str]:
                result = await client.call_tool(tool, arguments)
                [content] = result.content
                assert isinstance(content, TextContent)
                return bool(result.is_error), content.text

            await questions(ask)

    asyncio.run(run())


def test_examples_are_of_after_the_onset_and_show_the_effect(store: Path) -> None:
    async def questions(ask: Ask) -> None:
        _, told = await ask("what_changed")
        finding = re.search(r"^\d \w+ (\w+): (POST stock:8080 /v1/reserve.*)$", told, re.MULTILINE)
        assert finding is not None, told
        assert "blame stock" in finding[2]
        _, full = await ask("what_changed", explain=finding[1])
        ids = re.findall(r"^evidence: (web:\d+) \(window\)$", full, re.MULTILINE)
        assert ids
        for id in ids:
            _, one = await ask("get_transaction", id=id)
            taken = re.search(r"ended (\S+), status 200 after (\d+) ms", one)
            assert taken is not None, one
            assert taken[1] >= "2026-11-22T13:25"
            assert int(taken[2]) >= 900
        where = re.search(r"^where: (.*)$", full, re.MULTILINE)
        assert where is not None
        failed, rows = await ask("search_traffic", where=where[1], limit=2, sort="oldest")
        assert not failed
        assert rows.count("stock:8080/") == 2

    session(store, questions)


def test_pods_sizes_and_fields_of_bodies_are_asked_for(store: Path) -> None:
    async def questions(ask: Ask) -> None:
        _, told = await ask("get_timeline", by="pod", every="30m")
        assert re.search(r"^checkout-0 \| 180 \|", told, re.MULTILINE)
        _, told = await ask("what_changed")
        assert "answers smaller" in told
        _, told = await ask("ask", question="compare_schemas")
        assert re.search(r"\$\.title \| optional \| string \| string \| 1 \| 0\.\d+", told)
        _, told = await ask("search_traffic", where="res.body_bytes == 2", limit=1)
        assert "| res.body_bytes" in told
        assert "container.name" in told
        failed, _ = await ask("search_traffic", where='container.name == "shop"', limit=1)
        assert not failed

    session(store, questions)


def test_a_call_within_the_machine_stands_there_once(store: Path) -> None:
    async def questions(ask: Ask) -> None:
        for tool in ("get_endpoints", "get_traffic_summary"):
            _, told = await ask(tool)
            slowest = told.rpartition("slowest:")[2]
            assert slowest.count("/v1/reserve") == 1
            assert """direction != "egress-internal\"""" in told
        _, told = await ask("get_endpoints", where='direction != "egress-internal"')
        assert "seen at both ends" not in told

    session(store, questions)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ('req.host == "stok:8080"', "Did you mean 'stock:8080'?"),
        ('container.name == "nobody-of-that-name"', "Seen were: "),
        ('outcome == "servererror"', "it is one of ok, client_error"),
        ('direction == "inbound"', "it is one of ingress"),
    ],
)
def test_names_and_values_that_nobody_has_are_told(store: Path, where: str, said: str) -> None:
    async def questions(ask: Ask) -> None:
        for tool in ("get_endpoints", "get_errors", "get_timeline", "what_changed"):
            failed, told = await ask(tool, where=where)
            assert not failed
            assert said in told, (tool, told)
            assert "Nothing changed" not in told
        assert "says nothing of changes" in told

    session(store, questions)


def test_nothing_changed_comes_with_what_it_means(store: Path) -> None:
    async def questions(ask: Ask) -> None:
        _, told = await ask("what_changed", from_time="12:30", to_time="12:58", vs_from="12:00")
        first = told.splitlines()[0]
        assert first.startswith("Nothing changed beyond chance. It would have shown: ")
        assert "Not compared: " in first
        assert not re.search(r"\bdo not\b|\bstop\b", told)

    session(store, questions)


def test_windows_marks_and_errors_are_in_an_assistants_words(store: Path) -> None:
    async def questions(ask: Ask) -> None:
        _, told = await ask("what_changed", from_time="15:00", to_time="16:00")
        assert "in the future" in told
        _, told = await ask("what_changed", since="relase")
        assert "qrec://marks" in told
        _, told = await ask("get_transaction", id="elsewhere:7")
        assert "qrec search" not in told
        for tool in ("what_changed", "get_endpoints", "get_timeline"):
            _, told = await ask(tool, since="13:30")
            assert re.search(r"2026-11-22T13:30:00Z,? to 2026-11-22T14:00:00Z", told)
        _, told = await ask("what_changed", since="13:30")
        assert "baseline (mark) 2026-11-22T13:00:00Z to 2026-11-22T13:30:00Z" in told
        _, told = await ask("ask", question="get_database")
        assert "note not_recorded" in told
        _, told = await ask("ask", question="get_hots")
        assert "get_hosts" in told

    session(store, questions)

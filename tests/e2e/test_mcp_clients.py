"""The official clients of the protocol against `qrec mcp`, over stdio and over HTTP.

Node's SDK, the inspector and the conformance suite are installed, in fixed versions, into a
temporary folder. Where node or npm is missing, or npm gets at no packages, the tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, TextContent

from queries.core.question import tools
from tests.contract.stored import NOW, build, minute, row
from tests.e2e.shell import ROOT, background, environment, free_port
from tests.kit import PATIENCE_S

PACKAGES = (
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/conformance@0.1.16",
)
SCENARIOS = (  # the others ask for fixtures and capabilities that a server need not have
    "server-initialize", "ping", "tools-list", "resources-list", "prompts-list",
    "server-sse-multiple-streams", "dns-rebinding-protection",
)  # fmt: skip
CORE = {name for name, question in tools().items() if question.core} | {"ask"}
_CONFORMANCE_NODE = 22
pytestmark = pytest.mark.xdist_group("mcp_clients")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a store in which charges begin to fail."""
    home = tmp_path_factory.mktemp("clients")
    rows = [
        row(minute(number + part / 8), status=500 if number >= 20 and part % 2 else 200,
            host="api.stripe.com", method="POST", route="/v1/charges")
        for number in range(-60, 60) for part in range(8)
    ]  # fmt: skip
    build(home / "store", rows)
    return home


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages."""
    if not shutil.which("node") or not (npm := shutil.which("npm")):
        pytest.skip("there is no node or no npm on this machine")
    folder = tmp_path_factory.mktemp("npm")
    quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error",
             "--prefer-offline")  # fmt: skip
    try:
        done = subprocess.run(
            [npm, "install", *quiet, *PACKAGES], cwd=folder, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the clients within 200 s")
    if done.returncode:
        pytest.skip(f"npm does not install the clients: {done.stderr.strip()[-200:]}")
    shutil.copy(ROOT / "tests" / "e2e" / "mcp_client.mjs", folder)
    return folder


def _run(packages: Path, home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], cwd=packages, env=environment(home), capture_output=True,
        text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def _server(home: Path) -> list[str]:
    words = ("mcp", "--store", str(home / "store"), "--now", NOW.isoformat())
    return [sys.executable, "-m", "qrec", *words]


@contextmanager
def over_http(home: Path) -> Iterator[str]:
    """The address of `qrec mcp --http`, once it answers."""
    port = free_port()
    words = ("mcp", "--http", str(port), "--store", home / "store", "--now", NOW.isoformat())
    with background(*words, home=home) as process:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/mcp", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"


def test_pythons_client_over_http(home: Path) -> None:
    async def session(url: str) -> None:
        async with Client(url) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == CORE
            result = await client.call_tool("what_changed", {})
            assert isinstance(result.content[0], TextContent)
            assert "api.stripe.com /v1/charges failing" in result.content[0].text
            with pytest.raises(MCPError) as caught:
                await client.call_tool("get_nothing", {})
            assert caught.value.code == INVALID_PARAMS

    with over_http(home) as url:
        asyncio.run(session(url))


def _met(met: dict[str, Any]) -> None:
    """What Node's client has to meet, whichever way it came."""
    assert set(met["results"]) == CORE
    assert [name for name, one in met["results"].items() if one["failed"]] == []
    assert "api.stripe.com /v1/charges failing" in met["results"]["what_changed"]["text"]
    assert met["changes"]["verdict"] == "changed"
    assert met["errors"] == []
    assert met["stderr"] == ""
    assert "qrec remembers" in met["instructions"]
    assert (met["resources"], met["prompts"]) == (3, 4)
    assert met["unknown_tool"] == met["unknown_prompt"] == INVALID_PARAMS


@pytest.mark.node
def test_nodes_client_over_stdio(packages: Path, home: Path) -> None:
    done = _run(packages, home, "node", "mcp_client.mjs", "--", *_server(home))
    assert done.returncode == 0, done.stderr
    _met(json.loads(done.stdout))


@pytest.mark.node
def test_nodes_client_and_the_conformance_suite_over_http(packages: Path, home: Path) -> None:
    with over_http(home) as url:
        done = _run(packages, home, "node", "mcp_client.mjs", url)
        assert done.returncode == 0, done.stderr
        _met(json.loads(done.stdout))
        node = _new_node()
        if node is None:
            pytest.skip(f"the conformance suite needs node {_CONFORMANCE_NODE}; the client passed")
        suite = packages / "node_modules" / ".bin" / "conformance"
        for scenario in SCENARIOS:
            done = _run(packages, home, node, suite, "server", "--url", url, "--scenario", scenario)
            assert done.returncode == 0, (scenario, done.stdout, done.stderr)


def _new_node() -> str | None:
    """A node that the conformance suite runs on: this machine's, or the one of Playwright."""
    nodes = [shutil.which("node") or ""]
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        pass
    else:
        nodes.append(str(compute_driver_executable()[0]))
    for node in filter(os.path.exists, nodes):
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        if int(re.findall(r"\d+", version.stdout)[0]) >= _CONFORMANCE_NODE:
            return node
    return None


@pytest.mark.node
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tools/list"], "what_changed"),
        (["tools/call", "--tool-name", "what_changed"], "/v1/charges failing"),
    ],
    ids=["list", "call"],
)
def test_the_inspector(packages: Path, home: Path, words: list[str], said: str) -> None:
    inspector = packages / "node_modules" / ".bin" / "mcp-inspector"
    done = _run(packages, home, inspector, "--cli", *_server(home), "--method", *words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout

"""The docs are true: outputs, help and settings are as qrec prints them, links lead somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_tools.tools import SQL_TOOLS, TOOLS
from qrec.cli import COMMANDS
from tests.contract.documents import DOCS, PAGES, cli_page, page, settings_page, world

RENEW = "renew with: python -m tests.contract.documents"
OURS = (
    *PAGES, "windows.md", "settings.md", "mcp.md", "show.md", "sensitive.md", "files.md", "tail.md",
)  # fmt: skip
# A page's command, its tool, and further tools that it tells of.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "diff.md": ("diff", "what_changed"),
    "calibrate.md": ("calibrate", "get_calibration"),
    "summary.md": ("summary", "get_traffic_summary"),
    "errors.md": ("errors", "get_errors", "get_errors_by_container"),
    "slow.md": ("slow", "get_slow"),
    "timeline.md": ("timeline", "get_timeline"),
    "hosts.md": ("hosts", "get_hosts"),
    "endpoints.md": ("endpoints", "get_endpoints"),
    "statuses.md": ("statuses", "get_statuses"),
    "used_routes.md": ("routes", "get_routes"),
    "containers.md": ("containers", "get_containers"),
    "processes.md": ("processes", "get_processes"),
    "dependencies.md": ("dependencies", "get_dependencies"),
    "database.md": ("database", "get_database"),
    "connections.md": ("connections", "get_connections"),
    "coverage.md": ("coverage", "get_coverage"),
    "search.md": ("search", "search_traffic", "get_traffic"),
    "show.md": ("show", "get_transaction", "get_payloads"),
    "sensitive.md": ("sensitive", "check_sensitive_data"),
    "schema.md": ("schema", "get_schema", "compare_schemas"),
    "sql.md": ("sql", "query_sql"),
}


@pytest.fixture(scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with world(tmp_path_factory.mktemp("docs")):
        yield


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("_world")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_its_commands_print(name: str) -> None:
    assert page(read(name)) == read(name), RENEW


@pytest.mark.usefixtures("_world")
def test_the_help_pages_are_the_help() -> None:
    assert cli_page() == read("cli.md"), RENEW


def test_the_settings_are_all_there() -> None:
    assert settings_page(read("settings.md")) == read("settings.md"), RENEW


@pytest.mark.parametrize("name", OURS)
def test_lines_fit_and_links_lead_somewhere(name: str) -> None:
    text = read(name)
    for line in text.splitlines():
        assert len(line) <= 100 or line.startswith(("|", "note:", "{")), line
    for target in re.findall(r"\]\((\w+\.md)\)", text):
        assert (DOCS / target).exists(), target


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_a_page_with_both_sides(name: str) -> None:
    command, tool, *more = QUESTIONS[name]
    text = read(name)
    assert f"`qrec {command}` · `{tool}`" in text.splitlines()[0]
    calls = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert calls
    assert {call["name"] for call in calls} == {tool}
    assert all(f"`{one}`" in text and f"`{one}`" in read("mcp.md") for one in (tool, *more))


def test_no_question_is_without_a_page() -> None:
    told = {tool for _, *tools in QUESTIONS.values() for tool in tools}
    assert told == {*TOOLS, *SQL_TOOLS}
    assert {command for command, *_ in QUESTIONS.values()} <= set(COMMANDS)
    assert all(Path(DOCS / name).exists() for name in OURS)

"""The docs are true: outputs, help and settings are as qrec prints them, links lead somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from queries.core.question import every_question, question_names, questions_of
from queries.diff import limits
from tests.contract.documents import (
    DOCS,
    PAGES,
    cli_page,
    limits_shown,
    method_page,
    page,
    settings_page,
    world,
)

RENEW = "renew with: python -m tests.contract.documents"
OURS = (*PAGES, "windows.md", "settings.md", "mcp.md", "files.md", "architecture.md", "method.md",
        "report.md", "web.md")  # fmt: skip
QUESTIONS = [name for name in question_names() if questions_of(name)]


@pytest.fixture(scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with world(tmp_path_factory.mktemp("docs")):
        yield


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("_world")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_its_commands_print(name: str) -> None:
    assert page(name) == read(name), RENEW


@pytest.mark.usefixtures("_world")
def test_the_help_pages_are_the_help() -> None:
    assert cli_page() == read("cli.md"), RENEW


def test_the_settings_are_all_there() -> None:
    assert settings_page(read("settings.md")) == read("settings.md"), RENEW


def test_the_method_has_all_thresholds_as_they_are() -> None:
    text = read("method.md")
    assert limits_shown(text) == {name for name in vars(limits) if name.isupper()}
    assert method_page(text) == text, RENEW


@pytest.mark.parametrize("name", OURS)
def test_lines_fit_and_links_lead_somewhere(name: str) -> None:
    text = read(name)
    for line in text.splitlines():
        assert len(line) <= 100 or line.startswith(("|", "note:", "{")), line
    for target in re.findall(r"\]\((\w+\.md)\)", text):
        assert (DOCS / target).exists(), target


def test_the_walks_through_the_house_lead_somewhere() -> None:
    """Each file that they name is there, with the function or class that is named beside it."""
    steps = re.findall(r"`((?:\w+/)+\w+\.\w+)`(?: `([\w.]+)`)?", read("architecture.md"))
    assert len(steps) > 50
    for path, name in steps:
        text = (DOCS.parent / path).read_text(encoding="utf-8")
        own = name.rpartition(".")[2]
        defined = re.search(rf"^ *(def|class) {own}\b|^{own}\b", text, re.MULTILINE)
        assert not name or defined, (path, name)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_a_page_with_both_sides(name: str) -> None:
    first, *more = questions_of(name)
    text = read(first.docs)
    assert f"`qrec {name}` · `{first.tool}`" in text.splitlines()[0]
    calls = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert calls
    assert {call["name"] for call in calls} == {first.tool}
    assert all(f"`{one.tool}`" in text for one in more)
    assert f"```console\n$ qrec {name} --help\n" in text


def test_every_question_has_a_page_and_a_tool() -> None:
    for question in every_question():
        assert (DOCS / question.docs).exists(), question.name
        assert question.tool
        assert question.name == "diff" or len(question.summary) <= 25

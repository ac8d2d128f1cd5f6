"""The page about filters says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from filters import FIELDS, Row, check, parse, predicate, pushable, remarks
from recorder.decode.events import Transaction

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES = [
    line
    for block in re.findall(r"```filter\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_a_filter_that_needs_no_remark(text: str) -> None:
    expr = parse(text)
    check(expr, "where")
    assert remarks(expr) == []


def test_the_first_examples_work_while_recording() -> None:
    for text in PAGE.split("```")[1].splitlines()[1:]:
        check(parse(text), "record")


def test_every_field_is_listed_with_where_it_works() -> None:
    listed: dict[str, set[str]] = {}
    for names, qtap, live, _ in table("Fields"):
        uses = {"where"} | ({"push"} if qtap else set()) | ({"record"} if live else set())
        listed |= dict.fromkeys(re.findall("`([^`]*)`", names), uses)
    for family in ("req.header.NAME", "res.header.NAME"):
        assert listed.pop(family) == {"where"}
    assert listed == {name: set(spec.uses) for name, spec in FIELDS.items()}


def test_what_qtap_gets_is_what_is_pushed() -> None:
    for text, pushed in table("What Qtap gets"):
        expected = None if pushed == "everything" else pushed.split("`")[1]
        assert pushable(parse(text.strip("`"))) == expected


def test_the_surprises_are_as_told() -> None:
    assert parse("a and b or c").pretty() == "a and (b or c)"
    assert remarks(parse('res.status == "404"'))
    assert remarks(parse('res.status != "404"'))
    assert remarks(parse("req.host in 10.0.0.0/8"))
    for text in re.findall(
        r"`([^`]*)`", PAGE.split("qrec says so, as it does of")[1].split("\n")[0]
    ):
        assert " is never " in remarks(parse(text))[0]
    (said,) = remarks(parse('req.method == "GET" or "POST"'))
    assert said.endswith('write req.method in ["GET", "POST"]')
    call = Row(Transaction(ts=0, method="POST", status=200, grpc_status="14"))
    assert predicate(parse('outcome == "server_error" and outcome != "ok"'))(call)
    assert not predicate(parse("res.status >= 400"))(call)

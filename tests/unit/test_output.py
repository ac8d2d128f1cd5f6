"""What reaches the terminal: tables that fit, formats that parse, escapes that cannot act."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrec.output import (
    Painter,
    flatten,
    terminal_width,
    to_csv,
    to_json,
    to_jsonl,
    to_markdown,
    to_table,
)
from queries.core.escape import cut, visible, visible_json, width
from queries.core.question import Column

HOSTILE = "a\x1b[2Jb\r\n\x07\u202ec\u2028d\x9be\U000e0041f\ud800g"
ACTING = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2028, 0x200B, 0xFEFF]}
COLUMNS = (Column("host", give=1), Column("requests", kind="count"), Column("by", give=2))


def test_what_acts_on_a_terminal_is_made_visible() -> None:
    assert visible(HOSTILE) == (r"a\x1b[2Jb\r\n\x07\u202ec\u2028d\x9be\ue0041f\ud800g")
    assert visible("Zürich 東京 🎉") == "Zürich 東京 🎉"


@given(st.text())
def test_no_text_acts_on_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not ACTING & set(shown)
    assert to_table([Column("x", give=1)], [[text]], 40).count("\n") == 2


@given(st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c), max_leaves=8))
def test_json_keeps_its_meaning_and_loses_its_escapes(value: object) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert not (ACTING - {"\n"}) & set(text)


def test_json_refuses_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"share": float("nan")})


def test_a_line_of_json_is_one_line() -> None:
    text = to_jsonl([{"a": "x\ny"}, {"a": HOSTILE}])
    assert [json.loads(line)["a"] for line in text.splitlines()] == ["x\ny", HOSTILE]
    assert visible_json("[\n]") == "[\n]"


def test_csv_is_flat_quoted_and_has_a_header_without_rows() -> None:
    rows = [{"host": 'a,"b"', "statuses": {"2xx": 1}, "by": ["x", "y"], "p50": None}]
    parsed = list(csv.reader(io.StringIO(to_csv(rows, []))))
    assert parsed == [["host", "statuses.2xx", "by", "p50"], ['a,"b"', "1", "x y", ""]]
    assert to_csv([], ["host", "by"]) == "host,by\r\n"
    assert flatten({"a": {"b": {"c": 1}}}) == {"a.b.c": 1}


def test_markdown_keeps_cells_in_their_columns() -> None:
    text = to_markdown([Column("a"), Column("n", kind="count")], [["x|y\nz", "1"]])
    assert text == "| a | n |\n| --- | ---: |\n| x\\|y\\nz | 1 |\n"


def test_a_table_fits_the_terminal_and_says_where_it_was_cut() -> None:
    rows = [["h" * 60, "12,345", "someone"], ["short", "1", "b" * 60]]
    text = to_table(COLUMNS, rows, 60)
    assert max(map(width, text.splitlines())) <= 60
    assert "…" in text
    assert "12,345" in text
    assert "h" * 20 in text  # the column that matters more keeps more
    assert "h" * 60 in to_table(COLUMNS, rows, None)


def test_optional_columns_go_before_anything_is_cut() -> None:
    columns = (Column("host", give=1), Column("last seen", optional=True))
    assert to_table(columns, [["h" * 30, "2026-11-22 14:00:00"]], 40) == "host\n" + "h" * 30 + "\n"
    assert "14:00:00" in to_table(columns, [["h" * 30, "2026-11-22 14:00:00"]], 80)


def test_wide_letters_are_counted_as_two() -> None:
    assert width("東京") == 4
    assert cut("東京都庁", 5) == "東京…"
    table = to_table([Column("x"), Column("y")], [["東京", "1"], ["ab", "2"]], None)
    assert table == "x     y\n東京  1\nab    2\n"


def test_colour_is_there_only_when_asked_for() -> None:
    assert Painter(False)("x", "red") == "x"
    assert Painter(True)("x", "red") == "\x1b[31mx\x1b[0m"
    assert Painter(True)("x", None) == "x"


def test_a_width_that_is_told_counts_and_one_that_is_none_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((123, 50)))
    for told, columns in (("60", 60), ("20", 40), ("0", 123), ("-5", 123), ("wide", 123)):
        monkeypatch.setenv("COLUMNS", told)
        assert terminal_width() == columns
    monkeypatch.delenv("COLUMNS")
    assert terminal_width() is None  # a pipe

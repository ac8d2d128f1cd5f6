"""Whatever is typed, only a filter error comes back; whatever parses reads back the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters import FilterError, Row, check, parse, predicate, pushable, remarks, to_sql
from recorder.decode.events import Transaction
from tests.property.filter_strategies import FIELDS, filters

PIECES = ["req.method", "==", "!=", "and", "or", "not", "(", ")", "[", "]", ",", "'a'", '"', "'"]
PIECES += ["5", "5.5", "10.0.0.0/8", "::1", "/a/", "|", "--", "/*", "*/", "in", "matches", ">", "="]
PIECES += [
    "zone(",
    "\\",
    "\n",
    "é",
    "\x00",
    "08",
    "ab",
    "e3",
    "&&",
    "||",
    "!",
    "contains",
    "true",
    "missing(",
]


def use(text: str) -> FilterError | None:
    try:
        expr = parse(text)
        predicate(expr)(Row(Transaction(ts=0, method="GET")))
        pushable(expr)
        remarks(expr)
        check(expr, "where")
        to_sql(expr)
    except FilterError as error:
        return error
    return None


@given(st.text())
def test_any_text(text: str) -> None:
    error = use(text)
    assert error is None or len(error.message) + len(error.hint) < 500


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(["", " "]))
def test_any_pieces_of_the_language(pieces: list[str], between: str) -> None:
    error = use(between.join(pieces))
    assert error is None or error.line >= 1


@given(filters(FIELDS))
def test_reading_back_changes_nothing(text: str) -> None:
    expr = parse(text)
    again = parse(expr.pretty())
    assert again.pretty() == expr.pretty()
    assert not again.mixes
    assert again.fields() == expr.fields()

"""`qrec sql`: a SELECT of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrec.questions import Answer, present
from qrec.run import Run
from queries.core.answer import document
from queries.core.question import Argument, Column, Kind, Question
from queries.core.window import parse_duration

_MOST_S = 3600
FLAGS = (Argument("timeout", "Stop it after so long.", "DURATION", default="15s"),)


def respond(run: Run, question: Question, values: Mapping[str, Any], timeout: str) -> None:
    """Ask, in no more than the time given, and show the columns that come."""
    seconds = min(parse_duration(timeout).total_seconds(), _MOST_S)
    values = {**values, "limit": run.limit}
    answer = question.ask(run.store, values, run.now, run.tz, timeout_s=seconds)
    columns = [Column(c.name, kind=_kind(c.type), give=1) for c in answer.columns]
    cells = [["-" if value is None else str(value) for value in row] for row in answer.rows]
    names = _unique([c.name for c in answer.columns])
    records = [dict(zip(names, row, strict=True)) for row in answer.rows]
    present(run, Answer(document(answer), "rows", columns, cells, "", question.empty, records))


def _kind(arrow: str) -> Kind:
    is_number = arrow.startswith(("int", "uint", "float", "double", "decimal"))
    return "count" if is_number else "text"


def _unique(names: list[str]) -> list[str]:
    """Columns of one name get a number, so that none is lost in a record."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found

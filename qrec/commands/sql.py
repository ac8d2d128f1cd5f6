"""`qrec sql`: a SELECT of one's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qrec.options import RowFlags, StoreFlags, WindowFlags
from qrec.output import Answer, Column, present
from qrec.run import Run
from queries.core.answer import document
from queries.core.window import parse_duration
from queries.sql import SQL, query_sql


def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT statement.")],
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="Stop it after so long.")
    ] = "15s",
    *,
    window: WindowFlags,
    rows: RowFlags,
    store: StoreFlags,
) -> None:
    run = Run(store, rows)
    seconds = min(parse_duration(timeout).total_seconds(), 3600)
    answer = query_sql(run.store, run.window(window), statement, run.limit, seconds)
    columns = [Column(c.name, right=_number(c.type), give=1) for c in answer.columns]
    cells = [[_cell(value) for value in row] for row in answer.rows]
    names = _unique([c.name for c in answer.columns])
    records = [dict(zip(names, row, strict=True)) for row in answer.rows]
    present(run, Answer(document(answer), "rows", columns, cells, "", "no rows", records))


sql.__doc__ = SQL.help  # which the tool and the page have, too


def _number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "double", "decimal"))


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _unique(names: list[str]) -> list[str]:
    """Columns of one name get a number, so that none is lost in a record."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found

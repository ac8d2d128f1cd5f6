"""How `qrec routes` is drawn: a table for each host."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from qrec.output import Answer
from qrec.questions import laid_table
from qrec.run import Run
from queries.routes import ROUTES, Routes


def draw(run: Run, answer: Routes, table: Answer) -> Answer:
    """The tables in the order of the answer; a host's title stands over its routes."""
    parts = [table.heading]
    for (host, place), rows in groupby(answer.routes, lambda row: (row.host, row.place)):
        first, *rest = ROUTES.columns[2:]
        columns = [replace(first, title=f"{host or '(no host)'} ({place})", value="route"), *rest]
        parts += ["", laid_table(run, columns, list(rows)).rstrip("\n")]
    return replace(table, text="\n".join(parts))

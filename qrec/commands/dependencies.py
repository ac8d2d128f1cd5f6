"""How `qrec dependencies` is drawn: as a table, or as a graph for Graphviz or Mermaid."""

from __future__ import annotations

from qrec.graphs import GRAPHS
from qrec.output import emit
from qrec.render import Answer, narrate
from qrec.run import Run
from queries.core.question import Argument
from queries.dependencies import Dependencies
from store.errors import UsageError

FLAGS = (
    Argument("as_", "A graph to draw: dot (Graphviz) or mermaid.", "FORM", flag="--as",
             choices=tuple(GRAPHS)),
)  # fmt: skip


def check(run: Run, as_: str | None) -> None:
    """UsageError where a graph and a format are asked for."""
    if as_ is not None and run.format != "table":
        raise UsageError(f"--as {as_} and --format {run.format} contradict", "Keep one.")


def draw(run: Run, answer: Dependencies, table: Answer, as_: str | None) -> Answer | None:
    """The table, or nothing more where a graph was written."""
    if as_ is None:
        return table
    emit(GRAPHS[as_](answer.edges))
    narrate(run, table.document, len(answer.edges))
    return None

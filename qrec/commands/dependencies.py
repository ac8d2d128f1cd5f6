"""How `qrec dependencies` is drawn: as a table, or as a graph for Graphviz or Mermaid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qrec.output import emit
from qrec.questions import Answer, write_notes
from qrec.run import Run
from queries.core.escape import visible
from queries.core.format import share
from queries.core.question import Argument
from queries.dependencies import FAILING, Dependencies
from store.errors import UsageError

if TYPE_CHECKING:
    from queries.dependencies import Edge


_OUTSIDE = "outside"
_DOT_SHAPES = {"container": "box", "process": "box", "database": "cylinder", "host": "ellipse",
               "outside": "plaintext"}  # fmt: skip
_MERMAID_SHAPES = {"container": "[{}]", "process": "[{}]", "database": "[({})]", "host": "([{}])",
                   "outside": "(({}))"}  # fmt: skip


def dot(edges: Sequence[Edge]) -> str:
    """A digraph for `dot -Tsvg`."""
    lines = ["digraph dependencies {", "  rankdir=LR;"]
    nodes = _nodes(edges)
    for (name, kind), number in nodes.items():
        lines.append(f'  n{number} [label="{_dot(name)}", shape={_DOT_SHAPES[kind]}];')
    for edge in edges:
        ends = f"n{nodes[_caller(edge)]} -> n{nodes[_callee(edge)]}"
        color = ", color=red" if edge.error_share >= FAILING else ""
        lines.append(f'  {ends} [label="{_label(edge)}"{color}];')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(edges: Sequence[Edge]) -> str:
    """A flowchart, as Markdown pages show it in a ```mermaid block."""
    lines, nodes = ["flowchart LR"], _nodes(edges)
    for (name, kind), number in nodes.items():
        lines.append(f"  n{number}" + _MERMAID_SHAPES[kind].format(f'"{_mermaid(name)}"'))
    for edge in edges:
        ends = nodes[_caller(edge)], nodes[_callee(edge)]
        lines.append(f'  n{ends[0]} -->|"{_label(edge)}"| n{ends[1]}')
    red = [str(at) for at, edge in enumerate(edges) if edge.error_share >= FAILING]
    if red:
        lines.append(f"  linkStyle {','.join(red)} stroke:red")
    return "\n".join(lines) + "\n"


GRAPHS: dict[str, Callable[[Sequence[Edge]], str]] = {"dot": dot, "mermaid": mermaid}


def _nodes(edges: Sequence[Edge]) -> dict[tuple[str, str], int]:
    """Each (name, kind) with its number, in the order in which the edges name them."""
    found: dict[tuple[str, str], int] = {}
    for edge in edges:
        found.setdefault(_caller(edge), len(found) + 1)
        found.setdefault(_callee(edge), len(found) + 1)
    return found


def _caller(edge: Edge) -> tuple[str, str]:
    return edge.caller or _OUTSIDE, edge.caller_kind if edge.caller else _OUTSIDE


def _callee(edge: Edge) -> tuple[str, str]:
    return edge.callee or "unknown", edge.callee_kind


def _label(edge: Edge) -> str:
    failed = f", {share(edge.error_share)} failed" if edge.errors else ""
    return f"{edge.requests:,}{failed}"


def _dot(name: str) -> str:
    return visible(name).replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(name: str) -> str:
    """Entities for what ends a label, or would be read as markup where the page is drawn."""
    text = visible(name).replace("#", "#35;")
    for char in '"<>&`[]{}|':
        text = text.replace(char, f"#{ord(char)};") if char != "&" else text.replace("&", "#38;")
    return text


FLAGS = (
    Argument("as_", "A graph to draw: dot (Graphviz) or mermaid.", "FORM", flag="--as",
             choices=tuple(GRAPHS)),
)  # fmt: skip


def draw(run: Run, answer: Dependencies, table: Answer, as_: str | None) -> Answer | None:
    """The table, or nothing more where a graph was written."""
    if as_ is None:
        return table
    if run.format != "table":
        raise UsageError(f"--as {as_} and --format {run.format} contradict", "Keep one.")
    emit(GRAPHS[as_](answer.edges))
    write_notes(run, table.document, len(answer.edges))
    return None

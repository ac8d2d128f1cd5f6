"""A graph of who calls whom as inline SVG: layers from left to right, callers before callees.

Layers are those of the longest way from a caller that nobody calls; edges that lead back (circles)
do not count for that, and are drawn as they are. Long edges pass through empty places of the layers
between, and the order within a layer is settled by barycentres. Of more than MOST nodes the busiest
are drawn and the rest is counted: the same edges stand in a table beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from pages.charts import shown
from queries.core.escape import cut
from store.values import dataclass

MOST: Final = 40  # nodes; more are too small to read
_WIDE, _HIGH, _ACROSS, _DOWN = 150, 30, 230, 46
_SWEEPS: Final = 12
_LETTERS: Final = 18  # of a name in its box
Node = tuple[str, str]  # name, kind
Place = tuple[int, int]  # layer, order in it


@dataclass(frozen=True)
class Edge:
    """caller and callee as (name, kind); css: failing, slower, new, gone, with blanks between."""

    caller: Node
    callee: Node
    weight: int
    label: str
    css: str = ""


@dataclass(frozen=True)
class Drawing:
    """svg: the picture; left_out: nodes that are only in the table."""

    svg: Markup
    left_out: int


def draw(name: str, title: str, edges: Sequence[Edge]) -> Drawing:
    """The busiest MOST nodes and the edges between them. name: begins every id."""
    kept = _busiest(edges)
    drawn = [one for one in edges if one.caller in kept and one.callee in kept]
    total = len({end for one in edges for end in (one.caller, one.callee)})
    ways = [(one.caller, one.callee) for one in drawn if one.caller != one.callee]
    at = _ordered(ways, _layers(kept, drawn))
    deepest = max((layer for layer, _ in at.values()), default=0)
    most = max((order for _, order in at.values()), default=0)
    wide, high = deepest * _ACROSS + _WIDE + 20, (most + 1) * _DOWN + 20
    parts = [_edge(one, at) for one in drawn] + [_box(node, at[node]) for node in kept]
    failing = sum("failing" in one.css for one in drawn)
    told = f"{len(kept)} nodes, {len(drawn)} edges, {failing} of them failing; the table has all."
    return Drawing(
        Markup(
            f'<svg class="graph" viewBox="0 0 {wide} {high}" width="{wide}" role="img"'
            f' aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{shown(title)}</title>'
            f'<desc id="{name}-d">{told}</desc><g aria-hidden="true">{"".join(parts)}</g></svg>'
        ),
        total - len(kept),
    )


def _busiest(edges: Sequence[Edge]) -> list[Node]:
    """The nodes to draw, in the order in which edges name them; those of marked edges first."""
    weight: dict[Node, int] = defaultdict(int)
    for one in edges:
        for end in (one.caller, one.callee):
            weight[end] = max(weight[end], one.weight + (1 << 40 if one.css else 0))
    kept = set(sorted(weight, key=lambda node: -weight[node])[:MOST])
    return [node for node in weight if node in kept]


def _layers(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[Node, int]:
    """Each node's layer: one more than that of any caller. An edge to a node that the way to its
    caller began at (a circle) does not count."""
    callees: dict[Node, list[Node]] = defaultdict(list)
    for one in edges:
        if one.caller != one.callee:
            callees[one.caller].append(one.callee)
    called = {callee for each in callees.values() for callee in each}
    seen: set[Node] = set()
    after: list[Node] = []  # each node after all that it calls

    def visit(node: Node) -> None:
        if node not in seen:
            seen.add(node)
            for callee in callees[node]:
                visit(callee)
            after.append(node)

    for node in [*(n for n in nodes if n not in called), *nodes]:
        visit(node)
    layer = dict.fromkeys(nodes, 0)
    place = {node: at for at, node in enumerate(after)}
    for node in reversed(after):
        for callee in callees[node]:
            if place[callee] < place[node]:
                layer[callee] = max(layer[callee], layer[node] + 1)
    return layer


def _ordered(ways: Sequence[tuple[Node, Node]], layer: Mapping[Node, int]) -> dict[object, Place]:
    """Each node's place, and the places that long edges pass through: key (from, to, layer)."""
    rows: dict[int, list[object]] = defaultdict(list)
    for node, number in layer.items():
        rows[number].append(node)
    beside: dict[object, list[object]] = defaultdict(list)
    for a, b in ways:
        low, high = sorted((layer[a], layer[b]))
        chain: list[object] = [a if layer[a] == low else b]
        chain += [(a, b, number) for number in range(low + 1, high)]
        chain.append(b if layer[a] == low else a)
        for number, middle in zip(range(low + 1, high), chain[1:-1], strict=True):
            rows[number].append(middle)
        for left, right in pairwise(chain):
            beside[left].append(right)
            beside[right].append(left)
    order = {item: float(at) for row in rows.values() for at, item in enumerate(row)}
    for sweep in range(_SWEEPS):
        for number in sorted(rows, reverse=sweep % 2 == 1):
            row = rows[number]
            mean = {item: _mean([order[one] for one in beside[item]], order[item]) for item in row}
            row.sort(key=lambda item: mean[item])
            order.update({item: float(at) for at, item in enumerate(row)})
    return {item: (number, at) for number, row in rows.items() for at, item in enumerate(row)}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _point(place: Place, right: bool) -> tuple[float, float]:
    layer, order = place
    return 10 + layer * _ACROSS + (_WIDE if right else 0), 10 + order * _DOWN + _HIGH / 2


def _edge(edge: Edge, at: Mapping[object, Place]) -> str:
    """A curve through the places that it passes, thicker the more it carries."""
    a, b = at[edge.caller], at[edge.callee]
    if edge.caller == edge.callee:
        x, y = _point(a, True)
        d = f"M{x:.0f} {y - 6:.0f}c26 -14 26 26 0 12"
    else:
        back = a[0] > b[0] or (a[0] == b[0] and a[1] > b[1])
        points = [_point(a, not back)]
        step = -1 if back else 1
        for layer in range(a[0] + step, b[0], step):
            x, y = _point(at[(edge.caller, edge.callee, layer)], False)
            through = [(x, y), (x + _WIDE, y)]
            points += through[::step]
        points.append(_point(b, back))
        d = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
        for (x, y), (to_x, to_y) in pairwise(points):
            middle = (x + to_x) / 2
            d += f"C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
    thick = min(len(str(edge.weight)), 6)
    classes = f"edge w{thick} {edge.css}".strip()
    ends = _point(b, a[0] > b[0] or (a[0] == b[0] and a[1] > b[1]))
    dot = f'<circle class="head {edge.css}" cx="{ends[0]:.0f}" cy="{ends[1]:.0f}" r="3.5"/>'
    return f'<path class="{classes}" d="{d}"><title>{shown(edge.label)}</title></path>{dot}'


def _box(node: Node, place: Place) -> str:
    name, kind = node
    x, y = _point(place, False)
    name = name.rpartition("/")[2] if kind == "process" else name
    round_ = {"database": 14, "host": 8, "outside": 14}.get(kind, 2)
    left, top = f"{x:.0f}", f"{y - _HIGH / 2:.0f}"
    return (
        f'<g class="node {kind}"><title>{shown(node[0])} ({shown(kind)})</title>'
        f'<rect x="{left}" y="{top}" width="{_WIDE}" height="{_HIGH}" rx="{round_}"/>'
        f'<text x="{x + _WIDE / 2:.0f}" y="{y + 4:.0f}" text-anchor="middle">'
        f"{shown(cut(name, _LETTERS))}</text></g>"
    )

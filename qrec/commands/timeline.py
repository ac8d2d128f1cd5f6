"""How `qrec timeline` is drawn: requests and failures over time, a character a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from qrec.output import chart, legend, squeezed, unicode_output
from qrec.questions import Answer
from qrec.run import Run
from queries.core.escape import cut, visible, width
from queries.core.format import clock, millis, number, span
from queries.core.question import Column
from queries.timeline import Timeline
from store.values import dataclass

_LEAST = 30  # columns of a chart


def draw(run: Run, answer: Timeline, table: Answer) -> Answer:
    """The drawing; rows are series, or buckets where there are none."""
    columns = [replace(table.columns[0], title=answer.by or "time"), *table.columns[1:]]
    cells = list(table.cells)
    if answer.by is None:
        columns.append(Column("p95", kind="ms"))
        cells = list(_buckets(run, answer))
    return replace(
        table,
        columns=columns,
        cells=cells,
        empty="" if answer.window.requests else table.empty,
        records=list(_records(table.document)),
        text=_drawn(run, answer, table.heading),
        shown=len(cells),
    )


def _buckets(run: Run, answer: Timeline) -> Iterator[list[str]]:
    total = answer.total
    for at, start in enumerate(answer.starts):
        yield [clock(start, run.tz), number(total.counts[at]), number(total.failed[at]),
               millis(total.p95_ms[at])]  # fmt: skip


def _records(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row a bucket, and with --by one a bucket and value: what a spreadsheet can draw."""
    series = found["series"] if found["by"] else [{"value": None, **found["total"]}]
    for one in series:
        for at, start in enumerate(found["starts"]):
            row = {"from": start, "covered_s": found["covered_s"][at], "value": one["value"]}
            yield row | {"requests": one["counts"][at], "errors": one["failed"][at]}


@dataclass(frozen=True)
class _Line:
    """One line of the drawing, as high as its own peak."""

    name: str
    values: Sequence[float | None]
    total: str = ""
    timed: bool = False

    @property
    def peak(self) -> float:
        return max((value for value in self.values if value is not None), default=0.0)

    @property
    def high(self) -> str:
        return millis(self.peak or None) if self.timed else f"{self.peak:,.0f}"


def _drawn(run: Run, answer: Timeline, heading: str) -> str:
    """All of the window in two or three lines, then a line for each value."""
    blocks, lines = unicode_output(), _lines(answer)
    totals = max(5, *(len(line.total) for line in lines))
    highs = max(4, *(len(line.high) for line in lines))
    room = (run.width or 10_000) - totals - highs - 6
    least = min(_LEAST, max(room // 2, 8))
    names = min(max(width(line.name) for line in lines), max(room - least, least))
    room = max(room - names, least)
    drawn = [chart(squeezed(line.values, room), line.peak, blocks) for line in lines]
    shown = [heading]
    axis = _axis(run, answer, len(drawn[0]))
    shown.append(f"{'':{names}}  {'total':>{totals}}  {'peak':>{highs}}  {axis}")
    for line, picture in zip(lines, drawn, strict=True):
        name = cut(line.name, names) if answer.by == "signature" else _shortened(line.name, names)
        left = f"{name}{' ' * (names - width(name))}  {line.total:>{totals}}  {line.high:>{highs}}"
        shown.append(f"{left}  {picture}".rstrip())
    shown.append(_scale(answer, -(-len(answer.starts) // max(len(drawn[0]), 1))))
    return "\n".join(shown + ([legend(blocks)] if not all(answer.covered_s) else []))


def _shortened(name: str, columns: int) -> str:
    """A name without its middle: endpoints of one host differ at their end."""
    tail = columns * 2 // 3
    if width(name) <= columns or not name.isascii():
        return cut(name, columns)
    return cut(name, columns - tail) + name[-tail:]


def _lines(answer: Timeline) -> list[_Line]:
    total = answer.total
    lines = [
        _Line("requests", total.counts, f"{answer.window.requests:,}"),
        _Line("failed", total.failed, f"{answer.window.errors:,}"),
    ]
    if answer.by is None:
        return [*lines, _Line("p95", total.p95_ms, timed=True)]
    own = [_Line(visible(s.value or "(none)"), s.counts, f"{s.requests:,}") for s in answer.series]
    return lines + own


def _axis(run: Run, answer: Timeline, width: int) -> str:
    """When the drawing begins and, where there is room, when it ends."""
    step = timedelta(seconds=answer.every_s)
    form = "%H:%M" if answer.every_s % 60 == 0 else "%H:%M:%S"
    first, last = answer.starts[0].astimezone(run.tz), answer.starts[-1].astimezone(run.tz) + step
    if last - first > timedelta(days=1):
        form = "%m-%d " + form
    left, right = first.strftime(form), last.strftime(form)
    return left + right.rjust(width - len(left)) if width > len(left + right) + 1 else left


def _scale(answer: Timeline, group: int) -> str:
    each = span(answer.every_s)
    if group == 1:
        return f"a character is {each}; each line is as high as its own peak"
    return f"a character is {span(answer.every_s * group)}, as high as the peak {each} in it"

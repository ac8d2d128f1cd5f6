"""How `qrec schema` is drawn: one endpoint in full, several as a table, and what changed."""

from __future__ import annotations

from dataclasses import replace

from qrec.output import Answer
from qrec.run import Run
from queries.core.escape import visible
from queries.core.format import plural, stretch
from queries.schema import EndpointSchema, SchemaChanges, Schemas, fields


def draw(run: Run, answer: Schemas | SchemaChanges, table: Answer) -> Answer:
    if isinstance(answer, SchemaChanges):
        now, before = answer.window, answer.baseline
        against = stretch(before.from_ts, before.to_ts, run.tz, now.from_ts)
        heading = (f"{stretch(now.from_ts, now.to_ts, run.tz)} against {against}: "
                   f"{plural(answer.compared, 'endpoint')} compared")  # fmt: skip
        return replace(table, heading=heading)
    if len(answer.endpoints) == 1:
        return replace(table, text=f"{table.heading}\n{_in_full(run, answer.endpoints[0])}")
    return table


def _in_full(run: Run, endpoint: EndpointSchema) -> str:
    """`response 2xx  $.items[].price?  number`: a field a line."""
    title = " ".join(p for p in (endpoint.method, endpoint.host, endpoint.route) if p)
    lines = (f"  {part:<12}  {path}  {kind}" for part, path, kind in fields(endpoint))
    return "\n".join([run.paint(visible(title), "bold"), *map(visible, lines)])

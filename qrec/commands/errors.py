"""How `qrec errors` is drawn: an entry for each kind of failure, or for each container."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from qrec.questions import Answer
from qrec.run import Run
from queries.core.escape import cut, visible
from queries.core.format import (
    clock,
    endpoint_text,
    number,
    people,
    plural,
    share,
    short_id,
    status_text,
)
from queries.errors import ContainerErrors, ErrorRow, Errors, ErrorsByContainer
from queries.show import Body


def draw(run: Run, answer: Errors | ErrorsByContainer, table: Answer) -> Answer:
    lines = [table.heading]
    if isinstance(answer, Errors):
        lines += [_entry(run, row) for row in answer.errors]
    else:
        for container in answer.containers:
            lines += ["", _container(run, container)]
            lines += [_entry(run, row, name=False) for row in container.top]
    return replace(table, text="\n".join(lines))


def _container(run: Run, row: ContainerErrors) -> str:

    name = run.paint(visible(row.container or "(unknown)"), "bold")
    shown = f", the first {len(row.top)} of" if row.kinds > len(row.top) else ","
    return (
        f"{name}: {number(row.errors)} of {plural(row.requests, 'request')} failed "
        f"({share(row.error_share)}){shown} {plural(row.kinds, 'kind')}"
    )


def _entry(run: Run, row: ErrorRow, name: bool = True) -> str:
    """Two to four lines: how often and where, what it says, when and for whom, an answer."""

    room = (run.width or 10_000) - 14
    status = status_text(row.status, row.grpc_status)
    where = endpoint_text(row.method, row.host, row.route)
    seen = clock(row.first_seen, run.tz, day=False)
    if row.errors > 1:
        seen += f" to {clock(row.last_seen, run.tz, day=False)}"
    who = f", {people(row.containers, row.containers_total)}" if name else ""
    body = _one_line(row.example.body)
    more = [
        row.signature or "",
        f"{seen}{who}: qrec show {short_id(row.example.transaction)}",
        f"> {body}" if body else "",
    ]
    head = f"{row.errors:>6,}  {run.paint(f'{status:<4}', 'red')}  {cut(visible(where), room)}"
    return "\n".join([head, *(" " * 14 + cut(visible(text), room) for text in more if text)])


def _one_line(body: Body) -> str:
    """The beginning of a body that is text, as it came rather than laid out."""
    if body.encoding == "base64":
        return ""
    with contextlib.suppress(ValueError):  # it was cut, or it is no JSON
        return json.dumps(json.loads(body.text), ensure_ascii=False)
    return " ".join(body.text.split())

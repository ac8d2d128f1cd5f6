"""How `qrec sensitive` is drawn: where secrets were, which are in several places, advice."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from qrec.output import Answer
from qrec.questions import laid_table
from qrec.run import Run
from queries.core.escape import visible
from queries.core.question import Column
from queries.sensitive import SENSITIVE, Sensitive

_SECRETS = (
    Column("secret", "hint"),
    Column("kinds", lambda s: " ".join(s.kinds), give=1),
    Column("hosts", lambda s: (s.hosts, s.hosts_total), "names", give=2),
    Column("by", lambda s: (s.sources, s.sources_total), "names", give=2),
    Column("places", lambda s: (s.places, s.places_total), "names", give=3),
)


def draw(run: Run, answer: Sensitive, table: Answer) -> Answer:
    heading = f"{table.heading}; {answer.affected:,} with findings"
    if not answer.findings:
        return replace(table, heading=heading)
    parts = [visible(heading), laid_table(run, SENSITIVE.columns, answer.findings)]
    if answer.secrets:
        parts.append(run.paint("the same secret in several places", "bold"))
        parts.append(laid_table(run, _SECRETS, answer.secrets))
    parts.append(run.paint("what to do", "bold"))
    kinds_by_advice: dict[str, list[str]] = {}
    for kind in answer.kinds:
        if kind.concern != "expected":
            kinds_by_advice.setdefault(kind.advice, []).append(kind.kind)
    for advice, kinds in kinds_by_advice.items():
        text = f"  {', '.join(kinds)}: {advice}"
        parts += textwrap.wrap(text, (run.width or 100) - 2, subsequent_indent="    ")
    return replace(table, heading=heading, text="\n".join(parts))

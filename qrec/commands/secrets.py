"""`qrec sensitive`: what redaction found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrec.options import RowFlags, StoreFlags, WhereFlags, WindowFlags
from qrec.output import Column, to_table
from qrec.run import Run, parsed

if TYPE_CHECKING:
    from queries.sensitive import Sensitive


def sensitive(*, window: WindowFlags, only: WhereFlags, rows: RowFlags, store: StoreFlags) -> None:
    """Which secrets and personal data were in traffic: kind, place, host, source; never the value.

    leak: where others see it; review: personal data, or a credential in a body; expected: a
    credential in a header made for it. The same fingerprint is the same secret.

    \b
    Examples:
      qrec sensitive --last 1d
      qrec sensitive --where 'direction == "egress-external"'
      qrec sensitive --where 'secrets.kind contains "card"' --json
    """
    from qrec.format import number, window_heading
    from qrec.render import Answer, present
    from queries.core.question import document
    from queries.sensitive import sensitive as ask

    run = Run(store, rows)
    answer = ask(run.store, run.window(window), parsed(only), run.limit)
    columns = [
        Column("concern"), Column("kind"), Column("place", give=1), Column("host", give=2),
        Column("by", give=2), Column("times", right=True), Column("secrets", right=True),
    ]  # fmt: skip
    cells = [
        [f.concern, f.kind, f.place, f"{f.host or '-'}{' (http)' if f.plain else ''}",
         f.source or "-", number(f.transactions), number(f.secrets)]
        for f in answer.findings
    ]  # fmt: skip
    heading = f"{window_heading(answer.window, run.tz)}; {number(answer.affected)} with findings"
    text = _text(run, answer, columns, cells, heading) if answer.findings else None
    present(run, Answer(document(answer), "findings", columns, cells, heading,
                        "redaction found nothing in what matches", text=text))  # fmt: skip


def _text(
    run: Run, answer: Sensitive, columns: list[Column], cells: list[list[str]], heading: str
) -> str:
    import textwrap

    from qrec.safe import visible

    parts = [visible(heading), to_table(columns, cells, run.width, run.paint)]
    if answer.secrets:
        parts.append(run.paint("the same secret in several places", "bold"))
        more = [
            [s.hint, " ".join(s.kinds), _some(s.hosts, s.hosts_total),
             _some(s.sources, s.sources_total), _some(s.places, s.places_total)]
            for s in answer.secrets
        ]  # fmt: skip
        titles = [Column("secret"), Column("kinds", give=1), Column("hosts", give=2),
                  Column("by", give=2), Column("places", give=3)]  # fmt: skip
        parts.append(to_table(titles, more, run.width, run.paint))
    parts.append(run.paint("what to do", "bold"))
    width = (run.width or 100) - 2
    for advice, kinds in _by_advice(answer).items():
        text = f"  {', '.join(kinds)}: {advice}"
        parts += textwrap.wrap(text, width, subsequent_indent="    ")
    return "\n".join(parts)


def _by_advice(answer: Sensitive) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind in answer.kinds:
        if kind.concern != "expected":
            found.setdefault(kind.advice, []).append(kind.kind)
    return found


def _some(names: tuple[str, ...], total: int) -> str:
    return ", ".join(names) + (f" +{total - len(names)}" if total > len(names) else "")

"""The report: a comparison as one file to send.

It needs no network and runs nothing: its style stands in it, allowed by its hash alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal

from pages.ask import Asked
from pages.findings import details, together
from pages.render import markdown, page, style
from pages.views import compared, who_calls_whom
from queries.core import format as words
from queries.core.answer import iso
from queries.core.question import questions_of
from queries.core.window import Window
from store import __version__

_EDGES: Final = 40  # of the graph's table
Form = Literal["html", "md"]


def report(asked: Asked, form: Form, notes: Sequence[str] = ()) -> str:
    """What `asked` asks of the comparison, as a document; notes: what a person adds."""
    question, values = asked.question("diff")

    def compare() -> tuple[Any, ...]:
        window, baseline, changes, shown = compared(asked, question, values, links=False)
        found = details(asked.store, window, baseline, asked.tz, asked.where, changes)
        return window, baseline, changes, shown, found

    graphs = [partial(_calls, asked, asked.windows(values)[0])] if form == "html" else []
    (window, baseline, changes, shown, found), *calls = together([compare, *graphs])
    fixed = asked.fixed(window, baseline)
    context: dict[str, Any] = {
        "tz": asked.tz,
        "title": f"What changed, {words.stretch(window.from_ts, window.to_ts, asked.tz)}",
        "heading": words.window_heading(changes.window, asked.tz, "request", changes.notes),
        **shown,
        "where": asked.where or "",
        "notes": [words.note_text(note, asked.tz) for note in changes.notes],
        "added": list(notes),
        "details": found,
        "commands": _commands(asked, fixed, found),
        "written": f"{words.clock(asked.now, asked.tz)} {words.zone_name(window.to_ts)}",
        "version": __version__,
    }
    if form == "md":
        return markdown(**context)
    if changes.verdict not in ("changed", "nothing_changed"):
        calls = [{"drawing": None, "table": None, "compared": False}]
    text, hashed = style()
    return page("report.html", **context, **calls[0], style=text, hashed=hashed)


def _calls(asked: Asked, window: Window) -> dict[str, Any]:
    """The graph of a report."""
    [question] = questions_of("dependencies")
    times = {"from_time": iso(window.from_ts), "to_time": iso(window.to_ts)}
    answer = asked.answer(question, {**times, "where": asked.where, "limit": _EDGES})
    return who_calls_whom(asked, question, answer, window)


def _commands(asked: Asked, fixed: dict[str, str], found: Sequence[dict[str, Any]]) -> list[str]:
    """What repeats it, the times written out."""
    first = asked.command("diff", {**fixed, "where": asked.where})
    each = [
        asked.command("diff", {**fixed, "where": asked.where, "explain": one["finding"].id})
        for one in found
    ]
    return [first, *each]

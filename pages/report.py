"""A comparison as one file to send: the findings with their evidence, the graph, what was noted.

The file needs no network and runs nothing: its style stands in it, allowed by its hash alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from pages.ask import Asked
from pages.findings import Detail, cards, details, drawn_course, quiet_text
from pages.render import markdown, page, style
from pages.views import who_calls_whom
from queries.core import format as words
from queries.core.answer import iso
from queries.core.question import questions_of
from store.version import __version__

_EDGES: Final = 40  # of the graph's table
Form = Literal["html", "md"]


def report(asked: Asked, form: Form, notes: Sequence[str] = ()) -> str:
    """What `asked` asks of the comparison, as a document; notes: what a person adds."""
    question, values = asked.question("diff")
    window, baseline = asked.windows(values)
    changes = asked.answer(question, values)
    fixed = asked.fixed(window, baseline)
    chosen = cards(changes, baseline, asked.tz, lambda one: "")
    found = details(asked.store, window, baseline, chosen, asked.tz, asked.where)
    context: dict[str, Any] = {
        "tz": asked.tz,
        "title": f"What changed, {words.stretch(window.from_ts, window.to_ts, asked.tz)}",
        "heading": words.window_heading(changes.window, asked.tz, "request", changes.notes),
        "against": words.against(baseline, window, asked.tz),
        "before": f"{words.counts_text(changes.baseline)}, "
        f"{words.covered_spans(changes.baseline, len(baseline.spans), changes.notes)}",
        "changes": changes,
        "where": asked.where or "",
        "quiet": quiet_text(changes),
        "notes": [words.note_text(note, asked.tz) for note in changes.notes],
        "added": list(notes),
        "details": found,
        "course": drawn_course(asked, "course", window, changes, links=False),
        "commands": _commands(asked, fixed, found),
        "written": f"{words.clock(asked.now, asked.tz)} {words.zone_name(window.to_ts)}",
        "version": __version__,
    }
    if form == "md":
        return markdown(**context)
    graph: dict[str, Any] = {"drawing": None, "table": None, "compared": False}
    if changes.verdict in ("changed", "nothing_changed"):
        [dependencies] = questions_of("dependencies")
        times = {"from_time": iso(window.from_ts), "to_time": iso(window.to_ts)}
        answer = asked.answer(dependencies, {**times, "where": asked.where, "limit": _EDGES})
        graph = who_calls_whom(asked, dependencies, answer, window)
    text, hashed = style()
    return page("report.html", **context, **graph, style=text, hashed=hashed)


def _commands(asked: Asked, fixed: dict[str, str], found: Sequence[Detail]) -> list[str]:
    """What repeats it, the times written out."""
    first = asked.command("diff", {**fixed, "where": asked.where})
    each = [
        asked.command("diff", {**fixed, "where": asked.where, "explain": one.card.finding.id})
        for one in found
    ]
    return [first, *each]

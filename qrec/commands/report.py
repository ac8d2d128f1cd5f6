"""`qrec report`: what changed, as one file to send to others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from qrec.commands.export import FORCE, target
from qrec.commands.web import needs_web
from qrec.output import able, say
from qrec.run import STORE, Run, takes
from queries.core.question import BASELINE, WHERE, WINDOW, Argument
from store.errors import UsageError

_MOST = 20_000  # characters of a note
Form = Literal["html", "md"]
_FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


@takes(
    Argument("output", "The file: .html or .md. - writes to stdout.", "FILE", default="-",
             short="-o"),
    Argument("note", "What a person adds, or @FILE with it. May come several times.", kind=list),
    Argument("form", "html or md. Default: by the file's ending, else html.", "FORMAT",
             flag="--format"),
    *BASELINE, WHERE,
    Argument("most", "Findings at most. Default: 10.", "N", kind=int, flag="--limit"),
    FORCE, *WINDOW, *STORE,
)  # fmt: skip
def report(
    run: Run, output: str, note: list[str] | None, form: str | None, most: int | None, force: bool
) -> None:
    """Write what changed, with charts, evidence and the graph, into one file to send.

    The file is whole in itself: it asks for nothing from a network and runs nothing.

    \b
    Examples:
      qrec report -o incident.html
      qrec report -o incident.md --around "deploy 1234" --note "rolled back at 14:20"
      qrec report --vs yesterday --format md | pbcopy
    """
    needs_web()
    from pages.ask import Asked, Site, parameter
    from pages.report import report as written

    kind = _form(form, output)
    notes = [_note(text) for text in note or ()]
    texts = {parameter(one): run.values[one.name] for one in (*WINDOW, *BASELINE, WHERE)}
    texts["limit"] = most
    given = tuple((name, str(text)) for name, text in texts.items() if text is not None)
    site = Site(run.settings.store, run.tz, lambda: run.now, run.values["store"])
    _ = run.store
    text = written(Asked(site, "/", given, run.now), kind, notes)
    with target(output, kind, force, run) as out:
        out.write(text.encode("utf-8", "replace"))
    if output != "-":
        say(f"wrote {output}, {len(text.encode()) / 1024:,.0f} KiB")


def _form(chosen: str | None, output: str) -> Form:
    ending = f".{chosen}" if chosen else ".html" if output == "-" else Path(output).suffix.lower()
    form = _FORMS.get(ending)
    if form is None:
        raise UsageError(
            f"a report cannot be written as {chosen or output!r:.60}",
            "Name a file that ends in .html or .md, or give --format html.",
        )
    return form


def _note(text: str) -> str:
    """The note, or what the file of that name holds."""
    if text.startswith("@"):
        with able(f"read {text[1:]}", "Check --note."):
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8", errors="replace")
    if len(text) > _MOST:
        raise UsageError("the note is longer than a report should be", f"At most {_MOST:,}.")
    return text.strip()

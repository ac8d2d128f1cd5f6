"""`qrec report`: what changed, as one file to send to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from qrec.commands.export import target
from qrec.commands.web import needs_web
from qrec.output import say
from qrec.run import Run, StoreFlags, WindowFlags, flag, switch
from store.errors import QrecError, UsageError

_MOST = 20_000  # characters of a note
_FORMAT = typer.Option(
    "--format", metavar="FORMAT", help="html or md. Default: by the file's ending, else html."
)
Form = Literal["html", "md"]
_FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


def report(
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file: .html or .md. - writes to stdout."
        ),
    ] = "-",
    note: Annotated[
        list[str] | None,
        flag("TEXT", "What a person adds, or @FILE with it. May come several times."),
    ] = None,
    format_: Annotated[str | None, _FORMAT] = None,
    vs: Annotated[str | None, flag("WHEN", "Compare with, as for `qrec diff`.")] = None,
    vs_from: Annotated[str | None, flag("TIME", "Beginning of a baseline of your own.")] = None,
    vs_to: Annotated[str | None, flag("TIME", "Its end.")] = None,
    where: Annotated[str | None, flag("FILTER", "Only what matches this filter.")] = None,
    limit: Annotated[int | None, flag("N", "Findings at most. Default: 10.")] = None,
    force: Annotated[bool, switch("--force", "Replace a file that is there.")] = False,
    *,
    window: WindowFlags,
    store: StoreFlags,
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
    from pages.ask import Asked, Site
    from pages.report import report as written

    run = Run(store)
    form = _form(format_, output)
    notes = [_note(text) for text in note or ()]
    texts = {**window, "vs": vs, "vs_from": vs_from, "vs_to": vs_to, "where": where, "limit": limit}
    given = tuple(
        (name.removesuffix("_time").replace("_", "-"), str(text))
        for name, text in texts.items() if text is not None
    )  # fmt: skip
    site = Site(run.settings.store, run.tz, lambda: run.now, store.store)
    _ = run.store
    text = written(Asked(site, "/", given, run.now), form, notes)
    with target(output, form, force, run) as out:
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
        try:
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise QrecError(f"cannot read {text[1:]}: {error.strerror}", "Check --note.") from None
    if len(text) > _MOST:
        raise UsageError("the note is longer than a report should be", f"At most {_MOST:,}.")
    return text.strip()

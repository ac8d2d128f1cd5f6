"""Writing an answer with rows: one document or table, its notes, and whether more was cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qrec.output import (
    Column,
    emit,
    say,
    to_csv,
    to_json,
    to_jsonl,
    to_markdown,
    to_table,
)  # fmt: skip
from qrec.run import Run
from queries.core.escape import visible


@dataclass(frozen=True)
class Answer:
    """A question's document, which of its keys holds the rows, and the rows as people see them.

    records: the rows for jsonl and csv where they are not the document's own.
    text: what to show instead of a table, for an answer that is more than one.
    shown: what truncation counts, where it is not the rows.
    announced: whether the text says itself that there is more.
    """

    document: dict[str, Any]
    key: str
    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]
    heading: str = ""
    empty: str = "nothing was recorded that matches"
    records: Sequence[Mapping[str, Any]] | None = None
    text: str | None = None
    shown: int | None = None
    announced: bool = False

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.document[self.key]
        return found if self.records is None else self.records


def present(run: Run, answer: Answer) -> None:
    """Write the answer to stdout in the format asked for, and what qualifies it to stderr."""
    if run.format == "json":
        emit(to_json(answer.document))
        return
    if run.format == "jsonl":
        emit(to_jsonl(answer.rows))
    elif run.format == "csv":
        emit(to_csv(answer.rows, [column.title for column in answer.columns]))
    elif run.format == "md":
        emit(to_markdown(answer.columns, answer.cells))
    elif answer.text is not None:
        emit(answer.text + "\n")
    else:
        if answer.heading:
            emit(visible(answer.heading) + "\n")
        if answer.rows:
            emit(to_table(answer.columns, answer.cells, run.width, run.paint))
    if not answer.rows and answer.empty:
        say(f"qrec: {answer.empty}")
    document = answer.document
    if answer.announced and run.format == "table":
        document = {**document, "truncated": False}
    narrate(run, document, len(answer.rows) if answer.shown is None else answer.shown)


def narrate(run: Run, document: dict[str, Any], shown: int) -> None:
    """Notes and truncation, which belong beside the data and not in it."""
    for note in document.get("notes", ()):
        say(f"note: {note_text(run, note)}")
    if document.get("truncated"):
        say(f"note: there is more than the {shown} shown; --limit {max(shown * 5, 100)} shows more")


def note_text(run: Run, note: Mapping[str, Any]) -> str:
    """A note of the document with its times in the user's zone, in its text or after it."""
    from qrec.format import stretch

    text = visible(note["text"])
    if not note.get("from") or not note.get("to"):
        return text
    begin, end = datetime.fromisoformat(note["from"]), datetime.fromisoformat(note["to"])
    local = stretch(begin, end, run.tz)
    utc = f"{begin:%H:%M} to {end:%H:%M}"
    return text.replace(utc, local) if utc in text else f"{text}, {local}"

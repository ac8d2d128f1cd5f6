"""Commands by their names, and the words of a command line; a question as a command: its flags
from its arguments, its table from its columns.

For a question a module qrec/commands/<name>.py may have a `draw` of its own, for an answer that is
more than lines and tables, with `FLAGS` that only people need; or a `respond`, which asks and
answers by itself, with `ARGUMENTS` where the command takes others than the question.
"""

from __future__ import annotations

import gc
import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from importlib import import_module
from importlib.util import find_spec
from keyword import iskeyword
from typing import Any, Final

from qrec.output import emit, say, to_csv, to_json, to_jsonl, to_markdown, to_table
from qrec.run import ROWS, STORE, Command, Run
from queries.core import format as words
from queries.core.answer import Note, document, to_document
from queries.core.escape import visible
from queries.core.format import Paragraph, Title
from queries.core.question import (
    Argument,
    Column,
    Part,
    Question,
    chosen,
    in_use,
    module_of,
    question_names,
    questions_of,
)
from store.errors import UsageError
from store.values import dataclass

# Commands that do not stand in the module of qrec.commands of their own name.
_MODULES: Final = {"mark": "marks", "pin": "marks", "pins": "marks", "unpin": "marks",
                   "import": "replay"}  # fmt: skip
_COLLECTED: Final = 200_000  # objects before they are looked through: else 15 ms of an answer
FILTER: Final = Argument(
    "filter_", "As in 'res.status >= 500'. Default: everything.", "FILTER", alone=True
)


@dataclass(frozen=True)
class QuestionCommand:
    """A question's command. drawing: its module in qrec.commands, None where it has none."""

    questions: tuple[Question, ...]
    drawing: Any

    @property
    def help(self) -> str:
        """What the question's module begins with, then what it says further."""
        first = self.questions[0]
        about = inspect.getdoc(import_module(module_of(first.name))) or ""
        text = " ".join(about.partition("\n\n")[0].split())
        return f"{text}\n{first.help}"

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """Every argument, in the order of help."""
        first = (FILTER,) if self.questions[0].filter_first else ()
        own = getattr(self.drawing, "ARGUMENTS", None)
        if own is not None:
            return (*first, *own, *STORE)
        known: dict[str, Argument] = {}
        for question in self.questions:
            for argument in question.flags:
                known.setdefault(argument.name, argument)
        known.pop("limit", None)  # rows of every command have their own
        limit, *form = ROWS
        if most := self.questions[0].limit:
            limit = replace(limit, help=f"Rows to show. Default: {most}.")
        return (*first, *known.values(), *self._more, limit, *form, *STORE)

    @property
    def _more(self) -> Sequence[Argument]:
        more: Sequence[Argument] = getattr(self.drawing, "FLAGS", ())
        return more

    def __call__(self, **given: Any) -> int:
        """Ask and answer; given: values by the arguments' names. The exit code."""
        every = {argument.name: argument.default for argument in self.arguments} | given
        shared = {argument.name for argument in (*ROWS, *STORE)}
        values = {name: value for name, value in every.items() if name not in shared}
        own = {flag.name: values.pop(flag.name) for flag in self._more}
        for flag in self._more:
            flag.check(own[flag.name])
        if "filter_" in values:
            values["where"] = one_filter(values.pop("filter_"), values["where"])
        respond = getattr(self.drawing, "respond", None)
        question = self.questions[0] if respond else chosen(self.questions, values)
        run = Run(every, defaults={"limit": question.limit})
        if respond is not None:
            return respond(run, question, values, **own) or 0
        values["limit"] = run.limit
        answer = question.ask(run.store, values, run.now, run.tz)
        shown = shown_answer(run, question, answer)
        if hasattr(self.drawing, "draw"):
            shown = self.drawing.draw(run, answer, shown, **own)
        if shown is not None:
            present(run, shown)
        return 0


def command(name: str) -> Command | QuestionCommand | None:
    """The command of that name, imported now; None where there is none, or one of several."""
    module = f"qrec.commands.{_MODULES.get(name, name)}"
    found = import_module(module) if name.isidentifier() and find_spec(module) else None
    if name in question_names():
        gc.set_threshold(_COLLECTED)
        return QuestionCommand(questions_of(name), found)
    declared = getattr(found, name + "_" * iskeyword(name), None)
    return declared if isinstance(declared, Command) else None


def answered(argv: Sequence[str]) -> int | None:
    """Run a command whose words are all as they should be: its exit code.

    None, and nothing done, for anything else (help, a mistake): Typer looks at that, and takes 40
    ms to be imported.
    """
    asked = command(argv[0]) if argv else None
    values = None if asked is None else given_values(argv[1:], asked.arguments)
    return None if asked is None or values is None else asked(**values)


def given_values(argv: Sequence[str], arguments: Sequence[Argument]) -> dict[str, Any] | None:
    """What the words of a command line give, by argument; None where they are not all in order."""
    flags = {name: one for one in arguments if not one.positional
             for name in (one.option, one.short) if name}  # fmt: skip
    values: dict[str, Any] = {}
    alone: list[str] = []
    rest = iter(with_left_out(argv, arguments))
    for word in rest:
        name, equals, value = word.partition("=")
        flag = flags.get(name)
        if word == "--":
            alone += rest
        elif not word.startswith("-") or word == "-":
            alone.append(word)
        elif flag is None or (equals and flag.kind is bool):
            return None
        elif flag.kind is bool:
            values[flag.name] = True
        else:
            text = value if equals else next(rest, None)
            if text is None or (flag.kind is int and not text.isdecimal()):
                return None
            before = values.get(flag.name, [])
            values[flag.name] = (
                [*before, text] if flag.kind is list else int(text) if flag.kind is int else text
            )
    return _placed(alone, values, [one for one in arguments if one.positional])


def _placed(
    alone: list[str], values: dict[str, Any], places: Sequence[Argument]
) -> dict[str, Any] | None:
    """The values with those that stand without a name."""
    for place in places:
        if place.kind is list and alone:
            values[place.name], alone = alone, []
        elif alone:
            values[place.name] = alone.pop(0)
        elif not place.alone:
            return None
    return None if alone else values


def with_left_out(argv: Sequence[str], arguments: Sequence[Argument]) -> list[str]:
    """The words, with its value after a flag that may stand without one."""
    optional = {one.option: one.left_out for one in arguments if one.left_out}
    out: list[str] = []
    for at, word in enumerate(argv):
        out.append(word)
        if word in optional and (argv[at + 1 : at + 2] or ["-"])[0].startswith("-"):
            out.append(optional[word])
    return out


def one_filter(first: str | None, where: str | None) -> str | None:
    """The filter that stands alone or after --where. UsageError where both are given."""
    if first is not None and where is not None:
        raise UsageError("the filter is given twice", "Keep FILTER or --where, not both.")
    return where if first is None else first


@dataclass(frozen=True)
class Answer:
    """A question's document, which of its keys holds the rows, and the rows as people see them.

    records: the rows for jsonl and csv where they are not the document's own.
    text: what to show instead of a table, for an answer that is more than one.
    shown: what truncation counts, where it is not the rows.
    announced: whether the text says itself that there is more. said: codes of the notes it has.
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
    said: tuple[str, ...] = ()

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
    if run.format == "table":
        notes = [one for one in document.get("notes", ()) if one["code"] not in answer.said]
        more = bool(document.get("truncated")) and not answer.announced
        document = {**document, "notes": notes, "truncated": more}
    write_notes(run, document, len(answer.rows) if answer.shown is None else answer.shown)


def write_notes(run: Run, document: dict[str, Any], shown: int) -> None:
    """Notes and truncation, which belong beside the data and not in it."""
    for note in document.get("notes", ()):
        say(f"note: {note_text(run, note)}")
    if document.get("truncated"):
        say(f"note: there is more than the {shown} shown; --limit {max(shown * 5, 100)} shows more")


def note_text(run: Run, note: Mapping[str, Any]) -> str:
    """A note of a document as a line of text."""
    times = [note.get(name) and datetime.fromisoformat(note[name]) for name in ("from", "to")]
    return words.note_text(Note(note["code"], note["text"], *times), run.tz)


def shown_answer(run: Run, question: Question, answer: Any) -> Answer:
    """The answer with its rows laid out by the question's columns."""
    lines = question.rows_of(answer)
    columns, cells = table(question.columns, lines, run.tz)
    heading = words.window_heading(answer.window, run.tz, question.noun, answer.notes)
    records = None if question.lines is None else [to_document(line) for line in lines]
    text = None if question.parts is None else _drawn(run, question.parts(answer, heading, run.tz))
    return Answer(
        document(answer), question.rows, columns, cells, heading, question.empty, records, text
    )


def _drawn(run: Run, parts: Iterable[Part]) -> str:
    """Lines and tables beneath one another."""
    drawn: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            drawn.append(laid_table(run, *part).rstrip("\n"))
        elif isinstance(part, Paragraph):
            drawn += textwrap.wrap(part, (run.width or 100) - 2, subsequent_indent="    ")
        else:
            drawn.append(run.paint(visible(part), "bold" if isinstance(part, Title) else None))
    return "\n".join(drawn)


def table(
    columns: Sequence[Column], rows: Sequence[Any], tz: tzinfo
) -> tuple[list[Column], list[list[str]]]:
    """The columns that are shown, and the cells of each row."""
    used = in_use(columns, rows)
    return used, [[words.cell(c.kind, c.of(row), tz) for c in used] for row in rows]


def laid_table(run: Run, columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """The same as text, for a drawing of several tables."""
    return to_table(*table(columns, rows, run.tz), run.width, run.paint)

"""A question as a command: its flags from its arguments, its table from its columns.

A module qrec/commands/<name>.py may have a `draw` of its own, for an answer that is more than a
table, and `FLAGS` that only people need.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Annotated, Any

import typer

from qrec import format as form
from qrec.options import RowFlags, StoreFlags
from qrec.output import Answer, present, to_table
from qrec.output import Column as Laid
from qrec.run import Run
from queries.core.answer import document, to_document
from queries.core.question import Argument, Column, Question, questions_of
from store.errors import UsageError

_RIGHT = ("count", "share", "ms", "bytes", "span")
_PLAIN: dict[str, Callable[[Any], str]] = {
    "text": str, "count": form.number, "share": form.share, "ms": form.millis,
    "bytes": form.size, "span": form.span, "program": form.program, "id": form.short_id,
}  # fmt: skip
_SEVERAL: dict[str, Callable[..., str]] = {
    "names": form.people, "status": form.status_text, "endpoint": form.endpoint_text,
}  # fmt: skip
_FILTER = Annotated[
    str | None,
    typer.Argument(metavar="FILTER", help="As in 'res.status >= 500'. Default: everything."),
]


def command(name: str, drawing: Any = None) -> Callable[..., None]:
    """The function of a question's command, with the signature that Typer reads.

    drawing: a module that may have `draw` and `FLAGS`, as said above, and a `check` of those.
    """
    questions = questions_of(name)
    flags: Sequence[Argument] = getattr(drawing, "FLAGS", ())

    def run_command(store: StoreFlags, rows: RowFlags, **values: Any) -> None:
        own = {flag.name: values.pop(flag.name) for flag in flags}
        for flag in flags:
            flag.check(own[flag.name])
        if "filter_" in values:
            values["where"] = one_filter(values.pop("filter_"), values["where"])
        question = _chosen(questions, values)
        run = Run(store, rows, defaults={"limit": question.limit})
        values["limit"] = run.limit
        if hasattr(drawing, "check"):
            drawing.check(run, **own)
        answer = question.ask(run.store, values, run.now, run.tz)
        shown = shown_answer(run, question, answer)
        draw = getattr(drawing, "draw", None)
        shown = draw(run, answer, shown, **own) if draw is not None else shown
        if shown is not None:
            present(run, shown)

    parameters = [*_options(questions, flags), *_groups()]
    if questions[0].filter_first:
        parameters.insert(0, _parameter("filter_", _FILTER, None))
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_command.__annotations__ = {one.name: one.annotation for one in parameters}
    run_command.__doc__ = questions[0].help
    return run_command


def one_filter(first: str | None, where: str | None) -> str | None:
    """The filter that stands alone or after --where. UsageError where both are given."""
    if first is not None and where is not None:
        raise UsageError("the filter is given twice", "Keep FILTER or --where, not both.")
    return where if first is None else first


def shown_answer(run: Run, question: Question, answer: Any) -> Answer:
    """The answer as a table, by the columns of the question."""
    lines = getattr(answer, question.rows) if question.lines is None else question.lines(answer)
    columns, cells = table(question.columns, lines, run.tz)
    heading = form.window_heading(answer.window, run.tz, question.noun, answer.notes)
    records = None if question.lines is None else [to_document(line) for line in lines]
    return Answer(document(answer), question.rows, columns, cells, heading, question.empty, records)


def table(
    columns: Sequence[Column], rows: Sequence[Any], tz: tzinfo
) -> tuple[list[Laid], list[list[str]]]:
    """Columns as they are laid out, and the cells of each row."""
    laid = [Laid(c.title, c.kind in _RIGHT, c.give, c.optional) for c in columns]
    return laid, [[_cell(c.kind, c.of(row), tz) for c in columns] for row in rows]


def laid_table(run: Run, columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """The same as text, for a drawing of several tables."""
    return to_table(*table(columns, rows, run.tz), run.width, run.paint)


def _cell(kind: str, value: Any, tz: tzinfo) -> str:
    if kind in _SEVERAL:
        return _SEVERAL[kind](*value) if value else "-"
    if value is None:
        return "-"
    if kind in ("clock", "moment"):
        return form.clock(value, tz, day=kind == "moment")
    return _PLAIN[kind](value)


def _chosen(questions: Sequence[Question], values: dict[str, Any]) -> Question:
    """The question that the given flags ask: another than the first, where a flag is only its.

    Takes out of `values` what it does not know. UsageError for a flag that it does not take.
    """
    first = {argument.name for argument in questions[0].every_argument}
    chosen = questions[0]
    for question in questions[1:]:
        own = [flag for flag in _flags(question) if flag.name not in first]
        if any(values.get(flag.name) is not None for flag in own):
            for flag in own:
                flag.check(values.get(flag.name))
            chosen = question
    known = {argument.name for argument in chosen.every_argument}
    for name in [name for name in values if name not in known]:
        value = values.pop(name)
        if value is not None and not any(name == flag.name for flag in _flags(chosen)):
            raise UsageError(
                f"--{name.replace('_', '-')} does not go together with the other flags",
                f"`qrec {chosen.name} --help` says what it is for; leave one of them out.",
            )
    return chosen


def _flags(question: Question) -> tuple[Argument, ...]:
    return question.every_argument + ((question.flag,) if question.flag else ())


def _options(questions: Sequence[Question], more: Sequence[Argument]) -> list[inspect.Parameter]:
    """A parameter for each argument of the questions, but those that RowFlags has."""
    arguments: dict[str, Argument] = {}
    for question in questions:
        for argument in _flags(question):
            arguments.setdefault(argument.name, argument)
    named = [one for name, one in arguments.items() if name != "limit"]
    return [_parameter(one.name, option(one), one.default) for one in (*named, *more)]


def option(argument: Argument) -> Any:
    """The argument as Typer's option."""
    kind: Any = argument.kind if argument.default is not None else argument.kind | None
    shown = typer.Option(argument.option, metavar=argument.metavar, help=argument.help)
    return Annotated[kind, shown]


def _groups() -> list[inspect.Parameter]:
    groups: Mapping[str, Any] = {"rows": RowFlags, "store": StoreFlags}
    return [_parameter(name, kind, inspect.Parameter.empty) for name, kind in groups.items()]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )

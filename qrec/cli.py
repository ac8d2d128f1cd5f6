"""The command line: which commands there are, where each lives, and the help of all of them.

A command is named here by its module and imported only when it is called, so that commands import
at the top of their files and `qrec diff` does not pay for `qrec record`. Questions are not named:
they are the modules of queries/.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from qrec.options import spread
from qrec.output import emit
from queries.core.question import question_names, summaries
from store.errors import UsageError, did_you_mean
from store.values import dataclass
from store.version import __version__

_PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


@dataclass(frozen=True)
class Entry:
    """A command: the module of qrec.commands that it lives in, and what it is for in at most 25
    letters."""

    name: str
    module: str
    summary: str

    def load(self) -> Any:
        return getattr(import_module(self.module), self.name + "_" * iskeyword(self.name))


@dataclass(frozen=True)
class QuestionEntry:
    """A question: its command is made from its declaration, and drawn by a module where one is."""

    name: str

    def load(self) -> Any:
        module = f"qrec.commands.{self.name}"
        drawing = import_module(module) if find_spec(module) is not None else None
        if hasattr(drawing, self.name):
            return getattr(drawing, self.name)
        # Here, since it costs 50 ms that other commands need not pay.
        from qrec.questions import command as question_command

        return question_command(self.name, drawing)


# Commands that do not live in the module of their own name.
MODULES = {
    "mark": "marks", "pin": "pins", "unpin": "pins",
    "import": "import_",
}  # fmt: skip


def _entries(summaries: dict[str, str]) -> dict[str, Entry]:
    return {
        name: Entry(name, f"qrec.commands.{MODULES.get(name, name)}", summary)
        for name, summary in summaries.items()
    }


FIRST = _entries({
    "demo": "see it work, without Qtap",
    "record": "record a Qtap stream into the store",
    "diff": "what changed in the last hour?",
})  # fmt: skip
GROUPS: dict[str, dict[str, Entry]] = {
    "Begin with these": FIRST,
    "During an incident": _entries({
        "mark": "give a moment a name",
        "marks": "list the marks",
        "pin": "keep an incident's hours",
        "pins": "list the pins",
        "unpin": "let pinned hours go",
        "calibrate": "findings that are usual",
    }),
    "Files and hours": _entries({
        "export": "a window into a file",
        "import": "HAR files into the store",
        "replay": "recorded streams into it",
        "rollup": "counts of finished hours",
        "prune": "delete the oldest hours",
    }),
    "Keep it running": _entries({
        "service": "record for good",
        "doctor": "check source and store",
        "info": "settings, paths, store",
        "mcp": "answer an assistant",
        "serve": "stand in for Qtap",
    }),
}  # fmt: skip
OTHERS: dict[str, Entry] = {name: one for group in GROUPS.values() for name, one in group.items()}
COMMANDS: dict[str, Entry | QuestionEntry] = {
    **{name: QuestionEntry(name) for name in question_names() if name not in OTHERS},
    **OTHERS,
}

_HELP = """\
Usage: qrec COMMAND [OPTIONS]

Record what a host says over HTTP, and ask what changed.

{commands}
More: qrec COMMAND --help, --version, --install-completion, --show-completion.
Exit codes: 0 answered, 1 failed, 2 usage or configuration, 3 source or store
unavailable, 4 timed out, 70 a bug in qrec, 130 interrupted.
"""


@dataclass(frozen=True)
class _Plain:
    """Reads one option. Typer's own way imports pydantic, 0.1 s for each call of qrec."""

    kind: Any

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self.kind is int and not isinstance(value, int):
            try:
                return int(value)
            except ValueError:
                raise typer.BadParameter(
                    f"{value!r:.60} is not a whole number", ctx=ctx, param=param
                ) from None
        return value


def _light(params: list[Any]) -> list[Any]:
    """The parameters, texts and numbers among them read by `_Plain`."""
    for param in params:
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if kind in (str, int, bool, list[str]):
            param.get_runtime_param = partial(_Plain, kind)
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _light(super().get_params(ctx))


def command(name: str) -> Any:
    """The command of that name as Typer makes it, imported now."""
    app = COMMANDS[name].load()
    if not isinstance(app, typer.Typer):
        function, app = app, typer.Typer(add_completion=False, **_PLAIN)
        app.command(name, cls=_Command)(spread(function))
    return get_command(app)


class _Commands(TyperGroup):
    """All commands by name; only the one that is called is imported."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _light(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            raise UsageError(
                f"there is no command {cmd_name[:40]!r}",
                did_you_mean(cmd_name, COMMANDS, "`qrec --help` lists what there is."),
            )
        return command(cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_HELP.format(commands="\n".join(_listed())))


def _listed() -> Iterator[str]:
    """The groups: the first a line a command, the others two to a line."""
    own = {title: {name: one.summary for name, one in group.items()}
           for title, group in GROUPS.items()}  # fmt: skip
    first, *others = own.items()
    questions = {name: text for name, text in summaries().items() if name not in OTHERS}
    for title, entries in (first, ("Ask about a window of time", questions), *others):
        yield f"{title}:"
        cells = [f"  {name:<12} {text}" for name, text in entries.items()]
        if title == first[0]:
            yield from cells
        else:
            for left, right in zip(cells[::2], [*cells[1::2], ""], strict=False):
                yield f"{left:<40}{right}".rstrip()
        yield ""


def _version(value: bool) -> None:
    if value:
        emit(f"qrec {__version__}\n")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")


def command_line() -> Any:
    """The whole command line, ready to be run with arguments."""
    app = typer.Typer(name="qrec", cls=_Commands, **_PLAIN)
    app.callback(invoke_without_command=True)(_root)
    return get_command(app)

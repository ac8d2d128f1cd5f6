"""The command line as Typer reads it: help, completion, and what is wrong with mistaken words.

A command is imported only when it is called, so that commands import at the top of their files and
`qrec diff` does not pay for `qrec record`. Questions are not named: they are the modules of
queries/. A line without a mistake does not come here (qrec.questions.answered).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from qrec.output import emit
from qrec.questions import QuestionCommand, with_left_out
from qrec.questions import command as command_of
from qrec.run import Command
from queries.core.question import REQUIRED, Argument, question_names, summaries
from store import __version__
from store.errors import UsageError, did_you_mean

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


# Every command that is no question (and some that are): what it is for, in at most 25 letters.
GROUPS = {
    "Begin with these": {
        "demo": "see it work, without Qtap",
        "record": "record a Qtap stream into the store",
        "diff": "what changed in the last hour?",
    },
    "During an incident": {
        "mark": "give a moment a name",
        "marks": "list the marks",
        "pin": "keep an incident's hours",
        "pins": "list the pins",
        "unpin": "let pinned hours go",
        "calibrate": "findings that are usual",
    },
    "Files and hours": {
        "export": "a window into a file",
        "report": "what changed, to send",
        "import": "HAR files into the store",
        "replay": "recorded streams into it",
        "rollup": "counts of finished hours",
        "prune": "delete the oldest hours",
    },
    "Keep it running": {
        "service": "record for good",
        "alert": "be told of findings",
        "doctor": "check source and store",
        "coverage": "what was seen, what not",
        "info": "settings, paths, store",
        "mcp": "answer an assistant",
        "web": "look at it in a browser",
        "serve": "stand in for Qtap",
        "ship": "hours to a bucket",
        "compact": "many hosts' counts as one",
    },
}
OTHERS = {name: summary for group in GROUPS.values() for name, summary in group.items()}
COMMANDS = tuple(dict.fromkeys((*(n for n in question_names() if n not in OTHERS), *OTHERS)))

_HELP = """\
Usage: qrec COMMAND [OPTIONS]
Record what a host says over HTTP, and ask what changed.

{commands}
More: qrec COMMAND --help, --version, --install-completion, --show-completion.
Exit codes: 0 answered, 1 failed, 2 usage or configuration, 3 source or store
unavailable, 4 timed out, 70 a bug in qrec, 130 interrupted.
"""


def command(name: str) -> Any:
    """The command of that name as Typer makes it, imported now."""
    declared = command_of(name)
    if declared is None:  # one of several
        return get_command(getattr(import_module(f"qrec.commands.{name}"), name))
    single = typer.Typer(add_completion=False, **PLAIN)
    single.command(name)(_signed(declared))
    return get_command(single)


def _signed(command: Command | QuestionCommand) -> Any:
    """The command as a function with the signature and the help that Typer reads."""

    def run_command(**values: Any) -> int:
        return command(**values)

    parameters = [_parameter(one) for one in command.arguments]
    run_command.__doc__ = command.help
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_command.__annotations__ = {one.name: one.annotation for one in parameters}
    return run_command


def _parameter(argument: Argument) -> inspect.Parameter:
    """The argument as Typer's parameter."""
    kind: Any = list[str] if argument.kind is list else argument.kind
    if argument.positional:
        shown = typer.Argument(metavar=argument.metavar, help=argument.help)
    else:
        metavar = None if kind is bool else argument.metavar
        names = filter(None, (argument.option, argument.short))
        shown = typer.Option(*names, metavar=metavar, help=argument.help)
    required = argument.default is REQUIRED
    return inspect.Parameter(
        argument.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else argument.default,
        annotation=Annotated[kind if argument.default is not None else kind | None, shown],
    )


class _Commands(TyperGroup):
    """All commands by name; only the one that is called is imported."""

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
        if args and (declared := command_of(args[0])) is not None:
            args = [args[0], *with_left_out(args[1:], declared.arguments)]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_HELP.format(commands="\n".join(_listed())))


def _listed() -> Iterator[str]:
    """The groups: the first a line a command, the others two to a line."""
    first, *others = GROUPS.items()
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
    app = typer.Typer(name="qrec", cls=_Commands, **PLAIN)
    app.callback(invoke_without_command=True)(_root)
    return get_command(app)

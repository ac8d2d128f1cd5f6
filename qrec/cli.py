"""The command line's table of contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from qrec.commands import (
    about,
    beneath,
    calibrating,
    changes,
    doctor,
    files,
    following,
    house,
    moments,
    overview,
    pins,
    questions,
    recording,
    rollup,
    searching,
    secrets,
    service,
    serving,
    shapes,
    sql,
    timing,
    traffic,
    transactions,
    trouble,
)
from qrec.options import spread
from qrec.output import emit

HELP = """Record what a host says over HTTP, and ask what changed.

\b
  qrec demo       see it work, without Qtap
  qrec record     record a Qtap stream into the store
  qrec diff       what changed in the last hour?
"""
EPILOG = """Exit codes: 0 answered, 1 failed, 2 usage or configuration, 3 source or store
unavailable, 4 timed out, 70 a bug in qrec, 130 interrupted."""


def _version(value: bool) -> None:
    if value:
        from store.version import __version__

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


COMMANDS: dict[str, Callable[..., Any]] = {
    "record": recording.record,
    "diff": changes.diff,
    "calibrate": calibrating.calibrate,
    "hosts": questions.hosts,
    "endpoints": questions.endpoints,
    "statuses": questions.statuses,
    "summary": overview.summary,
    "errors": trouble.errors,
    "slow": trouble.slow,
    "timeline": timing.timeline,
    "routes": traffic.routes,
    "containers": traffic.containers,
    "processes": traffic.processes,
    "dependencies": traffic.dependencies,
    "database": beneath.database,
    "connections": beneath.connections,
    "coverage": questions.coverage,
    "search": searching.search,
    "tail": following.tail,
    "show": transactions.show,
    "sensitive": secrets.sensitive,
    "schema": shapes.schema,
    "mark": moments.mark,
    "marks": moments.marks,
    "pin": pins.pin,
    "pins": pins.pins,
    "unpin": pins.unpin,
    "prune": house.prune,
    "rollup": rollup.rollup,
    "doctor": doctor.doctor,
    "info": about.info,
    "mcp": serving.mcp,
    "replay": recording.replay,
    "sql": sql.sql,
    "export": files.export,
    "import": files.import_,
    "serve": serving.serve,
    "demo": serving.demo,
}


def app(argv: Sequence[str] = ()) -> typer.Typer:
    """The command line; only the command that `argv` begins with where there is such a one.

    Typer works out every option of every command it is given: 40 ms for all of them.
    """
    made = typer.Typer(
        name="qrec",
        help=HELP,
        epilog=EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback(invoke_without_command=True)(_root)
    asked = argv[0] if argv else ""
    for name in [asked] if asked in COMMANDS else COMMANDS:
        made.command(name)(spread(COMMANDS[name]))
    if asked not in COMMANDS:
        made.add_typer(service.app, name="service")
    return made

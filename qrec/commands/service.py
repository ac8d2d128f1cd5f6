"""`qrec service install|status|uninstall`: a recording that starts by itself, and again."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrec.output import emit, say
from store.errors import QrecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qrec.managers import Command, Manager

NOT_RUNNING = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

service = typer.Typer(
    name="service",
    help="Run `qrec record` for good: as a systemd unit (Linux) or a launchd agent (macOS).",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

System = Annotated[
    bool, typer.Option("--system", help="For the whole machine, not this user. Needs root.")
]
Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="The service's name, where there are several.")
]
Force = Annotated[bool, typer.Option("--force", help="Also over a file that is different.")]


@service.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")


@service.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[OPTIONS] [OPTIONS OF qrec record]...",
)
def install(
    context: typer.Context,
    system: System = False,
    name: Name = "qrec",
    run_as: Annotated[
        str | None,
        typer.Option("--run-as", metavar="USER", help="With --system: the user it runs as."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the file, and do nothing.")
    ] = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Write the file only; start nothing.")
    ] = False,
    force: Force = False,
) -> None:
    """Write the service's file, start it now and at each login (--system: at each boot).

    All other options are those of `qrec record`, and go into the file as they are; --wait and the
    store's full path are added.

    \b
    Examples:
      qrec service install --keep 14d --max-size 20GB --metrics 9464
      qrec service install --filter 'res.status >= 400' --dry-run
      sudo qrec service install --system --run-as qrec --store /var/lib/qrec
    """
    from qrec.program import record_command

    there = _manager(name, system)
    if run_as is not None and not system:
        raise UsageError("--run-as goes with --system", "A user's own service runs as that user.")
    command, notes = record_command(context.args)
    text = there.text(command, run_as)
    if dry_run:
        emit(text)
        say(f"would be written to {there.path}")
    else:
        _write(there, text, system, force)
    if run_as is not None and command[-1].startswith(f"{Path.home()}/"):
        notes.append(f"can {run_as} write to {command[-1]}? If not: --store /var/lib/qrec")
    for note in notes:
        say(f"note: {note}")
    if dry_run or no_start:
        return
    _let_go(there)
    if _run(there, there.start(), "it is installed, but does not run"):
        for hint in there.hints():
            say(hint)


def _manager(name: str, system: bool) -> Manager:
    from qrec.managers import manager

    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:60]!r} cannot name a service", "Use letters, digits, - and _.")
    return manager(name, system)


def _write(there: Manager, text: str, system: bool, force: bool) -> None:
    from store.files import make_folder, write_text

    path = there.path
    try:
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if before == text:
            say(f"{path} is already as asked for")
            return
        if before is not None and not force:
            raise UsageError(
                f"{path} is there already, and is different",
                "Look at it with `qrec service status`; --force writes over it.",
            )
        make_folder(path.parent)
        write_text(path, text)
        if system:
            path.chmod(0o644)  # as all units of the system: there is nothing secret in it
    except OSError as error:
        raise QrecError(
            f"cannot write {path}: {error.strerror}",
            "Use sudo." if system else "Check the owner and the permissions of the folder.",
        ) from None
    say(f"wrote {path}")


def _let_go(there: Manager) -> None:
    from qrec.managers import run

    for command in there.let_go() if shutil.which(there.tool) else ():
        run(command)


def _run(there: Manager, commands: Sequence[Command], else_: str) -> bool:
    """Run the commands and say each; where their tool is missing, say what to run."""
    from qrec.managers import run

    lines = [shlex.join(command) for command in commands]
    if not shutil.which(there.tool):
        say(f"note: there is no {there.tool} here: {else_}. Where there is one, run:")
        for line in lines:
            say(f"  {line}")
        return False
    for line, command in zip(lines, commands, strict=True):
        answer = run(command)
        if answer.code:
            no_bus = "bus" in answer.said.lower()
            raise QrecError(
                f"`{line}` failed, {else_}: {answer.said or f'exit code {answer.code}'}",
                "This user has no session of the service manager: log in as that user, or use "
                "--system." if no_bus else "Mend that, then run it by hand, or try again.",
            )  # fmt: skip
        say(f"ran: {line}")
    return True


@service.command()
def status(
    system: System = False,
    name: Name = "qrec",
    json: Annotated[bool, typer.Option("--json", help="One document, for programs.")] = False,
) -> int:
    """Show the service's file and whether it runs; exits 3 when it does not.

    \b
    Examples:
      qrec service status
      qrec service status --system --json
    """
    from qrec.output import to_json

    there = _manager(name, system)
    text = _read(there)
    state = there.state()
    document: dict[str, Any] = {
        "version": 1,
        "name": name,
        "path": str(there.path),
        "installed": text is not None,
        "state": state,
        "file": text,
    }
    if json:
        emit(to_json(document))
    elif text is None:
        emit(f"no service: {there.path} is not there\n")
        say("install one: qrec service install")
    else:
        emit(f"{name} is {state}\n{there.path}:\n\n{text}")
    return 0 if text is not None and state == "active" else NOT_RUNNING


def _read(there: Manager) -> str | None:
    try:
        return there.path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise QrecError(
            f"cannot read {there.path}: {error.strerror}", "Check its owner and its permissions."
        ) from None


@service.command()
def uninstall(system: System = False, name: Name = "qrec", force: Force = False) -> None:
    """Stop the service and remove its file. The recordings stay.

    \b
    Examples:
      qrec service uninstall
    """
    from qrec.units import WRITTEN_BY

    there = _manager(name, system)
    text = _read(there)
    if text is None:
        raise UsageError(f"there is no service at {there.path}", "`qrec service status` looks.")
    if WRITTEN_BY not in text and not force:
        raise UsageError(
            f"{there.path} was not written by qrec", "--force removes it all the same."
        )
    try:
        stopped = _run(there, there.stop(), "it is not stopped")
    except QrecError:
        if not force:
            raise
        stopped = False
    try:
        there.path.unlink(missing_ok=True)
    except OSError as error:
        raise QrecError(f"cannot remove {there.path}: {error.strerror}", "Use sudo.") from None
    say(f"removed {there.path}; the recordings stay")
    if stopped:
        _run(there, there.forget(), "the manager still knows it")

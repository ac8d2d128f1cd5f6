"""`qrec service install|status|uninstall`: a recording that starts by itself, and again.

It is a systemd unit. Qtap watches a Linux kernel, so no other service manager is of use where it
records.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import filters
from qrec.cli import PLAIN, command
from qrec.output import able, emit, say, to_json
from qrec.recording import redact_config
from qrec.settings import BY_NAME, SETTINGS, Settings
from queries.core.window import parse_duration
from recorder.metrics import parse_address
from store.errors import QrecError, UsageError
from store.files import make_folder, write_text

WRITTEN_BY = "written by: qrec service install"
_PLAIN = re.compile(r"[A-Za-z0-9_@/.:,=+-]+")
_STOP_S = 60  # the last flush, and the seal that may be under way
_TIMEOUT_S = 90.0
Command = tuple[str, ...]

_UNIT = """\
# {written_by}
[Unit]
Description=qrec records what this host says over HTTP
After=network.target

[Service]
Type=exec
ExecStart={command}
{user}Restart=on-failure
RestartSec=5
# A call that cannot be understood does not get better by repeating it.
RestartPreventExitStatus=2
# Only the recorder is told to stop; it ends the process that reads for it in good order.
KillMode=mixed
TimeoutStopSec={stop}
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy={target}
"""


def unit_text(command: Sequence[str], *, system: bool, user: str | None = None) -> str:
    """A unit that runs the command, starts it again when it fails, and lets it end in peace."""
    return _UNIT.format(
        written_by=WRITTEN_BY,
        command=" ".join(quoted(word) for word in command),
        user=f"User={user}\n" if user else "",
        stop=_STOP_S,
        target="multi-user.target" if system else "default.target",
    )


def quoted(word: str) -> str:
    """A word of ExecStart as systemd reads it back: quoted, and without specifiers or variables."""
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\x{ord(m[0]):02x}", escaped) + '"'


def run(command: Command) -> tuple[int, str]:
    """(exit code, all that it printed, on a line) of a systemctl command. QrecError when it hangs
    or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "it took too long" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise QrecError(f"`{' '.join(command)}` failed: {why}", "Run it by hand.") from None
    return done.returncode, " ".join((done.stdout + " " + done.stderr).split())[:400]


class Unit:
    """A unit of the user's own manager, or of the system's."""

    def __init__(self, name: str, system: bool) -> None:
        self.system = system
        self.name = f"{name}.service"
        self._systemctl: Command = ("systemctl",) if system else ("systemctl", "--user")
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        folder = Path("/etc/systemd/system") if system else config / "systemd" / "user"
        self.path = folder / self.name

    @staticmethod
    def has_systemctl() -> bool:
        return shutil.which("systemctl") is not None

    def start(self) -> list[Command]:
        # restart, not start: what runs already shall run as the file says now
        return [self.reload(), (*self._systemctl, "enable", self.name),
                (*self._systemctl, "restart", self.name)]  # fmt: skip

    def stop(self) -> Command:
        return (*self._systemctl, "disable", "--now", self.name)

    def reload(self) -> Command:
        return (*self._systemctl, "daemon-reload")

    def state(self) -> str:
        """active, inactive, failed … in systemd's own word; `unknown` without systemctl."""
        if not self.has_systemctl():
            return "unknown"
        _, state = run((*self._systemctl, "is-active", self.name))
        return state if state and " " not in state else "unknown"

    def hints(self) -> list[str]:
        """What is worth knowing after it was installed."""
        scope = "" if self.system else "--user "
        hints = [f"its log: journalctl {scope}-u {self.name} -f"]
        if not self.system and not _lingers():
            hints.append("it ends when you log out; to keep it: loginctl enable-linger")
        return hints


def _lingers() -> bool:
    try:
        return (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()
    except (OSError, KeyError):
        return False


NOT_RUNNING = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FLEETING = ("/uv/archive", "/.cache/", "/pipx/.cache", "/tmp/")
_OF_NO_MATTER = frozenset({"store", "timezone", "color", "limit"})

service = typer.Typer(
    name="service",
    help="Run `qrec record` for good, as a systemd unit.",
    add_completion=False,
    **PLAIN,
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
        str | None, typer.Option(metavar="USER", help="With --system: the user it runs as.")
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
    unit = _unit(name, system)
    if run_as is not None and not system:
        raise UsageError("--run-as goes with --system", "A user's own service runs as that user.")
    words, notes = record_command(context.args)
    text = unit_text(words, system=system, user=run_as)
    if dry_run:
        emit(text)
        say(f"would be written to {unit.path}")
    else:
        _write(unit, text, system, force)
    if run_as is not None and words[-1].startswith(f"{Path.home()}/"):
        notes.append(f"can {run_as} write to {words[-1]}? If not: --store /var/lib/qrec")
    for note in notes:
        say(f"note: {note}")
    if dry_run or no_start:
        return
    if _run(unit, unit.start(), "it is installed, but does not run"):
        for hint in unit.hints():
            say(hint)


def _unit(name: str, system: bool) -> Unit:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:60]!r} cannot name a service", "Use letters, digits, - and _.")
    if platform.system() != "Linux":
        raise UsageError(
            f"qrec knows no service manager for {platform.system()}",
            "Run `qrec record --wait` under the one that you have.",
        )
    return Unit(name, system)


def _write(unit: Unit, text: str, system: bool, force: bool) -> None:
    path = unit.path
    before = _read(unit)
    if before == text:
        say(f"{path} is already as asked for")
        return
    if before is not None and not force:
        raise UsageError(
            f"{path} is there already, and is different",
            "Look at it with `qrec service status`; --force writes over it.",
        )
    hint = "Use sudo." if system else "Check the owner and the permissions of the folder."
    with able(f"write {path}", hint):
        make_folder(path.parent)
        write_text(path, text)
        if system:
            path.chmod(0o644)  # as all units of the system: there is nothing secret in it
    say(f"wrote {path}")


def _run(unit: Unit, commands: Sequence[Command], else_: str) -> bool:
    """Run the commands and say each; where there is no systemctl, say what to run."""
    lines = [shlex.join(words) for words in commands]
    if not unit.has_systemctl():
        say(f"note: there is no systemctl here: {else_}. Where there is one, run:")
        for line in lines:
            say(f"  {line}")
        return False
    for line, words in zip(lines, commands, strict=True):
        code, output = run(words)
        if code:
            no_bus = "bus" in output.lower()
            raise QrecError(
                f"`{line}` failed, {else_}: {output or f'exit code {code}'}",
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
    unit = _unit(name, system)
    text = _read(unit)
    state = unit.state()
    document: dict[str, Any] = {
        "version": 1, "name": name, "path": str(unit.path), "installed": text is not None,
        "state": state, "file": text,
    }  # fmt: skip
    if json:
        emit(to_json(document))
    elif text is None:
        emit(f"no service: {unit.path} is not there\n")
        say("install one: qrec service install")
    else:
        emit(f"{name} is {state}\n{unit.path}:\n\n{text}")
    return 0 if text is not None and state == "active" else NOT_RUNNING


def _read(unit: Unit) -> str | None:
    with able(f"read {unit.path}", "Check its owner and its permissions."):
        exists = unit.path.exists()
        return unit.path.read_text(encoding="utf-8", errors="replace") if exists else None


@service.command()
def uninstall(system: System = False, name: Name = "qrec", force: Force = False) -> None:
    """Stop the service and remove its file. The recordings stay.

    \b
    Examples:
      qrec service uninstall
    """
    unit = _unit(name, system)
    text = _read(unit)
    if text is None:
        raise UsageError(f"there is no service at {unit.path}", "`qrec service status` looks.")
    if WRITTEN_BY not in text and not force:
        raise UsageError(f"{unit.path} was not written by qrec", "--force removes it all the same.")
    try:
        stopped = _run(unit, [unit.stop()], "it is not stopped")
    except QrecError:
        if not force:
            raise
        stopped = False
    with able(f"remove {unit.path}", "Use sudo."):
        unit.path.unlink(missing_ok=True)
    say(f"removed {unit.path}; the recordings stay")
    if stopped:
        _run(unit, [unit.reload()], "systemd still knows it")


def program() -> list[str]:
    """How this very qrec is started: its script, or its Python where it was run as a module.

    -P: a service has a working folder too, and modules that lie there are not ours to run.
    """
    script = Path(sys.argv[0])
    if script.name == "qrec" and script.is_file():
        return [str(script.absolute())]
    return [sys.executable, "-P", "-m", "qrec"]


def record_command(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the command, notes for whoever installs it). Raises as `qrec record` would, before it runs.

    A service has another folder and another environment, so the store is named in full.
    """
    options = command("record").make_context("qrec record", list(arguments)).params
    settings = Settings(overrides={k: v for k, v in options.items() if k in BY_NAME})
    _refuse_mistakes(settings, options)
    words = [*program(), "record", *_without_store(arguments)]
    if not options.get("wait"):
        words.append("--wait")
    words += ["--store", str(settings.path("store").absolute())]
    return words, list(_notes(words[0], settings))


def _refuse_mistakes(settings: Settings, options: Mapping[str, Any]) -> None:
    """What would end the service as soon as it starts is better said now."""
    for setting in SETTINGS:
        settings.get(setting.name)
    _ = settings.keep, settings.max_size
    parse_duration(settings.text("flush_interval"))
    redact_config(settings, options)
    if settings.text("metrics"):
        parse_address(settings.text("metrics"))
    if settings.text("filter"):
        filters.check(filters.parse(settings.text("filter")), "record")
    if options.get("until_end") or options.get("duration") is not None:
        raise UsageError(
            "a service records for good", "Leave --duration and --until-end to `qrec record`."
        )


def _without_store(arguments: Sequence[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        if word == "--store":
            next(words, None)
        elif not word.startswith("--store="):
            yield word


def _notes(executable: str, settings: Settings) -> Iterator[str]:
    """What this shell has and the service will not."""
    if any(part in executable for part in _FLEETING):
        yield f"{executable} may be gone tomorrow; install qrec for good (uv tool install qrec)"
    here = str(settings.files[0])
    for setting in SETTINGS:
        origin = settings.get(setting.name).origin
        if setting.name in _OF_NO_MATTER or not (origin.startswith("QREC_") or origin == here):
            continue
        yield (
            f"the service does not see {setting.name} from {origin}: give it as an option, "
            f"or put it into {settings.files[-1]}"
        )

"""What keeps services on this machine, and its words: systemd on Linux, launchd on macOS."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qrec.units import launchd_plist, systemd_unit
from store.errors import QrecError, UsageError

_TIMEOUT_S = 90.0
Command = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a command came to; `said` is all it printed, on one line."""

    code: int
    said: str


def run(command: Command) -> Answer:
    """Run a command of the service manager. QrecError when it hangs or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "it took too long" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise QrecError(f"`{' '.join(command)}` failed: {why}", "Run it by hand.") from None
    return Answer(done.returncode, " ".join((done.stdout + " " + done.stderr).split())[:400])


class Manager(Protocol):
    """A service manager, for one service of this user or of the system."""

    tool: str
    path: Path

    def text(self, command: Sequence[str], user: str | None) -> str:
        """The service's file."""

    def let_go(self) -> list[Command]:
        """What makes it forget a service of that name, before a new start; it may well fail."""

    def start(self) -> list[Command]: ...

    def stop(self) -> list[Command]: ...

    def forget(self) -> list[Command]:
        """What is to be run once the file is gone."""

    def state(self) -> str:
        """active, inactive, failed … in the manager's own word; `unknown` without its tool."""

    def hints(self) -> list[str]:
        """What is worth knowing after it was installed."""


class Systemd:
    """A unit of the user's own manager, or of the system's."""

    tool = "systemctl"

    def __init__(self, name: str, system: bool) -> None:
        self.system = system
        self.unit = f"{name}.service"
        self._scope: Command = ("systemctl",) if system else ("systemctl", "--user")
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        folder = Path("/etc/systemd/system") if system else config / "systemd" / "user"
        self.path = folder / self.unit

    def text(self, command: Sequence[str], user: str | None) -> str:
        return systemd_unit(command, system=self.system, user=user)

    def let_go(self) -> list[Command]:
        return []

    def start(self) -> list[Command]:
        # restart, not start: what runs already shall run as the file says now
        return [(*self._scope, "daemon-reload"), (*self._scope, "enable", self.unit),
                (*self._scope, "restart", self.unit)]  # fmt: skip

    def stop(self) -> list[Command]:
        return [(*self._scope, "disable", "--now", self.unit)]

    def forget(self) -> list[Command]:
        return [(*self._scope, "daemon-reload")]

    def state(self) -> str:
        if not shutil.which(self.tool):
            return "unknown"
        said = run((*self._scope, "is-active", self.unit)).said
        return said if said and " " not in said else "unknown"

    def hints(self) -> list[str]:
        scope = "" if self.system else "--user "
        found = [f"its log: journalctl {scope}-u {self.unit} -f"]
        if not self.system and not _lingers():
            found.append("it ends when you log out; to keep it: loginctl enable-linger")
        return found


def _lingers() -> bool:
    import getpass

    try:
        return (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()
    except (OSError, KeyError):
        return False


class Launchd:
    """An agent of the user who is logged in, or a daemon of the system."""

    tool = "launchctl"

    def __init__(self, name: str, system: bool) -> None:
        self.label = name
        self._domain = "system" if system else f"gui/{os.getuid()}"
        library = Path("/Library") if system else Path.home() / "Library"
        self.path = library / ("LaunchDaemons" if system else "LaunchAgents") / f"{name}.plist"
        self.log = library / "Logs" / f"{name}.log"

    def text(self, command: Sequence[str], user: str | None) -> str:
        return launchd_plist(self.label, command, self.log, user=user)

    def let_go(self) -> list[Command]:
        return self.stop()

    def start(self) -> list[Command]:
        return [("launchctl", "bootstrap", self._domain, str(self.path)),
                ("launchctl", "kickstart", f"{self._domain}/{self.label}")]  # fmt: skip

    def stop(self) -> list[Command]:
        return [("launchctl", "bootout", f"{self._domain}/{self.label}")]

    def forget(self) -> list[Command]:
        return []

    def state(self) -> str:
        if not shutil.which(self.tool):
            return "unknown"
        answer = run(("launchctl", "print", f"{self._domain}/{self.label}"))
        if answer.code:
            return "inactive"
        return "active" if "state = running" in answer.said else "inactive"

    def hints(self) -> list[str]:
        return [f"its log: tail -f {self.log}"]


def manager(name: str, system: bool) -> Manager:
    """The manager of this kind of machine. UsageError where qrec knows none."""
    kind = platform.system()
    if kind == "Linux":
        return Systemd(name, system)
    if kind == "Darwin":
        return Launchd(name, system)
    raise UsageError(
        f"qrec knows no service manager for {kind}",
        "Run `qrec record --wait` under the one that you have.",
    )

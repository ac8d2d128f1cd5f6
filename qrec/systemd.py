"""A systemd unit that keeps a recording running, and the systemctl commands that start and stop it.

Qtap watches a Linux kernel, so no other service manager is of use where it records.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.errors import QrecError

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


@dataclass(frozen=True)
class Result:
    """What a command came to; `output` is all it printed, on one line."""

    code: int
    output: str


def run(command: Command) -> Result:
    """Run a systemctl command. QrecError when it hangs or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "it took too long" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise QrecError(f"`{' '.join(command)}` failed: {why}", "Run it by hand.") from None
    return Result(done.returncode, " ".join((done.stdout + " " + done.stderr).split())[:400])


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
        state = run((*self._systemctl, "is-active", self.name)).output
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

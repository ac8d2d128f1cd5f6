"""The files that keep a recording running: a systemd unit, a launchd property list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

WRITTEN_BY = "written by: qrec service install"
_PLAIN = re.compile(r"[A-Za-z0-9_@/.:,=+-]+")
_STOP_S = 60  # the last flush, and the seal that may be under way

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


def systemd_unit(command: Sequence[str], *, system: bool, user: str | None = None) -> str:
    """A unit that runs the command, starts it again when it fails, and lets it end in peace."""
    return _UNIT.format(
        written_by=WRITTEN_BY,
        command=" ".join(systemd_word(word) for word in command),
        user=f"User={user}\n" if user else "",
        stop=_STOP_S,
        target="multi-user.target" if system else "default.target",
    )


def systemd_word(word: str) -> str:
    """A word of ExecStart as systemd reads it back: quoted, and without specifiers or variables."""
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\x{ord(m[0]):02x}", escaped) + '"'


def launchd_plist(
    label: str, command: Sequence[str], log: Path, *, user: str | None = None
) -> str:  # fmt: skip
    """A property list that runs the command at login (or boot), and again when it fails."""
    import plistlib

    entries = {
        "Label": label,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": _STOP_S,
        "Umask": 0o077,
        "StandardErrorPath": str(log),
        "StandardOutPath": str(log),
    }
    if user:
        entries["UserName"] = user
    text = plistlib.dumps(entries, sort_keys=False).decode()
    return text.replace("<plist", f"<!-- {WRITTEN_BY} -->\n<plist", 1)

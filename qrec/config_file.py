"""Reading one qrec.toml: the file as flat keys, or why it cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from store.errors import UsageError

_MAX_BYTES = 1 << 20


def read_config(path: Path) -> dict[str, Any] | None:
    """The file's keys joined with dots; None where there is no file. Raises UsageError."""
    try:
        with path.open("rb") as file:
            _refuse_strangers(path, os.fstat(file.fileno()))
            text = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "Mend its permissions, or remove it."
        ) from None
    if len(text) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than 1 MiB", "That is no qrec.toml.")
    import tomllib

    try:
        return _flat(tomllib.loads(text.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # TOML's own errors and broken UTF-8
        raise UsageError(f"{path} is not valid TOML: {error}", "Mend the line it names.") from None


def _refuse_strangers(path: Path, info: os.stat_result) -> None:
    """A file that another user left here must not decide where recordings of secrets go."""
    mine = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        mine.add(int(os.environ["SUDO_UID"]))
    if info.st_uid not in mine or info.st_mode & stat.S_IWOTH:
        who = "everybody may write to it" if info.st_uid in mine else "it belongs to another user"
        raise UsageError(
            f"{path} is not safe to follow: {who}",
            "Run qrec in another folder, or make the file yours alone (chown, chmod o-w).",
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat

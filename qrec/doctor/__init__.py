"""What `qrec doctor` looks at, one module a subject. A check finds; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from store.errors import QrecError

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, how it stands, and what to do where it does not stand well.

    facts: figures for programs, by name.
    """

    name: str
    status: Status
    text: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def guarded(name: str, check: Callable[[], Iterable[Check]]) -> list[Check]:
    """The findings of a check; one that fails itself is a finding too, never a crash."""
    try:
        return list(check())
    except QrecError as error:
        return [Check(name, "problem", error.message, error.hint)]
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [Check(name, "problem", f"{where}{error.strerror or error}",
                      "Check the owner, the permissions and the disk.")]  # fmt: skip
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        return [Check(name, "problem", f"this check broke off: {type(error).__name__}: {said}",
                      "That is a bug in qrec; please report it with the command.")]  # fmt: skip

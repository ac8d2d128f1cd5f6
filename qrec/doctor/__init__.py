"""What `qrec doctor` looks at, one module a subject. A check changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, Literal, TypeVar

from store.errors import QrecError
from store.values import dataclass

T = TypeVar("T")
Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One result: what was looked at, how it stands, and what to do where it does not stand well.

    facts: figures for programs, by name.
    """

    name: str
    status: Status
    text: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def guarded(name: str, check: Callable[[], Iterable[Check]]) -> list[Check]:
    """The results of a check; one that fails itself is a result too, never a crash."""
    results, failed = attempted(name, lambda: list(check()))
    return failed if results is None else results


def attempted(name: str, work: Callable[[], T]) -> tuple[T | None, list[Check]]:
    """(what the work gives, []), or (None, the check that says why it failed)."""
    try:
        return work(), []
    except QrecError as error:
        return None, [Check(name, "problem", error.message, error.hint)]
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return None, [Check(name, "problem", f"{where}{error.strerror or error}",
                            "Check the owner, the permissions and the disk.")]  # fmt: skip
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        bug = Check(name, "problem", f"this check broke off: {text}",
                    "That is a bug in qrec; please report it with the command.")  # fmt: skip
        return None, [bug]

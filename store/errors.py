"""The errors that may reach a person: each says what happened and what to do next.

Only the outermost layer (the command line, the MCP server) prints them. The exit codes are
part of the interface and documented in the README.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class QrecError(Exception):
    """Something went wrong that qrec foresaw. `hint` is the next step, in one sentence."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(QrecError):
    """The call cannot be understood: a bad flag, filter, window or configuration."""

    exit_code = 2


class UnavailableError(QrecError):
    """The source or the store cannot be used: missing, refused, locked, of a newer version."""

    exit_code = 3


class TooMuchError(UnavailableError):
    """A question would fetch more of a bucket than it may."""


def unwritable(store: object, error: OSError) -> UnavailableError:
    """The disk refuses what was to be written into the store at this path."""
    return UnavailableError(
        f"cannot write to the store at {store}: {error.strerror}",
        "Check the owner, the permissions and the free space (`qrec doctor`).",
    )


class TimedOutError(QrecError):
    """The work did not finish in the time that it was given."""

    exit_code = 4


def did_you_mean(word: str, choices: Iterable[str], then: str = "") -> str:
    """`Did you mean 'hosts'?` where one of the choices is near the word, and then the rest."""
    from difflib import get_close_matches

    lowered = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower(), lowered, 1)
    return " ".join(part for part in (f"Did you mean {lowered[near[0]]!r}?" if near else "", then)
                    if part)  # fmt: skip


def check_choice(what: str, value: str, choices: Collection[str]) -> None:
    """UsageError for a value that is none of the choices; what: whose value it is."""
    if value not in choices:
        raise UsageError(
            f"{what} cannot be {value[:40]!r}",
            did_you_mean(value, choices, f"It is one of {', '.join(choices)}."),
        )

"""What a person reads when a filter is wrong: where, what was expected, what to write instead."""

from __future__ import annotations

from store.errors import UsageError

_WIDTH = 76  # of the filter's line shown around the mistake; longer lines are cut on both sides


class FilterError(UsageError):
    """A filter that cannot be parsed or used. Positions count characters from 1.

    `reason` is the bare sentence, `line`, `column` say where it applies, `hint` what to write
    instead. `message` puts them together with the line itself and a caret under the mistake.
    `token` is the kind of the token at fault, where there is one, `accepted` what could stand
    there.
    """

    token = ""
    accepted: frozenset[str] = frozenset()

    def __init__(self, text: str, reason: str, start: int, end: int = 0, hint: str = "") -> None:
        start = min(start, len(text))
        before = text[:start]
        self.text = text
        self.reason = reason
        self.line = before.count("\n") + 1
        self.column = start - (before.rfind("\n") + 1) + 1
        self.start = start
        self.end = max(end, start)
        shown = _snippet(text, start, self.end)
        super().__init__(f"filter {self.line}:{self.column}: {reason}\n{shown}", hint)


def _snippet(text: str, start: int, end: int) -> str:
    """The line around `start`, and a line of carets below it, as wide as the mistake."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first:] if last < 0 else text[first:last]
    line = "".join(char if char.isprintable() else " " for char in line)
    column = start - first
    carets = max(1, min(end, first + len(line)) - start)
    cut = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
    shown = line[cut : cut + _WIDTH]
    left = "…" if cut else ""
    right = "…" if cut + _WIDTH < len(line) else ""
    carets = max(1, min(carets, len(shown) - (column - cut)))
    return f"  {left}{shown}{right}\n  {' ' * (len(left) + column - cut)}{'^' * carets}"

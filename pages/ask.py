"""A request for a page: its parameters as a question's arguments, and links to what is near it.

A parameter has the name of the command's flag without its dashes: `/diff?last=1h&vs=yesterday`
asks what `qrec diff --last 1h --vs yesterday` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import cache, cached_property
from shlex import quote as shell_quote
from typing import Any, Final
from urllib.parse import quote, urlencode

from queries.core.answer import iso
from queries.core.escape import visible
from queries.core.question import (
    REQUIRED,
    Argument,
    Question,
    asked_window,
    chosen,
    questions_of,
    summaries,
)
from queries.core.window import Baseline, Window, resolve_window, resolve_windows
from store.errors import UsageError, did_you_mean
from store.layout import Store
from store.values import dataclass

# A SELECT of one's own wants consent, as it does for assistants; one transaction has its own URL.
_ELSEWHERE: Final = frozenset({"sql", "show"})
_WINDOW_PARAMETERS: Final = ("last", "from", "to", "since", "around", "vs", "vs-from", "vs-to")


class MissingError(UsageError):
    """What a URL names is not there."""


@cache
def offered() -> dict[str, str]:
    """The questions that have a page, each with what it is for, by group."""
    return {name: text for name, text in summaries().items() if name not in _ELSEWHERE}


@dataclass(frozen=True)
class Site:
    """What every page needs to know: the store, opened anew for each, and its name in commands."""

    open: Callable[[], Store]
    tz: tzinfo
    now: Callable[[], datetime]
    named_store: str | None = None


def parameter(argument: Argument) -> str:
    """The name of an argument in a URL."""
    return argument.name if argument.positional else argument.option.removeprefix("--")


def href(path: str, parameters: Mapping[str, Any] | None = None) -> str:
    """A link within the site; parameters that are None or empty are left out."""
    given = [(name, str(value)) for name, value in (parameters or {}).items()
             if value not in (None, "")]  # fmt: skip
    return quote(path) + (f"?{urlencode(given)}" if given else "")


def values_of(
    questions: Sequence[Question], given: Iterable[tuple[str, str]]
) -> tuple[Question, dict[str, Any]]:
    """The question that parameters ask, and the values of its arguments.

    UsageError for a parameter that is unknown, comes twice, or has no value that it may have.
    """
    known = {parameter(one): one for question in questions for one in question.flags}
    values: dict[str, Any] = {}
    for name, text in given:
        argument = known.get(name)
        if argument is None:
            hint = did_you_mean(name, known, f"Parameters: {', '.join(known)}.")
            raise UsageError(f"there is no parameter {visible(name[:40])!r} here", hint)
        if argument.kind is list:
            values.setdefault(argument.name, []).append(text)
        elif argument.name in values:
            raise UsageError(f"{name} is given twice", "Keep one.")
        elif text:  # an empty field of a form says nothing
            values[argument.name] = _typed(argument, text)
    best = chosen(questions, values)
    for argument in best.every_argument:
        if argument.default is REQUIRED and argument.name not in values:
            raise UsageError(f"{parameter(argument)} is missing", argument.help)
    defaults = {one.name: one.default for one in best.every_argument if one.default is not REQUIRED}
    return best, {**defaults, **values}


def _typed(argument: Argument, text: str) -> Any:
    name = parameter(argument)
    if argument.kind is not int:
        if argument.most and len(text) > argument.most:
            raise UsageError(f"{name} is longer than {argument.most} characters", "Shorten it.")
        return text
    least = argument.least or 0
    if not text.isdecimal() or not least <= int(text[:12]) <= argument.most:
        raise UsageError(
            f"{name} cannot be {visible(text[:40])!r}",
            f"It is a number from {least:,} to {argument.most:,}.",
        )
    return int(text)


@dataclass(frozen=True)
class Asked:
    """One request: its path, and its parameters in order."""

    site: Site
    path: str
    given: tuple[tuple[str, str], ...]
    now: datetime

    @cached_property
    def store(self) -> Store:
        return self.site.open()

    @property
    def tz(self) -> tzinfo:
        return self.site.tz

    @cached_property
    def texts(self) -> dict[str, str]:
        """The parameters as they were written."""
        return {name: text for name, text in self.given if text}

    @property
    def where(self) -> str | None:
        return self.texts.get("where")

    @property
    def window_texts(self) -> dict[str, str]:
        """Those that say which time, for links to other questions about the same."""
        return {name: self.texts[name] for name in _WINDOW_PARAMETERS if name in self.texts}

    def question(self, name: str) -> tuple[Question, dict[str, Any]]:
        """The question of that name which the parameters ask, and its values."""
        return values_of(questions_of(name), self.given)

    def answer(self, question: Question, values: Mapping[str, Any]) -> Any:
        return question.ask(self.store, values, self.now, self.tz)

    def window(self, values: Mapping[str, Any]) -> Window:
        return resolve_window(asked_window(lambda: self.store, values), self.now, self.tz)

    def windows(self, values: Mapping[str, Any]) -> tuple[Window, Baseline]:
        return resolve_windows(asked_window(lambda: self.store, values), self.now, self.tz)

    def fixed(self, window: Window, baseline: Baseline | None = None) -> dict[str, str]:
        """The same times as parameters that mean the same tomorrow."""
        times = {"from": iso(window.from_ts), "to": iso(window.to_ts)}
        if baseline is None or baseline.kind == "previous":
            return times
        if baseline.kind == "same_hour":
            return {**times, "vs": self.texts.get("vs", "")}
        return {**times, "vs-from": iso(baseline.from_ts), "vs-to": iso(baseline.to_ts)}

    def link(self, name: str, **parameters: Any) -> str:
        """A link to a question about the same time; parameters: its others."""
        known = {parameter(one) for question in questions_of(name) for one in question.flags}
        times = {n: text for n, text in self.window_texts.items() if n in known}
        return href(f"/{name}", {**times, **parameters})

    def again(self, **parameters: Any) -> str:
        """A link to this page with other parameters; None takes one away."""
        return href(self.path, {**self.texts, **parameters})

    def command(self, name: str, parameters: Mapping[str, Any]) -> str:
        """What asks the same in a terminal."""
        words = [f"qrec {name}"]
        if self.site.named_store is not None:
            parameters = {**parameters, "store": self.site.named_store}
        for flag, value in parameters.items():
            if value not in (None, ""):
                words.append(f"--{flag} {shell_quote(visible(str(value)))}")
        return " ".join(words)

    def shifts(self, window: Any) -> dict[str, str]:
        """Links to the times beside this one, for people without a chart to point at."""
        start, end = window.from_ts, window.to_ts
        length = end - start
        near = {
            "earlier": (start - length, start),
            "later": (end, min(end + length, self.now)),
            "narrower": (start + length / 2, end),
            "wider": (start - length, end),
        }
        rest = {name: text for name, text in self.texts.items()
                if name not in (*_WINDOW_PARAMETERS, "cursor", "explain")}  # fmt: skip
        return {
            name: href(self.path, {"from": _minute(a), "to": _minute(b), **rest})
            for name, (a, b) in near.items()
            if b - a >= timedelta(minutes=1)
        }


def _minute(moment: datetime) -> str:
    return iso(moment.replace(second=0, microsecond=0))

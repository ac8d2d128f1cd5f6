"""What a command is, and needs to answer: the flags that it shares with others, settings, the
store, the clock."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from qrec.output import FORMATS, Painter, terminal_width, wants_color
from qrec.settings import Settings
from queries.core.question import Argument, asked_window
from queries.core.window import parse_moment, resolve_window, resolve_windows, zone
from store.errors import UsageError, check_choice
from store.layout import Store
from store.remote import is_url
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.window import Baseline, Window


def switch(name: str, help: str) -> Argument:
    """A flag that takes no value."""
    return Argument(name, help, default=False, kind=bool)


STORE: Final = (
    Argument("store", "The folder of the recordings, or a bucket: s3://bucket/prefix.", "DIR"),
    Argument("max_fetch", "Fetch no more of a bucket than this: 5GB.", "SIZE"),
    Argument("engine", "Read and count on this Spark: sc://host:15002.", "URL"),
    Argument("timezone", "Read and show times in this zone: UTC, Asia/Tokyo.", "ZONE"),
    Argument("now", "Answer as if it were this time; for old recordings.", "TIME"),
    Argument("color", "Colours: auto, always, never.", "WHEN"),
)
FORM: Final = (
    Argument("format", "table, json (one document), jsonl, csv or md.", "FORMAT"),
    switch("json", "The same as --format json."),
)
ROWS: Final = (Argument("limit", "Rows to show. Default: 20.", "N", kind=int), *FORM)
JSON: Final = switch("json", "One document, for programs.")
RECORD: Final = (
    Argument(
        "filter",
        "Record only what matches, as in 'res.status >= 400'. Default: everything.", "FILTER",
    ),
    Argument("recorder", "This recorder's name in the store.", "NAME"),
    Argument("group", "Hosts of one group are compared as one: prod-eu.", "NAME"),
    Argument(
        "store_bodies",
        "Bodies to keep, redacted: all, errors (of failed requests) or none.", "WHICH",
    ),
    Argument("body_limit", "Cut longer bodies off there. Default: 64KiB.", "SIZE"),
    switch(
        "no_redact", "Keep passwords, tokens and personal data as they are. Wants --i-know.",
    ),
    switch("i_know", "Yes, --no-redact is meant."),
)  # fmt: skip
HOUSE: Final = (
    Argument("keep", "Delete whole hours older than this: 36h, 14d.", "DURATION"),
    Argument("max_size", "Delete the oldest hours beyond this size: 500MB, 20GB.", "SIZE"),
)


@dataclass(frozen=True)
class Command:
    """A command: what it takes, in the order of help, and the function that its docstring tells of.

    The function gets the values that its parameters name, and where it has a `run`, a Run of all.
    """

    arguments: tuple[Argument, ...]
    function: Callable[..., int | None]

    @property
    def help(self) -> str:
        return self.function.__doc__ or ""

    def __call__(self, **given: Any) -> int:
        """Run it; given: values by the arguments' names. The exit code."""
        values = {argument.name: argument.default for argument in self.arguments} | given
        for argument in self.arguments:
            argument.check(values[argument.name])
        names = inspect.signature(self.function).parameters
        own = {name: values[name] for name in names if name != "run"}
        if "run" in names:
            own["run"] = Run(values)
        return self.function(**own) or 0


def takes(*arguments: Argument) -> Callable[[Callable[..., int | None]], Command]:
    """Makes a command of the function that it stands before."""
    return partial(Command, arguments)


@dataclass(frozen=True)
class Run:
    """One call of qrec. Everything is found when it is asked for, and only then."""

    values: Mapping[str, Any]  # of the command's arguments; those that settings name win over them
    defaults: Mapping[str, Any] = field(default_factory=dict)  # a command's own, by setting name

    def __post_init__(self) -> None:
        """What would spoil the output is found before any work is done for it."""
        _ = self.format, self.settings.text("color"), self.settings.count("limit")

    @cached_property
    def settings(self) -> Settings:
        return Settings(overrides=self.values, defaults=self.defaults)

    @cached_property
    def store(self) -> Store:
        return self.settings.store()

    @property
    def folder(self) -> Store:
        """The store where it must be a folder of this machine. UsageError for a bucket."""
        return Store.open(self.settings.path("store"))

    @cached_property
    def tz(self) -> tzinfo:
        return zone(self.settings.text("timezone"))

    @cached_property
    def now(self) -> datetime:
        """The moment that counts as now; --now and QREC_NOW make an answer repeatable.

        For a bucket it is a whole minute: where an edge cuts one in two, rows have to be fetched.
        """
        text = self.values.get("now") or os.environ.get("QREC_NOW")
        clock = datetime.now(UTC)
        if is_url(self.settings.text("store")):
            clock = clock.replace(second=0, microsecond=0)
        return parse_moment(text, clock, self.tz) if text else clock

    @property
    def limit(self) -> int:
        return self.settings.count("limit")

    @cached_property
    def format(self) -> str:
        form, as_json = self.values.get("format"), self.values.get("json")
        if as_json and form not in (None, "json"):
            raise UsageError(f"--json and --format {form} contradict", "Keep one.")
        choice = "json" if as_json else (form or "table")
        check_choice("--format", choice, FORMATS)
        return choice

    @property
    def width(self) -> int | None:
        return terminal_width()

    @cached_property
    def paint(self) -> Painter:
        """For stdout; only tables are coloured, since the other formats are read by programs."""
        color = self.settings.text("color")
        return Painter(self.format == "table" and wants_color(color, sys.stdout))

    def window(self, values: Mapping[str, Any]) -> Window:
        """The window that arguments name; values as for Question.ask."""
        return resolve_window(asked_window(lambda: self.store, values), self.now, self.tz)

    def windows(self, values: Mapping[str, Any]) -> tuple[Window, Baseline]:
        """The same with what it is compared with."""
        return resolve_windows(asked_window(lambda: self.store, values), self.now, self.tz)

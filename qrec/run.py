"""What a command needs to answer: the flags that it shares with others, settings, the store, the
clock."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from qrec.output import FORMATS, Painter, terminal_width, wants_color
from qrec.settings import Settings
from queries.core.question import WINDOW, Argument, asked_window
from queries.core.window import parse_moment, resolve_window, resolve_windows, zone
from store.errors import UsageError, check_choice
from store.layout import Store
from store.remote import is_url
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.window import Baseline, Window


class WindowFlags(dict[str, Any]):
    """Which stretch of time, by the names of its arguments."""


@dataclass(frozen=True)
class StoreFlags:
    """Which recordings, and how their times are read and shown."""

    store: str | None = None
    max_fetch: str | None = None
    engine: str | None = None
    timezone: str | None = None
    now: str | None = None
    color: str | None = None


@dataclass(frozen=True)
class RowFlags:
    """How many rows, and written how."""

    limit: int | None = None
    format: str | None = None
    json: bool = False


class RecordFlags(dict[str, Any]):
    """What goes into the store, and under whose name."""


class HouseFlags(dict[str, Any]):
    """How much is kept."""


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
    Argument("json", "The same as --format json.", default=False, kind=bool),
)
FLAGS: Final[Mapping[Any, tuple[Argument, ...]]] = {
    WindowFlags: WINDOW,
    StoreFlags: STORE,
    RowFlags: (Argument("limit", "Rows to show. Default: 20.", "N", kind=int), *FORM),
    RecordFlags: (
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
        Argument(
            "no_redact", "Keep passwords, tokens and personal data as they are. Wants --i-know.",
            default=False, kind=bool,
        ),
        Argument("i_know", "Yes, --no-redact is meant.", default=False, kind=bool),
    ),
    HouseFlags: (
        Argument("keep", "Delete whole hours older than this: 36h, 14d.", "DURATION"),
        Argument("max_size", "Delete the oldest hours beyond this size: 500MB, 20GB.", "SIZE"),
    ),
}  # fmt: skip


def flag(metavar: str, help: str) -> Any:
    """A flag that one command alone has, by its parameter's name: what stands for its value."""
    import typer  # not for the questions, which take this module's declarations alone

    return typer.Option(metavar=metavar, help=help)


def switch(name: str, help: str) -> Any:
    """The same for one that takes no value."""
    import typer

    return typer.Option(name, help=help)


@dataclass(frozen=True)
class Run:
    """One call of qrec. Everything is found when it is asked for, and only then."""

    flags: StoreFlags
    rows: RowFlags = field(default_factory=RowFlags)
    extra: Mapping[str, Any] = field(default_factory=dict)  # further flags, by setting name
    defaults: Mapping[str, Any] = field(default_factory=dict)  # a command's own, by setting name

    def __post_init__(self) -> None:
        """What would spoil the output is found before any work is done for it."""
        _ = self.format, self.settings.text("color"), self.settings.count("limit")

    @cached_property
    def settings(self) -> Settings:
        overrides = {**vars(self.flags), "limit": self.rows.limit, **self.extra}
        return Settings(overrides=overrides, defaults=self.defaults)

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
        text = self.flags.now or os.environ.get("QREC_NOW")
        clock = datetime.now(UTC)
        if is_url(self.settings.text("store")):
            clock = clock.replace(second=0, microsecond=0)
        return parse_moment(text, clock, self.tz) if text else clock

    @property
    def limit(self) -> int:
        return self.settings.count("limit")

    @cached_property
    def format(self) -> str:
        rows = self.rows
        if rows.json and rows.format not in (None, "json"):
            raise UsageError(f"--json and --format {rows.format} contradict", "Keep one.")
        choice = "json" if rows.json else (rows.format or "table")
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

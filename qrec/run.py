"""What a command needs to answer: settings, the store, the clock, and a way to write rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qrec.options import RowFlags, StoreFlags
from qrec.output import FORMATS, Painter, terminal_width, wants_color
from qrec.settings import Settings
from queries.core.question import asked_window
from queries.core.window import parse_moment, resolve_window, resolve_windows, zone
from store.errors import UsageError, did_you_mean
from store.layout import Store
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.window import Baseline, Window


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
        flags = self.flags
        return Settings(
            overrides={
                "store": flags.store,
                "timezone": flags.timezone,
                "color": flags.color,
                "limit": self.rows.limit,
                **self.extra,
            },
            defaults=self.defaults,
        )

    @cached_property
    def store(self) -> Store:
        return Store.open(self.settings.path("store"))

    @cached_property
    def tz(self) -> tzinfo:
        return zone(self.settings.text("timezone"))

    @cached_property
    def now(self) -> datetime:
        """The moment that counts as now; --now and QREC_NOW make an answer repeatable."""
        text = self.flags.now or os.environ.get("QREC_NOW")
        clock = datetime.now(UTC)
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
        if choice not in FORMATS:
            raise UsageError(
                f"--format cannot be {choice[:40]!r}",
                did_you_mean(choice, FORMATS, f"It is one of {', '.join(FORMATS)}."),
            )
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

"""The flags that commands share, each said once: as the declaration of an argument, and as a value
of all flags of one kind for a command that takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from queries.core.question import WINDOW, Argument
from store.values import dataclass


@dataclass(frozen=True)
class WindowFlags:
    """Which stretch of time."""

    last: str | None = None
    from_time: str | None = None
    to_time: str | None = None
    since: str | None = None
    around: str | None = None


@dataclass(frozen=True)
class StoreFlags:
    """Which recordings, and how their times are read and shown."""

    store: str | None = None
    timezone: str | None = None
    now: str | None = None
    color: str | None = None


@dataclass(frozen=True)
class RowFlags:
    """How many rows, and written how."""

    limit: int | None = None
    format: str | None = None
    json: bool = False


@dataclass(frozen=True)
class RecordFlags:
    """What goes into the store, and under whose name."""

    filter: str | None = None
    recorder: str | None = None
    store_bodies: str | None = None
    body_limit: str | None = None
    no_redact: bool = False
    i_know: bool = False


@dataclass(frozen=True)
class HouseFlags:
    """How much is kept."""

    keep: str | None = None
    max_size: str | None = None


STORE: Final = (
    Argument("store", "The folder of the recordings.", "DIR"),
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

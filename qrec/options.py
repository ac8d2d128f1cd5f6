"""The flags that questions share, said once: a command asks for a group, Typer sees its flags."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, cast, get_type_hints

import typer

from store.values import dataclass


@dataclass(frozen=True)
class WindowFlags:
    """Which stretch of time."""

    last: Annotated[
        str | None,
        typer.Option(
            "--last", metavar="DURATION", help="The window's length: 90s, 15m, 1h, 2d. Default: 1h."
        ),
    ] = None
    from_time: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Its beginning: 14:00, 'yesterday 14:00', '10 minutes ago', 2026-11-22T13:00Z.",
        ),
    ] = None
    to_time: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Its end. Default: now.")
    ] = None
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="MARK", help="From a mark (or a time) up to now."),
    ] = None
    around: Annotated[
        str | None,
        typer.Option(
            "--around", metavar="MARK", help="The hour (or --last) after a mark (or a time)."
        ),
    ] = None


@dataclass(frozen=True)
class BaselineFlags:
    """What the window is compared with."""

    vs: Annotated[
        str | None,
        typer.Option(
            "--vs",
            metavar="WHEN",
            help="Compare with: previous (the stretch just before; the default), yesterday "
            "(the same time), 7d (the same time of the last 7 days), last-week.",
        ),
    ] = None
    vs_from: Annotated[
        str | None,
        typer.Option("--vs-from", metavar="TIME", help="The beginning of a baseline of your own."),
    ] = None
    vs_to: Annotated[
        str | None,
        typer.Option("--vs-to", metavar="TIME", help="Its end. Default: as long as the window."),
    ] = None


@dataclass(frozen=True)
class StoreFlags:
    """Which recordings, and how their times are read and shown."""

    store: Annotated[
        str | None,
        typer.Option("--store", metavar="DIR", help="The folder of the recordings."),
    ] = None
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone", metavar="ZONE", help="Read and show times in this zone: UTC, Asia/Tokyo."
        ),
    ] = None
    now: Annotated[
        str | None,
        typer.Option(
            "--now", metavar="TIME", help="Answer as if it were this time; for old recordings."
        ),
    ] = None
    color: Annotated[
        str | None,
        typer.Option("--color", metavar="WHEN", help="Colours: auto, always, never."),
    ] = None


@dataclass(frozen=True)
class WhereFlags:
    """Which transactions count."""

    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="FILTER",
            help="Only transactions that match, as in 'res.status >= 500 AND req.host == \"a.b\"'.",
        ),
    ] = None


@dataclass(frozen=True)
class RowFlags:
    """How many rows, and written how."""

    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="Rows to show. Default: 20.")
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="table, json (one document), jsonl, csv or md."
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False


@dataclass(frozen=True)
class FormatFlags:
    """Written how, where the number of rows is not in question."""

    format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="table, json (one document) or jsonl."),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False

    def as_rows(self) -> RowFlags:
        return RowFlags(format=self.format, json=self.json)


@dataclass(frozen=True)
class RecordFlags:
    """What goes into the store, and under whose name."""

    filter: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="FILTER",
            help="Record only what matches, as in 'res.status >= 400'. Default: everything.",
        ),
    ] = None
    recorder: Annotated[
        str | None,
        typer.Option("--recorder", metavar="NAME", help="This recorder's name in the store."),
    ] = None
    store_bodies: Annotated[
        str | None,
        typer.Option(
            "--store-bodies",
            metavar="WHICH",
            help="Bodies to keep, redacted: all, errors (of failed requests) or none.",
        ),
    ] = None
    body_limit: Annotated[
        str | None,
        typer.Option(
            "--body-limit", metavar="SIZE", help="Cut longer bodies off there. Default: 64KiB."
        ),
    ] = None
    no_redact: Annotated[
        bool,
        typer.Option(
            "--no-redact",
            help="Keep passwords, tokens and personal data as they are. Wants --i-know.",
        ),
    ] = False
    i_know: Annotated[bool, typer.Option("--i-know", help="Yes, --no-redact is meant.")] = False


@dataclass(frozen=True)
class HouseFlags:
    """How much is kept."""

    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="DURATION", help="Delete whole hours older than this: 36h, 14d."
        ),
    ] = None
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Delete the oldest hours beyond this size: 500MB, 20GB.",
        ),
    ] = None


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give Typer the fields of the command's dataclass parameters as options of their own."""
    hints = get_type_hints(command, include_extras=True)
    plain: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind):
            groups[parameter.name] = cast(type[Any], kind)
        else:
            plain.append(
                parameter.replace(annotation=kind, kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
            )
    options = [option for kind in groups.values() for option in _options(kind)]

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        return command(**given)

    signature = inspect.Signature(sorted(plain + options, key=lambda p: p.default is not p.empty))
    wrapper.__signature__ = signature  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    del wrapper.__wrapped__  # or the hints are read from there
    return wrapper


def _options(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]

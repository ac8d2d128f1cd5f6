"""What record, replay and import have in common: the options of what they write, how far they are,
and the count of it.

What is redacted: the `[redact]` table, the flags, and the consent that --no-redact asks for.

Recording without redaction has to be said twice, on the command line: a file that somebody copies
must not be enough to turn a store into a heap of credentials.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from qrec.output import Line, say
from qrec.run import Run
from qrec.settings import BY_NAME, Settings, parse_size
from queries.core.format import plural, size
from queries.core.window import parse_duration
from recorder.options import RecordOptions, Status
from recorder.redact.config import BODY_LIMIT, RedactConfig
from store.errors import UsageError, check_choice
from store.layout import check_recorder

UNREDACTED = (
    "nothing is redacted: passwords, tokens and personal data go to the disk as they are, and "
    "the store is marked for it"
)


class BodyOptions(TypedDict):
    """The part of a recording's options that says what is kept of bodies; bytes."""

    body_limit: int
    store_bodies: str


def redact_config(settings: Settings, flags: Mapping[str, Any]) -> RedactConfig:
    """The configuration. `flags`: no_redact and i_know as given. Raises UsageError."""
    config = checked_table(settings)
    if flags.get("no_redact"):
        config = replace(config, enabled=False)
    if not config.enabled and not flags.get("i_know"):
        table = f"{settings.redact().origin}: redact.enabled = false"
        raise UsageError(
            f"{'--no-redact' if flags.get('no_redact') else table} would keep every password and "
            "token of the traffic on the disk",
            "Leave it out, or add --i-know; the store is then marked as unredacted.",
        )
    return config


def checked_table(settings: Settings) -> RedactConfig:
    """The `[redact]` table as redaction reads it. Raises UsageError."""
    _body_settings(settings)
    return RedactConfig.from_mapping(settings.redact().value, ("body_limit", "store_bodies"))


def body_options(settings: Settings, flags: Mapping[str, Any]) -> BodyOptions:
    """How much of which bodies is kept: flags, then the setting, then the `[redact]` table."""
    limit, which = _body_settings(settings)
    if flags.get("body_limit") is not None:
        limit = parse_size(flags["body_limit"])
    setting = settings.get("store_bodies")
    if setting.origin != "default":  # said nearer than in the table, where it may stand as well
        which = str(setting.value)
    return BodyOptions(body_limit=limit, store_bodies=which)


def _body_settings(settings: Settings) -> tuple[int, str]:
    """`body_limit` and `store_bodies` of the `[redact]` table: the recorder's, not redaction's."""
    table = settings.redact().value
    limit, which = table.get("body_limit", BODY_LIMIT), table.get("store_bodies", "all")
    if type(limit) is not int or limit < 0:
        raise UsageError(f"redact.body_limit is {limit!r}", "Give a number of bytes.")
    check_choice("redact.store_bodies", str(which), BY_NAME["store_bodies"].choices)
    return limit, which


def write_options(run: Run, **given: Any) -> RecordOptions:
    """The settings that decide what is written and how, for any way in."""
    settings = run.settings
    recorder = settings.get("recorder")
    group, key = settings.text("group"), settings.text("redaction_key")
    redact = redact_config(settings, run.values)
    if not redact.enabled:
        say(f"warning: {UNREDACTED}")
    return RecordOptions(
        store=settings.path("store"),
        url=settings.text("url"),
        recorder="" if recorder.origin == "default" else str(recorder.value),
        shared_key=Path(key).expanduser() if key else None,
        group=check_recorder(group, "group") if group else None,
        filter=settings.text("filter") or None,
        push=settings.text("push"),
        flush_interval=seconds(settings.text("flush_interval")),
        routes=settings.texts("routes.templates"),
        redact=redact,
        **body_options(settings, run.values),
        **given,
    )


def seconds(text: str) -> float:
    """A duration as it is typed: 90s, 1h."""
    return parse_duration(text).total_seconds()


def rows(written: Mapping[str, int]) -> str:
    """`39 transactions, 5 connections and 6 database calls`: what there is of each."""
    others = (("connections", "connection"), ("database", "database call"))
    parts = [plural(written.get("transactions", 0), "transaction")]
    parts += [plural(written[table], noun) for table, noun in others if written.get(table)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


_LOG_EVERY_S = 60.0
_REDRAW_EVERY_S = 0.1


class RecordingLine:
    """How a recording goes: `recording  41/s  12,345 written  lag 20 ms  0 gaps`."""

    def __init__(self, quiet: bool = False) -> None:
        self.line = Line(stamped=True)
        self._quiet = quiet
        self._logged = time.monotonic()

    def status(self, status: Status) -> None:
        text = _sentence(status)
        if self.line.live:
            self.line.show(text)
        elif time.monotonic() - self._logged >= _LOG_EVERY_S:
            self._logged = time.monotonic()
            self.line.note(text)

    def note(self, text: str) -> None:
        if not self._quiet:
            self.line.note(text)


def _sentence(status: Status) -> str:
    parts = [
        f"{status.state}  {status.per_s:,.0f}/s",
        f"{status.written:,} written",
        f"lag {status.lag_ms:,} ms",
        plural(status.gaps, "gap"),
    ]
    others = {"filtered out": status.filtered, "rejected": status.rejected,
              "dropped": status.dropped, "bodies shed": status.bodies_shed}  # fmt: skip
    return "  ".join([*parts, *counted(others)])


def counted(others: Mapping[str, int]) -> list[str]:
    """`3 rejected`: of those that there are."""
    return [f"{count:,} {what}" for what, count in others.items() if count]


class FileProgress:
    """How far a file has been read: `shop.sse.gz  45 %  of 3.4 MiB`."""

    def __init__(self) -> None:
        self.line = Line()
        self._drawn = 0.0

    def __call__(self, path: Path, at: int, whole: int) -> None:
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_EVERY_S:
            self._drawn = now
            part = at / whole if whole else 1.0
            bar = "█" * round(part * 20)
            self.line.show(f"{path.name}  {bar:<20} {part * 100:3.0f} % of {size(whole)}")

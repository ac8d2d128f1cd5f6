"""The command line that a service runs: this program, and `qrec record` as it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qrec.cli import command
from store.errors import UsageError

_FLEETING = ("/uv/archive", "/.cache/", "/pipx/.cache", "/tmp/")
_OF_NO_MATTER = frozenset({"store", "timezone", "color", "limit"})


def program() -> list[str]:
    """How this very qrec is started: its script, or its Python where it was run as a module."""
    script = Path(sys.argv[0])
    if script.name == "qrec" and script.is_file():
        return [str(script.absolute())]
    return [sys.executable, "-m", "qrec"]


def record_command(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the command, notes for whoever installs it). Raises as `qrec record` would, before it runs.

    A service has another folder and another environment, so the store is named in full.
    """
    given = _parsed(arguments)
    from qrec.settings import BY_NAME, Settings

    flags = {name: value for name, value in given.items() if name in BY_NAME}
    settings = Settings(overrides=flags)
    _refuse_mistakes(settings, given)
    command = [*program(), "record", *_without_store(arguments)]
    if not given.get("wait"):
        command.append("--wait")
    command += ["--store", str(settings.path("store").absolute())]
    return command, list(_notes(command[0], settings))


def _parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """The options of `qrec record` by name; its usage errors go their way to the user."""
    context = command("record").make_context("qrec record", list(arguments))
    params: dict[str, Any] = context.params
    return params


def _refuse_mistakes(settings: Any, given: dict[str, Any]) -> None:
    """What would end the service as soon as it starts is better said now."""
    from qrec.limits import keep, max_size
    from qrec.redaction import redact_config
    from qrec.settings import SETTINGS
    from queries.core.moments import parse_duration

    for setting in SETTINGS:
        settings.get(setting.name)
    keep(settings), max_size(settings)
    parse_duration(settings.text("flush_interval"))
    redact_config(settings, given)
    if settings.text("metrics"):
        from recorder.metrics import parse_address

        parse_address(settings.text("metrics"))
    if settings.text("filter"):
        import filters

        filters.check(filters.parse(settings.text("filter")), "record")
    if given.get("until_end") or given.get("duration") is not None:
        raise UsageError(
            "a service records for good", "Leave --duration and --until-end to `qrec record`."
        )


def _without_store(arguments: Sequence[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        if word == "--store":
            next(words, None)
        elif not word.startswith("--store="):
            yield word


def _notes(executable: str, settings: Any) -> Iterator[str]:
    """What this shell has and the service will not."""
    from qrec.settings import SETTINGS

    if any(part in executable for part in _FLEETING):
        yield f"{executable} may be gone tomorrow; install qrec for good (uv tool install qrec)"
    here = str(settings.files[0])
    for setting in SETTINGS:
        origin = settings.get(setting.name).origin
        if setting.name in _OF_NO_MATTER or not (origin.startswith("QREC_") or origin == here):
            continue
        yield (
            f"the service does not see {setting.name} from {origin}: give it as an option, "
            f"or put it into {settings.files[-1]}"
        )

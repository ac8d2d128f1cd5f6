"""`qrec doctor`: what stands in the way of a recording, each with what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import partial
from typing import Any

from qrec.doctor import Check, attempted, guarded
from qrec.doctor import store as contents
from qrec.doctor.source import filter_check, greeted, probed, source
from qrec.output import emit, to_json
from qrec.run import JSON, STORE, Run, switch, takes
from queries.core.escape import visible
from queries.core.format import plural
from queries.core.question import Argument
from queries.core.window import parse_duration
from recorder.native import IN_USE, NOT_BUILT, load
from store.errors import UsageError
from store.layout import Store
from store.remote import is_url

NOT_WELL = 3
_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}
_LONGEST_PROBE_S = 60.0


@takes(
    Argument("url", "Where Qtap's DevTools listen.", "URL"),
    Argument("filter", "Check this filter for `qrec record`.", "FILTER"),
    Argument("push", "What of it would be pushed: safe, all, none.", "HOW"),
    switch("probe", "Try which filters the live Qtap honours. Opens up to 8 subscriptions."),
    Argument("probe_for", "How long at most; up to 60s.", "DURATION", default="5s"),
    JSON, *STORE,
)  # fmt: skip
def doctor(run: Run, probe: bool, probe_for: str) -> int:
    """Check the source, the filter and the store. Changes nothing; exits 3 when something is wrong.

    \b
    Examples:
      qrec doctor
      qrec doctor --url http://10.0.0.7:10001 --probe
      qrec doctor --filter 'res.status >= 400' --json
    """
    seconds = _seconds(probe_for) if probe else None
    checks = list(_checks(run, seconds))
    worst = _worst(checks)
    emit(to_json(_document(worst, checks)) if run.format == "json" else _text(run, worst, checks))
    return NOT_WELL if worst == "problem" else 0


def _seconds(text: str) -> float:
    seconds = parse_duration(text).total_seconds()
    if seconds > _LONGEST_PROBE_S:
        raise UsageError(f"--probe-for {text} is too long", "A probe burdens Qtap: at most 60s.")
    return seconds


def _checks(run: Run, probe_s: float | None) -> Iterator[Check]:
    """All checks. What one needs and an earlier one did not get, it does without."""
    settings = run.settings
    yield from guarded("settings", lambda: _settings(run))
    url, text, push = (settings.text(name) for name in ("url", "filter", "push"))
    greeting, failed = attempted("source", lambda: greeted(url))
    yield from failed
    if greeting is not None:
        yield from guarded("source", lambda: source(url, greeting))
    yield from guarded("compiled", _compiled)
    yield from guarded("filter", lambda: filter_check(text, push, url, greeting))
    if probe_s is not None and greeting is not None:
        yield from guarded("probe", lambda: probed(url, greeting, text, push, probe_s))
    if is_url(settings.text("store")):
        shared, failed = attempted("store", settings.store)
        yield from failed
        if shared is not None:
            yield from guarded("create-only", lambda: contents.bucket(shared))
        return
    path = settings.path("store").absolute()
    store, failed = attempted("store", lambda: contents.opened(path))
    yield from failed or [contents.presence(path, store)]
    yield from guarded("writable", lambda: contents.writable(path))
    yield from guarded(
        "space", lambda: contents.space(path, store, settings.keep, settings.max_size)
    )
    if store is not None:
        yield from _of_store(store)


def _of_store(store: Store) -> Iterator[Check]:
    checks = {
        "permissions": contents.permissions, "recorders": contents.recorders,
        "unsealed": contents.unsealed, "leftovers": contents.leftovers, "files": contents.files,
        "rollups": contents.rolled_up, "shipping": contents.shipping,
        "redaction": contents.redaction,
    }  # fmt: skip
    for name, check in checks.items():
        yield from guarded(name, partial(check, store))


def _settings(run: Run) -> Iterator[Check]:
    files = [str(path) for path, _ in run.settings.tables]
    _ = run.settings.keep, run.settings.max_size
    unknown = run.settings.unknown_variables()
    if unknown:
        text = f"qrec knows nothing of {', '.join(unknown)}"
        yield Check("settings", "warning", text, "A misspelt variable does nothing: `qrec info`.")
    else:
        yield Check("settings", "ok", f"read from {', '.join(files) or 'no file; the defaults'}")


def _compiled() -> Iterator[Check]:
    note = load()[1]
    facts = {"in_use": note == IN_USE}
    remedy = "python -m recorder.native.build"
    if note.startswith("is not used"):
        yield Check("compiled", "warning", f"the recorder's compiled part {note}", remedy, facts)
        return
    text = "the recorder's compiled part " + note
    text += f": {remedy}" if note == NOT_BUILT else ""
    yield Check("compiled", "ok", text, facts=facts)


def _worst(checks: list[Check]) -> str:
    statuses = {check.status for check in checks}
    return next(status for status in ("problem", "warning", "ok") if status in statuses)


def _document(worst: str, checks: list[Check]) -> dict[str, Any]:
    return {
        "version": 1,
        "verdict": worst,
        "checks": [
            {"check": c.name, "status": c.status, "text": c.text, "remedy": c.remedy or None,
             "facts": dict(c.facts)}
            for c in checks
        ],
    }  # fmt: skip


def _text(run: Run, worst: str, checks: list[Check]) -> str:
    lines = []
    for check in checks:
        head = f"{check.status:<8} {check.name:<12}"
        first, *more = _wrapped(check.text, run.width)
        lines.append(f"{run.paint(head, _STYLES[check.status])} {visible(first)}")
        lines += [f"{'':<21} {visible(line)}" for line in more]
        if check.remedy:
            lines.append(f"{'':<21} -> {visible(check.remedy)}")
    count = {status: sum(c.status == status for c in checks) for status in _STYLES}
    verdict = {"ok": "all is well", "warning": "it works, with warnings", "problem": "not well"}
    counted = f"{plural(count['problem'], 'problem')}, {plural(count['warning'], 'warning')}"
    return "\n".join([*lines, "", f"{verdict[worst]}: {counted}"]) + "\n"


def _wrapped(text: str, width: int | None) -> list[str]:
    """In lines that fit beside the heads; a filter's mistake, with its caret, keeps its own."""
    if width is None or "\n" in text:
        return text.split("\n")
    return textwrap.wrap(text, max(width - 22, 30), break_on_hyphens=False) or [""]

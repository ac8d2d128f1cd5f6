"""One line a finding, as one would say it to a colleague at night."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from queries.core.answer import Shown
from queries.core.format import span
from queries.core.window import Window
from queries.diff import limits
from queries.diff.candidate import Candidate
from store.derived import GRPC_NAMES


def subject(key: dict[str, Any]) -> str:
    """POST api.stripe.com /v1/charges; a host, a container or everything, where that is all."""
    parts = [key.get("method"), key.get("host"), key.get("route")]
    said = " ".join(str(part) for part in parts if part)
    if not said and (key.get("instance") or key.get("container")):
        program = f" {key['process']}" if key.get("process") else ""
        return str(key.get("instance") or key["container"]) + program
    return said or "all traffic"


def summary(
    c: Candidate, failures: Sequence[tuple[int, str]], since: datetime | None,
    until: datetime | None, window: Window, failing: float, caller: str | None = None,
    recorders: Shown | None = None,
) -> str:  # fmt: skip
    """failing: the failed share of the key's requests in the window; caller: of what is gone."""
    key = c.key
    who = subject(key)
    is_status = "status" in key or "grpc_status" in key
    broken = c.direction in ("new", "moved") and failing >= limits.MOST and not is_status
    parts = [f"{who} {_broken(c, failing) if broken else _change(c)}"]
    if broken or (c.kind in ("errors", "no_response", "broad") and c.direction == "up"):
        parts.append(_failures(failures) if broken or c.metric.endswith("_share") else "")
    if since:
        day = f"{since:%Y-%m-%d} " if (window.from_ts - since).total_seconds() > 43_200 else ""
        parts.append(f"since {day}{since:%H:%M}")
    if since and until:
        parts.append(f"for {span((until - since).total_seconds())}")
    if caller and key.get("host") and caller not in (key.get("container"), who):
        parts.append(f"only {caller} called it")
    of = key.get("instance") or key.get("container")
    if of and not who.startswith(str(of)) and c.kind != "edge":
        parts.append(f"only {of}")
    if recorders is not None and recorders.of > 1:
        few = "only " if 2 * recorders.affected <= recorders.of else ""
        parts.append(f"{few}on {recorders.affected} of {recorders.of} recorders")
    return ", ".join(part for part in parts if part)


def _broken(c: Candidate, failing: float) -> str:
    what = "new and failing" if c.kind == "new" else f"{_change(c).rpartition(':')[0]}, failing"
    return f"{what}: {percent(failing)} of {number(c.window)} requests"


def _failures(failures: Sequence[tuple[int, str]]) -> str:
    """500, gRPC 14 UNAVAILABLE and no response: at most three."""
    names = [_outcome(status, grpc_status) for status, grpc_status in failures]
    names = list(dict.fromkeys(names))[:3]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _outcome(status: int, grpc_status: str) -> str:
    if not status:
        return "no response"
    if status >= 400:
        return str(status)
    return f"gRPC {grpc_status} {GRPC_NAMES.get(grpc_status, '')}".strip()


def _change(c: Candidate) -> str:
    was = "usually" if c.against == "usual" else "was"
    both = f"{number(c.window)} ({was} {number(c.baseline)})"
    if c.kind == "broad" and c.metric == "per_s":
        word = "busier" if c.direction == "up" else "quieter"
        return f"{word}: {both}/s"
    if c.kind == "broad":
        less, more = ("faster", "slower") if c.lasts else ("failing less", "failing more")
        which, shown = (f"{c.metric[:3]} ", ms) if c.lasts else ("", percent)
        figures = f"{which}{shown(c.window)} ({was} {shown(c.baseline)})"
        return f"{less if c.direction == 'down' else more} everywhere, no single key: {figures}"
    if c.kind == "moved":
        return (
            f"took over from {_origin(c)}: {number(c.window)} requests (was {number(c.baseline)})"
        )
    if c.kind == "retries":
        return f"called {times(c.ratio)} as often without more demand: {both}/s"
    if c.direction == "new":
        return _appeared(c)
    if c.direction == "gone":
        return _vanished(c)
    if c.kind in ("errors", "no_response", "statuses"):
        said = {"errors": "failing", "no_response": "without a response"}
        said["statuses"] = f"answering {c.key.get('status') or 'nothing'}"
        word = said[c.kind] if c.direction == "up" or c.kind != "errors" else "failing less"
        before = "not there before" if c.baseline is None else f"{was} {percent(c.baseline)}"
        return f"{word}: {percent(c.window)} ({before})"
    if c.kind == "latency":
        word = "slower" if c.direction == "up" else "faster"
        usual = "usually " if c.against == "usual" else ""
        return f"{word}: {c.metric[:3]} {usual}{ms(c.baseline)} -> {ms(c.window)}"
    if c.kind == "size":
        word = "larger" if c.direction == "up" else "smaller"
        return f"answers {word}: {both} bytes"
    word = "busier" if c.direction == "up" else "quieter"
    return f"{word}: {times(c.ratio)}, {number(c.window)}/s ({was} {number(c.baseline)}/s)"


def _origin(c: Candidate) -> str:
    old = next(f for f in c.folded if f.direction == "gone")
    if "host" not in c.key:
        return str(old.key.get("process") or old.key["service"])
    same_host = old.key.get("host") == c.key.get("host")
    return str(old.key["route"]) if same_host else str(old.key["host"])


def _appeared(c: Candidate) -> str:
    what = {"signature": "new error", "edge": "new call", "back": "back again"}.get(c.kind, "new")
    if "status" in c.key:
        what = f"new status {c.key['status']}" if c.key["status"] else "new, without a response"
    if c.key.get("grpc_status"):
        what = f"new status {_outcome(200, c.key['grpc_status'])}"
    if c.kind == "edge":
        what = f"newly called by {c.key.get('container')}"
    if c.key.get("signature"):
        what += f' "{c.key["signature"]}"'
    return f"{what}: {number(c.window)} requests"


def _vanished(c: Candidate) -> str:
    what = "gone"
    if c.kind == "edge":
        what = f"no longer called by {c.key.get('container')}"
    if c.kind == "signature":
        what = f'error "{c.key["signature"]}" gone'
    missing = [f for f in c.folded if f.kind in ("errors", "no_response")]
    worst = max(missing, key=lambda f: f.affected, default=None)
    said = f"; {subject(worst.key)} failing: {percent(worst.window)}" if worst else ""
    return f"{what}: was {number(c.baseline)} requests{said}"


def percent(share: float | None) -> str:
    if share is None:
        return "none"
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def ms(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(value: float | None) -> str:
    if value is None:
        return ""
    return f"x{value:.2g}" if value >= 0.1 else f"x{value:.1g}"

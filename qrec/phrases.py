"""What the tables of several questions say in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrec.words import plural, share, span, stretch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from queries.core.answer import Side


def window_heading(side: Side, tz: tzinfo, what: str = "request") -> str:
    """`2026-11-22 13:00 to 14:00 CET: 48,112 requests, 1.1 % failed, covered in full`."""
    whole = (side.to_ts - side.from_ts).total_seconds()
    missing = whole - side.covered_s
    seen = (
        "covered in full" if missing <= 10 else f"covered {span(side.covered_s)} of {span(whole)}"
    )
    counts = plural(side.requests, what)
    if side.requests:
        counts += f", {share(side.errors / side.requests)} failed"
    return f"{stretch(side.from_ts, side.to_ts, tz)}: {counts}, {seen}"


def people(names: Sequence[str], total: int) -> str:
    """`web, api +3`: the busiest, and how many more there are."""
    more = f" +{total - len(names)}" if total > len(names) else ""
    return ", ".join(names) + more or "-"


def status_text(status: int | None, grpc_status: str | None = None) -> str:
    """A status code; `none` where there was no response; `200/14` for a gRPC call that failed."""
    text = "none" if status is None else str(status)
    return text if grpc_status in (None, "", "0", "OK") else f"{text}/{grpc_status}"


def endpoint_text(method: str | None, host: str | None, route: str | None) -> str:
    """`GET api.example.com /v1/things/{id}`, as far as it is known."""
    return " ".join(part for part in (method, host, route) if part) or "-"


def program(path: str | None) -> str:
    """`nginx` of `/usr/sbin/nginx`."""
    return (path or "").rpartition("/")[2] or path or "-"


def short_id(text: str) -> str:
    """`shop:8676`: the number is a recorder's own over all its sessions, so that it is enough."""
    recorder, _, rest = text.partition(":")
    return f"{recorder}:{rest.rpartition(':')[2]}"

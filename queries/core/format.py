"""Numbers, sizes and times for people. Times are in the user's zone; JSON has them in UTC."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # 20 ms of dataclasses, which a command without a window does not need
    from queries.core.answer import Note

_BEHIND_S = 10  # of a recorder that flushes, or ends, in good order


def number(value: int | float | None) -> str:
    """12,345; a dash where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """0.341 as 34 %, small shares with a digit more, and never 100 % for almost all."""
    if value is None:
        return "-"
    percent = value * 100
    if percent == 0 or percent == 100 or 10 <= percent < 99.5:
        return f"{percent:.0f} %"
    if percent >= 99.5:
        return f"{min(percent, 99.9):.1f} %"
    return "<0.1 %" if percent < 0.1 else f"{percent:.1f} %"


def millis(value: float | None) -> str:
    """120 ms, 2.1 s, 3.5 min."""
    if value is None:
        return "-"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 120_000 else f"{value / 60_000:.1f} min"


def span(seconds: float) -> str:
    """A length of time in its two largest units: 59 min 30 s, 2 h, 3 d 4 h."""
    if 0 < seconds < 0.5:
        return f"{seconds * 1000:.0f} ms"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def size(count: int | float | None) -> str:
    """Bytes in powers of 1024: 812 B, 3.4 MiB."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def clock(moment: datetime | None, tz: tzinfo, day: bool = True) -> str:
    """2026-11-22 14:03:05 in the user's zone, or the time alone."""
    if moment is None:
        return "-"
    return moment.astimezone(tz).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def stretch(from_ts: datetime, to_ts: datetime, tz: tzinfo, beside: datetime | None = None) -> str:
    """`2026-11-22 13:00 to 14:00 CET`: the day once, seconds only where they say something.

    beside: a moment that is shown with it; on its day, the times alone are enough.
    """
    start, end = from_ts.astimezone(tz), to_ts.astimezone(tz)
    form = "%H:%M" if start.second == end.second == 0 else "%H:%M:%S"
    if beside is not None and beside.astimezone(tz).date() == start.date() == end.date():
        return f"{start.strftime(form)} to {end.strftime(form)}"
    tail = form if start.date() == end.date() else f"%Y-%m-%d {form}"
    return f"{start.strftime(f'%Y-%m-%d {form}')} to {end.strftime(tail)} {zone_name(end)}"


def just_after(moment: datetime) -> str:
    """The next whole minute, in UTC and as a flag takes it: short to type, and after the moment."""
    whole = moment.astimezone(UTC).replace(second=0, microsecond=0)
    whole += timedelta(minutes=1 if moment > whole else 0)
    return whole.strftime("%Y-%m-%dT%H:%MZ")


def zone_name(moment: datetime) -> str:
    return moment.tzname() or "UTC"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def window_heading(
    window: Any, tz: tzinfo, noun: str = "request", notes: Sequence[Note] = ()
) -> str:
    """`2026-11-22 13:00 to 14:00 CET: 48,112 requests, 1.1 % failed, covered in full`.

    window: a Side, or another document of a stretch, which says what it has: counts, covered_s.
    """
    parts = []
    count = getattr(window, "requests", getattr(window, "connections", None))
    if count is not None:
        parts.append(plural(count, noun))
    if count and hasattr(window, "errors"):
        parts.append(f"{share(window.errors / count)} failed")
    parts.append(covered(window, notes))
    return f"{stretch(window.from_ts, window.to_ts, tz)}: {', '.join(parts)}"


def covered(window: Any, notes: Sequence[Note]) -> str:
    """How much of a window (or side of a comparison) was seen.

    A recorder at work is a flush behind: a few seconds do not count, unless a note tells of a gap
    in the window.
    """
    whole = (window.to_ts - window.from_ts).total_seconds()
    seen = window.covered_s
    gap = any(
        note.code == "gap" and note.from_ts is not None and note.to_ts is not None
        and note.from_ts < window.to_ts and note.to_ts > window.from_ts
        for note in notes
    )  # fmt: skip
    if whole - seen < 1 or (whole - seen <= _BEHIND_S and not gap):
        return "covered in full"
    return f"covered {span(seen)} of {span(whole)}"


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


_BLOCKS, _DEAF = "▁▂▃▄▅▆▇█", "·"
_ASCII, _ASCII_DEAF = "_.:-=+*#", "?"


def unicode_output() -> bool:
    """Whether stdout can show blocks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return encoding.lower().replace("-", "").startswith("utf")


def chart(values: Sequence[float | None], top: float, blocks: bool = True) -> str:
    """A character a value, `top` the highest; zero is a blank, None (nobody looked) a dot."""
    heights, deaf = (_BLOCKS, _DEAF) if blocks else (_ASCII, _ASCII_DEAF)
    return "".join(deaf if value is None else _height(value, top, heights) for value in values)


def bars(values: Sequence[float], top: float, width: int, blocks: bool = True) -> str:
    """At most `width` characters: neighbours share one, which shows their mean; zero is low."""
    heights = _BLOCKS if blocks else _ASCII
    group = max(1, -(-len(values) // width))
    means = [sum(values[at : at + group]) / len(values[at : at + group])
             for at in range(0, len(values), group)]  # fmt: skip
    if top <= 0:
        return heights[0] * len(means)
    return "".join(heights[min(len(heights) - 1, int(mean / top * len(heights)))] for mean in means)


def legend(blocks: bool = True) -> str:
    """What the characters mean, for below a chart."""
    return f"blank: none; {_DEAF if blocks else _ASCII_DEAF}: nobody was recording"


def squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most `width` values: neighbours share one, which is their largest."""
    if len(values) <= width:
        return list(values)
    group = -(-len(values) // width)
    parts = (values[at : at + group] for at in range(0, len(values), group))
    return [max((v for v in part if v is not None), default=None) for part in parts]


def _height(value: float, top: float, heights: str) -> str:
    if value <= 0 or top <= 0:
        return " "
    return heights[min(len(heights) - 1, int(value / top * len(heights)))]

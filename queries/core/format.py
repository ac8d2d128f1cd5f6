"""Numbers, sizes and times for people, cells of tables, and a finding in words.

Times are in the user's zone; JSON has them in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

from queries.core.escape import visible

if TYPE_CHECKING:  # 20 ms of dataclasses, which a command without a window does not need
    from queries.core.answer import Changes, Effect, Finding, Key, Note, Numbers, Side, Symptom
    from queries.core.window import Baseline, Window


class Title(str):
    """A line that stands over what follows it."""


class Paragraph(str):
    """Text that is broken where a line ends."""


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
    in the window. Where one of several recorders was deaf, what it alone sees is missing.
    """
    whole = (window.to_ts - window.from_ts).total_seconds()
    seen = window.covered_s
    gap = any(
        note.code == "gap" and note.from_ts is not None and note.to_ts is not None
        and note.from_ts < window.to_ts and note.to_ts > window.from_ts
        for note in notes
    )  # fmt: skip
    if whole - seen >= 1 and (whole - seen > _BEHIND_S or gap):
        return f"covered {span(seen)} of {span(whole)}"
    return "not covered in full" if gap else "covered in full"


def note_text(note: Note, tz: tzinfo) -> str:
    """A note with its times in the user's zone, in its text or after it."""
    text = visible(note.text)
    begin, end = note.from_ts, note.to_ts
    if begin is None or end is None:
        return text
    local = stretch(begin, end, tz)
    form = "%H:%M" if begin.second == end.second == 0 else "%H:%M:%S"
    utc = f"{begin:{form}} to {end:{form}}"
    return text.replace(utc, local) if utc in text else f"{text}, {local}"


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
    number = rest.rpartition(":")[2]
    return f"{recorder}:{number.lstrip('0') or number}"


_PLAIN: Mapping[str, Callable[[Any], str]] = {
    "text": str, "count": number, "share": share, "ms": millis, "bytes": size, "span": span,
    "program": program, "id": short_id,
}  # fmt: skip
_SEVERAL: Mapping[str, Callable[..., str]] = {
    "names": people, "status": status_text, "endpoint": endpoint_text,
}  # fmt: skip
NUMERIC: Final = ("count", "share", "ms", "bytes", "span")  # kinds of cells that stand to the right


def cell(kind: str, value: Any, tz: tzinfo) -> str:
    """A value of a question's column as text; a dash where there is none."""
    if kind in _SEVERAL:
        return _SEVERAL[kind](*value) if value else "-"
    if value is None:
        return "-"
    if kind in ("clock", "moment"):
        return clock(value, tz, day=kind == "moment")
    return _PLAIN[kind](value)


def transaction_facts(shown: Any) -> dict[str, str]:
    """What is to be said of a transaction (queries.show.Shown) beside its request, its answer and
    its time, by name."""
    pid = shown.process_id and f"pid {shown.process_id}"
    known = {
        "id": shown.id,
        "by": ", ".join(filter(None, (shown.container_name, shown.process_exe, pid))),
        "pod": shown.pod_name and f"{shown.pod_namespace or '-'}/{shown.pod_name}",
        "went": ", ".join(filter(None, (shown.direction, shown.protocol))),
        "route": shown.route,
        "sizes": f"{size(shown.bytes_sent)} sent, {size(shown.bytes_received)} received",
        "error": shown.error_signature,
        "trace": shown.trace_id,
        "request": shown.request_id,
    }
    return {name: text for name, text in known.items() if text}


def body_facts(body: Any) -> list[str]:
    """The type of a body of such a one, its size, and how much of it was kept."""
    kept = [f"{size(body.stored_bytes)} of it kept"] if body.incomplete else []
    return [*filter(None, [body.content_type]), size(body.bytes), *kept]


def counts_text(side: Side) -> str:
    """`3,313 requests, 4.0 % failed`."""
    text = plural(side.requests, "request")
    return f"{text}, {share(side.errors / side.requests)} failed" if side.requests else text


def covered_spans(side: Side, spans: int, notes: Sequence[Note]) -> str:
    """How much of a side of a comparison was seen. Of several spans covered_s is the sum."""
    return f"covered {span(side.covered_s)}" if spans > 1 else covered(side, notes)


def against(baseline: Baseline, window: Window | Side, tz: tzinfo) -> str:
    """What a window is compared with: a stretch, or the same time of some days."""
    if len(baseline.spans) == 1:
        return stretch(baseline.from_ts, baseline.to_ts, tz, window.from_ts)
    first, last = (s.from_ts.astimezone(tz).date() for s in (baseline.spans[0], baseline.spans[-1]))
    return f"the same time of {len(baseline.spans)} days, {first} to {last}"


def beyond_chance(changes: Changes) -> str:
    """`nothing else moved beyond chance (83 endpoints compared)`: how far an answer goes."""
    what = "else moved" if changes.findings else "changed"
    endpoints = plural(changes.compared.endpoints, "endpoint")
    return f"nothing {what} beyond chance ({endpoints} compared)"


def summary_text(finding: Finding, tz: tzinfo) -> str:
    """The summary as in the document, with its time in the user's zone."""
    text = visible(finding.summary)
    if finding.since is None:
        return text
    utc, local = (finding.since.astimezone(zone) for zone in (UTC, tz))
    for form in ("%H:%M", "%Y-%m-%d %H:%M"):  # of an onset long ago with its day
        text = text.replace(f"since {utc:{form}}", f"since {local:{form}}")
    return text


def affected_text(finding: Finding) -> list[str]:
    """How many requests and how much; what is new or gone has its number in the summary."""
    if finding.direction in ("new", "gone"):
        return []
    ratio = finding.effect.ratio
    return [f"{finding.effect.affected:,} affected", *([] if ratio is None else [f"x{ratio:.3g}"])]


def effect_text(effect: Effect) -> str:
    """`error_share 40 %, was 1.7 %: x23.8 (x15 to x37)`."""

    def value(amount: float | None) -> str:
        if effect.metric.endswith("share"):
            return share(amount)
        return "-" if amount is None else f"{amount:.4g}"

    was = "usually" if effect.against == "usual" else "was"
    text = f"{effect.metric} {value(effect.window)}, {was} {value(effect.baseline)}"
    if effect.ratio is not None:
        text += f": x{effect.ratio:.3g}"
    if effect.low is not None and effect.high is not None:
        text += f" (x{effect.low:.3g} to x{effect.high:.3g})"
    return text


def numbers_text(numbers: Numbers) -> str:
    """Requests, failures and times of one side of a finding."""
    rate = "" if numbers.per_s is None else f" ({numbers.per_s:.3g}/s)"
    times = [f"{name} {millis(value)}" for name, value in
             (("p50", numbers.p50_ms), ("p95", numbers.p95_ms), ("p99", numbers.p99_ms))
             if value is not None]  # fmt: skip
    counts = f"{plural(numbers.requests, 'request')}{rate}, {numbers.errors:,} failed"
    return ", ".join([counts, *times])


def key_text(key: Key) -> str:
    """`host api.stripe.com, method POST`."""
    parts = (f"{name} {'none' if value is None else value}" for name, value in key.items())
    return visible(", ".join(parts)) or "everything"


def symptom_text(symptom: Symptom) -> str:
    """`errors up: host shop.example.com; error_share 12 %, was 0.5 %: x24`."""
    change = " ".join(dict.fromkeys((symptom.kind, symptom.direction)))
    effect = f"; {effect_text(symptom.effect)}" if symptom.effect else ""
    return f"{change}: {key_text(symptom.key)}{effect}"


def blame_text(finding: Finding) -> str:
    """Which service explains it, and why; a dash where that is not known."""
    blame = finding.blame
    if blame is None:
        return "-"
    edge = f", {' -> '.join(blame.edge)}" if blame.edge else ""
    return visible(f"{blame.service or 'no one service'} ({blame.why}{edge})")


_WHY: Final = {
    "itself": "it saw the change itself, and nothing recorded that it calls changed before it",
    "downstream": "only its callers are recorded, not what happens inside it",
    "network": "its callers saw the change and it did not: look between the two",
}


def facts(finding: Finding, tz: tzinfo) -> dict[str, str]:
    """What is to be said of a finding beside its summary, by name.

    The effect is counted from its begin on, the window and the baseline are as a whole.
    """
    known = {
        "id": finding.id,
        "kind": f"{finding.kind}, {finding.direction}, {finding.confidence}",
        "where": key_text(finding.key),
        "effect": effect_text(finding.effect) + ", since it began" * (finding.since is not None),
        "window": numbers_text(finding.window),
        "baseline": numbers_text(finding.baseline),
        "since": clock(finding.since, tz),
        "until": clock(finding.until, tz),
        "blame": blame_text(finding),
        "why": _WHY[finding.blame.why] if finding.blame else "-",
        "error": visible(finding.evidence.signature or "-"),
        "recorders": _recorders(finding),
    }
    return {name: text for name, text in known.items() if text != "-"}


def _recorders(finding: Finding) -> str:
    """3 of 120: web-1, web-7, web-9."""
    if finding.recorders is None:
        return "-"
    names = ", ".join(finding.recorders.names)
    return f"{finding.recorders.affected} of {finding.recorders.of}: {names}"


def details(finding: Finding, parts: Sequence[str], tz: tzinfo) -> Iterator[tuple[str, str]]:
    """Its facts, then what of it was in which container (parts), its symptoms and examples."""
    yield from facts(finding, tz).items()
    yield from (("in", text) for text in parts)
    yield from (("also", symptom_text(one)) for one in finding.also)
    for side in ("window", "baseline"):
        for one in getattr(finding.evidence, side):
            yield "evidence", visible(f"{short_id(one)} ({side})")


_AROUND = 30  # slots before and after the onset that a finding's small chart shows


def around_onset(finding: Finding, window: Side, adjacent: bool) -> list[float]:
    """The finding's own measure in slots around its onset, those of the baseline first.

    adjacent: whether the baseline ends where the window begins.
    """
    series = list(finding.minutes_window)
    onset = 0
    if adjacent:
        onset = len(finding.minutes_baseline)
        series = [*finding.minutes_baseline, *series]
    if finding.since is not None:
        onset += int((finding.since - window.from_ts).total_seconds() // finding.slot_s)
    half = min(_AROUND, len(finding.minutes_window))
    start = max(0, min(onset - half, len(series) - 2 * half))
    return series[start : start + 2 * half]


def adjacent(baseline: Baseline, window: Window | Side) -> bool:
    """Whether the baseline is one stretch that ends where the window begins."""
    return len(baseline.spans) == 1 and baseline.to_ts == window.from_ts

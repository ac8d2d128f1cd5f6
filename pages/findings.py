"""What page and report show of findings: their course over time, and each in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any, Final

from markupsafe import Markup

from pages import charts
from pages.ask import Asked, href
from queries.core import format as words
from queries.core.answer import Changes, Finding, would_have_shown
from queries.core.window import Baseline, Window
from queries.diff.explain.breakdown import Sides, by_container, sides_of, within
from queries.search import Line, lines_of
from store.layout import Store
from store.marks import read_marks

_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 10080)  # minutes
_TICKS, _SLOTS = 8, 24
_PARTS, _TEXTS = 12, 8  # lines of a finding's tables
_OUTCOMES: Final = ("status", "signature")  # of a key: what came of a request, not what it was
_BINS: Final = 8  # bins of a histogram for each factor of ten, as sides.sql has them


def spark(changes: Changes, one: Finding) -> Markup:
    """The course of a finding's own measure, small."""
    return charts.spark(f"spark-{one.rank}", f"Course of finding {one.rank}", *_sides(one, changes))


def _sides(one: Finding, changes: Changes) -> Sequence[Sequence[float | None]]:
    """The finding's measure over baseline and window, None where nobody was recording."""
    sides, course = (one.minutes_baseline, one.minutes_window), changes.course
    seen = () if course is None or course.step_s != one.slot_s else course.covered_s
    if len(seen) < sum(map(len, sides)):
        return sides
    spells = seen[-len(sides[1]) - len(sides[0]) :], seen[-len(sides[1]) :]
    return [[n if n or s else None for n, s in zip(*pair, strict=False)]
            for pair in zip(sides, spells, strict=True)]  # fmt: skip


def quiet_text(changes: Changes) -> str:
    """What an answer without findings says."""
    small = would_have_shown(changes.sensitivity)
    quiet = f"{words.beyond_chance(changes)}.".capitalize()
    return {
        "no_data": "No data: nobody was recording on one side at least. That is not the same as"
        " quiet.",
        "not_comparable": "Not comparable: the two sides were not recorded alike, see the notes.",
        "changed": quiet,
    }.get(changes.verdict, quiet + f" Would have shown: {small}." * bool(small))


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the works give, two at a time, under the eyes of who watches this thread."""
    contexts = [copy_context() for _ in works]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda one, context: context.run(one), works, contexts))


def drawn_course(
    asked: Asked, name: str, window: Window, changes: Changes, links: bool = True
) -> Markup:
    """Requests and failures over window and baseline, with onsets, marks and gaps."""
    course = changes.course
    if course is None:  # it was refused before anything was counted
        return Markup("")
    start, step = course.start, timedelta(seconds=course.step_s)
    spanned = Window(start, start + len(course.requests) * step)

    def at(moment: datetime) -> float:
        return min(max((moment - start) / spanned.length, 0.0), 1.0)

    tags = [
        charts.Tag(at(one.since), str(one.rank))
        for one in changes.findings
        if one.since is not None and spanned.from_ts <= one.since <= spanned.to_ts
    ]
    tags += [
        charts.Tag(at(mark.ts), mark.name, "mark")
        for mark in read_marks(asked.store)
        if spanned.from_ts <= mark.ts <= spanned.to_ts
    ]
    lines = [charts.Line("requests", course.requests),
             charts.Line("failed", course.failed, "failed")]  # fmt: skip
    return charts.series(
        name, "Requests and failures over time", lines, time_ticks(spanned, asked.tz), tags,
        (at(window.from_ts), at(window.to_ts)), slots(asked, "/", spanned, step) if links else (),
        course.covered_s,
    )  # fmt: skip


def slots(asked: Asked, path: str, spanned: Window, step: timedelta) -> list[charts.Slot]:
    """Links to the parts of the time, some buckets each. path: where they lead."""
    buckets = -(-spanned.length // step)
    each = step * -(-buckets // _SLOTS)
    found, at = [], spanned.from_ts
    while at < spanned.to_ts:
        end = min(at + each, spanned.to_ts)
        part = Window(at, end)
        found.append(charts.Slot(
            (at - spanned.from_ts) / spanned.length, (end - spanned.from_ts) / spanned.length,
            href(path, {**asked.fixed(part), "where": asked.where}),
            f"Only {words.stretch(at, end, asked.tz)}",
        ))  # fmt: skip
        at = end
    return found


def time_ticks(span: Window, tz: tzinfo) -> list[tuple[float, str]]:
    """Round times of the user's clock, from 0 to 1."""
    minutes = span.seconds / 60
    step = timedelta(minutes=next((s for s in _STEPS if minutes / s <= _TICKS), minutes / _TICKS))
    start = span.from_ts.astimezone(tz)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    at = day + step * -(-(start - day) // step)
    form = "%H:%M" if step < timedelta(days=1) else "%m-%d"
    ticks = []
    while at <= span.to_ts:
        ticks.append(((at - span.from_ts) / span.length, at.strftime(form)))
        at += step
    return ticks


def detail(
    window: Window, one: Finding, tz: tzinfo, where: str, both: Sides, lines: Mapping[str, Line],
    changes: Changes,
) -> dict[str, Any]:  # fmt: skip
    """All about one finding: what its transactions looked like on both sides, as the fields of
    the macro `detail_of`.

    where: the filter that selects them; empty: none does. lines: the transactions of its evidence
    that are still there. Where the key is an outcome, the sides are compared with all of their
    outcomes.
    """
    facts = words.facts(one, tz)
    return {
        "finding": one,
        "numbers": (facts.pop("window"), facts.pop("baseline")),
        "facts": facts,
        "course": _finding_course(one, changes, window, tz),
        "durations": _durations(one, both),
        "statuses": both["status"][:_PARTS],
        "hosts": both["host"][:_PARTS],
        "parts": by_container(both),
        "texts": both["says"][:_TEXTS],
        "examples": {
            side: [lines[name] for name in getattr(one.evidence, side) if name in lines]
            for side in ("window", "baseline")
        },
        "where": where,
    }


def _finding_course(one: Finding, changes: Changes, window: Window, tz: tzinfo) -> Markup:
    """The finding's own measure, window and baseline beneath one another."""
    tags = []
    if one.since is not None and window.from_ts <= one.since <= window.to_ts:
        at = (one.since - window.from_ts) / window.length
        tags.append(charts.Tag(at, words.clock(one.since, tz, day=False)))
    before, after = _sides(one, changes)
    lines = [charts.Line("window", after, "area", "{:.3g}".format),
             charts.Line("baseline", before, "calm", "{:.3g}".format)]  # fmt: skip
    return charts.series(f"finding-{one.rank}", f"{one.effect.metric} over time, window and "
                         "baseline", lines, time_ticks(window, tz), tags)  # fmt: skip


def _durations(one: Finding, both: Sides) -> Markup | None:
    """Histograms of the durations of both sides, on a scale of factors."""
    bins = {int(one.name): (one.requests, one.before) for one in both["duration"]}
    if not bins:
        return None
    first, last = min(bins) - 1, max(bins) + 1
    totals = [sum(pair[side] for pair in bins.values()) or 1 for side in (0, 1)]
    after, before = (
        [bins.get(n, (0, 0))[side] / totals[side] for n in range(first, last + 1)]
        for side in (0, 1)
    )
    count = last - first + 1
    ticks = [
        ((n - first) / count, words.millis(10 ** (n / _BINS)))
        for n in range(first, last + 2)
        if n % _BINS == 0 or (count < 2 * _BINS and n % (_BINS // 2) == 0)
    ]
    return charts.histogram(
        f"durations-{one.rank}", "Durations of window and baseline", before, after, ticks
    )


def details(
    store: Store, window: Window, baseline: Baseline, tz: tzinfo, only: str | None,
    changes: Changes,
) -> list[dict[str, Any]]:  # fmt: skip
    """The findings in full, by rank."""
    told = changes.findings
    ids = [one for each in told for one in (*each.evidence.window, *each.evidence.baseline)]
    around = [{name: value for name, value in each.key.items() if name not in _OUTCOMES}
              for each in told]  # fmt: skip
    hosts = {str(each.key.get("host") or "{") for each in told}
    known = not any("{" in host for host in hosts)  # {ip} is any private address
    lines, sides = together([
        partial(lines_of, store, [window, *baseline.spans], ids, sorted(hosts) if known else ()),
        partial(sides_of, store, window, baseline.spans, only, [within(only, k) for k in around]),
    ])  # fmt: skip
    return [
        detail(window, one, tz, within(only, one.key), both, lines, changes)
        for one, both in zip(told, sides, strict=True)
    ]

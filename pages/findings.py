"""Findings as the page and the report show them: cards, their course over time, and one in full."""

from __future__ import annotations

from collections import defaultdict
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
from queries.core.question import parsed
from queries.core.selection import both_sides
from queries.core.window import Baseline, Window
from queries.diff.explain.breakdown import within
from queries.search import Line, lines_of
from store.layout import Store
from store.marks import read_marks
from store.values import dataclass

_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 10080)  # minutes
_TICKS, _SLOTS = 8, 24
_PARTS, _TEXTS = 12, 8  # lines of a finding's tables
_MOST: Final = 100  # values of a dimension
_OUTCOMES: Final = ("status", "signature")  # of a key: what came of a request, not what it was
_BINS: Final = 8  # bins of a histogram for each factor of ten, as sides.sql has them


@dataclass(frozen=True)
class Card:
    """A finding in short, in the user's zone; href: all about it, empty in a report."""

    finding: Finding
    summary: str
    facts: str
    since: str
    until: str
    blame: str
    also: Sequence[str]
    spark: Markup
    href: str


def cards(
    changes: Changes, baseline: Baseline, tz: tzinfo, link: Callable[[Finding], str]
) -> list[Card]:
    """The findings by rank."""
    return [
        Card(
            finding=one,
            summary=words.summary_text(one, tz),
            facts=", ".join(words.affected_text(one)),
            since="" if one.since is None else words.clock(
                one.since, tz, day=one.since < changes.window.from_ts),
            until="" if one.until is None else words.clock(one.until, tz, day=False),
            blame="" if one.blame is None else words.blame_text(one),
            also=[words.symptom_text(symptom) for symptom in one.also],
            spark=charts.spark(
                f"spark-{one.rank}", f"Course of finding {one.rank}",
                *_sides(one, changes),
            ),
            href=link(one),
        )
        for one in changes.findings
    ]  # fmt: skip


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


@dataclass(frozen=True)
class Counted:
    """Requests and failures under one name, of the window and of the whole baseline."""

    name: str
    requests: int
    before: int
    errors: int
    errors_before: int


Sides = dict[str, list[Counted]]


def sides_of(
    store: Store, window: Window, baseline: Sequence[Window], only: str | None,
    wheres: Sequence[str],
) -> list[Sides]:  # fmt: skip
    """What passes each of the filters in the window and in the stretches of the baseline, by the
    values of each dimension, the most frequent of both sides first.

    status: "none" where there was no response; host; who: "calls NAME" or "serves NAME"; says: what
    a failure said, else its status; duration: the number of a bin, of which there are eight for
    each factor of ten of a millisecond.
    """
    found: list[Sides] = []
    texts = [parsed(text) for text in wheres]
    for rows in both_sides(store, window, baseline, parsed(only), texts, "sides", most=_MOST):
        found.append(defaultdict(list))
        for row in rows:
            found[-1][row.pop("dimension")].append(Counted(row.pop("value"), **row))
    return found


@dataclass(frozen=True)
class Beside:
    """What one name counts on both sides, with bars of their shares."""

    counted: Counted
    bar: Markup
    bar_before: Markup


@dataclass(frozen=True)
class Detail:
    """All about one finding. where: the filter that selects its transactions; empty: none does."""

    card: Card
    facts: Sequence[tuple[str, str]]
    numbers: tuple[str, str]
    course: Markup
    durations: Markup | None
    statuses: Sequence[Beside]
    hosts: Sequence[Beside]
    parts: Sequence[Counted]
    texts: Sequence[Counted]
    examples: tuple[Sequence[Line], Sequence[Line]]
    where: str


def detail(
    window: Window, card: Card, tz: tzinfo, where: str, both: Sides, lines: Mapping[str, Line],
    changes: Changes,
) -> Detail:  # fmt: skip
    """The finding of a card further: what its transactions looked like on both sides.

    lines: the transactions of its evidence that are still there. Where the key is an outcome, the
    sides are compared with all of their outcomes.
    """
    one = card.finding
    facts = words.facts(one, tz)
    numbers = facts.pop("window"), facts.pop("baseline")
    return Detail(
        card=card,
        facts=list(facts.items()),
        numbers=numbers,
        course=_finding_course(one, changes, window, tz),
        durations=_durations(one, both),
        statuses=_beside(both["status"]),
        hosts=_beside(both["host"]),
        parts=sorted(both["who"], key=lambda p: -abs(p.errors - p.errors_before))[:_PARTS],
        texts=both["says"][:_TEXTS],
        examples=(
            [lines[name] for name in one.evidence.window if name in lines],
            [lines[name] for name in one.evidence.baseline if name in lines],
        ),
        where=where,
    )  # fmt: skip


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


def _beside(rows: Sequence[Counted]) -> list[Beside]:
    shown = rows[:_PARTS]
    now, before = (max((getattr(row, side) for row in shown), default=0) or 1
                   for side in ("requests", "before"))  # fmt: skip
    return [
        Beside(row, charts.bar(row.requests / now) if row.requests else Markup(""),
               charts.bar(row.before / before, css="calm") if row.before else Markup(""))
        for row in shown
    ]  # fmt: skip


def details(
    store: Store, window: Window, baseline: Baseline, chosen: Sequence[Card], tz: tzinfo,
    only: str | None, changes: Changes,
) -> list[Detail]:  # fmt: skip
    """The findings of these cards further."""
    told = [card.finding for card in chosen]
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
        detail(window, card, tz, within(only, card.finding.key), both, lines, changes)
        for card, both in zip(chosen, sides, strict=True)
    ]

"""What was seen of a window: which recorder received when, and what else qualifies an answer.

A gap is time in which a recorder that belongs to the window was not receiving. The last seconds
before now are not counted as one while the recorder is alive: it writes its coverage once a flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from queries.core.answer import Between, Note, iso
from queries.core.format import span
from queries.core.session import Reader
from queries.core.window import Window
from store.hours import hour_start
from store.values import dataclass

if TYPE_CHECKING:
    from store.layout import Store

T = TypeVar("T", datetime, int)
SEEING = ("receiving", "lagging")
_FLUSH = timedelta(seconds=10)  # a live recorder's coverage may end this long before now
_LEAST = timedelta(seconds=1)  # shorter gaps are counted, not told one by one
_COUNTERS = ("events", "rejected", "dropped", "max_lag_ms")
_STEPPED = "the source's clock stepped"  # the reason, where there are no codes
_TOLD = 5  # gaps of a recorder that are told one by one


@dataclass(frozen=True)
class Stretch(Between):
    """A time in one state, clipped to the window. Counters are of the whole stretch."""

    recorder: str
    state: str
    reason: str | None
    reason_code: str | None  # for programs; absent in files of before there were codes
    filter: str | None
    events: int
    rejected: int
    dropped: int
    dropped_estimate: int | None
    dropped_basis: str | None
    max_lag_ms: int


@dataclass(frozen=True)
class Gap(Between):
    """A time in which a recorder did not see, and why where it is known."""

    reason: str


@dataclass(frozen=True)
class Seen:
    """One recorder's part in a window, its stretches in order."""

    recorder: str
    window: Window
    stretches: tuple[Stretch, ...]
    group: str | None = None  # of recorders that are one population

    @property
    def population(self) -> str:
        return self.group or self.recorder

    @property
    def islands(self) -> list[tuple[datetime, datetime]]:
        """When it received: stretches that touch or overlap are one."""
        return together((s.from_ts, s.to_ts) for s in self.stretches if s.state in SEEING)

    @property
    def covered_s(self) -> float:
        return sum((end - start).total_seconds() for start, end in self.islands)

    @property
    def gaps(self) -> list[Gap]:
        """One of a group may come and go: only what it says itself that it missed is a gap."""
        if self.group:
            deaf = (
                (s.from_ts, s.to_ts) for s in self.stretches
                if s.state not in SEEING and (s.state != "stopped" or s.reason_code == "killed")
            )  # fmt: skip
            return [self._gap(start, end) for start, end in together(deaf) if end > start]
        found, at = [], self.window.from_ts
        for start, end in self.islands:
            if start > at:
                found.append(self._gap(at, start))
            at = end
        if self.window.to_ts - at > (_FLUSH if self._alive else timedelta(0)):
            found.append(self._gap(at, self.window.to_ts))
        return found

    @property
    def _alive(self) -> bool:
        return bool(self.stretches) and self.stretches[-1].state in SEEING

    def _gap(self, from_ts: datetime, to_ts: datetime) -> Gap:
        """The reason is that of the longest stretch that lies in the gap."""
        inside = [
            (min(s.to_ts, to_ts) - max(s.from_ts, from_ts), s)
            for s in self.stretches
            if s.state not in SEEING and s.from_ts < to_ts and s.to_ts > from_ts
        ]
        if not inside:
            return Gap(from_ts, to_ts, "not running")
        stretch = max(inside, key=lambda pair: pair[0])[1]
        return Gap(from_ts, to_ts, stretch.reason or stretch.state.replace("_", " "))


def together(times: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """Beginnings and ends in order; times that touch or overlap are one (a clock stepped back)."""
    apart: list[tuple[T, T]] = []
    for begin, end in sorted(times):
        if apart and begin <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((begin, end))
    return apart


def seen(reader: Reader, window: Window) -> list[Seen]:
    """Every recorder with coverage in the window. The reader's spans have to include it."""
    by_recorder: dict[str, list[Stretch]] = {}
    groups: dict[str, str | None] = {}
    for row in within(reader, window):
        groups[row["recorder"]] = row["group_name"]
        by_recorder.setdefault(row["recorder"], []).append(_stretch(row, window))
    return [
        Seen(name, window, tuple(by_recorder[name]), groups[name]) for name in sorted(by_recorder)
    ]


def within(reader: Reader, window: Window) -> list[dict[str, Any]]:
    """The reader's rows of coverage that overlap the window."""
    begin, end = window.from_ts, window.to_ts
    return [row for row in reader.coverage if row["from_ts"] < end and row["to_ts"] > begin]


def _stretch(row: Mapping[str, Any], window: Window) -> Stretch:
    values = {field.name: row[field.name] for field in fields(Stretch)}
    for name in _COUNTERS:
        values[name] = row[name] or 0  # files of before a counter was there have null in it
    values["from_ts"] = max(row["from_ts"], window.from_ts)
    values["to_ts"] = min(row["to_ts"], window.to_ts)
    return Stretch(**values)


def received(store: Store) -> Window | None:
    """From the first to the last moment at which somebody received; None: nobody ever did."""
    hours = store.hours("coverage")
    ends = [next(filter(None, (_received_in(store, hour) for hour in order)), None)
            for order in (hours, reversed(hours))]  # fmt: skip
    first, last = ends
    return Window(first.from_ts, last.to_ts) if first and last else None


def _received_in(store: Store, hour: str) -> Window | None:
    start = hour_start(hour)
    with Reader(store, [Window(start, start + timedelta(hours=1))], tables=()) as reader:
        times = [(row["from_ts"], row["to_ts"]) for row in reader.coverage
                 if row["state"] in SEEING and row["to_ts"] > row["from_ts"]]  # fmt: skip
    return Window(min(begin for begin, _ in times), max(end for _, end in times)) if times else None


def covered_s(recorders: Sequence[Seen]) -> float:
    """Seconds that the best covered recorder, or any of the best covered group, received."""
    islands: dict[str, list[tuple[datetime, datetime]]] = {}
    for recorder in recorders:
        islands.setdefault(recorder.population, []).extend(recorder.islands)
    lengths = ([end - start for start, end in together(own)] for own in islands.values())
    return max((sum(one.total_seconds() for one in each) for each in lengths), default=0.0)


def notes(reader: Reader, window: Window, recorders: Sequence[Seen]) -> list[Note]:
    """What qualifies an answer about this window: gaps, lag, losses, filters, unreadable files."""
    found = [*reader.notes]
    if covered_s(recorders) <= 0 and not reader.takes_nobody:
        found.append(_nothing(reader, window))
    for group in sorted({recorder.group for recorder in recorders if recorder.group}):
        found += _group_notes(group, [one for one in recorders if one.group == group])
    for recorder in recorders:
        found += _gap_notes(recorder) if recorder.covered_s > 0 and not recorder.group else []
        found += losses(recorder)
        found += [clock_note(recorder.recorder, s.from_ts) for s in recorder.stretches
                  if is_step(s.reason_code, s.reason)]  # fmt: skip
    return found


def is_step(reason_code: str | None, reason: str | None) -> bool:
    """Whether a stretch began because the source's clock jumped, in its new time."""
    return reason_code == "clock_stepped" or reason == _STEPPED


def clock_note(recorder: str, at: datetime) -> Note:
    """That the source's clock jumped, which cannot be put right afterwards, only told."""
    text = (
        f"the clock of what recorder {recorder} listens to jumped: times before and after it do not"
        " fit together; end the window before it, or begin it after"
    )
    at = at.replace(second=0, microsecond=0)
    return Note("clock", text, at, at + timedelta(minutes=1))


def _nothing(reader: Reader, window: Window) -> Note:
    whole = received(reader.store)
    text = "no recorder was receiving in this window"
    if whole is not None:
        end = iso(whole.to_ts.replace(microsecond=0))
        text += f"; the newest recording in this store ends at {end}"
    return Note("no_data", text, window.from_ts, window.to_ts)


def _group_notes(group: str, members: Sequence[Seen]) -> list[Note]:
    """Who of a group was deaf, and for how long."""
    missed = {
        one.recorder: sum((gap.to_ts - gap.from_ts).total_seconds() for gap in one.gaps)
        for one in members
    }
    deaf = sorted((n for n in missed if missed[n] >= _LEAST.total_seconds()),
                  key=lambda name: (-missed[name], name))  # fmt: skip
    if not deaf:
        return []
    window = members[0].window
    text = f"{len(deaf)} of {len(members)} recorders of group {group} were deaf for a while: "
    return [Note("gap", text + deaf_names(deaf, missed), window.from_ts, window.to_ts)]


def deaf_names(deaf: Sequence[str], missed: Mapping[str, float]) -> str:
    """The first of those recorders, with the time that each of them missed."""
    names = [f"{name} ({span(missed[name])})" for name in deaf[:_TOLD]]
    return ", ".join([*names, f"{len(deaf) - _TOLD} more"] if len(deaf) > _TOLD else names)


def _gap_notes(recorder: Seen) -> list[Note]:
    gaps = [gap for gap in recorder.gaps if gap.to_ts - gap.from_ts >= _LEAST]
    gaps.sort(key=lambda gap: (gap.from_ts - gap.to_ts, gap.from_ts))
    told = sorted(gaps[:_TOLD], key=lambda gap: gap.from_ts)
    found = [
        Note("gap", f"recorder {recorder.recorder} saw nothing for"
             f" {span((gap.to_ts - gap.from_ts).total_seconds())} ({gap.reason})",
             gap.from_ts, gap.to_ts)
        for gap in told
    ]  # fmt: skip
    if len(gaps) > _TOLD:
        text = f"recorder {recorder.recorder} has {len(gaps) - _TOLD} more, shorter gaps"
        found.append(Note("gap", text))
    return found


def losses(recorder: Seen) -> list[Note]:
    """What of the time that it received is not there: late, dropped, not decoded, filtered out."""
    name, stretches = recorder.recorder, recorder.stretches
    found = []
    lag = max((s.max_lag_ms for s in stretches if s.state == "lagging"), default=0)
    if lag:
        text = f"recorder {name} fell up to {lag / 1000:.1f} s behind; Qtap may have dropped events"
        found.append(Note("lagging", text))
    dropped = sum(s.dropped for s in stretches)
    if dropped:
        found.append(Note("dropped", f"recorder {name} missed about {dropped} events"))
    estimate = sum(s.dropped_estimate or 0 for s in stretches)
    if estimate:
        text = f"Qtap seems to have dropped about {estimate} events for recorder {name}, by gaps in"
        text += " the numbers of its requests"
        if any(s.dropped_estimate and s.dropped_basis == "weak" for s in stretches):
            text += "; that is a weak guess: other things take many of these numbers"
        found.append(Note("dropped_estimate", text))
    rejected = sum(s.rejected for s in stretches)
    if rejected:
        text = f"recorder {name} could not decode {rejected} events; they are not in this answer"
        found.append(Note("rejected", text))
    filters = sorted({s.filter for s in stretches if s.filter and s.state in SEEING})
    for text in filters[:3]:
        found.append(Note("filtered", f"recorder {name} kept only what matches: {text}"))
    return found

"""`qrec diff`: what changed in a window against its baseline; asked, and shown to people: what was
compared, an entry a finding, or one in full."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

from qrec.output import bars, emit, say, to_jsonl, unicode_output
from qrec.questions import Answer, note_text, present, table
from qrec.run import Run, switch
from qrec.watch import Memory, News, every, looks
from queries.core import format as words
from queries.core.answer import document, iso, would_have_shown
from queries.core.escape import visible
from queries.core.format import clock, short_id
from queries.core.notes import received
from queries.core.question import BASELINE, WINDOW, Argument, Column, Question, asked_window
from queries.core.window import Baseline, Window, explicit_baseline
from queries.diff.explain.breakdown import by_container, part_text, sides_of, within
from store.errors import QrecError, UsageError
from store.layout import Store
from store.values import dataclass

if TYPE_CHECKING:
    from queries.core.answer import Changes, Finding

CHANGED, NO_ANSWER = 10, 3
_MOST = 200  # findings of one look of --watch
FLAGS = (
    switch("exit_code", "Exit 10 when something changed, 3 when there is too little data to say."),
    Argument(
        "watch", "Ask again every so many seconds (30), and print what is new, gone or worse until"
        " Ctrl-C; --json: a line each.", "[SECONDS]", left_out="30",
    ),
    Argument(
        "vs_store", "Compare with the recordings of another store: this build's with yesterday's."
        " The whole of each, unless times are given.", "DIR",
    ),
)  # fmt: skip


def respond(
    run: Run,
    question: Question,
    values: Mapping[str, Any],
    exit_code: bool,
    watch: str | None,
    vs_store: str | None,
) -> int:
    """The findings as a list, or one of them in full. The exit code."""
    values = {**values, "limit": run.limit}
    if vs_store is not None:
        if watch is not None:
            raise UsageError("--watch and --vs-store do not go together", "Leave one of them out.")
        other = Run({**run.values, "store": vs_store}).store  # with the same settings otherwise
        verdict = _two_stores(run, question, values, other)
    elif watch is not None:
        _watched(run, question, values, every(watch))
    else:
        changes = question.ask(run.store, values, run.now, run.tz)
        window, baseline = run.windows(values)
        verdict = _shown(Report(run, changes, baseline), run.store, window, values)
    return _code(verdict) if exit_code else 0


def _shown(report: Report, store: Store, window: Window, values: Mapping[str, Any]) -> str:
    """The verdict, after the list or the one finding was written."""
    if values["explain"] is None or report.run.format != "table":
        report.show()
    else:
        _explained(report, store, window, values["where"])
    return report.changes.verdict


def _two_stores(run: Run, question: Question, values: dict[str, Any], other: Store) -> str:
    """Compare with the recordings of another store. The verdict."""
    from queries.core.two_stores import joined  # not for every comparison: it takes 10 ms

    window, baseline = _spans(run, values, other)
    with joined(run.store, other, window, baseline) as both:
        times = {"from_time": both.window.from_ts, "to_time": both.window.to_ts,
                 "vs_from": both.baseline.from_ts, "vs_to": both.baseline.to_ts}  # fmt: skip
        none = dict.fromkeys(one.name for one in (*WINDOW, *BASELINE))
        asked = {**values, **none, **{name: iso(moment) for name, moment in times.items()}}
        changes = question.ask(both.store, asked, max(run.now, window.to_ts), run.tz)
        report = Report(run, both.in_place(changes), Baseline("explicit", (both.baseline,)))
        return _shown(report, both.store, window, values)


def _spans(run: Run, values: Mapping[str, Any], other: Store) -> tuple[Window, Window]:
    """The window of this store and the baseline of the other: all of it, unless times are given."""
    from queries.core.two_stores import recorded

    if values["vs"] is not None:
        raise UsageError(
            "--vs and --vs-store both say what to compare with",
            "Leave --vs out; --vs-from and --vs-to choose a part of the other store.",
        )
    named = any(values[one.name] for one in WINDOW)
    window = run.window(values) if named else recorded(run.store)
    if values["vs_from"] is None and values["vs_to"] is None:
        return window, recorded(other)
    asked = asked_window(lambda: run.store, values)
    return window, explicit_baseline(asked, recorded(other).length, run.now, run.tz)


def _watched(run: Run, question: Question, values: Mapping[str, Any], every_s: float) -> NoReturn:
    """The list, then a line for each piece of news, until Ctrl-C."""
    if values["explain"] is not None or run.format not in ("table", "json", "jsonl"):
        raise UsageError(
            "--watch has no end, and goes with neither --explain nor a table's format",
            "Leave those out, or write --watch --json.",
        )
    memory, first = Memory(), run.format == "table"
    for at, answer in looks(run, question, {**values, "limit": _MOST}, every_s):
        when = clock(at, run.tz, day=False)
        if isinstance(answer, QrecError):
            say(f"note: {when} no answer: {answer.message}")
            continue
        report = Report(run, answer, run.windows(values)[1])
        news = memory.look(document(answer), at)
        if first:
            report.show()
        elif run.format == "table":
            for one in news:
                emit(_line(report, one, when) + "\n")
        else:
            emit(to_jsonl([one.document for one in news]))
        first = False
    raise AssertionError("the looks have no end")


def _line(report: Report, news: News, when: str) -> str:
    head = f"{when}  {news.event:<5}"
    for finding in report.changes.findings:
        if news.finding is not None and finding.id == news.finding["id"]:
            return report.entry(finding, first=head)
    return f"{head}  {visible(news.text)}"


def _explained(report: Report, store: Store, window: Window, only: str | None) -> None:
    """The one finding, with its parts by container."""
    [finding] = report.changes.findings
    text = within(only, finding.key)
    [both] = sides_of(store, window, report.baseline.spans, text, [text])
    Explanation(report, finding, [part_text(one) for one in by_container(both)], text).show()


def _code(verdict: str) -> int:
    """Quiet and deaf are not the same to a script either."""
    return {"changed": CHANGED, "nothing_changed": 0}.get(verdict, NO_ANSWER)


_STYLES = {"high": "red", "medium": "yellow", "low": None}
_SPARK = 12  # characters
_HARD_BLANK = "\u00a0"  # where a line is not broken: `29 %`, `73 affected`
_INCOMPARABLE = ("empty_window", "overlap", "no_common_minutes")  # notes that say why
_UNLIKE = "the two sides were not recorded alike, see the notes"


@dataclass(frozen=True)
class Report:
    """One comparison, to be shown as a list."""

    run: Run
    changes: Changes
    baseline: Baseline

    def show(self) -> None:
        found = self.changes.findings
        columns = (
            Column("rank", kind="count"), Column("severity"), Column("kind"),
            Column("what", lambda f: words.summary_text(f, self.run.tz), give=1),
            Column("affected", "effect.affected", "count"),
        )  # fmt: skip
        lines = [*self.heading(), "", *self._entries(found), self.verdict()]
        answer = Answer(
            document(self.changes), "findings", *table(columns, found, self.run.tz), empty="",
            text="\n".join(lines), announced=True, said=_INCOMPARABLE,
        )  # fmt: skip
        present(self.run, answer)

    def heading(self) -> list[str]:
        window, before = self.changes.window, self.changes.baseline
        tz = self.run.tz
        this = words.stretch(window.from_ts, window.to_ts, tz)
        against = words.against(self._before, window, tz)
        if self.changes.verdict == "no_data":  # counts would be of one side alone
            return [self._bold(this), f"against {against}"]
        notes = self.changes.notes
        lines = [
            f"{self._bold(this)}: {words.counts_text(window)}, {words.covered(window, notes)}",
            f"against {against}: {words.counts_text(before)}, "
            f"{words.covered_spans(before, len(self.baseline.spans), notes)}",
        ]
        calibration = self.changes.calibration
        if calibration is not None:
            found = len(self.changes.findings) + self.changes.more
            lines.append(
                f"{words.plural(found, 'finding')}; your quiet hours: median "
                f"{calibration.median:g}, p95 {calibration.p95:g} "
                f"({words.plural(calibration.pairs, 'past pair')})"
            )
        return lines

    def _entries(self, findings: Sequence[Finding]) -> list[str]:
        sparks = [self._spark(finding) for finding in findings]
        room = max((len(spark) for spark in sparks), default=0)
        return [
            self.entry(finding, spark.ljust(room) + "  " if room else "")
            for finding, spark in zip(findings, sparks, strict=True)
        ]

    @property
    def _before(self) -> Baseline:
        """The baseline by the answer's times: those of another store are its own there."""
        if len(self.baseline.spans) > 1:
            return self.baseline
        side = self.changes.baseline
        return Baseline(self.baseline.kind, (Window(side.from_ts, side.to_ts),))

    def _spark(self, finding: Finding) -> str:
        """The finding's own measure around its onset, a few minutes a character."""
        window = self.changes.window
        part = words.around_onset(finding, window, words.adjacent(self._before, window))
        return bars(part, max(part, default=0.0), _SPARK, unicode_output())

    def entry(self, finding: Finding, spark: str = "", first: str = "") -> str:
        """`1  high  ▁▁▆█  what happened … [412 requests, x171]`, wrapped under itself.

        first: what stands before it instead of its rank.
        """
        head = f"{first or f'{finding.rank:>2}'}  {finding.severity:<6}  {spark}"
        doubt = ["possible"] if finding.confidence == "possible" else []
        more = [words.plural(len(finding.also), "symptom")] if finding.also else []
        facts = ", ".join([*words.affected_text(finding), *more, *doubt]).replace(" ", _HARD_BLANK)
        text = words.summary_text(finding, self.run.tz).replace(" %", f"{_HARD_BLANK}%")
        text += f" [{facts}]" if facts else ""
        room = max((self.run.width or 10_000) - len(head), 30)
        lines = textwrap.wrap(text.replace(f",{_HARD_BLANK}", ", "), room, break_on_hyphens=False)
        lines = [line.replace(_HARD_BLANK, " ") for line in lines]
        painted = head.replace(
            finding.severity, self.run.paint(finding.severity, _STYLES[finding.severity])
        )
        return painted + ("\n" + " " * len(head)).join(lines)

    def verdict(self) -> str:
        changes = self.changes
        if changes.verdict == "no_data":
            return f"no data: {self._missing()}"
        if changes.verdict == "not_comparable":
            why = [note.text for note in changes.notes if note.code in _INCOMPARABLE]
            return f"not comparable: {'; '.join(why) or _UNLIKE}"
        if changes.more:
            return f"{changes.more:,} more: --limit {len(changes.findings) + changes.more}"
        if changes.findings:
            return words.beyond_chance(changes)
        small = would_have_shown(changes.sensitivity)
        shown = textwrap.fill(f"would have shown: {small}", self.run.width or 10_000)
        return words.beyond_chance(changes) + (f"\n{shown}" if small else "")

    def _missing(self) -> str:
        """Which side was not recorded, and where the data is."""
        if any(note.code == "unknown_recorder" for note in self.changes.notes):
            return "nobody whom the filter takes was recording"
        held = received(self.run.store)
        if held is None:
            return "nobody was recording on one side at least; this store has no recordings yet"
        ends = words.clock(held.to_ts, self.run.tz)
        window = self.changes.window
        if window.from_ts < held.to_ts and window.to_ts > held.from_ts:
            begins = words.clock(held.from_ts, self.run.tz)
            return (
                "nobody was recording at the time that the window is compared with; the recordings"
                f" begin at {begins} and end at {ends}"
            )
        return (
            "nobody was recording on one side at least; the recordings end at"
            f" {ends} (try --now {words.just_after(held.to_ts)})"
        )

    def _bold(self, text: str) -> str:
        return self.run.paint(text, "bold")


_BARS = 20  # a side
_SLOTS = {1.0: "second", 60.0: "minute", 3600.0: "hour"}


@dataclass(frozen=True)
class Explanation:
    """A comparison's one finding, with its parts by container.

    where: the filter that names its transactions; empty for all.
    """

    report: Report
    finding: Finding
    parts: Sequence[str]
    where: str = ""

    def show(self) -> None:
        run = self.report.run
        lines = [*self.report.heading(), "", self.report.entry(self.finding), "", *self._details()]
        lines += ["", "next:", *(f"    {command}" for command in self._commands())]
        notes = [note_text(run, note) for note in document(self.report.changes)["notes"]]
        emit(
            "\n".join(lines + ([""] + [f"note: {text}" for text in notes] if notes else [])) + "\n"
        )

    def _details(self) -> Iterator[str]:
        finding = self.finding
        for name, text in words.details(finding, self.parts, self.report.run.tz):
            yield f"    {name:<9} {text}"
        if course := self._course():
            slot = f"a {_SLOTS.get(finding.slot_s, 'slot')}"
            yield f"    {slot:<9} {course}"

    def _course(self) -> str:
        """The finding's measure slot by slot, baseline | window, on one scale."""
        before, after = self.finding.minutes_baseline, self.finding.minutes_window
        top = max([*before, *after], default=0.0)
        if top <= 0:
            return ""
        blocks = unicode_output()
        drawn = " | ".join(bars(values, top, _BARS, blocks) for values in (before, after))
        return f"{drawn} (peak {words.number(top)})"

    def _commands(self) -> Iterator[str]:
        """What to type next; the times are written out, since "the last hour" moves on."""
        named, window = self.report.run.values["store"], self.report.changes.window
        store = f" --store {quote(named)}" if named else ""
        when = f" --from {iso(window.from_ts)} --to {iso(window.to_ts)}"
        where = f" --where {quote(visible(self.where))}" if self.where else ""
        shown = [*self.finding.evidence.window, *self.finding.evidence.baseline]
        if shown:
            yield f"qrec show {quote(visible(short_id(shown[0])))}{store}"
        if self.finding.window.errors:
            yield f"qrec errors{where}{when}{store}"
        yield f"qrec timeline --by container{where}{when}{store}"

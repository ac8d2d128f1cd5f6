"""The answer to `qrec diff` for people: what was compared, and one entry a finding."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from qrec import format as words
from qrec.charts import bars, unicode_output
from qrec.output import Column
from qrec.render import Answer, present
from queries.core.escape import visible
from queries.coverage import holdings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qrec.run import Run
    from queries.core.answer import Changes, Finding, Note, Side
    from queries.core.window import Baseline

_STYLES = {"high": "red", "medium": "yellow", "low": None}
_SPARK = 12  # characters
_HARD_BLANK = "\u00a0"  # where a line is not broken: `29 %`, `73 affected`
_AROUND = 30  # minutes before and after the onset that they show
_COLUMNS = (
    Column("rank", right=True), Column("severity"), Column("kind"), Column("what", give=1),
    Column("affected", right=True),
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """One comparison, to be shown as a list."""

    run: Run
    changes: Changes
    baseline: Baseline

    def show(self) -> None:
        from queries.core.answer import document

        found = self.changes.findings
        cells = [
            [str(f.rank), f.severity, f.kind, self._summary(f), words.number(f.effect.affected)]
            for f in found
        ]
        lines = [*self.heading(), "", *self._entries(found), self.verdict()]
        answer = Answer(
            document(self.changes), "findings", _COLUMNS, cells, empty="", text="\n".join(lines),
            announced=True,
        )  # fmt: skip
        present(self.run, answer)

    def heading(self) -> list[str]:
        window, before = self.changes.window, self.changes.baseline
        tz, spans = self.run.tz, self.baseline.spans
        this = words.stretch(window.from_ts, window.to_ts, tz)
        if len(spans) > 1:
            first, last = (s.from_ts.astimezone(tz).date() for s in (spans[0], spans[-1]))
            against = f"the same time of {len(spans)} days, {first} to {last}"
        else:
            against = words.stretch(before.from_ts, before.to_ts, tz, window.from_ts)
        if self.changes.verdict == "no_data":  # counts of minutes in common would be of none
            return [self._bold(this), f"against {against}"]
        notes = self.changes.notes
        lines = [
            f"{self._bold(this)}: {_counts(window)}, {_covered(window, 1, notes)}",
            f"against {against}: {_counts(before)}, {_covered(before, len(spans), notes)}",
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

    def _spark(self, finding: Finding) -> str:
        """The finding's own measure around its onset, a few minutes a character."""
        series = list(finding.minutes_window)
        onset = 0
        if self.adjacent:
            onset = len(finding.minutes_baseline)
            series = [*finding.minutes_baseline, *series]
        if finding.since is not None:
            onset += int((finding.since - self.changes.window.from_ts).total_seconds() // 60)
        half = min(_AROUND, len(finding.minutes_window))
        start = max(0, min(onset - half, len(series) - 2 * half))
        part = series[start : start + 2 * half]
        return bars(part, max(part, default=0.0), _SPARK, unicode_output())

    @property
    def adjacent(self) -> bool:
        """Whether the baseline ends where the window begins."""
        before = self.changes.baseline
        return len(self.baseline.spans) == 1 and before.to_ts == self.changes.window.from_ts

    def entry(self, finding: Finding, spark: str = "") -> str:
        """`1  high  ▁▁▆█  what happened … [412 requests, x171]`, wrapped under itself."""
        head = f"{finding.rank:>2}  {finding.severity:<6}  {spark}"
        doubt = ["possible"] if finding.confidence == "possible" else []
        more = [words.plural(len(finding.also), "symptom")] if finding.also else []
        facts = ", ".join([*_size(finding), *more, *doubt]).replace(" ", _HARD_BLANK)
        text = self._summary(finding).replace(" %", f"{_HARD_BLANK}%")
        text += f" [{facts}]" if facts else ""
        room = max((self.run.width or 10_000) - len(head), 30)
        lines = textwrap.wrap(text.replace(f",{_HARD_BLANK}", ", "), room, break_on_hyphens=False)
        lines = [line.replace(_HARD_BLANK, " ") for line in lines]
        painted = head.replace(
            finding.severity, self.run.paint(finding.severity, _STYLES[finding.severity])
        )
        return painted + ("\n" + " " * len(head)).join(lines)

    def _summary(self, finding: Finding) -> str:
        """The summary as in the document, with its time in the user's zone."""
        text = visible(finding.summary)
        if finding.since is None:
            return text
        utc, local = (finding.since.astimezone(zone) for zone in (UTC, self.run.tz))
        return text.replace(f"since {utc:%H:%M}", f"since {local:%H:%M}")

    def verdict(self) -> str:
        changes = self.changes
        if changes.verdict == "no_data":
            return f"no data: {self._missing()}"
        if changes.verdict == "not_comparable":
            return "not comparable: the two sides were not recorded alike, see the notes"
        looked = f"({words.plural(changes.compared.endpoints, 'endpoint')} compared)"
        if changes.findings:
            if changes.more:
                return f"{changes.more:,} more: --limit {len(changes.findings) + changes.more}"
            return f"nothing else moved beyond chance {looked}"
        return f"nothing changed beyond chance {looked}"

    def _missing(self) -> str:
        """Which side was not recorded, and where the data is."""
        held = holdings(self.run.store)
        if held.first is None or held.last is None:
            return "nobody was recording on one side at least; this store has no recordings yet"
        ends = words.clock(held.last, self.run.tz)
        window = self.changes.window
        if window.from_ts < held.last and window.to_ts > held.first:
            begins = words.clock(held.first, self.run.tz)
            return (
                "nobody was recording at the time that the window is compared with; the recordings"
                f" begin at {begins} and end at {ends}"
            )
        return (
            "nobody was recording on one side at least; the recordings end at"
            f" {ends} (try --now {words.just_after(held.last)})"
        )

    def _bold(self, text: str) -> str:
        return self.run.paint(text, "bold")


def _counts(side: Side) -> str:
    text = words.plural(side.requests, "request")
    return f"{text}, {words.share(side.errors / side.requests)} failed" if side.requests else text


def _covered(side: Side, spans: int, notes: Sequence[Note]) -> str:
    """How much was seen, in whole minutes. Of several spans covered_s is the sum."""
    if spans > 1:
        return f"covered {words.span(side.covered_s)}"
    return words.covered(side, notes, least=60)


def _size(finding: Finding) -> list[str]:
    """How many requests and how much; what is new or gone has its number in the summary."""
    if finding.direction in ("new", "gone"):
        return []
    ratio = finding.effect.ratio
    return [f"{finding.effect.affected:,} affected", *([] if ratio is None else [f"x{ratio:.3g}"])]

"""The answer to `qrec diff` for people: what was compared, and one entry a finding."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from qrec import words
from qrec.output import Column, emit
from qrec.render import Answer, note_text, present
from qrec.safe import visible
from store.errors import UsageError

if TYPE_CHECKING:
    from qrec.run import Run
    from queries.answer import Changes, Effect, Finding, Key, Numbers, Side
    from queries.windows import Baseline

_STYLES = {"high": "red", "medium": "yellow", "low": None}
_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = (
    Column("rank", right=True), Column("severity"), Column("kind"), Column("what", give=1),
    Column("affected", right=True),
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """One comparison, to be shown as a list or one finding of it in full."""

    run: Run
    changes: Changes
    baseline: Baseline

    def show(self) -> None:
        from queries.rows import document

        found = self.changes.findings
        cells = [
            [str(f.rank), f.severity, f.kind, self._summary(f), words.number(f.effect.affected)]
            for f in found
        ]
        text = "\n".join([*self._heading(), "", *map(self._entry, found), self._verdict()])
        answer = Answer(document(self.changes), "findings", _COLUMNS, cells, empty="", text=text)
        present(self.run, answer)

    def explain(self, rank: int) -> None:
        """Everything about one finding. UsageError when there is none of that rank."""
        found = next((f for f in self.changes.findings if f.rank == rank), None)
        if found is None:
            there = len(self.changes.findings)
            raise UsageError(
                f"there is no finding {rank}",
                f"There are {there}, from 1 on." if there else self._verdict(),
            )
        if self.run.format != "table":
            raise UsageError("--explain is for reading", f"--format {self.run.format} has it all.")
        lines = [*self._heading(), "", self._entry(found), *self._details(found)]
        emit("\n".join(lines) + "\n")

    def _heading(self) -> list[str]:
        window, before = self.changes.window, self.changes.baseline
        tz, spans = self.run.tz, self.baseline.spans
        this = words.stretch(window.from_ts, window.to_ts, tz)
        if len(spans) > 1:
            first, last = (s.from_ts.astimezone(tz).date() for s in (spans[0], spans[-1]))
            against = f"the same time of {len(spans)} days, {first} to {last}"
        else:
            against = words.stretch(before.from_ts, before.to_ts, tz, window.from_ts)
        lines = [
            f"{self._bold(this)}: {_counts(window)}, {_covered(window, 1)}",
            f"against {against}: {_counts(before)}, {_covered(before, len(spans))}",
        ]
        calibration = self.changes.calibration
        if calibration is not None:
            lines.append(
                f"{words.plural(calibration.pairs, 'quiet pair')} of this store's own past: median "
                f"{calibration.median:g} findings, 95 % at most {calibration.p95:g}"
            )
        return lines

    def _entry(self, finding: Finding) -> str:
        """`1  high  what happened … [412 requests, x171]`, wrapped under itself."""
        head = f"{finding.rank:>2}  {finding.severity:<6}  "
        doubt = ["possible"] if finding.confidence == "possible" else []
        more = [words.plural(len(finding.also), "symptom")] if finding.also else []
        facts = ", ".join([*_size(finding), *more, *doubt])
        text = self._summary(finding) + (f" [{facts}]" if facts else "")
        lines = textwrap.wrap(
            text, max((self.run.width or 10_000) - len(head), 30), break_on_hyphens=False
        )
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

    def _verdict(self) -> str:
        changes = self.changes
        if changes.verdict == "no_data":
            return f"no data: nobody was recording on one side at least{self._newest()}"
        if changes.verdict == "not_comparable":
            return "not comparable: the two sides were not recorded alike, see the notes"
        looked = f"({words.plural(changes.compared.endpoints, 'endpoint')} compared)"
        if changes.findings:
            more = "more findings are cut off" if changes.truncated else ""
            return more or f"nothing else moved beyond chance {looked}"
        return f"nothing changed beyond chance {looked}"

    def _details(self, finding: Finding) -> list[str]:
        from queries.rows import document

        facts = {
            "kind": f"{finding.kind}, {finding.direction}, {finding.confidence}",
            "where": _key(finding.key),
            "effect": _effect(finding.effect),
            "window": _numbers(finding.window),
            "baseline": _numbers(finding.baseline),
            "since": words.clock(finding.since, self.run.tz),
            "blame": _blame(finding),
            "error": visible(finding.evidence.signature or "-"),
            "a minute": _minutes(finding),
        }
        lines = ["", *(f"    {name:<9} {text}" for name, text in facts.items() if text != "-")]
        for symptom in finding.also:
            change = " ".join(dict.fromkeys((symptom.kind, symptom.direction)))
            lines.append(f"    {'also':<9} {change}: {_key(symptom.key)}")
        for side in ("window", "baseline"):
            ids = getattr(finding.evidence, side)
            lines += [f"    {'evidence':<9} {visible(one)} ({side})" for one in ids]
        notes = [note_text(self.run, note) for note in document(self.changes)["notes"]]
        return lines + ([""] + [f"note: {text}" for text in notes] if notes else [])

    def _newest(self) -> str:
        """Where the data is, for whoever asked about the wrong time."""
        from queries.seen import newest

        last = newest(self.run.store)
        if last is None:
            return "; this store has no recordings yet"
        ends = words.clock(last, self.run.tz)
        return f"; the recordings end at {ends} (try --now {words.just_after(last)})"

    def _bold(self, text: str) -> str:
        return self.run.paint(text, "bold")


def _counts(side: Side) -> str:
    text = words.plural(side.requests, "request")
    return f"{text}, {words.share(side.errors / side.requests)} failed" if side.requests else text


def _covered(side: Side, spans: int) -> str:
    """How much was seen. Of several spans covered_s is the sum."""
    whole = (side.to_ts - side.from_ts).total_seconds()
    if spans > 1:
        return f"covered {words.span(side.covered_s)}"
    if whole - side.covered_s <= 60:  # whole minutes are compared
        return "covered in full"
    return f"covered {words.span(side.covered_s)} of {words.span(whole)}"


def _size(finding: Finding) -> list[str]:
    """How many requests and how much; what is new or gone has its number in the summary."""
    if finding.direction in ("new", "gone"):
        return []
    ratio = finding.effect.ratio
    return [f"{finding.effect.affected:,} affected", *([] if ratio is None else [f"x{ratio:.3g}"])]


def _effect(effect: Effect) -> str:
    def value(number: float | None) -> str:
        if effect.metric.endswith("share"):
            return words.share(number)
        return "-" if number is None else f"{number:.4g}"

    text = f"{effect.metric} {value(effect.window)}, was {value(effect.baseline)}"
    if effect.ratio is not None:
        text += f": x{effect.ratio:.3g}"
    if effect.low is not None and effect.high is not None:
        text += f" (x{effect.low:.3g} to x{effect.high:.3g})"
    return text


def _numbers(numbers: Numbers) -> str:
    rate = "" if numbers.per_s is None else f" ({numbers.per_s:.3g}/s)"
    times = [f"{name} {words.millis(value)}" for name, value in
             (("p50", numbers.p50_ms), ("p95", numbers.p95_ms), ("p99", numbers.p99_ms))
             if value is not None]  # fmt: skip
    counts = f"{words.plural(numbers.requests, 'request')}{rate}, {numbers.errors:,} failed"
    return ", ".join([counts, *times])


def _key(key: Key) -> str:
    parts = (f"{name} {'none' if value is None else value}" for name, value in key.items())
    return visible(", ".join(parts)) or "everything"


def _blame(finding: Finding) -> str:
    blame = finding.blame
    if blame is None:
        return "-"
    edge = f", {' -> '.join(blame.edge)}" if blame.edge else ""
    return visible(f"{blame.service or 'no one service'} ({blame.why}{edge})")


def _minutes(finding: Finding) -> str:
    """The finding's measure minute by minute, baseline then window, on one scale."""
    before, after = finding.minutes_baseline, finding.minutes_window
    top = max([*before, *after], default=0.0)
    if top <= 0:
        return "-"
    return f"{_bars(before, top)} | {_bars(after, top)}"


def _bars(values: tuple[float, ...], top: float) -> str:
    """At most 30 bars: neighbouring minutes share one, which shows their mean."""
    group = max(1, -(-len(values) // 30))
    means = [sum(values[at : at + group]) / len(values[at : at + group])
             for at in range(0, len(values), group)]  # fmt: skip
    return "".join(_BARS[min(7, int(mean / top * 8))] for mean in means)

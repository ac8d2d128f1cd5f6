"""One finding in full: its numbers, its minutes, where it happened, what shows it, what to ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from qrec import format as words
from qrec.charts import bars, unicode_output
from qrec.findings import Report
from qrec.format import short_id
from qrec.output import emit
from qrec.render import note_text
from queries.core.answer import iso
from queries.core.escape import visible

if TYPE_CHECKING:
    from queries.core.answer import Effect, Finding, Key, Numbers
    from queries.diff.explain.breakdown import Part

_BARS = 20  # a side


@dataclass(frozen=True)
class Explanation:
    """A comparison's one finding, with its parts by container.

    where: the filter that names its transactions; empty for all.
    """

    report: Report
    finding: Finding
    parts: list[Part]
    where: str = ""

    def show(self) -> None:
        from queries.core.answer import document

        run = self.report.run
        lines = [*self.report.heading(), "", self.report.entry(self.finding), "", *self._details()]
        lines += ["", "next:", *(f"    {command}" for command in self._commands())]
        notes = [note_text(run, note) for note in document(self.report.changes)["notes"]]
        emit(
            "\n".join(lines + ([""] + [f"note: {text}" for text in notes] if notes else [])) + "\n"
        )

    def _details(self) -> Iterator[str]:
        finding = self.finding
        facts = {
            "id": finding.id,
            "kind": f"{finding.kind}, {finding.direction}, {finding.confidence}",
            "where": _key(finding.key),
            "effect": _effect(finding.effect),
            "window": _numbers(finding.window),
            "baseline": _numbers(finding.baseline),
            "since": words.clock(finding.since, self.report.run.tz),
            "blame": _blame(finding),
            "error": visible(finding.evidence.signature or "-"),
            "a minute": self._minutes(),
        }
        yield from (f"    {name:<9} {text}" for name, text in facts.items() if text != "-")
        for part in self.parts:
            yield f"    {'in':<9} {_part(part)}"
        for symptom in finding.also:
            change = " ".join(dict.fromkeys((symptom.kind, symptom.direction)))
            yield f"    {'also':<9} {change}: {_key(symptom.key)}"
        for side in ("window", "baseline"):
            for one in getattr(finding.evidence, side):
                yield f"    {'evidence':<9} {visible(one)} ({side})"

    def _minutes(self) -> str:
        """The finding's measure minute by minute, baseline | window, on one scale."""
        before, after = self.finding.minutes_baseline, self.finding.minutes_window
        top = max([*before, *after], default=0.0)
        if top <= 0:
            return "-"
        blocks = unicode_output()
        drawn = " | ".join(bars(values, top, _BARS, blocks) for values in (before, after))
        return f"{drawn} (peak {words.number(top)})"

    def _commands(self) -> Iterator[str]:
        """What to type next; the times are written out, since "the last hour" moves on."""
        flags, window = self.report.run.flags, self.report.changes.window
        store = f" --store {quote(flags.store)}" if flags.store else ""
        when = f" --from {iso(window.from_ts)} --to {iso(window.to_ts)}"
        where = f" --where {quote(visible(self.where))}" if self.where else ""
        shown = [*self.finding.evidence.window, *self.finding.evidence.baseline]
        if shown:
            yield f"qrec show {quote(visible(short_id(shown[0])))}{store}"
        if self.finding.window.errors:
            yield f"qrec errors{where}{when}{store}"
        yield f"qrec timeline --by container{where}{when}{store}"


def _part(part: Part) -> str:
    verb = "serves it" if part.serves else "calls it"
    return (
        f"{visible(part.name)} {verb}: {words.plural(part.requests, 'request')} "
        f"(was {part.before:,}), {part.errors:,} failed (was {part.errors_before:,})"
    )


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

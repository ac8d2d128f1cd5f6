"""Asking what changed again and again, and telling only what is news.

`qrec diff --watch` prints the news, `qrec alert` sends them on. Findings are known by their stable
ids, so that the same one is news once, however the window moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from qrec.run import Run
from queries.core.answer import Changes, iso
from queries.core.question import Question
from store.errors import QrecError, UsageError
from store.values import dataclass

Event = Literal["new", "worse", "gone", "back", "no_data"]
LEAST_S: Final = 1.0  # between two looks
_LOOKS_AWAY: Final = 2  # in a row without it, and a finding is gone: one look may miss by chance
_FORGOTTEN: Final = timedelta(hours=1)  # after it was gone; one that is back before is not new
_WORSE: Final = 1.5  # times what was told last
SEVERITIES: Final = ("low", "medium", "high")
_ANSWERED: Final = ("changed", "nothing_changed")


@dataclass(frozen=True)
class News:
    """Something to tell. finding: as in the document; None where it is about the recording."""

    event: Event
    at: datetime
    finding: Mapping[str, Any] | None
    text: str

    @property
    def document(self) -> dict[str, Any]:
        return {"version": 1, "event": self.event, "at": iso(self.at), "text": self.text,
                "finding": self.finding}  # fmt: skip


class Memory:
    """What was told so far. known: by the finding's id, plain enough to be kept as JSON."""

    def __init__(self, known: Mapping[str, Any] | None = None, deaf: bool = False) -> None:
        self.known: dict[str, dict[str, Any]] = {id: dict(one) for id, one in (known or {}).items()}
        self.deaf = deaf

    def look(self, document: Mapping[str, Any], at: datetime) -> list[News]:
        """The news of one answer, which is then known. document: that of what_changed."""
        verdict = document["verdict"]
        if verdict not in _ANSWERED:
            news = [] if self.deaf else [News("no_data", at, None, _no_answer(document))]
            self.deaf = True
            return news
        self.deaf = False
        self.known = {id: known for id, known in self.known.items() if not known["gone"]
                      or at - datetime.fromisoformat(known["gone"]) <= _FORGOTTEN}  # fmt: skip
        found = {one["id"]: one for one in document["findings"]}
        news = [one for finding in found.values() for one in self._seen(finding, at)]
        if document.get("truncated"):  # what the list has no room for is not gone
            return news
        return news + [one for id in list(self.known.keys() - found.keys())
                       for one in self._missed(id, at)]  # fmt: skip

    def _seen(self, finding: Mapping[str, Any], at: datetime) -> Iterator[News]:
        known = self.known.get(finding["id"])
        over = finding.get("until") is not None
        event: Event | None = None
        if known is None:
            event = "new"
        elif over != (known["gone"] is not None):
            event = "gone" if over else "back"
        elif not over and _worse(finding, known["finding"]):
            event = "worse"
        if known is None or event is not None:
            self.known[finding["id"]] = known = {"finding": finding}
        known |= {"missed": 0, "gone": iso(at) if over else None}
        if event is not None:
            yield News(event, at, finding, _text(event, finding))

    def _missed(self, id: str, at: datetime) -> Iterator[News]:
        known = self.known[id]
        known["missed"] += 1
        if known["gone"] is None and known["missed"] >= _LOOKS_AWAY:
            known["gone"] = iso(at)
            yield News("gone", at, known["finding"], _text("gone", known["finding"]))


def _text(event: Event, finding: Mapping[str, Any]) -> str:
    return str(finding["summary"]) if event == "new" else f"{event}: {finding['summary']}"


def _no_answer(document: Mapping[str, Any]) -> str:
    notes = [note["text"] for note in document.get("notes", ())]
    return f"{document['verdict'].replace('_', ' ')}: " + ("; ".join(notes[:2]) or "see coverage")


def _worse(now: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether the severity rose, or the number that changed moved on by half of itself."""
    if SEVERITIES.index(now["severity"]) > SEVERITIES.index(told["severity"]):
        return True
    new, old = now["effect"]["window"], told["effect"]["window"]
    if not new or not old:
        return False
    return bool(new / old >= _WORSE if now["direction"] == "up" else
                now["direction"] == "down" and old / new >= _WORSE)  # fmt: skip


def every(text: str) -> float:
    """Seconds between two looks. UsageError for what is no number of at least one."""
    try:
        seconds = float(text.strip().removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not LEAST_S <= seconds <= 86_400:
        raise UsageError(
            f"{text[:40]!r} is no number of seconds between two looks",
            "Write one from 1 on, as in 30.",
        )
    return seconds


def looks(
    run: Run,
    question: Question,
    values: Mapping[str, Any],
    every_s: float,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[datetime, Changes | QrecError]]:
    """(when, what changed by then), every so many seconds, for ever.

    The first look raises what it raises; of a later one the error is the answer, since a store
    that is away for a moment comes back. A `--now` is where time begins, and it passes from there.
    """
    first, begun, number = run.now, time.monotonic(), 0
    while True:
        at = first + timedelta(seconds=time.monotonic() - begun)
        try:
            answer: Changes | QrecError = question.ask(run.store, values, at, run.tz)
        except UsageError:
            raise
        except QrecError as error:
            if number == 0:
                raise
            answer = error
        yield at, answer
        number = max(number + 1, int((time.monotonic() - begun) // every_s) + 1)
        wait(max(0.0, begun + number * every_s - time.monotonic()))

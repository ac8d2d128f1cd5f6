"""What qrec answers when asked what changed: the document's shape, and nothing that computes it.

`to_document` gives plain dicts and lists in the order of the fields, ready for JSON. Times are
ISO 8601 in UTC, shares 0..1, durations milliseconds; a number that does not exist is None.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Literal

from store.values import dataclass

VERSION = 1
MAX_TEXT = 1000  # characters of one text in a document
_WHOLE = "next_cursor"  # a text that is worth nothing when it is cut
DEFAULT_FINDINGS = 10  # in an answer; one more screen is one more page at night

Verdict = Literal["changed", "nothing_changed", "no_data", "not_comparable"]
BaselineKind = Literal["previous", "same_hour", "explicit", "mark"]
Kind = Literal[
    "new", "gone", "back", "errors", "statuses", "latency", "rate", "size", "no_response",
    "retries", "moved", "trend", "signature", "edge", "broad",
]  # fmt: skip
Direction = Literal["up", "down", "new", "gone", "moved"]
Severity = Literal["high", "medium", "low"]
Confidence = Literal["strong", "possible"]
Key = Mapping[str, str | int | None]


@dataclass(frozen=True)
class Note:
    """Something that limits or qualifies the answer; `code` is stable, `text` is for people."""

    code: str
    text: str
    from_ts: datetime | None = field(default=None, metadata={"name": "from"})
    to_ts: datetime | None = field(default=None, metadata={"name": "to"})


@dataclass(frozen=True)
class StatusClasses:
    """Requests by the class of their answer; a failed request without an answer is no_response."""

    s1xx: int = field(metadata={"name": "1xx"})
    s2xx: int = field(metadata={"name": "2xx"})
    s3xx: int = field(metadata={"name": "3xx"})
    s4xx: int = field(metadata={"name": "4xx"})
    s5xx: int = field(metadata={"name": "5xx"})
    no_response: int


@dataclass(frozen=True)
class Between:
    """A stretch of time."""

    from_ts: datetime = field(metadata={"name": "from"})
    to_ts: datetime = field(metadata={"name": "to"})


@dataclass(frozen=True)
class Side(Between):
    """One side of the comparison as a whole; `covered_s` counts the best covered recorder."""

    covered_s: float
    requests: int
    errors: int


@dataclass(frozen=True)
class BaselineSide(Side):
    kind: BaselineKind = "previous"


@dataclass(frozen=True)
class WindowAnswer:
    """What every answer about a window carries; `truncated`: there is more than was asked for."""

    window: Side
    notes: tuple[Note, ...]
    truncated: bool = field(kw_only=True)
    version: int = field(default=VERSION, kw_only=True)


@dataclass(frozen=True)
class PagedAnswer(WindowAnswer):
    """One whose `next_cursor` asks for the page after; None: there is none."""

    next_cursor: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Calibration:
    """How many findings the same comparison gave over pairs of the store's own past hours."""

    pairs: int
    median: float
    p95: float


@dataclass(frozen=True)
class Compared:
    """How many different things of each sort were looked at."""

    hosts: int = 0
    endpoints: int = 0
    statuses: int = 0
    containers: int = 0
    signatures: int = 0


@dataclass(frozen=True)
class Blame:
    """Which service or edge explains the finding. `edge` is [caller, callee] or None."""

    service: str | None
    edge: tuple[str, str] | None
    why: Literal["itself", "downstream", "network"]


@dataclass(frozen=True)
class Effect:
    """The change in one number, of the time that it lasted; `low` and `high` bound the ratio,
    `affected` counts requests. against: whether `baseline` is of the baseline, or what is usual."""

    metric: str
    window: float | None
    baseline: float | None
    ratio: float | None
    low: float | None
    high: float | None
    affected: int
    against: Literal["baseline", "usual"] = "baseline"


@dataclass(frozen=True)
class Numbers:
    """What one side holds under the finding's key, over the minutes that were compared."""

    requests: int = 0
    errors: int = 0
    per_s: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Transaction ids that `qrec show` understands, and the error's signature if there is one."""

    window: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()
    signature: str | None = None


@dataclass(frozen=True)
class Shown:
    """On how many recorders a finding shows, of how many that saw its requests (of what is new:
    that saw any); names: those that show it most."""

    affected: int
    of: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Symptom:
    """Another change with the same cause: which kind, where, which way it went, and how far."""

    kind: Kind
    direction: Direction
    key: Key
    effect: Effect | None = None


@dataclass(frozen=True)
class Finding:
    """One change with one cause.

    since, until: when it began, and when it was over. recorders: where several recorded, and it can
    be told. `minutes_window` and `minutes_baseline` carry
    the finding's own measure for drawing, each of `slot_s` seconds; they are not in the document.
    """

    rank: int
    id: str
    kind: Kind
    direction: Direction
    severity: Severity
    confidence: Confidence
    key: Key
    blame: Blame | None
    effect: Effect
    window: Numbers
    baseline: Numbers
    since: datetime | None
    until: datetime | None
    evidence: Evidence
    also: tuple[Symptom, ...]
    summary: str
    recorders: Shown | None = None
    minutes_window: tuple[float, ...] = field(default=(), metadata={"name": None})
    minutes_baseline: tuple[float, ...] = field(default=(), metadata={"name": None})
    slot_s: float = field(default=60.0, metadata={"name": None})


@dataclass(frozen=True)
class Sensitivity:
    """The smallest change that this comparison would have shown, on an endpoint like `seen_by`.

    error_share: failing of an endpoint that hardly fails; latency_ratio: of its median; rate_ratio:
    times as many requests; new_requests: of a name that was not there. None: nothing was large
    enough. too_few: endpoints with fewer requests, about which less can be said.
    """

    error_share: float | None
    latency_ratio: float | None
    rate_ratio: float | None
    new_requests: int | None
    seen_by: str
    too_few: int = 0


@dataclass(frozen=True)
class Course:
    """How the window went, and the baseline where that ends as the window begins: buckets of
    `step_s` seconds from `start` on, in the order of time.

    requests, failed: None where nobody was recording; covered_s: the seconds that were.
    """

    start: datetime
    step_s: float
    requests: tuple[float | None, ...]
    failed: tuple[float | None, ...]
    covered_s: tuple[float, ...]


@dataclass(frozen=True)
class Changes:
    """The whole answer. `more`: findings that the limit cut off; `course`: for drawing, it is not
    in the document."""

    window: Side
    baseline: BaselineSide
    verdict: Verdict
    notes: tuple[Note, ...] = ()
    calibration: Calibration | None = None
    sensitivity: Sensitivity | None = None
    compared: Compared = Compared()
    findings: tuple[Finding, ...] = ()
    truncated: bool = False
    next_cursor: str | None = None
    more: int = 0
    version: int = VERSION
    course: Course | None = field(default=None, metadata={"name": None})


def document(answer: Any, room: int | None = None) -> dict[str, Any]:
    """Any answer as the JSON document that every face gives.

    Recorded text has no bound (a path may be 8 KB long): what is longer than MAX_TEXT, or than
    the answer's own `max_text`, is cut; room: characters of one text where even that is too much.
    """
    most = room if room is not None else getattr(answer, "max_text", MAX_TEXT)
    cut: dict[str, Any] = _cut(to_document(answer), most)
    return cut


def to_document(answer: Any) -> dict[str, Any]:
    """The same in full: same keys in the same order every time, no NaN, no infinity."""
    plain = _plain(answer)
    return {"version": plain.pop("version"), **plain} if "version" in plain else plain


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z; seconds always, microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((f.metadata.get("name", f.name), getattr(value, f.name)) for f in _fields(value))
        return {name: _plain(item) for name, item in named if name is not None}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}… ({len(value) - most} more characters)"
    if isinstance(value, dict):
        return {k: item if k == _WHOLE else _cut(item, most) for k, item in value.items()}
    return [_cut(item, most) for item in value] if isinstance(value, list) else value


def _fields(value: Any) -> list[dataclasses.Field[Any]]:
    """What is the question's own before what every answer has."""
    return sorted(
        dataclasses.fields(value), key=lambda one: (one.kw_only, one.kw_only and one.name)
    )


def _rounded(value: float) -> float | None:
    """Four significant digits below 1000, one decimal above: more would only pretend."""
    if not math.isfinite(value):
        return None
    if value == 0 or abs(value) >= 1000:
        return round(value, 1)
    return round(value, 3 - math.floor(math.log10(abs(value))))


def would_have_shown(sensitivity: Sensitivity | None) -> str:
    """How small a change a comparison could have shown, in words: `failures of 3 % on endpoints
    with 200 requests or more, latency x1.4; 41 endpoints had too few requests to say`.

    Empty where nothing is known.
    """
    if sensitivity is None:
        return ""
    share, new, few = sensitivity.error_share, sensitivity.new_requests, sensitivity.too_few
    times = {"latency": sensitivity.latency_ratio, "traffic": sensitivity.rate_ratio}
    parts = [] if share is None else [f"failures of {100 * share:.3g} %"]
    parts += [f"{word} x{ratio:.3g}" for word, ratio in times.items() if ratio is not None]
    if parts and sensitivity.seen_by:
        parts[0] += f" on {sensitivity.seen_by}"
    parts += [] if new is None else [f"something new with {new:,} requests"]
    text = ", ".join(parts)
    if few:
        noun = "endpoint" if few == 1 else "endpoints"
        text += f"{'; ' if text else ''}{few:,} {noun} had too few requests to say"
    return text

"""`qrec doctor --probe`: which filters a live Qtap honours, seen from what it then sends.

Its documentation and its code disagree about this, and a field that never matches gives an empty
stream in silence. So ask: the same few seconds of traffic, with each condition and without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import filters
from qrec.doctor import Check
from qrec.format import plural, span
from recorder.source.probe import Condition, Greeting, Honoured, Probe
from recorder.source.subscription import LinkError
from store.errors import QrecError

_NOTHING = "nothing"
_YOURS = "your filter"
_SAFE = ("req.method", "req.host", "res.status")
# Each holds wherever its field is there at all; `nothing` holds nowhere.
_CONDITIONS = (
    (_NOTHING, 'req.method == "QREC-PROBE"'),
    ("req.method", 'req.method != "QREC-PROBE"'),
    ("req.host", 'req.host != "probe.invalid"'),
    ("res.status", "res.status != 1"),
    ("container.name", 'container.name != "qrec-probe"'),
    ("direction", 'direction != "qrec-probe"'),
)


def conditions(pushed: str | None) -> list[Condition]:
    """What a probe tries; `pushed` is the part of a filter that a recording would send."""
    tried = [Condition(name, text) for name, text in _CONDITIONS]
    return tried + ([Condition(_YOURS, pushed)] if pushed else [])


def probed(
    url: str, greeting: Greeting, text: str, push: str, seconds: float
) -> Iterator[Check]:  # fmt: skip
    """Try the filter `text` and the fields of Qtap for at most so long, and say what it showed."""
    if not greeting.filters:
        yield Check("probe", "ok", "nothing to probe: a Qtap before 0.14 knows no filters")
        return
    pushed = filters.pushable(filters.parse(text), push) if text else None  # type: ignore[arg-type]
    try:
        count, results = Probe(url, conditions(pushed)).run(seconds)
    except LinkError as error:
        raise QrecError(f"{url}: {error.text}", "See the check of the source.") from None
    facts = {
        "transactions": count,
        "conditions": [
            {"name": one.condition.name, "text": one.condition.text, "expected": one.expected,
             "missing": one.missing, "extra": one.extra, "refused": one.refused or None}
            for one in results
        ],
    }  # fmt: skip
    if not count:
        yield Check(
            "probe", "warning", f"no transaction came by in {span(seconds)}: nothing to tell by",
            "Probe again under traffic, or for longer: --probe-for 30s.", facts,
        )  # fmt: skip
        return
    seen = f"by {plural(count, 'transaction')}"
    yield from meaning(results, seen, facts)


def meaning(results: Sequence[Honoured], seen: str, facts: dict[str, object]) -> Iterator[Check]:
    by_name = {one.condition.name: one for one in results}
    if by_name[_NOTHING].extra:
        yield Check(
            "probe", "warning", f"{seen}, Qtap sends what a filter excludes: it applies none",
            "Nothing is wrong with recordings (the filter is applied here); --push none says so.",
            facts,
        )  # fmt: skip
        return
    bad = [one for name, one in by_name.items() if name in (*_SAFE, _YOURS) and not _good(one)]
    if bad:
        yield Check(
            "probe", "problem", f"{seen}: {'; '.join(_fault(one) for one in bad)}",
            "Record with --push none: a pushed filter would lose transactions in silence.", facts,
        )  # fmt: skip
        return
    more = [
        _beyond(one) for name, one in by_name.items() if name in ("container.name", "direction")
    ]
    honoured = [name for name in _SAFE if by_name[name].expected]
    yield Check("probe", "ok", f"{seen}: Qtap honours {', '.join(honoured)}; {'; '.join(more)}",
                facts=facts)  # fmt: skip


def _good(one: Honoured) -> bool:
    return not (one.refused or one.missing or one.extra)


def _fault(one: Honoured) -> str:
    if one.refused:
        return f"{one.condition.text} is refused ({one.refused})"
    parts = [f"{one.missing:,} of {one.expected:,} not sent" if one.missing else "",
             f"{one.extra:,} sent that it excludes" if one.extra else ""]  # fmt: skip
    return f"{one.condition.text}: {', '.join(part for part in parts if part)}"


def _beyond(one: Honoured) -> str:
    """A field that is documented, and by Qtap's code never matches."""
    name = one.condition.name
    if one.refused:
        return f"it refuses {name}"
    if not one.expected:
        return f"nothing had {name} to tell by"
    if one.missing == one.expected:
        return f"{name} never matches, so do not use --push all"
    return f"{name} works as well" if _good(one) else _fault(one)

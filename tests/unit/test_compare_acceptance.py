"""The comparison on small made-up hours: three causes are three findings, quiet is none."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from queries.core.answer import to_document
from tests.cells import BEFORE, HOUR, NOON, WINDOW, answer, hour


@pytest.mark.parametrize("requests", [5_000, 200_000])
def test_three_causes_are_three_findings(requests: int) -> None:
    rng = np.random.default_rng(7)
    rows = hour(rng, NOON - HOUR, requests, False) + hour(rng, NOON, requests, True)
    changes = answer(rows, [WINDOW, BEFORE])
    found = {(f.kind, f.key["host"], f.key.get("route")) for f in changes.findings}
    assert found == {
        ("errors", "api.stripe.com", "/v1/charges"),
        ("gone", "legacy.example.com", None),
        ("new", "telemetry.example.net", None),
    }
    failing = next(f for f in changes.findings if f.kind == "errors")
    assert failing.since is not None
    assert abs(failing.since - (NOON + timedelta(minutes=20))) <= timedelta(minutes=2)
    assert failing.evidence.window
    assert failing.evidence.signature == "card_declined"
    assert "402" in failing.summary


@pytest.mark.parametrize("requests", [200, 5_000, 200_000])
def test_quiet_hours_give_nothing(requests: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = hour(rng, NOON - HOUR, requests, False) + hour(rng, NOON, requests, False)
        changes = answer(rows, [WINDOW, BEFORE])
        assert changes.verdict == "nothing_changed"
        assert changes.findings == ()


def test_minutes_that_nobody_saw_are_not_a_change() -> None:
    rng = np.random.default_rng(3)
    gap = range(10, 34)
    rows = hour(rng, NOON - HOUR, 20_000, False) + hour(rng, NOON, 20_000, False, gap)
    changes = answer(rows, [WINDOW, BEFORE], {NOON: gap})
    assert changes.findings == ()
    notes = [n for n in changes.notes if n.code == "gap"]
    assert [(n.from_ts, n.to_ts) for n in notes] == [
        (NOON + timedelta(minutes=10), NOON + timedelta(minutes=34))
    ]


def test_the_same_question_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(5)
    rows = hour(rng, NOON - HOUR, 20_000, False) + hour(rng, NOON, 20_000, True)
    documents = [repr(to_document(answer(rows, [WINDOW, BEFORE]))) for _ in range(2)]
    assert documents[0] == documents[1]

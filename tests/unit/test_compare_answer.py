"""The document: the contract's keys in its order, UTC times, no number that JSON cannot say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from queries.core.answer import (
    BaselineSide,
    Changes,
    Effect,
    Evidence,
    Finding,
    Note,
    Numbers,
    Side,
    Symptom,
    to_document,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def changes() -> Changes:
    return Changes(
        window=Side(NOON, NOON + timedelta(hours=1), 3600.0, 48112, 512),
        baseline=BaselineSide(NOON - timedelta(hours=1), NOON, 3540.0, 47980, 96, "previous"),
        verdict="changed",
        notes=(Note("gap", "a minute is missing", NOON, NOON + timedelta(minutes=1)),),
        findings=(
            Finding(
                rank=1,
                id="abc",
                kind="errors",
                direction="up",
                severity="high",
                confidence="strong",
                key={"host": "api.stripe.com", "status": None},
                blame=None,
                effect=Effect("error_share", 0.341, 0.0, float("inf"), float("nan"), None, 412),
                window=Numbers(1204, 412, 0.33444),
                baseline=Numbers(),
                since=NOON,
                until=None,
                evidence=Evidence(("a:b:1",)),
                also=(Symptom("latency", "up", {"host": "api.stripe.com"}),),
                summary="failing",
                minutes_window=(1.0, 2.0),
            ),
        ),
    )


def test_keys_and_order_follow_the_contract() -> None:
    document = to_document(changes())
    assert list(document) == [
        "version", "window", "baseline", "verdict", "notes", "calibration", "sensitivity",
        "compared",
        "findings", "truncated", "next_cursor", "more",
    ]  # fmt: skip
    assert list(document["window"]) == ["from", "to", "covered_s", "requests", "errors"]
    assert list(document["baseline"])[-1] == "kind"
    assert list(document["notes"][0]) == ["code", "text", "from", "to"]
    assert list(document["findings"][0]) == [
        "rank", "id", "kind", "direction", "severity", "confidence", "key", "blame", "effect",
        "window", "baseline", "since", "until", "evidence", "also", "summary", "recorders",
    ]  # fmt: skip
    assert list(document["findings"][0]["effect"]) == [
        "metric", "window", "baseline", "ratio", "low", "high", "affected", "against",
    ]  # fmt: skip


def test_no_number_that_json_cannot_say() -> None:
    text = json.dumps(to_document(changes()), allow_nan=False)
    effect = json.loads(text)["findings"][0]["effect"]
    assert effect["ratio"] is None
    assert effect["low"] is None
    assert effect["window"] == 0.341


def test_times_are_utc() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    side = Side(east, east, 0.0, 0, 0)
    document = to_document(Changes(side, BaselineSide(east, east, 0, 0, 0), "no_data"))
    assert document["window"]["from"] == "2026-11-22T12:00:00Z"

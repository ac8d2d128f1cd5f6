"""`qrec diff` asked about what it cannot answer, or only in part: it says which, in plain words.

Each is a store on disk and a process, as someone on call would meet it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.layout import Store
from tests.contract.stored import NOW, build, minute, row, stretch
from tests.e2e.shell import qrec
from tests.kit import NOON, Desk, S, connected, transaction

HOUR = timedelta(hours=1)
HOSTS = ("api.example.com", "db.example.com", "mail.example.com")


def traffic(recorder: str = "web", from_: float = -60, to: float = 60) -> list[dict[str, Any]]:
    """Three hosts, twelve requests a minute each; minutes count from 13:00, NOW is 14:00."""
    return [
        row(minute(at + part / 12), host=host, recorder=recorder, container_name=f"shop-{recorder}",
            duration_ms=80 + part)
        for at in range(int(from_), int(to))
        for host in HOSTS
        for part in range(12)
    ]  # fmt: skip


def seen(recorder: str, *spans: tuple[float, float], **more: Any) -> list[dict[str, Any]]:
    return [stretch(minute(a), minute(b), recorder=recorder, **more) for a, b in spans]


def diff(store: Store, tmp_path: Path, *argv: str, now: datetime = NOW, code: int = 0) -> str:
    """All that the command says, on stdout and stderr, with blanks for line ends."""
    moment = ("--now", now.isoformat(), "--timezone", "UTC")
    done = qrec("diff", "--store", store.path, *moment, *argv, home=tmp_path)
    assert done.returncode == code, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def says(text: str, parts: Sequence[str]) -> None:
    for part in parts:
        assert part in text, text


def test_windows_that_overlap(tmp_path: Path) -> None:
    store = build(tmp_path / "store", traffic())
    times = ("--from", "13:00Z", "--to", "14:00Z", "--vs-from", "12:30Z", "--vs-to", "13:30Z")
    said = diff(store, tmp_path, *times, code=2)
    says(said, ["the window and its baseline overlap", "--vs-from and --vs-to that end before"])


def test_a_window_that_nobody_recorded(tmp_path: Path) -> None:
    store = build(tmp_path / "store", traffic())
    tomorrow = NOW + timedelta(days=1)
    said = diff(store, tmp_path, now=tomorrow)
    says(said, [
        "no data: nobody was recording on one side at least",
        "the recordings end at 2026-11-22 14:00:00 (try --now 2026-11-22T14:00Z)",
        "note: no recorder was receiving in the window",
    ])  # fmt: skip
    assert "nothing changed" not in said
    assert "gone" not in said
    diff(store, tmp_path, "--exit-code", now=tomorrow, code=3)


def test_a_baseline_that_nobody_recorded(tmp_path: Path) -> None:
    store = build(tmp_path / "store", traffic(from_=0), seen("web", (0, 60)))
    said = diff(store, tmp_path)
    says(said, [
        "less than a minute was recorded before the window: ",
        "is compared with what was recorded before",
        "nothing changed beyond chance",
    ])  # fmt: skip
    assert " new:" not in said, "all of it is new, and none of it is a finding"


def test_a_yesterday_before_the_recordings_began(tmp_path: Path) -> None:
    """It says which side is missing and when recording began; --now would be no help."""
    store = build(tmp_path / "store", traffic())
    said = diff(store, tmp_path, "--vs", "yesterday")
    says(said, [
        "nobody was recording at the time that the window is compared with",
        "the recordings begin at 2026-11-22 12:00:00 and end at 2026-11-22 14:00:00",
    ])  # fmt: skip
    assert "--now" not in said
    assert "0 requests" not in said


def test_ten_requests_in_all(tmp_path: Path) -> None:
    rows = [row(minute(at), status=500 if at > 0 else 200) for at in range(-45, 45, 10)]
    store = build(tmp_path / "store", [*rows, row(minute(50))])
    said = diff(store, tmp_path)
    says(said, ["nothing changed beyond chance"])
    says(said, ["note: few requests: a change has to be large to be told from chance"])


def test_one_recorder_of_three_is_deaf(tmp_path: Path) -> None:
    """From 13:20 on: its container's traffic ends for us, and did not end."""
    rows = [*traffic("a"), *traffic("b"), *traffic("c", to=20)]
    covered = [*seen("a", (-60, 0), (0, 60)), *seen("b", (-60, 0), (0, 60))]
    deaf = {"state": "disconnected", "reason": "the connection was closed"}
    covered += [*seen("c", (-60, 0), (0, 20)), *seen("c", (20, 60), **deaf)]
    said = diff(build(tmp_path / "store", rows, covered), tmp_path)
    says(said, [
        "note: recorder c did not see 2026-11-22 13:20 to 14:00 UTC (40 min)",
        "rates are of the time that it saw",
        "nothing changed beyond chance",
    ])  # fmt: skip
    assert "recorder a" not in said


def test_a_recorder_that_never_heard_anything_of_the_window(tmp_path: Path) -> None:
    rows = [*traffic("a"), *traffic("c", to=0)]
    covered = [*seen("a", (-60, 0), (0, 60)), *seen("c", (-60, 0))]
    said = diff(build(tmp_path / "store", rows, covered), tmp_path)
    says(said, ["note: recorder c did not see 2026-11-22 13:00 to 14:00 UTC", "nothing changed"])


def test_a_filter_that_changed_between_the_windows(tmp_path: Path) -> None:
    """Since 13:00 only failures are kept: the rest is not gone."""
    rows = traffic(to=0) + [row(minute(at), status=503) for at in range(-60, 60)]
    covered = [*seen("web", (-60, 0)), *seen("web", (0, 60), filter="res.status >= 400")]
    said = diff(build(tmp_path / "store", rows, covered), tmp_path)
    says(said, [
        "note: window and baseline were recorded under different filters",
        "compared is what passes all of them: (res.status >= 400)",
        "nothing changed beyond chance",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("ago", "said_too"),
    [(1, ["no data", "13:00 to 14:00"]), (2, ["no data", "12:00 to 13:00"]),
     (4, ["nothing changed beyond chance", "10:00 to 11:00"])],
)  # fmt: skip
def test_one_hour_that_cannot_be_read(tmp_path: Path, ago: int, said_too: list[str]) -> None:
    """Of the window, of the baseline, and of the past that only sharpens the answer."""
    hours = [(-60.0 * n, -60.0 * (n - 1)) for n in range(4, -1, -1)]
    store = build(tmp_path / "store", traffic(from_=-240), seen("web", *hours))
    hour = (NOW - ago * HOUR).strftime("%Y-%m-%dT%H")
    [path] = store.sealed_hour("transactions", hour).glob("*.parquet")
    path.write_bytes(path.read_bytes()[:3000])
    said = diff(store, tmp_path)
    says(said, [f"transactions/hour={hour}", "cannot be read and was left out", *said_too])
    assert " gone" not in said
    assert " new:" not in said


def test_a_source_whose_clock_stepped(tmp_path: Path) -> None:
    """Twenty minutes forward at 13:30: a hole in which nothing happened, and no silence."""
    desk = Desk(tmp_path / "store", "web")
    desk.take(connected(NOON))
    for at in range(0, 7200, 5):
        ts = NOON + at * S + (1200 * S if at >= 5400 else 0)
        desk.take(transaction(f"t{at}", ts), mono=at * S)
    desk.flush(7200 * S)
    end = NOW + 20 * timedelta(minutes=1)
    said = diff(desk.store, tmp_path, now=end)
    says(said, [
        "note: the clock of what recorder web listens to jumped: times before and after it do not "
        "fit together; end the window before it, or begin it after, 2026-11-22 13:50 to 13:51 UTC",
        "did not see 2026-11-22 13:30:",
        "nothing changed beyond chance",
    ])  # fmt: skip
    assert " gone" not in said
    assert "quieter" not in said


def test_events_that_claim_another_time_than_their_neighbours(tmp_path: Path) -> None:
    """Days off what they were broadcast at: nobody knows when they happened."""
    desk = Desk(tmp_path / "store", "web")
    desk.take(connected(NOON))
    for at in range(0, 7200, 5):
        sent = NOON + at * S
        skew = 30 * 86_400 * S if at % 300 == 150 else 0
        desk.take(transaction(f"t{at}", sent + skew, sent=sent), mono=at * S)
    desk.flush(7200 * S)
    said = diff(desk.store, tmp_path)
    says(said, [
        "708 requests", "nothing changed beyond chance",
        "note: recorder web could not decode 12 events; they are not in this answer, "
        "2026-11-22 13:00 to 14:00 UTC",
    ])  # fmt: skip


def test_the_document_says_the_same(tmp_path: Path) -> None:
    """For programs and assistants: a verdict, and notes with stable codes."""
    store = build(tmp_path / "store", traffic(to=0), seen("web", (-60, 0)))
    said = diff(store, tmp_path, "--json")
    document = json.loads(said)
    assert document["verdict"] == "no_data"
    assert "no_data" in {note["code"] for note in document["notes"]}
    assert document["findings"] == []
    assert document["calibration"] is None


def test_a_window_of_seconds(tmp_path: Path) -> None:
    store = build(tmp_path / "store", traffic())
    said = diff(store, tmp_path, "--last", "30s", "--exit-code", code=3)
    says(said, ["not comparable: window and baseline need", "minute each"])


def test_a_clock_that_steps_inside_the_window_is_told_by_every_question(tmp_path: Path) -> None:
    spans = [*seen("web", (-60, 30)), *seen("web", (30, 60), reason_code="clock_stepped")]
    store = build(tmp_path / "store", traffic(), spans)
    words = ("--store", store.path, "--now", NOW.isoformat(), "--timezone", "UTC")
    done = qrec("hosts", *words, home=tmp_path)
    assert done.returncode == 0
    says(done.stderr, ["note: the clock of what recorder web listens to jumped", "13:30 to 13:31"])
    says(diff(store, tmp_path), ["the clock of what recorder web listens to jumped"])

"""The answer to `qrec diff` as people read it, written from the dataclasses alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from qrec.commands.diff import Explanation, Report
from qrec.run import Run
from queries.core.answer import (
    BaselineSide,
    Blame,
    Calibration,
    Changes,
    Compared,
    Effect,
    Evidence,
    Finding,
    Note,
    Numbers,
    Side,
    Symptom,
)
from queries.core.window import Baseline, Window
from queries.diff.explain.breakdown import Counted, filter_of, part_text
from store.layout import Store

AT = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FINDING = Finding(
    rank=1, id="f1", kind="errors", direction="up", severity="high", confidence="possible",
    key={"host": "api.stripe.com", "method": "POST", "route": "/v1/charges\x1b[2J"},
    blame=Blame("payment-service", ("payment-service", "api.stripe.com"), "downstream"),
    effect=Effect("error_share", 0.341, 0.002, 170.5, 98.0, 260.0, 412),
    window=Numbers(1204, 412, 0.334, 120, 900, 2100),
    baseline=Numbers(1190, 2, 0.33, 110, 300, 800),
    since=AT + timedelta(minutes=41),
    until=None,
    evidence=Evidence(("web:s1:7",), ("web:s1:3",), "card_declined"),
    also=(Symptom("new", "new", {"status": None}), Symptom("rate", "up", {})),
    summary="POST api.stripe.com /v1/charges\x1b[2J failing: 34 % (was 0.2 %), 402 and 500, "
    "since 13:41, only payment-service",
    minutes_window=(0.0, 1.0, 4.0), minutes_baseline=(0.0, 0.0, 0.0),
)  # fmt: skip
GONE = replace(
    FINDING, rank=2, id="f2", kind="gone", direction="gone", severity="low", confidence="strong",
    also=(), since=None, summary="old.example.com gone: was 55 requests",
)  # fmt: skip
CHANGES = Changes(
    window=Side(AT, AT + HOUR, 3600.0, 48_112, 512),
    baseline=BaselineSide(AT - HOUR, AT, 3000.0, 47_980, 96, "previous"),
    verdict="changed",
    notes=(Note("gap", "recorder web did not see 12:10 to 12:20 in full", AT - HOUR * 5 / 6,
                AT - HOUR * 4 / 6),),
    calibration=Calibration(23, 0, 1),
    compared=Compared(hosts=61, endpoints=214),
    findings=(FINDING, GONE),
)  # fmt: skip
BASELINE = Baseline("previous", (Window(AT - HOUR, AT),))


@pytest.fixture
def berlin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    Store.create(tmp_path / "store")
    return Run({"store": str(tmp_path / "store"), "timezone": "Europe/Berlin"})


def shown(run: Run, changes: Changes, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    Report(run, changes, BASELINE).show()
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_comparison_at_eighty_columns(berlin: Run, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(berlin, CHANGES, capsys)
    assert out == (
        "2026-11-22 14:00 to 15:00 CET: 48,112 requests, 1.1 % failed, covered in full\n"
        "against 13:00 to 14:00: 47,980 requests, 0.2 % failed, covered 50 min of 1 h\n"
        "2 findings; your quiet hours: median 0, p95 1 (23 past pairs)\n"
        "\n"
        " 1  high    ▁▁▁▁▃█  POST api.stripe.com /v1/charges\\x1b[2J failing: 34 % (was\n"
        "                    0.2 %), 402 and 500, since 14:41, only payment-service\n"
        "                    [412 affected, x170, 2 symptoms, possible]\n"
        " 2  low     ▁▁▁▁▃█  old.example.com gone: was 55 requests\n"
        "nothing else moved beyond chance (214 endpoints compared)\n"
    )
    assert err == ("note: recorder web did not see 2026-11-22 13:10 to 13:20 CET in full\n")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("nothing_changed", "nothing changed beyond chance (214 endpoints compared)"),
        ("no_data", "no data: nobody was recording on one side at least; this store has no"),
        ("not_comparable", "not comparable: "),
    ],
)
def test_no_findings_is_said_in_different_words(
    berlin: Run, capsys: pytest.CaptureFixture[str], verdict: str, said: str
) -> None:
    changes = replace(CHANGES, verdict=verdict, findings=(), calibration=None)  # type: ignore[arg-type]
    out, _ = shown(berlin, changes, capsys)
    assert said in out


def test_why_two_stretches_are_not_compared_is_said_once(
    berlin: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = (Note("overlap", "window and baseline overlap"), *CHANGES.notes)
    changes = replace(CHANGES, verdict="not_comparable", findings=(), notes=notes)
    out, err = shown(berlin, changes, capsys)
    assert out.endswith("not comparable: window and baseline overlap\n")
    assert err.count("note: ") == len(CHANGES.notes)
    assert "overlap" not in err


def test_findings_that_are_cut_off_are_announced(
    berlin: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = shown(berlin, replace(CHANGES, truncated=True, more=12), capsys)
    assert out.endswith("12 more: --limit 14\n")
    assert "14 findings; your quiet hours" in out
    assert "--limit" not in err


def test_seven_days_are_one_line(berlin: Run, capsys: pytest.CaptureFixture[str]) -> None:
    days = [Window(AT - timedelta(days=n), AT - timedelta(days=n) + HOUR) for n in range(7, 0, -1)]
    Report(berlin, CHANGES, Baseline("same_hour", tuple(days))).show()
    out = capsys.readouterr().out
    assert "against the same time of 7 days, 2026-11-15 to 2026-11-21: " in out


def test_one_finding_in_full(berlin: Run, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [part_text(Counted("calls payment-service", 1204, 1190, 412, 2))]
    where = filter_of(FINDING.key)
    Explanation(Report(berlin, CHANGES, BASELINE), FINDING, parts, where).show()
    out = capsys.readouterr().out
    for line in (
        "where     host api.stripe.com, method POST, route /v1/charges\\x1b[2J",
        "effect    error_share 34 %, was 0.2 %: x170 (x98 to x260), since it began",
        "window    1,204 requests (0.334/s), 412 failed, p50 120 ms, p95 900 ms, p99 2.1 s",
        "since     2026-11-22 14:41:00",
        "blame     payment-service (downstream, payment-service -> api.stripe.com)",
        "error     card_declined",
        "a minute  ▁▁▁ | ▁▃█ (peak 4)",
        "in        payment-service calls it: 1,204 requests (was 1,190), 412 failed (was 2)",
        "also      new: status none",
        "also      rate up: everything",
        "evidence  web:7 (window)",
        "note: recorder web did not see 2026-11-22 13:10 to 13:20 CET in full",
        "qrec show web:7 --store",
        """qrec errors --where 'req.host == "api.stripe.com" and req.method == "POST"' --from""",
        "--from 2026-11-22T13:00:00Z --to 2026-11-22T14:00:00Z",
    ):
        assert line in out
    assert "\x1b" not in out


def test_an_onset_of_the_day_before_has_its_day_in_the_users_zone(
    berlin: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    old = replace(
        FINDING, since=AT - timedelta(hours=14, minutes=10), until=AT + timedelta(minutes=20),
        effect=Effect("error_share", 0.9, 0.01, 90.0, 50.0, 120.0, 412, "usual"), slot_s=5.0,
        summary="api.stripe.com failing: 90 %, since 2026-11-21 22:50, for 14 h 30 min",
    )  # fmt: skip
    Explanation(Report(berlin, replace(CHANGES, findings=(old,)), BASELINE), old, []).show()
    out = capsys.readouterr().out
    assert "since 2026-11-21 23:50, for" in " ".join(out.split())
    assert "since     2026-11-21 23:50:00" in out
    assert "until     2026-11-22 14:20:00" in out
    assert "effect    error_share 90 %, usually 1.0 %: x90 (x50 to x120)" in out
    assert "a slot    ▁▁▁ | ▁▃█ (peak 4)" in out


def test_seconds_and_zones_of_other_windows(berlin: Run) -> None:
    from queries.core.format import just_after, span, stretch

    tokyo = ZoneInfo("Asia/Tokyo")
    assert stretch(AT, AT + HOUR * 11, UTC) == "2026-11-22 13:00 to 2026-11-23 00:00 UTC"
    assert stretch(AT, AT + timedelta(seconds=5), tokyo) == "2026-11-22 22:00:00 to 22:00:05 JST"
    assert just_after(AT) == "2026-11-22T13:00Z"
    assert just_after(AT + timedelta(microseconds=1)) == "2026-11-22T13:01Z"
    assert [span(s) for s in (0, 0.2, 59.6, 3600, 3661, 90_000)] == [
        "0 s", "200 ms", "1 min", "1 h", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip

"""One recording compared with another one, in a store of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queries.core.two_stores import joined, recorded
from queries.core.window import Window
from queries.diff.what_changed import what_changed
from store.errors import UsageError
from store.layout import Store
from tests.contract.stored import NOW, build, row, stretch
from tests.kit import Cli

HOUR = timedelta(hours=1)


def recording(
    path: Path, end: datetime, bad: int = 100, recorder: str = "web", minutes: int = 60, **more: Any
) -> Store:
    """A store with requests for some minutes up to `end`; every `bad`th of one endpoint fails."""
    begin = end - timedelta(minutes=minutes)
    rows = [
        row(begin + timedelta(seconds=at * minutes * 60 / 3000), recorder=recorder,
            route="/v1/charges" if at % 3 == 0 else "/v1/things/{id}",
            status=500 if at % 3 == 0 and at % bad == 0 else 200)
        for at in range(3000)
    ]  # fmt: skip
    return build(path, rows, [stretch(begin, end, recorder=recorder, **more)])


@pytest.mark.parametrize(
    ("end", "recorder"),
    [
        (NOW - timedelta(days=1), "web"),  # another day, by the same recorder: links
        (NOW, "web"),  # the same hour: moved
        (NOW + timedelta(days=3, minutes=-17), "ci-2"),  # later, and another recorder
    ],
)
def test_the_window_of_one_and_the_baseline_of_the_other(
    tmp_path: Path, end: datetime, recorder: str
) -> None:
    store = recording(tmp_path / "a", NOW, bad=2)
    other = recording(tmp_path / "b", end, recorder=recorder)
    window, baseline = recorded(store), recorded(other)
    assert (window, baseline) == (Window(NOW - HOUR, NOW), Window(end - HOUR, end))
    with joined(store, other, window, baseline) as both:
        made = both.store.path
        copied = {path.is_symlink() for path in made.glob("transactions/*/*.parquet")}
        sides, base = both.window, both.baseline
        assert base.to_ts <= sides.from_ts
        changes = both.in_place(what_changed(both.store, sides, _explicit(base)))
    assert not made.exists()
    assert copied == ({True} if both.shift == timedelta(0) else {True, False})
    assert (changes.baseline.from_ts, changes.baseline.to_ts) == (end - HOUR, end)
    assert (changes.window.requests, changes.baseline.requests) == (3000, 3000)
    assert changes.verdict == "changed"
    assert changes.findings[0].key["route"] == "/v1/charges"
    owners = {one.partition(":")[0] for one in changes.findings[0].evidence.baseline}
    assert owners <= {recorder}


@pytest.mark.parametrize("groups", [("prod", "staging"), ("prod", None), (None, "staging")])
def test_groups_are_compared_whatever_their_names(
    tmp_path: Path, groups: tuple[str | None, str | None]
) -> None:
    """One of each, of hosts that are others."""
    ours, theirs = groups
    store = recording(tmp_path / "a", NOW, bad=2, recorder="a1", group_name=ours)
    other = recording(tmp_path / "b", NOW - HOUR, recorder="b1", group_name=theirs)
    with joined(store, other, recorded(store), recorded(other)) as both:
        changes = both.in_place(what_changed(both.store, both.window, _explicit(both.baseline)))
    assert (changes.window.requests, changes.baseline.requests) == (3000, 3000)
    assert changes.findings[0].key["route"] == "/v1/charges"


def test_a_gap_of_the_other_is_told_at_its_own_time_and_no_onset_lies_in_it(tmp_path: Path) -> None:
    store, other = recording(tmp_path / "a", NOW, bad=2), tmp_path / "b"
    begin, deaf = NOW - HOUR, timedelta(minutes=10, seconds=5)
    rows = [row(begin + timedelta(seconds=at), route="/v1/charges") for at in range(900, 3600)]
    seen = [stretch(begin, begin + deaf), stretch(begin + timedelta(minutes=15), NOW)]
    with joined(store, build(other, rows, seen), *[Window(begin, NOW)] * 2) as both:
        changes = both.in_place(what_changed(both.store, both.window, _explicit(both.baseline)))
    [gap] = [note for note in changes.notes if note.code == "gap"]
    assert (gap.from_ts, gap.to_ts) == (begin + deaf, begin + timedelta(minutes=15))
    assert f"{gap.from_ts:%H:%M:%S} to {gap.to_ts:%H:%M:%S}" in gap.text
    assert all(one.since is None or one.since >= begin for one in changes.findings)


def _explicit(span: Window) -> Any:
    from queries.core.window import Baseline

    return Baseline("explicit", (span,))


def test_alike_recordings_are_quiet_and_other_filters_are_said(tmp_path: Path, cli: Cli) -> None:
    recording(tmp_path / "a", NOW)
    recording(tmp_path / "b", NOW, filter='req.host == "api.example.com"')
    code, out, _ = cli("diff", "--store", str(tmp_path / "a"), "--vs-store", str(tmp_path / "b"),
                       "--json")  # fmt: skip
    document = json.loads(out)
    assert (code, document["verdict"]) == (0, "nothing_changed")
    assert "filter_differs" in {note["code"] for note in document["notes"]}


def test_a_part_of_either(tmp_path: Path, cli: Cli) -> None:
    recording(tmp_path / "a", NOW, bad=2)
    recording(tmp_path / "b", NOW)
    where = ("--store", str(tmp_path / "a"), "--vs-store", str(tmp_path / "b"), "--timezone", "UTC")
    times = ("--from", "2026-11-22T13:30Z", "--to", "2026-11-22T14:00Z")
    vs = ("--vs-from", "2026-11-22T13:00Z", "--vs-to", "2026-11-22T13:30Z")
    code, out, _ = cli("diff", *where, *times, *vs, "--exit-code")
    assert code == 10
    assert "13:30 to 14:00 UTC: 1,500 requests" in out
    assert "against 2026-11-22 13:00 to 13:30 UTC: 1,500 requests" in out.replace(
        "against 13:00 to 13:30:", "against 2026-11-22 13:00 to 13:30 UTC:"
    )
    code, out, _ = cli("diff", *where, "--explain", "1")
    assert code == 0
    assert "shop calls it: " in out
    assert "(was 10)" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--vs-store", "b", "--vs", "yesterday"), 2, "Leave --vs out"),
        (("--vs-store", "b", "--watch"), 2, "do not go together"),
        (("--vs-store", "nowhere"), 3, "no qrec store at nowhere"),
        (("--vs-store", "empty"), 2, "nothing was recorded into the store"),
    ],
)
def test_mistakes(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int,
    said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "a", NOW, minutes=5)
    recording(tmp_path / "b", NOW, minutes=5)
    Store.create(tmp_path / "empty")
    got, out, err = cli("diff", "--store", "a", *words)
    assert (got, out) == (code, "")
    assert said in err


def test_what_nobody_recorded_has_no_span(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        recorded(Store.create(tmp_path / "empty"))
    store = build(tmp_path / "deaf", [], [stretch(NOW - HOUR, NOW, state="disconnected")])
    with pytest.raises(UsageError, match="nothing was recorded"):
        recorded(store)
    assert recorded(recording(tmp_path / "a", NOW.astimezone(UTC))).seconds == 3600

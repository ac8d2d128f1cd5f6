"""Coverage: gaps are told as gaps, quiet as quiet, whatever clocks and disks do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from queries.core import notes
from queries.core.session import Reader
from queries.core.window import Window
from recorder.write.coverage import Ledger, count
from recorder.write.intake import Rows
from store.coverage import Stretch, coverage_file, last_stretch, read_stretches, write_stretches
from store.hours import HOUR_US, from_us
from store.layout import Store

S = 1_000_000
NOON = 1_795_348_800 * S  # 2026-11-22T12:00:00Z


def ledger(path: Path) -> Ledger:
    return Ledger(Store.create(path), "r", "s1")


def stretches(path: Path) -> list[Stretch]:
    store = Store.open(path)
    rows = []
    for hour in store.hours("coverage"):
        rows += read_stretches(store.sealed_hour("coverage", hour) / "r.parquet")
    return rows


def told(path: Path) -> list[tuple[str, float, float]]:
    return [(r.state, (r.from_ts - NOON) / S, (r.to_ts - NOON) / S) for r in stretches(path)]


def test_a_quiet_link_that_answers_is_covered(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.alive(mono=600 * S)
    book.flush()
    assert told(tmp_path / "s") == [("receiving", 0.0, 600.0)]


def test_a_dead_link_ends_coverage_where_it_was_last_known_good(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.alive(mono=60 * S)
    book.lost("the source stopped answering", mono=90 * S)
    book.connected(NOON + 100 * S, mono=100 * S)
    book.alive(mono=110 * S)
    book.flush()
    assert told(tmp_path / "s") == [
        ("receiving", 0.0, 60.0),
        ("disconnected", 60.0, 100.0),
        ("receiving", 100.0, 110.0),
    ]
    assert book.gaps == 1


def test_hours_are_separate_files_and_one_stretch_goes_over_them(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON + 3500 * S, mono=0)
    book.alive(mono=(100 + 3600 + 50) * S)
    book.flush()
    rows = stretches(tmp_path / "s")
    assert [(r.to_ts - r.from_ts) // S for r in rows] == [100, 3600, 50]
    assert all(r.from_ts // HOUR_US == (r.to_ts - 1) // HOUR_US for r in rows)


def test_a_step_of_the_clock_is_a_new_stretch_and_not_a_covered_hour(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    for n in range(10):  # an hour forward, from one event to the next
        book.observe(NOON + 3600 * S + n, mono=n)
    book.alive(mono=60 * S)
    book.flush()
    seen = [(r.from_ts, r.to_ts) for r in stretches(tmp_path / "s") if r.to_ts > r.from_ts]
    assert sum(to - begin for begin, to in seen) < 61 * S


def test_one_event_with_an_odd_time_changes_nothing(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.observe(NOON - 3600 * S, mono=S)
    book.observe(NOON + 2 * S, mono=2 * S)
    book.alive(mono=3 * S)
    book.flush()
    assert told(tmp_path / "s") == [("receiving", 0.0, 3.0)]


def test_late_events_are_lag_and_said_so(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.observe(NOON + S, mono=S)
    book.observe(NOON + 2 * S, mono=7 * S)
    assert book.state() == "lagging"
    book.observe(NOON + 7 * S, mono=int(7.1 * S))
    assert book.state() == "receiving"


def test_a_killed_recorder_leaves_a_gap_that_says_so(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.alive(mono=60 * S)
    book.flush()
    store = Store.open(tmp_path / "s")
    after = Ledger(store, "r", "s2")
    previous = last_stretch(store, "r")
    after.connected(NOON + 90 * S, mono=0)
    after.carry_on(previous, NOON + 90 * S)
    after.flush()
    gap = next(r for r in stretches(tmp_path / "s") if r.state == "stopped")
    assert (gap.from_ts, gap.to_ts) == (NOON + 60 * S, NOON + 90 * S)
    assert "killed" in str(gap.reason)


def test_counters_belong_to_the_stretch_in_which_they_arose(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.count("events", 3)
    book.lost("gone", mono=5 * S)
    book.connected(NOON + 9 * S, mono=9 * S)
    book.count("events", 4)
    book.flush()
    assert [r.events for r in stretches(tmp_path / "s")] == [3, 0, 4]


def test_a_step_back_of_hours_does_not_freeze_the_coverage(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    for back in range(4):  # four hours are known, then the clock goes back to before them
        book.connected(NOON + back * HOUR_US, mono=back * S)
        book.alive(mono=back * S + S // 2)
        book.flush()
    then = NOON - 3 * HOUR_US
    for n in range(5):
        book.observe(then + n, mono=4 * S + n)
    for n in range(1, 1501):
        book.alive(mono=(4 + n) * S)
        if n % 100 == 0:
            book.flush()
    at = [r for r in stretches(tmp_path / "s") if r.from_ts // HOUR_US == then // HOUR_US]
    assert sum(r.to_ts - r.from_ts for r in at) > 1490 * S


def test_a_gap_of_decades_is_one_stretch_and_the_clock_that_made_it_is_named(
    tmp_path: Path,
) -> None:
    book = ledger(tmp_path / "s")
    book.connected(60 * S, mono=S)  # a host without a clock, in 1970
    book.alive(mono=10 * S)
    book.lost("gone", mono=11 * S)
    book.connected(NOON, mono=20 * S)
    book.alive(mono=30 * S)
    book.flush()
    rows = stretches(tmp_path / "s")
    assert [(r.state, (r.to_ts - r.from_ts) // S) for r in rows] == [
        ("receiving", 9), ("disconnected", 10), ("receiving", 10),
    ]  # fmt: skip
    assert rows[-1].reason_code == "clock_stepped"


def test_a_gap_of_months_is_one_stretch(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=S)
    book.lost("gone", mono=2 * S)
    book.connected(NOON + 2000 * HOUR_US, mono=S + 2000 * HOUR_US)
    book.flush()
    assert len(list((tmp_path / "s" / "coverage").iterdir())) == 2
    assert told(tmp_path / "s")[1] == ("disconnected", 0.0, 2000 * 3600.0)


def test_a_link_that_was_silent_for_weeks_was_not_receiving(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=S)
    book.alive(mono=S + 21 * 24 * HOUR_US)  # the process was stopped
    book.alive(mono=61 * S + 21 * 24 * HOUR_US)
    book.flush()
    assert [r.reason_code for r in stretches(tmp_path / "s")] == [None, "silent", None]
    assert told(tmp_path / "s")[-1][0] == "receiving"


def test_a_clock_that_went_back_a_little_is_no_lag_for_ever(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    for second in range(1, 120):
        book.observe(NOON + second * S, mono=second * S)
    for second in range(120, 1200):  # five seconds back
        book.observe(NOON + (second - 5) * S, mono=second * S)
        if second == 130:
            assert book.state() == "lagging"
    assert book.state() == "receiving"
    assert book.clock is not None
    assert book.clock.lag_us == 0


def test_what_gathered_before_it_was_read_is_not_late(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    block = Rows([NOON + S + tenth * S // 10 for tenth in range(30)])
    count(book, [block], mono=4 * S)
    assert book.state() == "receiving"
    assert book.open is not None
    assert book.open.max_lag_ms == 100
    count(book, [Rows([NOON + 5 * S, NOON + 6 * S])], mono=9 * S)
    assert book.state() == "lagging"


def test_why_a_stretch_is_as_it_is_has_a_code(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.observe(NOON + S, mono=S)
    book.observe(NOON + 2 * S, mono=7 * S)
    book.lost("connection reset", mono=8 * S)
    book.change("stopped", "as asked", mono=9 * S)
    book.flush()
    assert [r.reason_code for r in stretches(tmp_path / "s")] == [
        None, "late_events", "disconnected", "stopped",
    ]  # fmt: skip


def test_an_hour_that_can_no_longer_be_read_is_not_covered(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=0)
    book.alive(mono=(3600 + 60) * S)
    book.lose("2026-11-22T12", "a file of this hour cannot be read")
    book.flush()
    rows = stretches(tmp_path / "s")
    assert [(r.state, r.reason_code) for r in rows] == [("lost", "unreadable"), ("receiving", None)]


def stretches_within(store: Store, begin: int, hours: int) -> list[notes.Stretch]:
    """What was seen in so many hours."""
    window = Window(from_us(begin), from_us(begin + hours * HOUR_US))
    with Reader(store, [window], tables=()) as reader:
        return [stretch for one in notes.seen(reader, window) for stretch in one.stretches]


def test_a_step_is_known_by_its_code_and_by_the_words_of_before_there_were_codes(
    tmp_path: Path,
) -> None:
    store = Store.create(tmp_path / "s")
    words = [
        ("it jumped", "clock_stepped"),
        ("the source's clock stepped", None),
        ("else", "silent"),
    ]
    write_stretches(
        coverage_file(store, "2026-11-22T12", "r"),
        [
            Stretch("r", "s", NOON + n * S, NOON + (n + 1) * S, "receiving", reason, code)
            for n, (reason, code) in enumerate(words)
        ],
    )
    steps = [
        one.from_ts
        for one in stretches_within(store, NOON, 1)
        if notes.is_step(one.reason_code, one.reason)
    ]
    assert steps == [from_us(NOON), from_us(NOON + S)]


def test_a_long_gap_is_told_in_hours_that_have_no_file_of_their_own(tmp_path: Path) -> None:
    book = ledger(tmp_path / "s")
    book.connected(NOON, mono=S)
    book.lost("gone", mono=2 * S)
    book.connected(NOON + 50 * HOUR_US, mono=S + 50 * HOUR_US)
    book.flush()
    [gap] = stretches_within(Store.open(tmp_path / "s"), NOON + 20 * HOUR_US, 2)
    assert (gap.state, gap.reason) == ("disconnected", "gone")
    assert gap.to_ts - gap.from_ts == timedelta(hours=2)

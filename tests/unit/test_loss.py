"""What the source dropped, by the numbers in its ids."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.write.loss import LossEstimator, Numbers, number_of
from tests.kit import NOON, Desk, connected, transaction

S = 1_000_000
PROCESS = 0x07C8F5B225
DIGITS = "0123456789abcdefghijklmnopqrstuv"


def xid(number: int, process: int = PROCESS, at: int = 1_761_235_650) -> str:
    value = (at << 64 | process << 24 | number % (1 << 24)) << 4
    return "".join(DIGITS[value >> shift & 31] for shift in range(95, -1, -5))


class Source:
    """A process that makes ids: a connection for every `reuse` requests, and `others` a request
    that nobody sees; its events come to a recorder in blocks of a second."""

    def __init__(self, *, reuse: int = 4, others: float = 0.0, start: int = 0, seed: int = 1):
        self.number = start
        self.reuse, self.others = reuse, others
        self.random = random.Random(seed)
        self.estimator = LossEstimator()
        self.connection = ""
        self.requests = 0
        self.mono = 0
        self.running: list[tuple[int, str, str]] = []  # when it ends, ids

    def id(self) -> str:
        self.number += 1
        return xid(self.number)

    def second(self, requests: int, lose: float = 0.0, burst: int = 0) -> tuple[int, int]:
        """(really dropped, estimated) of a second; burst: so many in a row are dropped."""
        for _ in range(requests):
            if self.requests % self.reuse == 0:
                self.connection = self.id()
            self.requests += 1
            while self.random.random() < self.others:
                self.id()
            takes = int(self.random.expovariate(5) * S)
            self.running.append((self.mono + takes, self.id(), self.connection))
        self.mono += S
        done = sorted(entry for entry in self.running if entry[0] <= self.mono)
        self.running = [entry for entry in self.running if entry[0] > self.mono]
        numbers, dropped = Numbers(), 0
        for place, (_, request, connection) in enumerate(done):
            if place < burst or self.random.random() < lose:
                dropped += 1
            else:
                numbers.add(request, connection)
        return dropped, self.estimator.observe(numbers.take(), self.mono)

    def run(self, seconds: int, requests: int, lose: float = 0.0) -> tuple[int, int]:
        results = [self.second(requests, lose) for _ in range(seconds)]
        return sum(dropped for dropped, _ in results), sum(estimate for _, estimate in results)


def test_an_id_tells_its_process_and_number() -> None:
    assert number_of("d3t55gg7p3qr49f84870") == (PROCESS, 15_213_070)
    assert number_of("d3t55gg7p3qr49f8485g") == (PROCESS, 15_213_067)
    assert number_of(xid(77)) == (PROCESS, 77)
    for other in (None, "", "d3t55gg7p3qr49f8487", "d3t55gg7p3qr49f8487z", "0" * 19 + " "):
        assert number_of(other) is None


@settings(max_examples=12, deadline=None)
@given(
    reuse=st.integers(1, 50),
    others=st.sampled_from([0.0, 0.05, 0.4, 0.7]),
    rate=st.integers(1, 1500),
    start=st.sampled_from([0, (1 << 24) - 5_000]),
    seed=st.integers(0, 99),
)
@example(reuse=1, others=0.7, rate=80, start=0, seed=40)
def test_nothing_dropped_is_nothing_estimated(
    reuse: int, others: float, rate: int, start: int, seed: int
) -> None:
    source = Source(reuse=reuse, others=others, start=start, seed=seed)
    _, estimate = source.run(40, rate)
    assert estimate <= 0.01 * 40 * rate + 64  # numbers are judged by 256: one lot may be chance


@settings(max_examples=6, deadline=None)
@given(reuse=st.integers(1, 50), burst=st.integers(100, 900), seed=st.integers(0, 99))
def test_a_burst_that_was_dropped_is_found(reuse: int, burst: int, seed: int) -> None:
    source = Source(reuse=reuse, seed=seed)
    source.run(25, 1000)
    assert source.estimator.basis == "firm"
    dropped, early = source.second(1000, burst=burst)
    _, late = source.run(30, 1000)
    assert early + late == pytest.approx(dropped, rel=0.35, abs=30)


def test_where_other_things_take_the_numbers_the_basis_is_weak() -> None:
    source = Source(others=0.7)
    assert source.estimator.basis is None
    source.run(40, 1000)
    assert source.estimator.basis == "weak"


def test_a_slow_stream_is_not_judged() -> None:
    """Scans and name look-ups take numbers, and no buffer runs full at ten requests a second."""
    source = Source()
    source.run(600, 20)
    source.others = 0.8
    assert source.run(300, 20)[1] == 0


def test_a_gap_and_another_process_are_no_drop() -> None:
    source = Source()
    source.run(40, 1000)
    source.number += 200_000
    source.estimator.restart()
    assert source.run(40, 1000)[1] == 0
    source.number += 5_000_000  # without a word: more than can be followed
    assert source.run(40, 1000)[1] == 0


def test_a_drop_before_a_silence_is_counted_while_that_lasts(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.take(connected(NOON), mono=S)
    for second in range(1, 36):
        lost = 150 if second == 30 else 0
        numbers = range(second * 300 + lost, (second + 1) * 300)
        events = [transaction(xid(number), NOON + second * S) for number in numbers]
        desk.take(*events, mono=(second + 1) * S)
    assert desk.ledger.open is not None
    assert desk.ledger.open.dropped_estimate == 0  # ids that were made before may still come
    desk.ledger.alive(60 * S)
    assert desk.ledger.open.dropped_estimate == pytest.approx(150, abs=20)


@pytest.mark.parametrize("pushed", [None, "res.status >= 400"])
def test_a_recording_counts_it_in_its_coverage(pushed: str | None, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s")
    desk.ledger._pushed = pushed
    desk.take(connected(NOON), mono=S)
    for second in range(1, 60):
        lost = 150 if second == 30 else 0
        numbers = range(second * 300 + lost, (second + 1) * 300)
        events = [transaction(xid(number), NOON + second * S) for number in numbers]
        desk.take(*events, mono=(second + 1) * S)
    assert desk.ledger.open is not None
    if pushed is None:
        assert desk.ledger.open.dropped_estimate == pytest.approx(150, abs=20)
        assert desk.ledger.open.dropped_basis == "firm"
    else:
        assert desk.ledger.open.dropped_estimate is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, (1 << 24) - 1)), max_size=200))
def test_any_ids_are_borne(ids: list[tuple[int, int]]) -> None:
    estimator, numbers = LossEstimator(), Numbers()
    for place, (process, number) in enumerate(ids):
        numbers.add(xid(number, process), None)
        assert estimator.observe(numbers.take(), place * S) >= 0


def test_random_ids_that_look_like_xids_are_not_followed() -> None:
    """Each would be a process of its own, with 2 MB to be watched in."""
    estimator = LossEstimator()
    for second in range(20):
        estimator.observe({second * 100 + one: [one << 2 | 2] for one in range(100)}, second * S)
    assert not estimator._processes

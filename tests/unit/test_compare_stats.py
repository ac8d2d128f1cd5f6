"""The comparison's own statistics against values that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from queries.diff.candidate import Candidate
from queries.diff.detect.shares import Shares, scan
from queries.diff.explain.onset import segment
from queries.diff.stats import (
    Moments,
    band,
    best,
    dispersion,
    mean_z,
    odds_z,
    quantile,
    rate_dispersion,
    rate_z,
    ratio,
    runs_of,
    weighted_median,
    xlogy,
)

TWICE = np.log(2.0)


def one(*values: float) -> Any:
    return [np.array([value], dtype=np.float64) for value in values]


@pytest.mark.parametrize(
    ("fw", "nw", "fb", "nb", "z"),
    [
        (8, 8, 0, 8, 4.14),  # 2 (8 ln 8/8 + 8 ln 8/8 - best fit under odds of 2)
        (12, 12, 0, 12, 5.07),
        (5, 5, 0, 5, 3.27),
        (5, 5, 0, 400, 6.86),  # a past makes few failures say more
        (20, 1000, 10, 1000, 0.0),  # odds of 2.02 against a band of 2: hardly beyond
        (0, 10, 0, 10, 0.0),
        (0, 1000, 100, 1000, -9.26),
        (3, 0, 3, 10, 0.0),
    ],
)
def test_odds_beyond_a_band(fw: float, nw: float, fb: float, nb: float, z: float) -> None:
    fw = min(fw, nw)
    a, b, c, d = one(fw, nw, fb, nb)
    found = odds_z(a, b, c, d, TWICE)[0]
    assert found == pytest.approx(z, abs=0.05) or (z == -9.26 and found < -9)


def test_evidence_grows_with_requests_only_beyond_the_band() -> None:
    sizes = np.array([1e2, 1e4, 1e6])
    beyond = odds_z(0.3 * sizes, sizes, 0.1 * sizes, sizes, TWICE)
    within = odds_z(0.15 * sizes, sizes, 0.1 * sizes, sizes, TWICE)
    assert (np.diff(beyond) > 0).all()
    assert (within == 0).all()


def beyond(nw: float, nb: float, rho: float) -> float:
    a, b, c = one(nw, nb, rho)
    return float(rate_z(a, b, c, TWICE)[0])


def test_rates_are_compared_by_the_time_that_was_seen() -> None:
    assert beyond(100, 100, 1.0) == 0
    assert beyond(300, 100, 1.0) > 3
    assert beyond(300, 100, 3.0) == 0
    assert beyond(0, 20, 1.0) < -3


def test_few_calls_that_are_all_slower_are_told_by_their_means() -> None:
    fast = Moments(*one(5, np.log(10), 0.05))
    assert mean_z(Moments(*one(5, np.log(200), 0.05)), fast, np.log(1.3))[0] > 3.5
    assert mean_z(Moments(*one(5, np.log(12), 0.05)), fast, np.log(1.3))[0] == 0


def test_requests_that_share_their_fate_say_less() -> None:
    rng = np.random.default_rng(1)
    n = np.full((50, 12), 100.0)
    alone = rng.binomial(100, 0.1, n.shape).astype(float)
    together = np.asarray(20.0 * rng.binomial(5, 0.1, n.shape), dtype=np.float64)
    assert np.median(dispersion(n, alone, 2.0, 6.0)) < 1.5
    assert np.median(dispersion(n, together, 2.0, 6.0)) > 4
    seconds = np.full(12, 300.0)
    assert np.median(rate_dispersion(rng.poisson(50, n.shape).astype(float), seconds, 3, 60)) < 1.5
    bursts = np.asarray(10.0 * rng.poisson(5, n.shape), dtype=np.float64)
    assert np.median(rate_dispersion(bursts, seconds, 3, 60)) > 6


@pytest.mark.parametrize(
    ("window", "baseline", "told"),
    [((9, 12), (0, 30), False), ((24, 32), (0, 60), True), ((0, 24), (15, 24), False)],
)
def test_a_baseline_of_few_requests_may_have_been_lucky(
    window: tuple[int, int], baseline: tuple[int, int], told: bool
) -> None:
    """Where a fifth usually fails, that none of thirty did is chance, and so is that most did."""

    def z(stretches: int) -> float:
        def over(a: float, b: float, c: float) -> Any:
            sides = zip((a, b, c), (12, 12, stretches), strict=True)
            return tuple(np.full((1, size), total / max(size, 1)) for total, size in sides)

        (f, n), (fb, nb) = window, baseline
        found = scan(Shares(over(n, nb, 12 * stretches), over(f, fb, 2.4 * stretches)))
        return abs(float(found.z[0]))

    assert z(0) >= 3.5
    assert (z(24) >= 3.5) == told


def test_the_band_is_what_the_past_shows_and_no_less_than_its_floor() -> None:
    rng = np.random.default_rng(2)
    steady, drifting = rng.normal(0, 0.05, (20, 12)), rng.normal(0, 0.6, (20, 12))
    variances = np.full((20, 12), 0.05**2)
    assert (band(steady, variances, 0.4) == 0.4).all()
    assert np.median(band(drifting, variances, 0.4)) == pytest.approx(1.2, abs=0.2)


def test_without_a_past_the_peers_tell_and_a_change_of_all_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    none = np.zeros((40, 0))
    moved = np.stack([1.0 + rng.normal(0, 0.02, 40), np.full(40, 0.02**2)], axis=1)
    apart = np.stack([rng.normal(0, 0.5, 40), np.full(40, 0.02**2)], axis=1)
    assert (band(none, none, 0.4, moved) == 0.4).all()
    assert (band(none, none, 0.4, apart) > 0.7).all()


def test_runs_are_the_window_what_goes_on_and_what_is_over() -> None:
    runs = runs_of(12)
    spans = list(zip(runs.starts.tolist(), runs.ends.tolist(), strict=True))
    assert spans[0] == (0, 12)
    assert {(3, 12), (6, 12), (9, 12), (11, 12), (2, 5), (4, 5)} <= set(spans)
    assert len(set(spans)) == len(spans)
    blocks = np.arange(12, dtype=np.float64)[None, :]
    assert runs.sums(blocks)[0][spans.index((2, 5))] == 2 + 3 + 4
    z = np.ones((1, len(spans)))
    z[0, spans.index((9, 12))] = -6.0
    worth, run = best(z, runs)
    assert spans[run[0]] == (9, 12)
    assert -6 < worth[0] < -5


def test_small_helpers() -> None:
    assert xlogy(np.array([0.0, 2.0]), np.array([0.0, np.e])).tolist() == [0.0, 2.0]
    assert ratio(np.array([1.0, 1.0]), np.array([0.0, 4.0])).tolist() == [0.0, 0.25]
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0])) == 2.0
    assert weighted_median(np.zeros(0), np.zeros(0)) == 0.0


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 7 / 8, 1.0])
def test_a_quantile_is_that_of_numpy(q: float) -> None:
    values = np.random.default_rng(1).gamma(1.0, 3.0, (200, 30))
    for columns in range(1, 31):
        some = values[:, :columns]
        assert (quantile(some, q) == np.quantile(some, q, axis=1)).all()


def change(kind: Any, metric: str, direction: Any = "up") -> Candidate:
    none = np.zeros(0)
    mask = np.zeros(0, dtype=bool)
    return Candidate(kind, direction, {}, mask, mask, none, none, metric, None, None)


def test_onset_and_end_of_a_failing_share_are_found_to_the_slot() -> None:
    requests, place = np.full(120, 40.0), np.arange(120)
    errors = change("errors", "error_share")
    goes_on = np.where(place >= 81, 12.0, 0.0)
    over = np.where((place >= 81) & (place < 90), 12.0, 0.0)
    assert segment(goes_on, requests, (0.0, 0.0), errors) == (81, 120)
    assert segment(over, requests, (0.0, 0.0), errors) == (81, 90)
    assert segment(np.full(60, 3.0), np.full(60, 100.0), (0.0, 0.0), errors) is None


def test_onset_of_a_size_is_found() -> None:
    requests = np.full(60, 10.0)
    total = np.where(np.arange(60) >= 25, 1_000.0, 50_000.0)
    size = change("size", "bytes_received", "down")
    assert segment(total, requests, (0.0, 0.0), size) == (25, 60)

"""The comparison's own statistics against values that can be looked up or worked out."""

from __future__ import annotations

import numpy as np
import pytest

from queries.diff.detect.trends import kendall, theil_sen
from queries.diff.explain.findings import change_point, step
from queries.diff.stats import (
    benjamini_hochberg,
    best_runs,
    intervals,
    ratio,
    run_sums,
    t_tail,
    weighted_median,
    xlogy,
)


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        (0.0, 5.0, 1.0),
        (1.0, 1.0, 0.5),  # Cauchy: 2 * (1/2 - atan(1)/pi)
        (2.0, 2.0, 1 - 2 / np.sqrt(2 + 4)),  # closed form for two degrees of freedom
        (2.228139, 10.0, 0.05),  # the table everyone has
        (2.085963, 20.0, 0.05),
        (3.290527, 1e7, 0.001),  # the normal distribution, nearly
        (40.0, 4.0, 2.3318e-06),
    ],
)
def test_tail_of_students_t(t: float, df: float, p: float) -> None:
    assert t_tail(np.array([t]), np.array([df]))[0] == pytest.approx(p, rel=1e-3)


def test_benjamini_hochberg_steps_up() -> None:
    p = np.array([0.04, 0.001, 0.012, 0.5])
    assert benjamini_hochberg(p, 0.05).tolist() == [False, True, True, False]
    assert benjamini_hochberg(p, 0.05, tests=1000).tolist() == [False] * 4
    assert benjamini_hochberg(np.zeros(0), 0.05).size == 0


def test_one_large_incident_does_not_buy_other_keys_in() -> None:
    p = np.concatenate([np.full(100, 1e-9), [0.02]])
    assert benjamini_hochberg(p, 0.05, tests=200)[-1]
    assert not benjamini_hochberg(p, 0.05, tests=200, most=5)[-1]


def test_runs_cover_window_suffixes_and_inner_stretches() -> None:
    starts, ends, price = intervals(12)
    assert len(starts) == 78
    assert sum(1 / p for p in price) == pytest.approx(1.0)  # the whole error budget, once
    blocks = np.arange(12, dtype=np.float64)[None, :]
    sums = run_sums(blocks, starts, ends)[0]
    assert sums[list(zip(starts, ends, strict=True)).index((3, 6))] == 3 + 4 + 5


def test_the_most_telling_run_wins_after_paying_for_the_search() -> None:
    starts, ends, price = intervals(4)
    t = np.ones((1, starts.size))
    t[0, (starts == 2) & (ends == 4)] = 9.0
    p, best = best_runs(t, np.full(t.shape, 30.0), price)
    assert (starts[best[0]], ends[best[0]]) == (2, 4)
    assert p[0] < 1e-6


def test_small_helpers() -> None:
    assert xlogy(np.array([0.0, 2.0]), np.array([0.0, np.e])).tolist() == [0.0, 2.0]
    assert ratio(np.array([1.0, 1.0]), np.array([0.0, 4.0])).tolist() == [0.0, 0.25]
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0])) == 2.0
    assert weighted_median(np.zeros(0), np.zeros(0)) == 0.0


def test_onset_of_a_failing_share_is_found_to_the_minute() -> None:
    requests = np.full(120, 40.0)
    failed = np.where(np.arange(120) >= 81, 12.0, 0.0)
    assert change_point(failed, requests, shares=True) == 81


def test_a_flat_series_has_no_onset() -> None:
    assert change_point(np.full(60, 3.0), np.full(60, 100.0), shares=True) is None


def test_onset_of_a_size_is_found() -> None:
    requests = np.full(60, 10.0)
    total = np.where(np.arange(60) >= 25, 1_000.0, 50_000.0)
    assert step(total, requests) == 25


def test_trend_of_a_rising_series() -> None:
    rising = np.linspace(0, 1, 12)[None, :]
    assert kendall(rising)[0] > 3.7
    assert theil_sen(rising)[0] == pytest.approx(1 / 11)
    assert abs(kendall(np.array([[1.0, -1.0] * 6]))[0]) < 2

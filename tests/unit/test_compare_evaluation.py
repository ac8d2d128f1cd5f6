"""The evaluation itself: same seed, same traffic; a trial can be scored and a report printed."""

from __future__ import annotations

from bench.diff_quality import run
from bench.quality.cells import tables
from bench.quality.report import report, table
from bench.quality.world import World


def test_the_same_seed_gives_the_same_traffic() -> None:
    first, again = (tables(World(3, 2_000), World(3, 2_000).hours(200))[0] for _ in range(2))
    assert first.equals(again)
    other = tables(World(4, 2_000), World(4, 2_000).hours(200))[0]
    assert not first.equals(other)


def test_trials_are_scored_and_reported() -> None:
    planted = run(("incident", "host_gone", 1, 20_000, 1.0, "1h", True))
    calm = run(("quiet", "restart", 1, 20_000, 1.0, "1h", True))
    deaf = run(("gap", "node_silent", 1, 20_000, 1.0, "1h", False))
    assert planted["rank"] == 1
    assert calm["findings"] == 0
    assert deaf["named"]
    assert deaf["fell"] == 0
    figures = report([planted, calm, deaf], 1.0)
    assert figures["by_kind"]["host_gone"]["top1"] == 1
    assert figures["gaps"]["node_silent"]["honest"] == 1
    assert "rivals" in table(figures)

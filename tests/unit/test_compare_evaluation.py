"""The evaluation itself: same seed, same traffic; the oracle sees what is there; trials score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.diff_quality import by_kind, by_switch, table
from bench.quality.ablation import SWITCHES
from bench.quality.grid import HELD_BACK, Cell, Ground, planted, quiet, report, stage_of
from bench.quality.incidents import INCIDENTS
from bench.quality.oracle import VISIBLE, Look, z_score
from bench.quality.stage import Truth, matches
from bench.quality.system import SERVICES
from bench.quality.world import MINUTE_US, World
from queries.core.window import Window
from queries.summary import summary
from store.hours import from_us

CELL = Cell(10, 0, 20_000)
EVERY = INCIDENTS | HELD_BACK["third"] | HELD_BACK["fourth"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(1, CELL.volume, tmp_path_factory.mktemp("ground"))


def test_the_same_seed_gives_the_same_traffic() -> None:
    first, again, other = (World(seed, 2_000).play(-30, 0) for seed in (3, 3, 4))
    assert first.ts.tolist() == again.ts.tolist()
    assert [first.names[n] for n in first.name] == [again.names[n] for n in again.name]
    assert first.ts.tolist() != other.ts.tolist()


def test_a_world_has_about_as_many_rows_an_hour_as_it_is_asked_for() -> None:
    for seed in range(3):
        rows = World(seed, 20_000).play(-24 * 60, 0)
        assert 10_000 < len(rows) / 24 < 40_000
        hosts = {name["host"] for name in rows.names}
        assert any(str(host).startswith("10.42.") for host in hosts)
        assert {"200", "200 14"} & {str(name["status"]) for name in rows.names}
        assert {name["direction"] for name in rows.names} >= {"ingress", "egress-internal"}


def test_a_planted_incident_is_scored(ground: Ground) -> None:
    [one] = planted(ground, CELL, "new_host", INCIDENTS["new_host"], 1)
    assert one["visible"]
    assert one["name"] == "new_host"
    again, *without = planted(ground, CELL, "new_host", INCIDENTS["new_host"], 1, ablate=())
    assert [row["switch"] for row in without] == list(SWITCHES)
    assert one | {"seconds": 0} == again | {"seconds": 0}
    names = ("Z=9", "runs")
    _, *some = planted(ground, CELL, "new_host", INCIDENTS["new_host"], 1, names)
    assert [(row["switch"], row["rank"]) for row in some] == [("Z=9", None), ("runs", 1)]
    [pair] = quiet(ground, CELL, "adjacent", 1001)
    about = {"window": 10, "past": 0, "volume": 20_000}
    assert by_switch([about | row for row in (again, *without)])[0]["top1"] == 1.0
    [row] = report([about | one, about | pair])
    assert (row["planted"], row["visible"], row["pairs"]) == (1, 1, 1)
    assert row["false_mean"] == pair["findings"]
    assert "new_host" in table(by_kind([about | one, about | pair]))


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_incident_changes_the_rows_where_the_oracle_looks(ground: Ground, name: str) -> None:
    stage = stage_of(ground, Cell(60, 3, 20_000), 7)
    faults, truth = EVERY[name](stage)
    begin = min(stage.begin, -60.0)
    calm, hurt = (ground.world.play(begin, 0, 5, some) for some in ([], faults))
    rows = []
    for played in (calm, hurt):
        place = np.array([truth.look.place(n) for n in played.names])
        mine = played.where(place[played.name])
        rows.append(sorted(zip(mine.name, mine.ts, mine.ms, mine.size, strict=True)))
    assert rows[0] != rows[1]


@pytest.mark.parametrize("cell", [Cell(1, 0, 20_000), Cell(60, 0, 20_000), Cell(10, 3, 20_000)])
def test_a_store_has_the_rows_from_its_begin_to_its_end_and_is_covered(
    ground: Ground, tmp_path: Path, cell: Cell
) -> None:
    begin = ground.end - (2 * cell.window + 60 * cell.past) * MINUTE_US
    changed = ground.end - cell.window * MINUTE_US
    rows = ground.rows.between(changed, ground.end)
    store = ground.stored(tmp_path / "store", begin, changed, rows)
    window = Window(from_us(begin), from_us(ground.end))
    whole = summary(store, window).window
    assert whole.requests == len(ground.rows.between(begin, ground.end))
    assert whole.covered_s == pytest.approx(window.seconds)


def test_the_oracle_sees_what_is_there_and_nothing_else(ground: Ground) -> None:
    hour = 60 * MINUTE_US
    past = ground.end - 4 * hour, ground.end - 2 * hour, ground.end - hour
    window = ground.end - hour, ground.end
    for measure in ("failed", "slow", "size", "count"):
        for service in SERVICES:
            look = Look(lambda name, s=service: name["service"] == s, measure)  # type: ignore[misc]
            z = z_score(look, ground.rows, past, window, ground.rows)
            assert z < VISIBLE, (measure, service)


def test_a_finding_is_held_to_kind_direction_and_key() -> None:
    look = Look(lambda name: True, "failed")
    host, other = frozenset({"pay.example"}), frozenset({"/charge"})
    truth = Truth(("errors",), ({"host": host},), "up", look, other)
    finding = {"kind": "errors", "direction": "up", "key": {"host": "pay.example", "status": 500}}
    assert matches(finding, truth)
    assert matches({**finding, "key": {"host": "pay.example", "route": "/charge"}}, truth)
    assert not matches({**finding, "kind": "latency"}, truth)
    assert not matches({**finding, "direction": "down"}, truth)
    assert not matches({**finding, "key": {"host": "pay.example", "route": "/else"}}, truth)
    assert not matches({**finding, "key": {"route": "/charge"}}, truth)

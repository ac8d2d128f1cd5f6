"""SIGKILL at any moment: what was acknowledged is there, once, and every visible file is whole."""

from __future__ import annotations

import multiprocessing
import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from store.coverage import last_stretch
from store.layout import Store, holder
from tests import fault
from tests.fault import victim
from tests.kit import visible_ids, wait_for

LARGEST_BATCH = 5
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("kills", [15, pytest.param(200, marks=[pytest.mark.long])])
@pytest.mark.timeout(600)
def test_killed_again_and_again_nothing_acknowledged_is_lost(kills: int, tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "acknowledged"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([victim.__name__])
    rng = random.Random(20261122)
    known: set[int] = set()
    for seed in range(kills):
        first = max(known, default=0) + 1
        process = context.Process(target=victim.work, args=(store, log, first, seed))
        _begin(process, log)
        time.sleep(rng.uniform(0.0, 0.35))  # the random moment, not a wait for something
        process.kill()
        process.join()
        known = _check(store, log, known)
    assert len(known) > kills


def _begin(process: BaseProcess, log: Path) -> None:
    """Start it, and wait until it has acknowledged something of its own."""
    before = _size(log)
    process.start()
    wait_for(lambda: _size(log) > before)


def _check(store: Path, log: Path, before: set[int]) -> set[int]:
    """Every acknowledged number once; at most one batch more; returns what is there now."""
    ids = [int(name[1:]) for name in visible_ids(store) if name.startswith("n")]
    assert len(ids) == len(set(ids)), "a row counts twice"
    found = set(ids)
    assert before <= found, "a row that was there is gone"
    acknowledged = set[int]()
    for line in log.read_text().splitlines():
        first, last = map(int, line.split())
        acknowledged.update(range(first, last + 1))
    assert acknowledged <= found, f"lost: {sorted(acknowledged - found)[:5]}"
    unasked = found - acknowledged - before
    assert len(unasked) <= LARGEST_BATCH, "more than one flush was neither said nor lost"
    opened = Store.open(store)
    for hour in opened.hours("transactions"):
        for _, path in opened.visible("transactions", hour):
            pq.read_metadata(path)
    assert last_stretch(opened, "r") is not None
    assert holder(opened, "r") is None
    return found


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def test_each_fault_that_is_listed_has_its_test() -> None:
    lines = [line.rsplit(maxsplit=2) for line in (fault.__doc__ or "").splitlines() if "_" in line]
    assert len(lines) > 60
    for *_, file, name in lines:
        if name.startswith("test_"):
            assert f"\ndef {name}" in (TESTS / file).read_text(), (file, name)

"""`qrec rollup`: the per-minute cells of finished hours, looked at and made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fixtures import bundled_stream
from qrec.__main__ import main
from queries.core.answer import to_document
from queries.core.window import Baseline, Window
from queries.diff.what_changed import what_changed
from recorder.options import RecordOptions
from recorder.replay import replay
from recorder.write.rollup import rebuild, rollups
from store.derived import KEYS
from store.hours import HOUR_US, from_us
from store.layout import Store, recorder_lock
from tests.kit import NOON

WINDOW = Window(from_us(NOON + HOUR_US), from_us(NOON + 2 * HOUR_US))
BASELINE = Baseline("previous", (Window(from_us(NOON), from_us(NOON + HOUR_US)),))
HOURS = ["2026-11-22T12", "2026-11-22T13"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rollup") / "store"
    replay([bundled_stream("checkout-incident")], RecordOptions(store=path, recorder="web"))
    return path


@pytest.fixture
def store(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return Store(Path(shutil.copytree(recorded, tmp_path / "store")))


@pytest.fixture
def rollup(store: Store, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def call(*argv: str, code: int = 0) -> Any:
        assert main(["rollup", "--store", str(store.path), "--json", *argv]) == code
        return json.loads(capsys.readouterr().out)["hours"]

    return call


def cells(store: Store) -> list[Path]:
    return sorted((store.path / KEYS).glob("*/*.parquet"))


def without_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["host"]), path)


def scrambled(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes(255 - byte for byte in data[60:-5000]) + data[-5000:])


@pytest.mark.parametrize(
    ("damage", "state"),
    [(Path.unlink, "missing"), (lambda path: path.write_bytes(b"PAR1"), "unreadable"),
     (scrambled, "unreadable"), (without_a_column, "old")],
)  # fmt: skip
def test_what_is_damaged_is_named_and_made_again(
    store: Store, rollup: Callable[..., Any], damage: Callable[[Path], Any], state: str
) -> None:
    expected = to_document(what_changed(store, WINDOW, BASELINE))
    good, bad = cells(store)
    before = pq.read_table(bad).schema.metadata, good.stat().st_mtime_ns
    damage(bad)
    assert [(hour["hour"], hour["state"]) for hour in rollup()] == [
        (HOURS[0], "ok"), (HOURS[1], state),
    ]  # fmt: skip
    made = rollup("--rebuild", "--missing")
    assert [(hour["hour"], hour["rebuilt"]) for hour in made] == [(HOURS[1], True)]
    assert {hour["state"] for hour in rollup()} == {"ok"}
    assert (pq.read_table(bad).schema.metadata, good.stat().st_mtime_ns) == before
    assert to_document(what_changed(store, WINDOW, BASELINE)) == expected


def test_all_or_a_stretch_of_hours(rollup: Callable[..., Any]) -> None:
    def hours(*argv: str) -> list[str]:
        return [hour["hour"] for hour in rollup(*argv)]

    assert hours("--rebuild") == HOURS
    assert hours("--rebuild", "--from", "2026-11-22T13:00Z") == HOURS[1:]
    assert hours("--to", "2026-11-22T13:00Z") == HOURS[:1]


def test_a_dry_run_writes_nothing(store: Store, rollup: Callable[..., Any]) -> None:
    def everything() -> list[tuple[Path, int]]:
        return [(path, path.stat().st_mtime_ns) for path in sorted(store.path.rglob("*"))]

    cells(store)[0].unlink()
    before = everything()
    assert not any(hour["rebuilt"] for hour in rollup("--rebuild", "--dry-run"))
    assert everything() == before


def test_a_running_recorder_is_not_in_the_way(store: Store, rollup: Callable[..., Any]) -> None:
    for path in cells(store):
        path.unlink()
    with recorder_lock(store, "web"):
        assert all(hour["rebuilt"] for hour in rollup("--rebuild"))
    assert not (store.live("web") / "rollup").exists()


def test_two_may_rebuild_at_once(store: Store) -> None:
    before = [path.read_bytes() for path in cells(store)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda one: rebuild(store, one), [*rollups(store)] * 4))
    assert [path.read_bytes() for path in cells(store)] == before


def test_rows_that_cannot_be_read_do_not_keep_others_from_their_cells(
    store: Store, rollup: Callable[..., Any]
) -> None:
    for path in cells(store):
        path.unlink()
    [rows] = (store.path / "transactions" / f"hour={HOURS[0]}").glob("*.parquet")
    rows.write_bytes(b"PAR1 no rows PAR1")
    made = rollup("--rebuild", code=1)
    assert {hour["hour"]: hour["rebuilt"] for hour in made} == {HOURS[0]: False, HOURS[1]: True}


def test_nothing_is_finished_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store.create(tmp_path / "new")
    assert main(["rollup", "--store", str(tmp_path / "new")]) == 0
    assert "no sealed hour there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["--dry-run"], ["--from", "14:00", "--to", "13:00"], ["--from", "soon"]]
)
def test_calls_that_make_no_sense(store: Store, argv: list[str]) -> None:
    assert main(["rollup", "--store", str(store.path), *argv]) == 2

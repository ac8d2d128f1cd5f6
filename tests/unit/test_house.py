"""Keeping house from the command line: what goes, what stays, and nothing by accident."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from qrec.settings import parse_size
from store.errors import UnavailableError, UsageError
from store.files import make_folder
from store.hours import from_us
from store.layout import Store
from store.marks import add_mark
from tests.kit import Cli

DAY = "2024-03-05"
NOW = f"{DAY}T18:30Z"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The hours 10 to 18 of a day, 300 bytes each."""
    store = Store.create(tmp_path / "store")
    for hour in range(10, 19):
        for table in ("transactions", "coverage", "rollups"):
            folder = make_folder(store.sealed_hour(table, f"{DAY}T{hour}"))
            (folder / "r-000000000001.parquet").write_bytes(b"x" * 100)
    return store


@pytest.fixture
def run(store: Store, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("QREC_NOW", NOW)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return cli


def hours(store: Store) -> list[str]:
    return [hour[-2:] for hour in store.hours("transactions")]


def document(run: Cli, *argv: str) -> dict[str, Any]:
    code, out, err = run(*argv, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_dry_run_says_what_would_go_and_deletes_nothing(run: Cli, store: Store) -> None:
    code, out, err = run("prune", "--keep", "5h", "--dry-run")
    assert code == 0
    assert f"{DAY}T10 to {DAY}T12" in out
    assert "3 hours would be deleted, 900 B freed; 1.8 KiB left" in err
    assert len(hours(store)) == 9


def test_prune_deletes_whole_hours_of_every_table(run: Cli, store: Store) -> None:
    found = document(run, "prune", "--keep", "5h", "--yes")
    assert [hour["hour"][-2:] for hour in found["hours"]] == ["10", "11", "12"]
    assert (found["bytes_before"], found["bytes_after"]) == (2700, 1800)
    for table in ("transactions", "coverage", "rollups"):
        assert store.hours(table)[0] == f"{DAY}T13"


def test_a_size_takes_the_oldest_first(run: Cli, store: Store) -> None:
    assert run("prune", "--max-size", "2kB", "--yes")[0] == 0
    assert hours(store)[0] == "13"


def test_a_pinned_hour_stays_and_is_named(run: Cli, store: Store) -> None:
    assert run("pin", "incident", "--from", "11:50", "--to", "12:10")[0] == 0
    code, out, err = run("prune", "--keep", "5h", "--yes")
    assert code == 0
    assert f"{DAY}T10 " in out
    assert "2 pinned hours spared" in err
    assert hours(store)[:3] == ["11", "12", "13"]


def test_a_size_that_pins_do_not_allow_is_said(run: Cli) -> None:
    run("pin", "all", "--from", "10:00", "--to", "18:00")
    err = run("prune", "--max-size", "1kB", "--yes")[2]
    assert "still more than --max-size" in err


def test_nothing_is_deleted_where_nobody_can_be_asked(run: Cli, store: Store) -> None:
    code, _, err = run("prune", "--keep", "5h")
    assert code == 2
    assert "--yes" in err
    assert len(hours(store)) == 9


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 6), ("\n", 1, 9), ("", 1, 9)])
def test_on_a_terminal_it_asks(
    run: Cli, store: Store, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run("prune", "--keep", "5h")[0] == code
    assert len(hours(store)) == left


def test_a_clock_set_ahead_does_not_age_what_is_young(run: Cli, store: Store) -> None:
    """--now is for asking about old recordings; it must not delete new ones."""
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    young = now.strftime("%Y-%m-%dT%H")
    make_folder(store.sealed_hour("transactions", young))
    ahead = (now + dt.timedelta(days=400)).isoformat()
    found = document(run, "prune", "--keep", "30d", "--dry-run", "--now", ahead)
    assert young not in [hour["hour"] for hour in found["hours"]]


def test_limits_come_from_the_settings_too(
    run: Cli, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qrec.toml").write_text('keep = "5h"\n')
    assert len(document(run, "prune", "--dry-run")["hours"]) == 3
    monkeypatch.setenv("QREC_MAX_SIZE", "20 parsecs")
    code, _, err = run("prune")
    assert code == 2
    assert "QREC_MAX_SIZE: '20 parsecs' is not a size" in err


def test_without_a_limit_it_asks_for_one(run: Cli) -> None:
    code, out, err = run("prune")
    assert (code, out) == (2, "")
    assert "--keep 14d" in err


def test_pins_are_set_listed_and_taken_away(run: Cli) -> None:
    code, _, err = run("pin", "checkout", "--last", "2h")
    assert code == 0
    assert "2024-03-05 16:30 to 18:30 UTC, 3 hours, 900 B" in err
    assert document(run, "pins")["pins"] == [
        {"name": "checkout", "from": f"{DAY}T16:30:00Z", "to": f"{DAY}T18:30:00Z", "hours": 3,
         "bytes": 900}
    ]  # fmt: skip
    assert "checkout" in run("pins")[1]
    assert run("unpin", "checkout")[0] == 0
    assert document(run, "pins")["pins"] == []


def test_a_pin_around_a_mark_keeps_what_it_is_compared_with(run: Cli) -> None:
    run("mark", "deploy 7", "--at", "12:30")
    assert run("pin", "deploy 7", "--around", "deploy 7", "--last", "30m")[0] == 0
    [entry] = document(run, "pins")["pins"]
    assert (entry["from"][11:16], entry["to"][11:16]) == ("12:00", "13:00")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["pin", "a", "--around", "deplyo"], "no mark 'deplyo'"),
        (["pin", " "], "needs a name"),
        (["pin", "a", "--from", "13:00", "--to", "12:00"], "Swap"),
        (["pin"], "NAME"),
        (["unpin", "nothing"], "no pin 'nothing'"),
        (["pin", "taken"], "already a pin 'taken'"),
    ],
)
def test_what_cannot_be_meant_exits_2(run: Cli, argv: list[str], said: str) -> None:
    run("pin", "taken", "--last", "1h")
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20GB", 20_000_000_000), ("20gb", 20_000_000_000), ("20 G", 20_000_000_000),
        ("500MiB", 500 << 20), ("1.5 kB", 1500), ("2Ki", 2048), ("7B", 7), ("1TiB", 1 << 40),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "GB", "-1GB", "0GB", "1iB", "1EB", "9" * 15 + "TB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_hours_that_cannot_be_deleted_are_not_called_deleted(
    run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # a disk that refuses
    code, _, err = run("prune", "--keep", "5h", "--yes")
    assert code == 1
    assert "cannot be deleted" in err
    assert "hours deleted" not in err


def test_a_store_that_cannot_be_written_to_takes_no_mark(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.marks.mkdir()  # whoever runs the tests may write anywhere, but no line into a folder
    with pytest.raises(UnavailableError, match="cannot write to the store"):
        add_mark(store, "deploy", from_us(0))

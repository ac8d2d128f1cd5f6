"""From a stream to an answer, over real HTTP, with real processes and signals."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from fixtures.standin.server import running
from store.coverage import read_stretches
from tests.e2e.shell import ROOT, background, qrec
from tests.kit import PATIENCE_S, visible_ids, wait_for
from tests.world.incidents import GRPC_INCIDENT
from tests.world.scenarios import frames, stream_facts, write_stream

FACTS: dict[str, Any] = json.loads((ROOT / "fixtures/facts.json").read_text())["streams"]


def fixture(name: str) -> Path:
    return ROOT / "fixtures" / str(FACTS[name]["file"])


def findings(store: Path, home: Path, *words: str) -> dict[str, Any]:
    answer = qrec("diff", "--json", "--store", store, *words, home=home)
    assert answer.returncode == 0, answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def named(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(f["kind"], f["key"]["host"]) for f in document["findings"]}


EXPECTED = {(f["kind"], f["key"]["host"]) for f in FACTS["checkout-incident"]["findings"]}


def test_a_recorded_incident_is_named_and_nothing_else_is(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with running([fixture("checkout-incident")], speed="max", patience=PATIENCE_S) as qtap:
        done = qrec("record", qtap.url, "--store", store, "--until-end", home=tmp_path)
    assert done.returncode == 0, done.stderr
    document = findings(store, tmp_path)
    assert named(document) == EXPECTED
    failing = next(f for f in document["findings"] if f["kind"] == "errors")
    assert failing["key"]["route"] == "/v1/charges"
    # The endpoint has one caller only; naming it or not is the same finding.
    assert failing["key"].get("container") in (None, "payment-service")


def test_a_replayed_incident_gives_the_same(tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = qrec("replay", fixture("checkout-incident"), "--store", store, home=tmp_path)
    assert done.returncode == 0, done.stderr
    document = findings(store, tmp_path, "--now", "2026-11-22T14:00Z")
    assert named(document) == EXPECTED
    since = {f["key"]["host"]: f["since"] for f in document["findings"]}
    assert since["api.stripe.com"][:16] in ("2026-11-22T13:17", "2026-11-22T13:18",
                                            "2026-11-22T13:19")  # fmt: skip


def test_two_quiet_hours_are_quiet(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert qrec("replay", fixture("quiet"), "--store", store, home=tmp_path).returncode == 0
    document = findings(store, tmp_path, "--now", "2026-11-22T14:00Z")
    assert document["verdict"] == "nothing_changed"
    assert document["findings"] == []


def test_a_grpc_service_that_becomes_unavailable_is_found(tmp_path: Path) -> None:
    """With HTTP 200 as ever: told in an event of its own, or in trailers alone."""
    stream, store = tmp_path / "grpc.sse", tmp_path / "store"
    write_stream(stream, frames(GRPC_INCIDENT))
    assert qrec("replay", stream, "--store", store, home=tmp_path).returncode == 0
    document = findings(store, tmp_path, "--now", "2026-11-22T14:00Z")
    keys = [finding["key"] for finding in document["findings"] if finding["kind"] == "errors"]
    for expected in stream_facts(GRPC_INCIDENT)["findings"]:
        assert any(expected["key"].items() <= key.items() for key in keys), expected
    assert len(document["findings"]) == 2


def test_a_file_replayed_twice_counts_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for _ in range(2):
        done = qrec("replay", fixture("leaks"), "--store", store, home=tmp_path)
        assert done.returncode == 0, done.stderr
    ids = visible_ids(store)
    assert len(ids) == len(set(ids))
    again = qrec("replay", fixture("leaks"), "--store", store, "--again", home=tmp_path)
    assert again.returncode == 0
    assert len(visible_ids(store)) == 2 * len(ids)


def test_a_hostile_stream_is_survived_and_counted(tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = qrec("replay", fixture("hostile"), "--store", store, home=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    coverage = qrec(
        "coverage", "--store", store, "--json", "--from", "2026-11-22T11:00Z", "--to",
        "2026-11-22T15:00Z", home=tmp_path,
    )  # fmt: skip
    assert coverage.returncode == 0, coverage.stderr
    assert sum(s["rejected"] for r in json.loads(coverage.stdout)["recorders"]
               for s in r["stretches"]) > 0  # fmt: skip


@pytest.mark.timeout(180)
def test_sigkill_costs_at_most_the_flush_interval_and_counts_nothing_twice(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with running([fixture("checkout-incident")], speed=120.0, hold=True) as qtap:
        for number in range(3):
            with background("record", qtap.url, "--store", store, home=tmp_path) as recorder:
                before = _count(store)
                _wait_for_run(store, number, before)
                recorder.send_signal(signal.SIGKILL)
                recorder.wait()
            seen = visible_ids(store)
            assert len(seen) == len(set(seen))
            assert len(seen) >= before
    told = qrec("coverage", "--store", store, "--last", "3h", home=tmp_path)
    assert "killed" in told.stdout + told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_flushes_and_ends_with_zero(number: signal.Signals, tmp_path: Path) -> None:
    """What was read is on disk, though no flush was due. How much was read is the machine's affair:
    the last few MB that were sent may lie in the socket's buffers."""
    store = tmp_path / "store"
    with (
        running([fixture("quiet")], speed="max", patience=PATIENCE_S, hold=True) as qtap,
        background("record", qtap.url, "--store", store, "--flush-interval", "10m",
                   home=tmp_path) as recorder,
    ):  # fmt: skip
        wait_for(lambda: qtap.stats()["state"] == "quiet")  # all is played
        assert recorder.stdout is not None
        assert any("connected to" in line for line in recorder.stdout)  # it has begun to read
        recorder.send_signal(number)
        assert recorder.wait(PATIENCE_S) == 0
    assert len(visible_ids(store)) > 1000


def test_a_second_recorder_of_the_same_name_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with (
        running([fixture("quiet")], speed=60.0) as qtap,
        background("record", qtap.url, "--store", store, "--recorder", "a", home=tmp_path) as one,
    ):
        wait_for(lambda: _count(store) > 0)
        second = qrec("record", qtap.url, "--store", store, "--recorder", "a", home=tmp_path)
        assert second.returncode == 3
        assert str(one.pid) in second.stderr


def _count(store: Path) -> int:
    return len(visible_ids(store)) if (store / "store.json").exists() else 0


def _wait_for_run(store: Path, earlier: int, rows: int) -> None:
    """Until a run beside `earlier` ones receives. More rows alone do not say so: a worker of the
    recorder that was killed may still have written some."""
    wait_for(lambda: len(_sessions(store)) > earlier and _count(store) > rows)


def _sessions(store: Path) -> set[str]:
    """The runs of a recorder that coverage knows to have received."""
    files = store.glob("coverage/**/*.parquet")
    return {s.session for f in files for s in read_stretches(f) if s.state == "receiving"}

"""Scenarios: the same to the byte for the same seed, realistic, and easy to change in one place."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures import FOLDER, bundled, bundled_stream
from fixtures.standin.events import NS
from store.errors import UsageError
from tests.world.events import Transaction
from tests.world.incidents import CHECKOUT_INCIDENT, GRPC_INCIDENT, QUIET
from tests.world.scenarios import (
    BUNDLED,
    SCENARIOS,
    START,
    frames,
    main,
    scenario,
    stream_facts,
    write_stream,
)
from tests.world.traffic import Player, rhythm
from tests.world.xids import xid_seconds

_HEAD = b"event: request.http_transaction\ndata: "


def _documents(made: list[bytes]) -> list[Any]:
    return [
        json.loads(base64.b64decode(json.loads(frame[len(_HEAD) :])["data"]["data"]["data"]))
        for frame in made
        if frame.startswith(_HEAD)
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    chosen = scenario(name)
    first = b"".join(frames(chosen, seed=5, requests=200))
    assert first == b"".join(frames(chosen, seed=5, requests=200))
    assert first != b"".join(frames(chosen, seed=6, requests=200))


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_stream_is_what_its_scenario_gives(name: str) -> None:
    bundle = gzip.decompress((FOLDER / f"{name}.sse.gz").read_bytes())
    assert bundle == b"".join(frames(scenario(name)))


def test_facts_tell_of_the_bundled_streams() -> None:
    facts = json.loads((FOLDER / "facts.json").read_text())
    assert facts["streams"] == {name: stream_facts(chosen) for name, chosen in BUNDLED.items()}


def test_the_bundled_streams_stay_small() -> None:
    sizes = {name: path.stat().st_size for name, path in bundled().items()}
    assert set(sizes) == set(BUNDLED)
    assert max(sizes.values()) < 3_000_000
    assert sum(sizes.values()) < 8_000_000


def test_a_compressed_stream_holds_neither_time_nor_name(tmp_path: Path) -> None:
    for name in ("a.sse.gz", "b.sse.gz"):
        write_stream(tmp_path / name, [b"event: x\ndata: {}\n\n"])
    first = (tmp_path / "a.sse.gz").read_bytes()
    assert first == (tmp_path / "b.sse.gz").read_bytes()
    assert first[4:8] == bytes(4)


@pytest.mark.parametrize("requests", [1, 300, 3000])
def test_a_stream_is_about_as_long_as_asked_for(requests: int) -> None:
    found = sum(frame.startswith(_HEAD) for frame in frames(QUIET, requests=requests))
    assert requests * 0.8 <= found <= requests * 1.2 + 40


def test_a_stream_of_no_requests_is_refused() -> None:
    with pytest.raises(UsageError):
        list(frames(QUIET, requests=0))


def test_a_stream_begins_and_ends_with_its_hours() -> None:
    made = list(frames(QUIET, requests=200))
    first, last = (json.loads(made[i].split(b"data: ", 1)[1]) for i in (0, -1))
    assert made[0].startswith(b"event: system.connected\n")
    assert first["ts"] == "2026-11-22T12:00:00Z"
    assert made[-1].startswith(b"event: system.disconnected\n")
    assert last["ts"] == "2026-11-22T14:00:00Z"


def test_another_start_moves_everything() -> None:
    start = START + 86_400 * NS
    made = _documents(list(frames(QUIET, requests=200, start=start)))
    assert {d["transaction_time"][:10] for d in made} == {"2026-11-23"}


def test_events_come_in_order_shortly_after_what_they_tell() -> None:
    made = [f for f in frames(QUIET, requests=500) if f.startswith(_HEAD)]
    broadcast = [json.loads(frame[len(_HEAD) :])["ts"] for frame in made]
    assert broadcast == sorted(broadcast)
    ended = [document["transaction_time"] for document in _documents(made)]
    assert all(a < b for a, b in zip(ended, broadcast, strict=True))


def test_traffic_looks_like_traffic() -> None:
    documents = _documents(list(frames(QUIET, requests=3000)))
    assert {d["direction"] for d in documents} == {
        "ingress", "egress-internal", "egress-external"
    }  # fmt: skip
    statuses = Counter(d["response"]["status"] for d in documents)
    assert {200, 201, 202, 401, 404, 500} <= set(statuses)
    assert statuses[200] > 0.8 * len(documents)
    assert len({d["request"]["authority"] for d in documents}) > 40
    assert max(len(d["request"]["headers"]) for d in documents) >= 18
    paths = {d["request"]["path"].partition("?")[0] for d in documents}
    assert any(path.startswith("/v1/customers/cus_") for path in paths)
    assert any("traceparent" in map(str.lower, d["request"]["headers"]) for d in documents)
    probes = [d for d in documents if d["request"]["path"] == "/healthz"]
    assert len(probes) > 100


def test_both_sides_of_an_internal_call_are_seen() -> None:
    documents = _documents(list(frames(QUIET, requests=1000)))
    calls = [d for d in documents if d["request"]["authority"] == "payment-service:8080"]
    sides = Counter(d["direction"] for d in calls)
    assert sides["ingress"] == sides["egress-internal"] > 0
    traces = {d["request"]["headers"]["Traceparent"] for d in calls}
    assert len(traces) == len(calls) // 2


def test_ids_are_unique_and_carry_their_time() -> None:
    documents = _documents(list(frames(QUIET, requests=1000)))
    ids = [d["request"]["request_id"] for d in documents]
    assert len(set(ids)) == len(ids)
    for document in documents:
        seconds = xid_seconds(document["request"]["request_id"])
        assert START // NS - 1 <= seconds <= START // NS + 7200


def _played(chosen: Any) -> list[Transaction]:
    return Player(chosen, 2, START).play(1500).transactions


def test_a_change_touches_its_endpoint_alone() -> None:
    """The rest keeps its times and outcomes, so that an effect can be told from chance."""

    def others(made: list[Transaction]) -> set[tuple[int, str, str, int | None]]:
        return {
            (tx.ended, tx.host, tx.target, tx.status)
            for tx in made
            if tx.target != "/v1/charges"
        }  # fmt: skip

    calm = replace(CHECKOUT_INCIDENT, changes=())
    assert others(_played(calm)) == others(_played(CHECKOUT_INCIDENT))


def test_a_failing_child_can_fail_its_caller() -> None:
    """An incident may spread: what depends on a broken part answers 502."""
    broken = replace(CHECKOUT_INCIDENT.changes[0], endpoint="orders.create", statuses={500: 1.0})
    made = _played(replace(CHECKOUT_INCIDENT, changes=(broken,)))
    after = START + int((broken.start + 60) * NS)
    checkouts = {
        tx.status for tx in made if tx.target == "/v2/checkouts" and tx.ended > after
    } - {401, 404, 500}  # fmt: skip
    assert checkouts == {502}


def test_grpc_services_fail_with_http_200() -> None:
    """In both of Qtap's ways: events of their own, and transactions that are trailers alone."""
    made = Player(GRPC_INCIDENT, 5, START).play(3000)
    turn = START + int(GRPC_INCIDENT.changes[0].start * NS)
    calls = [call for call in made.grpc if call.ended > turn]
    assert 0.4 < sum(call.code == 14 for call in calls) / len(calls) < 0.6
    seats = [tx for tx in made.transactions if tx.target == "/acme.seats.v1.Seats/Hold"]
    assert {tx.status for tx in seats} == {200}
    failed = [tx for tx in seats if tx.response_headers["Grpc-Status"] == "14"]
    assert all(tx.response_body == b"" for tx in failed)
    late = [tx in failed for tx in seats if tx.ended > turn]
    assert 0.4 < sum(late) / len(late) < 0.6


def test_the_day_has_a_rhythm() -> None:
    assert rhythm(13 * 3600) == 1
    assert rhythm(12.5 * 3600) == pytest.approx(rhythm(13.5 * 3600))
    assert rhythm(1 * 3600) < 0.2


def test_the_command_line_lists_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in SCENARIOS)
    out = tmp_path / "q.sse"
    args = ["quiet", "--out", str(out), "--seed", "9", "--requests", "100"]
    assert main([*args, "--start", "2026-01-02T03:00"]) == 0
    assert out.read_bytes().startswith(b"event: system.connected\n")
    assert b"2026-01-02T03:00:00Z" in out.read_bytes()[:200]


def test_a_wrong_name_is_told_with_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quite"]) == 2
    assert "quiet" in capsys.readouterr().err
    with pytest.raises(UsageError) as caught:
        bundled_stream("checkout-incidnet")
    assert "checkout-incident" in caught.value.hint


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quiet", "--requests", "20", "--out", str(tmp_path / "no" / "q.sse")]) == 1
    assert "cannot write" in capsys.readouterr().err

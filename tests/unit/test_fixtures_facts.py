"""What facts.json and the README promise is really in the bundled streams.

Read here with nothing but json and base64, so that no code of qrec vouches for itself.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from fixtures import FOLDER
from tests.world.leaks import DECOYS, LEAKS

_FACTS = json.loads((FOLDER / "facts.json").read_text())["streams"]
_BASELINE_END = "2026-11-22T13:00:00"


@cache
def _stream(name: str) -> bytes:
    return gzip.decompress((FOLDER / _FACTS[name]["file"]).read_bytes())


def _transactions(name: str) -> Iterator[Any]:
    """The inner documents, in order."""
    head = b"event: request.http_transaction\ndata: "
    for frame in _stream(name).split(b"\n\n"):
        if frame.startswith(head):
            artifact = json.loads(frame[len(head) :])["data"]["data"]
            yield json.loads(base64.b64decode(artifact["data"]))


def _hosts(name: str, *, window: bool) -> Counter[str]:
    return Counter(
        tx["request"]["authority"]
        for tx in _transactions(name)
        if (tx["transaction_time"] >= _BASELINE_END) == window
    )


def test_quiet_has_two_hours_alike() -> None:
    before, after = _hosts("quiet", window=False), _hosts("quiet", window=True)
    busy = {host for host, count in (before + after).items() if count >= 60}
    assert len(busy) > 15
    for host in busy:
        distance = abs(after[host] - before[host])
        assert distance < 3.5 * (before[host] + after[host]) ** 0.5, host
    assert _FACTS["quiet"]["findings"] == []


def test_the_incident_has_a_failing_endpoint() -> None:
    finding = _FACTS["checkout-incident"]["findings"][0]
    charges = [
        tx
        for tx in _transactions("checkout-incident")
        if tx["request"]["authority"] == finding["key"]["host"]
        and tx["request"]["path"] == finding["key"]["route"]
    ]
    assert {tx["metadata"]["container_name"] for tx in charges} == {finding["container"]}
    failed = [tx for tx in charges if tx["response"]["status"] >= 400]
    before = [tx for tx in failed if tx["transaction_time"] < finding["since"]]
    after = [tx for tx in failed if tx["transaction_time"] >= finding["since"]]
    calm = sum(tx["transaction_time"] < finding["since"] for tx in charges)
    assert len(before) / calm < 0.05
    assert 0.3 < len(after) / (len(charges) - calm) < 0.5
    silent = [tx for tx in after if "headers" not in tx["response"]]
    assert {tx["response"]["status"] for tx in silent} == {422}
    assert all("duration_ms" not in tx for tx in silent)
    counts = Counter(tx["response"]["status"] for tx in after)
    assert counts[402] > 20
    assert counts[500] > 10
    assert counts[422] > 5


def test_the_incident_has_a_new_host_and_a_silent_one() -> None:
    _, new, gone = _FACTS["checkout-incident"]["findings"]
    before = _hosts("checkout-incident", window=False)
    after = _hosts("checkout-incident", window=True)
    assert before[new["key"]["host"]] == 0
    assert after[new["key"]["host"]] > 200
    assert before[gone["key"]["host"]] > 100
    assert after[gone["key"]["host"]] == 0
    times = [
        tx["transaction_time"]
        for tx in _transactions("checkout-incident")
        if tx["request"]["authority"] == new["key"]["host"]
    ]
    assert min(times) >= new["since"]
    assert len({time[:16] for time in times}) > 40  # active minutes


def _where(tx: Any, place: str) -> str:
    side, _, part = place.partition(".")
    if side == "path":
        return str(tx["request"]["path"].partition("?")[0])
    if side == "query":
        return str(tx["request"]["path"].partition("?")[2])
    if part == "header":
        return "\n".join(tx[side].get("headers", {}).values())
    return base64.b64decode(tx[side].get("body", "")).decode("utf-8", "replace")


def test_every_leak_is_where_the_facts_say() -> None:
    transactions = list(_transactions("leaks"))
    told = {fact["name"]: fact for fact in _FACTS["leaks"]["leaks"]}
    assert set(told) == {leak.name for leak in LEAKS}
    for leak in LEAKS:
        fact = told[leak.name]
        carriers = [
            tx
            for tx in transactions
            if tx["request"]["authority"] == fact["host"]
            and leak.value in _where(tx, fact["place"])
        ]
        assert len(carriers) >= 8, leak.name
        assert min(tx["transaction_time"] for tx in carriers) >= fact["since"]


def test_the_facts_hold_no_value_that_leaks() -> None:
    text = (FOLDER / "facts.json").read_text()
    assert not [leak.name for leak in LEAKS if leak.value in text]
    assert any(tx["request"]["authority"] == DECOYS.host for tx in _transactions("leaks"))


@pytest.fixture(scope="module")
def hostile() -> bytes:
    return _stream("hostile")


@pytest.mark.parametrize(
    "sign",
    [
        b"\r\n\r\n", b"\x00", b"\xff\xfe", b"\n: another\n", b"event: error\ndata: failed",
        b"event: request.llm_conversation\n", b'"tlsVersion":772', b"event: request.http_trans"
        b"action\n\n", b"\nretry: 1000\n", b"event: request.http_transaction\ndata: null\n\n",
    ],
)  # fmt: skip
def test_the_hostile_stream_has_its_signs(hostile: bytes, sign: bytes) -> None:
    assert sign in hostile


def test_the_hostile_stream_breaks_off(hostile: bytes) -> None:
    assert not hostile.endswith(b"\n")
    assert b"event: system.disconnected" not in hostile
    assert max(map(len, hostile.split(b"\n"))) > 30_000_000


def test_the_hostile_stream_is_otherwise_ordinary(hostile: bytes) -> None:
    readable = 0
    for frame in hostile.split(b"\n\n"):
        try:
            artifact = json.loads(frame.partition(b"\ndata: ")[2])["data"]["data"]
            document = json.loads(base64.b64decode(artifact["data"], validate=True))
            host = document["request"]["authority"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        readable += not host.startswith("hostile")
    assert readable >= _FACTS["hostile"]["events"]["request.http_transaction"]


def test_hostile_cases_say_what_a_reader_owes() -> None:
    cases = _FACTS["hostile"]["cases"]
    assert len({case["case"] for case in cases}) == len(cases) > 40
    assert {case["rows"] for case in cases} == {0, 1, None}

"""What `sensitive` promises: where and how much it matters, one secret recognised, no value."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import filters
from fixtures import bundled_stream
from queries.core.window import Window
from queries.sensitive import advice, concern, sensitive
from recorder.options import RecordOptions
from recorder.redact.config import RedactConfig
from recorder.replay import replay
from store.hours import hour_start
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row

HOUR = Window(NOW - timedelta(hours=1), NOW)


def found(kind: str, place: str, hint: str) -> dict[str, str]:
    return {"kind": kind, "place": place, "hint": hint}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    def one(at: int, *findings: dict[str, str], **columns: Any) -> dict[str, Any]:
        return row(minute(at), findings=list(findings), **columns)

    rows = [
        *(one(n, found("bearer", "request.header.authorization", "aa")) for n in range(5)),
        one(5, found("api_key", "request.query.key", "bb")),
        one(6, found("api_key", "request.body.key", "bb"), host="log.example.com",
            container_name="worker"),
        one(7, found("email", "request.body.email", "cc"), found("email", "request.body.cc", "cc")),
        one(8, found("bearer", "request.header.authorization", "dd"), scheme="http"),
        one(9),
    ]  # fmt: skip
    return build(tmp_path_factory.mktemp("sensitive") / "store", rows)


def test_findings_are_grouped_and_the_worst_come_first(store: Store) -> None:
    answer = sensitive(store, HOUR)
    assert (answer.window.requests, answer.affected) == (10, 9)
    first = answer.findings[0]
    assert (first.concern, first.kind, first.place) == ("leak", "bearer",
                                                        "request.header.authorization")  # fmt: skip
    assert first.plain
    assert [f.concern for f in answer.findings] == ["leak", "leak", "review", "review", "review"]


def test_a_group_over_encrypted_and_plain_http_is_a_leak_of_all(store: Store) -> None:
    [bearer] = [f for f in sensitive(store, HOUR).findings if f.kind == "bearer"]
    assert (bearer.transactions, bearer.secrets, bearer.hints) == (6, 2, ("aa", "dd"))


def test_the_same_secret_is_recognised(store: Store) -> None:
    keys, emails = sensitive(store, HOUR).secrets
    assert (keys.hint, keys.kinds, keys.transactions) == ("bb", ("api_key",), 2)
    assert keys.hosts == ("api.example.com", "log.example.com")
    assert keys.sources == ("shop", "worker")
    assert (emails.hint, emails.places_total) == ("cc", 2)


def test_a_filter_narrows_it(store: Store) -> None:
    where = filters.parse('findings.kind contains "email"')
    answer = sensitive(store, HOUR, where)
    assert {f.kind for f in answer.findings} == {"email"}
    assert answer.window.requests == 1


def test_rows_are_bounded(store: Store) -> None:
    answer = sensitive(store, HOUR, limit=1)
    assert (len(answer.findings), len(answer.secrets), answer.truncated) == (1, 1, True)
    assert {k.kind for k in answer.kinds} == {"bearer", "api_key", "email"}


def test_a_quiet_window_is_an_answer(store: Store) -> None:
    answer = sensitive(store, Window(NOW - timedelta(hours=2), NOW - timedelta(hours=1)))
    assert (answer.findings, answer.kinds, answer.affected) == ((), (), 0)


def test_without_redaction_it_does_not_pass_for_clean(tmp_path: Path) -> None:
    options = RecordOptions(store=tmp_path / "s", redact=RedactConfig(enabled=False))
    replay([bundled_stream("leaks")], options)
    store = Store.open(tmp_path / "s")
    start = hour_start(store.hours("transactions")[-1])
    answer = sensitive(store, Window(start, start + timedelta(hours=1)))
    assert answer.findings == ()
    assert [note.code for note in answer.notes] == ["unredacted"]


@pytest.mark.parametrize(
    ("kind", "place", "goes", "plain", "expected"),
    [
        ("bearer", "request.header.authorization", "outside", False, "expected"),
        ("session", "request.header.cookie.JSESSIONID", "here", False, "expected"),
        ("bearer", "request.header.authorization", "outside", True, "leak"),
        ("bearer", "request.header.authorization", "inside", True, "expected"),
        ("api_key", "request.query.key", "inside", False, "leak"),
        ("password", "request.body.password", "outside", False, "review"),
        ("password", "response.body.password", "outside", False, "leak"),
        ("token", "response.body.access_token", "outside", False, "review"),
        ("email", "request.query.user", "outside", False, "review"),
        ("uninspected", "request.body", "outside", False, "review"),
    ],
)
def test_how_much_it_matters(kind: str, place: str, goes: str, plain: bool, expected: str) -> None:
    assert concern(kind, place, goes, plain) == expected
    assert advice(kind)

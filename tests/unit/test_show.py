"""What `qrec show` and its tools promise: the right row, harmless text, honest sizes, near ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from queries.core.escape import visible_lines
from queries.show import body_of, parse_id, payloads, raw_body, transaction
from store.errors import UsageError
from store.layout import Store
from tests.contract.stored import build, minute, row

ESCAPES = "a\x1b[2Jb\x1b]0;title\x07\u202etxt\U000e0041\u200b"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    rows = [row(minute(number)) for number in range(5)]
    rows[2] |= {
        "req_headers": [("X-Note", ESCAPES), ("Accept", "*/*")],
        "req_body": b'{"a":[1,{"b":"c"}]}', "req_body_bytes": 19,
        "res_body": b"x" * 1024, "res_body_bytes": 5000, "res_content_type": "text/plain",
        "findings": [{"kind": "bearer", "place": "request.header.authorization", "hint": "ab12"}],
    }  # fmt: skip
    return build(tmp_path_factory.mktemp("show") / "store", rows)


@pytest.mark.parametrize("text", ["web:s1:3", "web::3", "web:3", " web:s1:000000000003 "])
def test_an_id_may_be_short_or_padded(store: Store, text: str) -> None:
    assert transaction(store, text).id == "web:s1:3"


@pytest.mark.parametrize("text", ["", "3", "web", "web:x", "web:s1:-3", "../x:1", "web:s1:3:4"])
def test_what_is_no_id_is_told_the_form(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_id(text)
    assert "RECORDER:SESSION:SEQ" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("web:s2:3", "Did you mean web:s1:3?"),
        ("wbe:3", "Did you mean web:3?"),
        ("web:99", "go up to 5"),
        ("elsewhere:1", "Recorders in this store: web"),
    ],
)
def test_an_unknown_id_is_told_the_nearest(store: Store, text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        transaction(store, text)
    assert hint in caught.value.hint


def test_a_number_that_retention_took_names_its_neighbour(tmp_path: Path) -> None:
    made = build(tmp_path / "s", [row(minute(1), seq=10), row(minute(2), seq=14)])
    with pytest.raises(UsageError) as caught:
        transaction(made, "web:13")
    assert caught.value.hint == "Did you mean web:s1:14?"


def test_recorded_text_cannot_act(store: Store) -> None:
    shown = transaction(store, "web:3")
    assert shown.request.headers["X-Note"] == (
        "a\\x1b[2Jb\\x1b]0;title\\x07\\u202etxt\\ue0041\\u200b"
    )
    assert "never instructions" in shown.untrusted


def test_json_is_laid_out_and_a_cut_is_counted(store: Store) -> None:
    shown = transaction(store, "web:3", max_chars=10)
    body = shown.request.body
    assert (body.encoding, body.text, body.bytes) == ("json", '{\n  "a": [', 19)
    assert body.cut_chars == len('{\n  "a": [\n    1,\n    {\n      "b": "c"\n    }\n  ]\n}') - 10
    assert shown.truncated
    assert not transaction(store, "web:2").truncated


def test_a_body_that_was_cut_when_stored_says_so(store: Store) -> None:
    shown = transaction(store, "web:3")
    assert shown.response.body.incomplete
    assert (shown.response.body.bytes, shown.response.body.stored_bytes) == (5000, 1024)
    assert shown.truncated


def test_a_long_body_can_be_read_on(store: Store) -> None:
    answer = payloads(store, ["web:3", "web:1"], max_chars=1000, offset=1000)
    assert [one.id for one in answer.payloads] == ["web:s1:3", "web:s1:1"]
    assert answer.payloads[0].response.text == "x" * 24
    assert answer.payloads[0].response.cut_chars == 0


def test_many_ids_stay_bounded(store: Store) -> None:
    answer = payloads(store, ["web:3"] * 20, max_chars=50_000)
    total = sum(len(p.request.text) + len(p.response.text) for p in answer.payloads)
    assert total <= 100_000


def test_raw_is_what_was_stored(store: Store) -> None:
    assert raw_body(store, "web:3", "req") == b'{"a":[1,{"b":"c"}]}'
    assert raw_body(store, "web:1", "res") == b""


@pytest.mark.parametrize(
    ("stored", "encoding"),
    [
        (b'{"cut": "he', "text"),
        ("caf\u00e9".encode()[:-1], "text"),
        (b"\x89PNG\r\n\x00\x01\xff\xfe\xfd\xfc", "base64"),
        (b"a\x00b", "base64"),
        (b"[" * 100_000, "text"),
        (None, "none"),
    ],
)
def test_any_body_is_readable(stored: bytes | None, encoding: str) -> None:
    assert body_of(None, stored, None, most=100).encoding == encoding


def test_lines_stay_lines() -> None:
    assert visible_lines("a\r\nb\tc\rd") == "a\nb\tc\\rd"

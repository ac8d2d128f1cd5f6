"""Redaction against texts that nobody thought of: nothing leaks, nothing breaks, nothing else
changes."""

from __future__ import annotations

import hmac
import json
import random
import urllib.parse
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor
from recorder.redact.replace import Fingerprints
from recorder.redact.text import FORM
from recorder.redact.views import json_view, percent_view

_REDACTOR = Redactor(b"a key for tests only, 32 bytes..", RedactConfig())
_SHAPES = (
    "ghp_" + "aB3" * 12,
    "AKIA" + "Q7PLM2NRSTUVWX4Y",
    "sk-proj-" + "Zk3_" * 10,
    "xoxb-123456789012-" + "a1B2" * 6,
    "-----BEGIN EC PRIVATE KEY-----\n" + "MHcCAQEE" * 8 + "\n-----END EC PRIVATE KEY-----",
    "DE89370400440532013000",
    "4539 1488 0343 6467",
    "jane.roe@mail.example",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw",
)
_NAMES = ("password", "api_key", "accessToken", "client-secret", "X-Auth-Token", "db.passphrase")

_words = st.sampled_from(
    ["lamp", "green", "Grün", "x\ty", "a/b", "10 %", 'say "hi"', "back\\slash"]
)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    _words,
    st.uuids().map(str),
)
_keys = st.sampled_from(
    ["id", "items", "note", "amount", "created_at", "max_tokens", "Straße", "k 1"]
)
_form_pieces = st.sampled_from(
    ("%", "%%", "%\n", "%41", "%25", "%40", "%3D", "%26", "%22", "+", "=", "&", "&quot;", "&#64;",
     "a", "b.de", "token", "0", "\n", " ", "password", "sk_live_" + "a1B2" * 4, "é")
)  # fmt: skip
_documents = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


def _redacted(body: bytes, kind: str = "application/json") -> tuple[bytes, Transaction]:
    tx = Transaction(ts=0, method="POST", req_body=body, req_content_type=kind)
    _REDACTOR.redact(tx)
    assert tx.req_body is not None
    return tx.req_body, tx


def _escaped(text: str, rnd: random.Random) -> str:
    """JSON text in which some characters inside strings are escaped needlessly."""
    out, inside, skip = [], False, False
    for letter in text:
        plain = inside and not skip and letter not in '"\\'
        if letter == '"' and not skip:
            inside = not inside
        skip = inside and letter == "\\" and not skip
        if plain and letter == "/" and rnd.random() < 0.5:
            out.append("\\/")
        elif plain and ord(letter) < 128 and letter.isalnum() and rnd.random() < 0.1:
            out.append(f"\\u{ord(letter):04x}" if not _after_backslash(out) else letter)
        else:
            out.append(letter)
    return "".join(out)


def _after_backslash(out: list[str]) -> bool:
    """Whether what comes next still belongs to an escape, be it \\n or \\u00e9."""
    tail = "".join(out[-6:])
    return "\\" in tail


def _everything(node: Any) -> list[str]:
    """Every string and number in a document, and in JSON inside its strings."""
    found: list[str] = []
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            stack += one
        else:
            found.append(str(one))
            if isinstance(one, str) and one[:1] in ("{", "["):
                try:
                    stack.append(json.loads(one))
                except ValueError:
                    continue
    return found


def _same_but_redacted(before: Any, after: Any) -> bool:
    if isinstance(after, str) and "[redacted:" in after:
        return not isinstance(before, (dict, list))
    if isinstance(before, dict) and isinstance(after, dict):
        if len(before) != len(after):
            return False
        pairs = zip(before.items(), after.items(), strict=True)
        return all(
            (key == other or "[redacted:" in other) and _same_but_redacted(value, new)
            for (key, value), (other, new) in pairs
        )
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same_but_redacted, before, after))
    return bool(before == after)


@settings(deadline=None, max_examples=150)
@given(_documents, st.booleans(), st.sampled_from([None, 2]))
def test_json_without_secrets_stays_as_it_is_byte_for_byte(
    document: Any, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    after, tx = _redacted(body)
    assert after == body
    assert tx.findings == []


@settings(deadline=None, max_examples=300)
@given(
    _documents,
    st.sampled_from(_SHAPES),
    st.sampled_from(_NAMES),
    st.integers(0, 3),
    st.integers(0, 30),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_planted_secret_survives_no_nesting_and_no_escaping(
    beside: Any, shape: str, name: str, times: int, depth: int, escape: bool, rnd: random.Random
) -> None:
    plain = "".join(rnd.choices("abcdefghjkmnpqrstuvwxyz23456789/+", k=14)) + "7x"
    document: Any = {"n": 1, "note": f"see {shape}", name: plain, "beside": beside}
    for level in range(depth):
        document = [document, level] if level % 2 else {"inner": document}
    text = json.dumps(document)
    for _ in range(times):
        text = json.dumps({"payload": text, "n": 2})
    if escape:
        text = _escaped(text, rnd)
    after, tx = _redacted(text.encode())
    parsed = json.loads(after)
    left = "\n".join(_everything(parsed))
    for secret in (shape, plain):
        assert secret not in left, secret
        assert secret.encode() not in after
    if not times:
        assert _same_but_redacted(json.loads(text), parsed)
    assert {finding.place.partition(".")[0] for finding in tx.findings} == {"request"}
    assert len({finding.hint for finding in tx.findings}) >= 2


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(_keys, _words, max_size=5),
    st.sampled_from(_SHAPES),
    st.sampled_from(_NAMES),
    st.integers(1, 3),
)
def test_a_planted_secret_survives_no_form_and_no_double_encoding(
    fields: dict[str, str], shape: str, name: str, times: int
) -> None:
    pairs = {**fields, "about": shape, name: "hunter/2 + öl & co"}
    text = urllib.parse.urlencode(pairs)
    for _ in range(times - 1):
        text = urllib.parse.urlencode({"to": f"https://x.example/?{text}", "page": "2"})
    after, _ = _redacted(text.encode(), "application/x-www-form-urlencoded")
    left = after.decode()
    for _ in range(times + 1):
        assert shape not in left
        assert "hunter" not in left
        left = urllib.parse.unquote_plus(left)
    assert (times == 1) <= set(fields).issubset(urllib.parse.parse_qs(after.decode()))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(4 * 10**15, 5 * 10**15) | st.integers(0, 10**6), max_size=6), st.data())
def test_numbers_that_are_taken_out_leave_json_behind(
    numbers: list[int], data: st.DataObject
) -> None:
    document = {"cards": numbers, "note": data.draw(_words), "pin": 1234, "password": 99887766}
    text = json.dumps(document)
    if data.draw(st.booleans()):
        text = json.dumps({"inner": text})
    after, _ = _redacted(text.encode())
    inner = json.loads(after)
    if "inner" in inner:
        inner = json.loads(inner["inner"])
    assert str(inner["pin"]).startswith("[redacted:pin:")
    assert str(inner["password"]).startswith("[redacted:password:")
    assert _same_but_redacted(document, inner)


_snippets = st.sampled_from(
    ("sk-", "token", '":"', "a@b.de", "4111111111111111", "%41", "\\u0041", "://", "@", "&quot;",
     "DE89", "000-11-2222", "bearer ", "-----BEGIN PRIVATE KEY", "\\", '"', "{", "[", "pin=", "eyJ",
     "AKIA", "/reset/", ":", "=", "<", ">", " ", "xoxb-", "0", "\n", "é", "\0", "]", "}", "gzip",
     "[redacted:", "&#x", "name=", "identified by '", " -u a:", "\ud800", "%", "password", "auth ")
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    st.lists(_snippets, max_size=30).map("".join),
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "br", "zstd", "deflate", "gzip, br", "nonsense"]),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""]),
)
@example('a@b.de"', b'"\x80', "", "application/json")  # as JSON, no text
def test_no_text_makes_it_fail(text: str, noise: bytes, encoding: str, kind: str) -> None:
    before = _REDACTOR.failures
    raw = text.encode("utf-8", "surrogatepass")
    tx = Transaction(
        ts=0,
        method="GET",
        path=text,
        query=text,
        user_agent=text,
        trace_id=text,
        error_signature=text,
        req_content_type=kind,
        req_headers={
            text: "x",
            "Cookie": text,
            "Authorization": text,
            "X-Api-Key": text,
            "R": text,
        },
        res_headers={"Content-Encoding": encoding, "Set-Cookie": text, "Location": text},
        req_body=raw,
        res_body=noise + raw,
    )
    _REDACTOR.redact(tx)
    _REDACTOR.text(text)
    assert _REDACTOR.failures == before


@settings(deadline=None, max_examples=300)
@given(st.lists(_snippets, max_size=20).map("".join), st.booleans(), st.booleans())
def test_whatever_its_strings_hold_json_stays_json(text: str, nest: bool, ascii_only: bool) -> None:
    text = text.replace("\ud800", "")
    document: Any = {"a": text, "b": [text, 1, {"c": text}], text: None}
    if nest:
        document = {"inner": json.dumps(document, ensure_ascii=ascii_only), "n": 1}
    after, _ = _redacted(json.dumps(document, ensure_ascii=ascii_only).encode())
    assert _same_but_redacted(document, json.loads(after))


@settings(deadline=None, max_examples=150)
@given(st.lists(_snippets, max_size=30).map("".join))
def test_what_was_redacted_once_is_not_redacted_again(text: str) -> None:
    once = _REDACTOR.text(f'{{"password": "hunter22", "note": "{text}"}}')
    assert "hunter22" not in once
    twice = _REDACTOR.text(once)
    assert twice.count("[redacted:password:") >= 1


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from(["\\u0041", "\\", "\\u0022", "a", '"', "\\\\u0070", "%41", "%", "+"]))
)
def test_a_view_leads_back_to_the_raw_bytes(pieces: list[str]) -> None:
    for text in ("".join(pieces).encode(), "".join(pieces * 20).encode()):
        for view in (json_view(text), percent_view(text)):
            if view is None:
                continue
            offsets = [view.raw(offset) for offset in range(len(view.text) + 1)]
            assert offsets == sorted(offsets)
            assert offsets[-1] == len(text)
            for offset, byte in enumerate(view.text):
                if text[offsets[offset]] not in b"\\%+" and byte not in b'"\\':
                    assert text[offsets[offset]] == byte


@settings(max_examples=400)
@given(st.lists(_form_pieces, max_size=12).map("".join))
def test_a_quiet_form_holds_nothing_however_it_is_read(form: str) -> None:
    scanner = _REDACTOR.replacer.scanner
    if scanner.is_quiet(form.encode()):
        assert scanner.hits(form.encode(), FORM) == ([], -1)


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200))
def test_a_fingerprint_is_an_hmac(key: bytes, secret: bytes) -> None:
    assert Fingerprints(key)(secret) == hmac.digest(key, secret, "sha256").hex()[:12]

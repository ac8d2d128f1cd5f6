"""Error signatures: the same failure gives the same text, whoever it happened to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.normalize.error_text import MAX_SIGNATURE, error_signature

ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["error", "errors", "message", "code", "type", "detail", "title"]),
                st.text(max_size=5),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=15,
)


def of_json(value: Any, status: int = 400) -> str | None:
    return error_signature(status, "application/json", json.dumps(value).encode())


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (  # Stripe
            {"error": {"type": "card_error", "code": "card_declined",
                       "message": "Your card was declined."}},
            "card_error/card_declined: Your card was declined.",
        ),
        (
            {"error": {"type": "invalid_request_error",
                       "message": "No such customer: 'cus_9s6XKzkNRiz8i3'"}},
            "invalid_request_error: No such customer: …",
        ),
        (  # Google
            {"error": {"code": 403, "message": "Quota exceeded for project 123456.",
                       "status": "PERMISSION_DENIED"}},
            "PERMISSION_DENIED: Quota exceeded for project ….",
        ),
        (  # AWS
            {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
             "message": "Requested resource not found"},
            "ResourceNotFoundException: Requested resource not found",
        ),
        ({"Code": "Throttling", "Message": "Rate exceeded"}, "Throttling: Rate exceeded"),
        (  # OAuth
            {"error": "invalid_grant", "error_description": "Token has expired"},
            "invalid_grant: Token has expired",
        ),
        (  # Spring
            {"timestamp": "2024-05-12T10:11:12Z", "status": 500, "error": "Internal Server Error",
             "message": "Connection to 10.0.0.1:5432 refused", "path": "/orders/7"},
            "Internal Server Error: Connection to … refused",
        ),
        (  # RFC 9457
            {"type": "https://example.com/probs/out-of-credit", "title": "Not enough credit",
             "detail": "Balance is 30, costs 50", "status": 403},
            "out-of-credit: Not enough credit",
        ),
        ({"type": "about:blank", "title": "Not Found", "status": 404}, "Not Found"),
        (  # GraphQL
            {"errors": [{"message": "Cannot query field 'x'", "path": ["a"],
                         "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}], "data": None},
            "GRAPHQL_VALIDATION_FAILED: Cannot query field …",
        ),
        (  # JSON-RPC
            {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "Method not found"}},
            "-32601: Method not found",
        ),
        (  # FastAPI
            {"detail": [{"loc": ["body", "age"], "msg": "field required", "type": "missing"}]},
            "missing: field required",
        ),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"ok": False, "error": "invalid_auth"}, "invalid_auth"),
        (  # Elasticsearch
            {"error": {"root_cause": [], "type": "index_not_found_exception",
                       "reason": "no such index [logs-2024.05.12]"}, "status": 404},
            "index_not_found_exception: no such index […]",
        ),
        (  # Rails, Laravel
            {"message": "The given data was invalid.", "errors": {"email": ["is taken"]}},
            "email: is taken",
        ),
        ({"errors": ["Name is too short"]}, "Name is too short"),
        ({"message": "boom"}, "boom"),
        ({"response": {"error": {"message": "upstream timed out"}}}, "upstream timed out"),
        ("just a text", "just a text"),
        ([{"message": "first"}], "first"),
        ({"data": 1}, None),
        ([], None),
    ],
)  # fmt: skip
def test_json_dialects(body: Any, signature: str | None) -> None:
    assert of_json(body) == signature


@pytest.mark.parametrize(
    ("content_type", "body", "signature"),
    [
        (
            "application/xml",
            '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The specified key does not'
            " exist.</Message><Key>a/b</Key></Error>",
            "NoSuchKey: The specified key does not exist.",
        ),
        (
            "text/xml",
            "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>Broken &amp; sad"
            "</faultstring></soap:Fault>",
            "soap:Server: Broken & sad",
        ),
        ("text/html", "<html><head><title>502 Bad Gateway</title></head></html>", "Bad Gateway"),
        ("text/html", "<!doctype html><h1>Not here</h1><p>sorry", "Not here"),
        ("text/html", "<p>It <b>broke</b></p>", "It broke"),
        ("text/plain", "\n\nupstream connect error 111\nmore\n", "upstream connect error …"),
        (None, "Traceback (most recent call last):\n  File 'x'\nKeyError: 'abc'", "KeyError: …"),
        ("application/grpc", "\x00\x01\x02\x03\x04\x05", None),
        ("application/json", ')]}\',\n{"message": "guarded"}', "guarded"),
        ("application/json", '{"message": "cut off in the midd', "cut off in the midd"),
        ("text/plain", "", None),
        ("text/plain", " \n ", None),
    ],
)
def test_other_forms(content_type: str | None, body: str, signature: str | None) -> None:
    assert error_signature(500, content_type, body.encode()) == signature


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 123 not found", "Order 99812 not found"),
        ("Order 550e8400-e29b-41d4-a716-446655440000 lost", "Order 7 lost"),
        ("user alice@example.com exists", "user bob@example.org exists"),
        ("timeout after 30s", "timeout after 1500s"),
        ("cannot reach db-1.internal:5432", "cannot reach 10.1.2.3:5432"),
        ('key "abc" is bad', 'key "def ghi" is bad'),
        ("no file /var/lib/a/b.txt", "no file /srv/c/d/e.log"),
        ("failed at 2024-05-12T10:11:12Z", "failed at 2025-01-01 00:00:00"),
        ("see https://a.example/1?x=2", "see https://b.example/zzz"),
        ("pointer 0x7ffee4 lost", "pointer 0xdeadbeef lost"),
        ("job 9s6XKzkNRiz8i3 failed", "job cus_Kq9s6XKzkNRiz8 failed"),
        ("user [redacted:email:ab12cd] exists", "user [redacted:email:ff00aa] exists"),
        ("retry in 5 seconds (attempt 3 of 10)", "retry in 10 seconds (attempt 1 of 10)"),
    ],
)
def test_what_varies_is_out(one: str, other: str) -> None:
    signature = of_json({"message": one})
    assert signature == of_json({"message": other})
    assert signature is not None
    assert "…" in signature


@pytest.mark.parametrize(
    "text",
    [
        "Your card was declined.",
        "Can't parse it: that's all we know",
        "java.lang.NullPointerException: null",
        "OAuth2 token missing",
        "user.email is required",
        "Rate limit exceeded, try again later (v2)",
        "self-signed certificate in certificate chain",
    ],
)
def test_what_it_says_stays(text: str) -> None:
    assert of_json({"message": text}) == text


def test_only_failures_have_one() -> None:
    body = b'{"message": "fine"}'
    assert error_signature(200, "application/json", body) is None
    assert error_signature(399, "application/json", body) is None
    assert error_signature(None, None, None) is None
    assert error_signature(500, "application/json", None) is None
    assert error_signature(200, "application/grpc", b"\x00\x00", "0") is None
    assert error_signature(200, "application/grpc", b"\x00\x00", "14") == "grpc: UNAVAILABLE"
    assert error_signature(200, "application/grpc", None, "99") == "grpc: …"
    assert error_signature(200, "application/json", body, "5") == "fine"


def test_big_and_hostile_bodies_are_bounded() -> None:
    for body in (
        b"[" * 10**6,
        b'{"a":' * 10**6,
        b'{"message": "' + b"x" * 10**7,
        b'{"pad": "' + b" " * 10**5 + b'", "message": "beyond"}',
        b"<" * 10**6,
        b"<title " * 10**5,
        b"'" * 10**5,
        b"a." * 10**5,
        b"-" * 10**5,
        b'{"code": ' + b"9" * 10_000 + b"}",
        b'{"code": 1e400, "message": "\\ud800"}',
    ):
        signature = error_signature(500, None, body)
        assert signature is None or len(signature) <= MAX_SIGNATURE


def test_a_body_cut_by_its_size_still_tells() -> None:
    body = b'{"error": {"code": "too_big", "message": "Too big"}, "x": "' + b"y" * 10**5 + b'"}'
    assert error_signature(413, "application/json", body) == "too_big: Too big"


@given(st.one_of(st.binary(), ANY_JSON.map(lambda v: json.dumps(v).encode()), st.text().map(
    lambda t: t.encode("utf-8", "surrogatepass"))))  # fmt: skip
def test_any_body_is_bounded_and_raises_nothing(body: bytes) -> None:
    signature = error_signature(500, "application/json", body)
    assert signature is None or 0 < len(signature) <= MAX_SIGNATURE
    assert signature is None or not any(ord(c) < 32 for c in signature)

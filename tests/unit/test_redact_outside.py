# ruff: noqa: E501 (tables: one case a line)
"""The smallest samples of what an outside test of redaction found left, class by class: the values
of six public projects in 111 places. A place in which one of them is left has leaked thousands."""

from __future__ import annotations

import base64
import json

import pytest

from recorder.decode.row import Transaction
from recorder.redact import RedactConfig, Redactor

_REDACTOR = Redactor(b"a key for tests only, 32 bytes..", RedactConfig())
_S = "Qz7kT2vX9mB4nL8w"
_AWS = "AKIAQ7PLM2NRSTUVWX4Y"


def _tx(**fields: object) -> Transaction:
    return Transaction(ts=0, method="POST", **fields)  # type: ignore[arg-type]


def _text(body: str, kind: str = "text/plain") -> Transaction:
    return _tx(req_body=body.encode(), req_content_type=kind)


def _base64(text: str) -> Transaction:
    document = {"data": base64.b64encode(text.encode()).decode()}
    return _text(json.dumps(document), "application/json")


@pytest.mark.parametrize(
    "text",
    [
        f'{{ "password":"{_S}"}}', f'{{\n  "password": "{_S}"}}', f'{{\n\t"password": "{_S}"}}',
        f'[{{"password":"{_S}"}}]', f' {{"password":"{_S}"}}',
    ],
)  # fmt: skip
def test_json_in_base64_however_it_is_indented(text: str) -> None:
    tx = _base64(text)
    _REDACTOR.redact(tx)
    assert b"[redacted:base64:" in (tx.req_body or b"")
    assert base64.b64encode(text.encode())[8:] not in (tx.req_body or b"")


@pytest.mark.parametrize(
    "tx",
    [
        # the rest of a secret behind an escaped letter of it
        _tx(query=f"q=whsec_abcdefghij0123456789%2BZq8{_S}"),
        _text(f'{{"a":"whsec_abcdefghij0123456789\\/{_S}"}}', "application/json"),
        _text(f'{{"a":"whsec_abcdefghij0123456789\\u002b{_S}"}}', "application/json"),
        _tx(query=f"q=1%2F%2F0{_S * 3}"),
        # assignments
        *(_text(f'password {sign} "{_S}"') for sign in (":=", "?=", "+=", "==", "!=")),
        # a blank behind the sign, in the middle of a line
        _text(f"a;password= {_S};b"), _text(f"//registry.npmjs.org/:_authToken= {_S}"),
        _text(f"log line password= {_S} end"),
        # letters that end no value
        *(_text(f"PASSWORD=ab{letter}cd{_S}") for letter in ("\\", '"', "<")),
        _text(f"PASSWORD=ab&x={_S}"), _text(f'password = ["a1","{_S}"]'),
        # name and value apart
        _text(f'<entry key="password">{_S}</entry>', "text/xml"),
        _text(f'<string name="api_key">{_S}</string>', "text/xml"),
        _text(f'<meta name="csrf-token" content="{_S}">', "text/html"),
        _text(f"<member><name>password</name><value><string>{_S}</string></value></member>", "text/xml"),
        _text(f"password:\n    {_S}\n"), _text(f"secrets:\n  - {_S}\n"),
        _text(f"ENV API_KEY {_S}\n"), _text(f"SetEnv API_KEY {_S}"), _text(f"requirepass {_S}"),
        _text(f"SET PASSWORD FOR 'a' = '{_S}'"), _text(f"docker login -u a -p {_S}"),
        _text(f"sshpass -p {_S} ssh"), _text(f"tokenkey={_S}"),
        *(_text(f"x --{option}-key {_S}") for option in ("secret", "access", "private")),
        _text(f"Duplicate entry '{_S}' for key 'users.email'"),
        _tx(req_headers={"Sec-WebSocket-Protocol": f"base64url.bearer.authorization.k8s.io.{_S}, v4"}),
        # columns and names
        _tx(container_image=f"https://bob:{_S}@reg/a:1", process_exe=f"/usr/bin/tool --password={_S}"),
    ],
)  # fmt: skip
def test_a_secret_that_was_left_goes(tx: Transaction) -> None:
    _REDACTOR.redact(tx)
    assert _S not in repr(tx)
    assert tx.findings


def test_a_key_in_a_host_goes_in_small_letters_too() -> None:
    tx = _tx(host=f"{_AWS.lower()}.x.example", authority=f"{_AWS}.x.example", trace_id=_AWS)
    _REDACTOR.redact(tx)
    assert _AWS.lower() not in repr(tx).lower()


def test_an_iban_that_begins_like_another_vendors_key_is_one() -> None:
    assert "SK3112000000198742637541" not in _REDACTOR.text("to SK3112000000198742637541 now")


def test_the_name_of_a_header_may_be_a_secret() -> None:
    tx = _tx(req_headers={f"X-sk_live_{_S}": "1"})
    _REDACTOR.redact(tx)
    assert _S not in repr(tx)


@pytest.mark.parametrize("number", ["30569309025904", "6759649826438453", "5019717010103742"])
def test_cards_of_fewer_people_are_cards(number: str) -> None:
    assert number not in _REDACTOR.text(f"card {number}")

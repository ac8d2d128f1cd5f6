"""A whole transaction: headers, cookies, addresses, findings, and what happens when it fails."""

from __future__ import annotations

import base64
import stat
from collections import Counter
from pathlib import Path

import pytest

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig, load_key
from recorder.redact.redactor import Redactor
from store.errors import UnavailableError

_KEY = b"a key for tests only, 32 bytes.."


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(_KEY, RedactConfig())


def _tx(**fields: object) -> Transaction:
    return Transaction(ts=0, method="GET", **fields)  # type: ignore[arg-type]


def _places(tx: Transaction) -> set[tuple[str, str]]:
    return {(finding.kind, finding.place) for finding in tx.findings}


def _request(redactor: Redactor, **headers: str) -> Transaction:
    tx = _tx(req_headers={name.replace("_", "-"): value for name, value in headers.items()})
    redactor.redact(tx)
    return tx


def test_credentials_go_and_their_scheme_stays(redactor: Redactor) -> None:
    pair = base64.b64encode(b"bob:hunter2").decode()
    for value, kept, kind in (
        ("Bearer abc", "Bearer ", "bearer"),
        (f"Basic {pair}", "Basic ", "basic"),
        ("token ghp_" + "a1B" * 12, "token ", "github"),
        ("abc", "", "authorization"),
        ('Digest username="bob", response="abc"', "Digest ", "authorization"),
    ):
        tx = _request(redactor, Authorization=value)
        assert tx.req_headers["Authorization"].startswith(f"{kept}[redacted:{kind}:")
        assert _places(tx) == {(kind, "request.header.authorization")}


def test_of_an_aws_signature_only_key_and_signature_go(redactor: Redactor) -> None:
    value = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261122/eu-central-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=fe5f80f77d5fa3beca038a248ff027"
    )
    clean = _request(redactor, Authorization=value).req_headers["Authorization"]
    assert "AKIA" not in clean
    assert "fe5f80" not in clean
    assert "/20261122/eu-central-1/s3/aws4_request, SignedHeaders=host;x-amz-date" in clean


def test_cookies_one_by_one(redactor: Redactor) -> None:
    tx = _tx(
        req_headers={"Cookie": "theme=dark; sid=s1; _ga=GA1.2.3.4; x=aB3dE5fG7hI9jK1lM3nO5; l=de"},
        res_headers={"Set-Cookie": "remember_me=abc; Path=/; HttpOnly; SameSite=Lax"},
    )
    redactor.redact(tx)
    cookie = tx.req_headers["Cookie"]
    assert cookie.startswith("theme=dark; sid=[redacted:session:")
    assert "_ga=GA1.2.3.4; x=[redacted:cookie:" in cookie
    assert cookie.endswith("; l=de")
    answer = tx.res_headers["Set-Cookie"]
    assert answer.startswith("remember_me=[redacted:session:")
    assert answer.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert ("session", "request.header.cookie.sid") in _places(tx)
    assert ("session", "response.header.set-cookie.remember_me") in _places(tx)


def test_a_cookie_without_a_name_is_looked_at(redactor: Redactor) -> None:
    key = "ghp_" + "aB3" * 12
    tx = _tx(req_headers={"Cookie": f"{key}; l=de"}, res_headers={"Set-Cookie": f"{key}; Path=/"})
    redactor.redact(tx)
    assert tx.req_headers["Cookie"].startswith("[redacted:github:")
    assert tx.req_headers["Cookie"].endswith("; l=de")
    assert tx.res_headers["Set-Cookie"].startswith("[redacted:github:")
    assert tx.res_headers["Set-Cookie"].endswith("; Path=/")


def test_a_trace_id_that_is_none_is_looked_at(redactor: Redactor) -> None:
    tx = _tx(trace_id="AKIAQ7PLM2NRSTUVWX4Y")
    redactor.redact(tx)
    assert _places(tx) == {("aws_key", "trace_id")}
    tx = _tx(trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    redactor.redact(tx)
    assert (tx.trace_id, tx.findings) == ("4bf92f3577b34da6a3ce929d0e0e4736", [])


def test_every_column_of_text_is_looked_at(redactor: Redactor) -> None:
    key = "AKIAQ7PLM2NRSTUVWX4Y"
    image = "https://bob:hunter2@registry.example/a:1"
    tx = _tx(
        container_image=image, process_exe=f"/usr/bin/tool --password={key}", connection_id=key,
        request_id=key, pod_name=key, direction="egress-external", scheme="https", host="x.example",
        container_name="token-worker",
    )  # fmt: skip
    redactor.redact(tx)
    assert key not in repr(tx)
    assert "hunter2" not in repr(tx)
    assert ("userinfo", "container_image") in _places(tx)
    assert (tx.container_name, tx.direction) == ("token-worker", "egress-external")


def test_a_secret_in_the_name_of_a_host_goes_from_host_and_authority(redactor: Redactor) -> None:
    key = "AKIAQ7PLM2NRSTUVWX4Y"
    tx = _tx(authority=f"{key}.s3.example:443", host=f"{key.lower()}.s3.example", scheme="https")
    redactor.redact(tx)
    assert tx.authority is not None
    assert tx.host == tx.authority.lower().removesuffix(":443")
    assert tx.host.startswith("[redacted:aws_key:")
    plain = _tx(authority="api.example.com:8443", host="api.example.com:8443")
    redactor.redact(plain)
    assert plain.host == "api.example.com:8443"


def test_the_name_of_a_header_is_looked_at(redactor: Redactor) -> None:
    name = "X-sk_live_" + "a1B2c3D4" * 3
    for _ in range(2):
        tx = _tx(req_headers={name: "1", "X-Auth-Token": "Zx9", "Accept": "*/*"})
        redactor.redact(tx)
        assert name not in tx.req_headers
        assert [one for one in tx.req_headers if one.startswith("X-[redacted:stripe:")]
        assert "X-Auth-Token" in tx.req_headers


def test_rows_of_other_tables_are_looked_at(redactor: Redactor) -> None:
    row: dict[str, object] = {
        "statement": "select * from t where token = ?",
        "process_exe": "/bin/x --password=hunter22",
        "pid": 7,
        "container_name": "api",
    }
    redactor.fields(row)
    assert row["statement"] == "select * from t where token = ?"
    assert row["container_name"] == "api"
    assert str(row["process_exe"]).startswith("/bin/x --password=[redacted:password:")


def test_more_cookies_than_any_browser_sends_are_cut_off(redactor: Redactor) -> None:
    tx = _tx(req_headers={"Cookie": "a=1;" * 300 + "sid=hunter2"})
    redactor.redact(tx)
    assert tx.req_headers["Cookie"].startswith("a=1;" * 256 + "[redacted:uninspected:")
    assert "hunter2" not in tx.req_headers["Cookie"]
    assert _places(tx) == {("uninspected", "request.header.cookie")}


def test_ordinary_headers_stay(redactor: Redactor) -> None:
    headers = {
        ":authority": "api.example.com",
        "Accept": "*/*",
        "Access-Control-Allow-Credentials": "true",
        "Content-Security-Policy": "default-src 'self'",
        "Date": "Sun, 22 Nov 2026 13:00:00 GMT",
        "Etag": 'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"',
        "Idempotency-Key": "018f3c9e-7d1a-7b3c-9c55-0123456789ab",
        "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Www-Authenticate": 'Bearer realm="api", error="invalid_token"',
        "X-Order-Number": "4111111111111111",
        "X-Ratelimit-Remaining-Tokens": "149984",
    }
    for _ in range(2):
        tx = _tx(req_headers=dict(headers), res_headers=dict(headers))
        redactor.redact(tx)
        assert tx.req_headers == headers
        assert tx.res_headers == headers
        assert tx.findings == []


def test_the_same_secret_has_the_same_fingerprint_wherever_it_stands(redactor: Redactor) -> None:
    key = "sk_live_" + "a1B2c3D4" * 3
    tx = _tx(
        path=f"/v1/{key}",
        query=f"key={key}",
        req_headers={"Authorization": f"Bearer {key}", "X-Api-Key": key, "X-Note": f"see {key}"},
        req_body=f'{{"a": {{"apiKey": "{key}"}}}}'.encode(),
        res_body=f"key {key} is invalid".encode(),
        user_agent=f"x/{key}",
        error_signature=f"invalid key {key}",
        status=401,
    )
    redactor.redact(tx)
    assert key not in repr(tx)
    assert len({finding.hint for finding in tx.findings}) == 1
    assert _places(tx) == {
        ("stripe", place)
        for place in (
            "request.path",
            "request.query.key",
            "request.header.authorization",
            "request.header.x-api-key",
            "request.header.x-note",
            "request.header.user-agent",
            "request.body.a.apiKey",
            "response.body",
        )
    }
    other = _tx(req_headers={"X-Api-Key": key})
    Redactor(b"another key of thirty-two bytes!", RedactConfig()).redact(other)
    assert {finding.hint for finding in other.findings}.isdisjoint(f.hint for f in tx.findings)


def test_the_same_again_costs_no_finding_less(redactor: Redactor) -> None:
    first, second = (
        _request(redactor, X_Api_Key="abc", X_Note="by a@b.de", Cookie="sid=1") for _ in range(2)
    )
    assert first.req_headers == second.req_headers
    assert set(first.findings) == set(second.findings)
    assert len(first.findings) == 3


def test_headers_in_use_stay_remembered_and_the_rest_is_forgotten_by_bytes(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: Counter[str] = Counter()
    header = redactor.replacer.header

    def counted(name: str, value: bytes) -> object:
        looked_at[name] += 1
        return header(name, value)

    monkeypatch.setattr(redactor.replacer, "header", counted)
    memory = redactor.sides["request"].memory
    memory.most = 100_000
    for number in range(1_000):
        tx = _request(redactor, X_Api_Key="the same key", Authorization=f"Bearer {number:0500}")
        assert "same" not in tx.req_headers["X-Api-Key"]
        held = [*memory.known, *memory.older]
        assert sum(len(repr(item)) for item in held) < 220_000
    assert looked_at == {"X-Api-Key": 1, "Authorization": 1_000}


def test_a_cookie_seen_before_is_no_work_beside_a_new_one(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[bytes] = []
    hits = redactor.replacer.scanner.hits

    def counted(value: bytes, flags: int = 0, first: int = 0) -> object:
        scanned.append(value)
        return hits(value, flags, first)

    monkeypatch.setattr(redactor.replacer.scanner, "hits", counted)
    for number in range(9):
        tx = _request(redactor, Cookie=f"a=user@mail.example; b=2; sid=s{number}; theme=dark")
        assert tx.req_headers["Cookie"].startswith("a=[redacted:email:")
        assert "; b=2; sid=[redacted:session:" in tx.req_headers["Cookie"]
    assert scanned == [b"user@mail.example"]


def test_the_pseudo_header_follows_path_and_query(redactor: Redactor) -> None:
    tx = _tx(path="/a", query="token=x&b=1", req_headers={":path": "/a?token=x&b=1"})
    redactor.redact(tx)
    assert tx.query is not None
    assert tx.query.startswith("token=[redacted:token:")
    assert tx.req_headers[":path"] == f"/a?{tx.query}"
    differs = _tx(path="/a", req_headers={":path": "/a?token=x&b=1"})
    redactor.redact(differs)
    assert differs.req_headers[":path"].startswith("/a?token=[redacted:token:")
    assert _places(differs) == {("token", "request.query.token")}


def test_places_in_a_body_are_paths(redactor: Redactor) -> None:
    body = (
        b'{"user": {"password": "x"}, "items": [{"token": "y"}, {"token": "y"}], "id": 7,'
        b' "raw": "{\\"auth\\": {\\"secret\\": \\"z\\"}}", "a@b.de": "c@d.de"}'
    )
    tx = _tx(req_body=body)
    redactor.redact(tx)
    assert _places(tx) == {
        ("password", "request.body.user.password"),
        ("token", "request.body.items[].token"),
        ("secret", "request.body.raw.auth.secret"),
        ("email", "request.body"),
        ("email", "request.body.*"),
    }
    assert len(tx.findings) == 5


def test_a_row_on_which_redaction_fails_loses_its_texts(
    redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(redactor, "_columns", fails)
    tx = _tx(
        path="/secret-path",
        query="token=x",
        status=200,
        req_headers={"X-Api-Key": "abc"},
        res_body=b"hunter2",
        host="api.example.com",
        process_exe="/app --token=hunter2hunter2",
        container_name="web-AKIAQ7PLM2NRSTUVWX4Y",
        pod_name="web-1",
        request_id="password=hunter2hunter2",
    )
    redactor.redact(tx)
    assert redactor.failures == 1
    assert (tx.status, tx.host, tx.path, tx.query) == (200, "api.example.com", "/", None)
    for name in ("process_exe", "container_name", "request_id"):
        assert "[redacted:" in getattr(tx, name)
        assert not [part for part in ("hunter2", "AKIAQ7") if part in getattr(tx, name)]
    assert tx.pod_name == "web-1"
    assert (tx.req_headers, tx.res_body) == ({}, None)
    assert [finding.kind for finding in tx.findings] == ["unreadable"]


def test_switched_off_it_still_decodes_and_cuts() -> None:
    redactor = Redactor(_KEY, RedactConfig(enabled=False), body_limit=1000)
    tx = _tx(req_headers={"X-Api-Key": "abc"}, req_body=b"password=x" * 5000)
    redactor.redact(tx)
    assert tx.req_headers == {"X-Api-Key": "abc"}
    assert len(tx.req_body or b"") == 1000
    assert redactor.text("password=x") == "password=x"
    assert redactor.policy == "off"


def test_the_policy_tells_settings_apart() -> None:
    policies = {
        Redactor(_KEY, config).policy
        for config in (RedactConfig(), RedactConfig(skip_kinds=frozenset({"email"})))
    }
    assert len(policies) == 2
    assert Redactor(b"x" * 32, RedactConfig()).policy == Redactor(_KEY, RedactConfig()).policy


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("CREATE USER bob IDENTIFIED BY 'hunter2'", "hunter2"),
        ("ALTER ROLE bob PASSWORD 'it''s'", "it''s"),
        ("AUTH hunter2", "hunter2"),
        ("AUTH bob hunter2", "hunter2"),
        ("HELLO 3 AUTH bob hunter2", "hunter2"),
        ("connecting to postgres://bob:hunter2@db/x", "hunter2"),
        ('{"data": "eyJwYXNzd29yZCI6Imh1bnRlcjIifQ==', "eyJwYXNzd29yZCI6"),
    ],
)
def test_log_lines_and_statements(redactor: Redactor, text: str, gone: str) -> None:
    clean = redactor.text(text)
    assert gone not in clean
    assert "[redacted:" in clean
    assert redactor.text(clean) == clean


def test_the_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "redaction.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["redaction.key"]


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "redaction.key"
    path.write_bytes(b"short")
    with pytest.raises(UnavailableError):
        load_key(path)
    with pytest.raises(UnavailableError):
        load_key(tmp_path / "missing" / "redaction.key")

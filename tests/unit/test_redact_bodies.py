# ruff: noqa: E501 (tables: one case a line)
"""What is taken out of bodies, and what is left of them, notation by notation."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import zlib

import pyarrow as pa
import pytest

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor
from recorder.redact.text import without_runs

_REDACTOR = Redactor(b"a key for tests only, 32 bytes..", RedactConfig())
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


def _clean(body: str | bytes, kind: str = "application/json", encoding: str | None = None) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    headers = {"Content-Encoding": encoding} if encoding else {}
    tx = Transaction(
        ts=0, method="GET", res_body=raw, res_content_type=kind, res_headers=headers, status=200
    )
    _REDACTOR.redact(tx)
    assert _REDACTOR.failures == 0
    return tx.res_body or b""


def _masked(body: str | bytes, kind: str = "application/json") -> str:
    """The redacted body with [KIND] for each placeholder."""
    return re.sub(r"\[redacted:(\w+):[0-9a-f]{12}\]", r"[\1]", _clean(body, kind).decode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"password": "a\\"b", "n": 1.50}', '{"password": "[password]", "n": 1.50}'),
        ('{"pin":1234,"password":99,"ok":true}', '{"pin":"[pin]","password":"[password]","ok":true}'),
        ('{"password":null,"token":false,"secret":""}', '{"password":null,"token":false,"secret":""}'),
        ('{"tokens":412,"max_tokens":9}', '{"tokens":412,"max_tokens":9}'),
        ('{"number":4111111111111111}', '{"number":4111111111111111}'),
        ('{"card":4111111111111111}', '{"card":"[card]"}'),
        ('["x",4111111111111111, 2]', '["x","[card]", 2]'),
        ('{"a":"pay 4111 1111 1111 1111 now"}', '{"a":"pay [card] now"}'),
        ('{"score":0.4111111111111111}', '{"score":0.4111111111111111}'),
        ('{"secrets":{"A":"x","type":"t","B":["y",1]}}', '{"secrets":{"A":"[secret]","type":"t","B":["[secret]",1]}}'),
        ('{"password":{"type":"string","minLength":8}}', '{"password":{"type":"string","minLength":8}}'),
        ('{"p":"{\\"token\\":\\"t1\\",\\"n\\":2}"}', '{"p":"{\\"token\\":\\"[token]\\",\\"n\\":2}"}'),
        ('{"p":"{\\"pin\\":4321}"}', '{"p":"{\\"pin\\":\\"[pin]\\"}"}'),
        ('{"secrets":{"createdAt":"t","ARN":"r","DB_URL":"u"}}', '{"secrets":{"createdAt":"t","ARN":"r","DB_URL":"[secret]"}}'),
        ('{"ssh_keys":["ssh-ed25519 AAAAC3Nz"]}', '{"ssh_keys":["ssh-ed25519 AAAAC3Nz"]}'),
        ('{"a":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:Db-a1b2c3"}', '{"a":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:Db-a1b2c3"}'),
        ('{"env":[{"name":"DB_PASS","value":"x y"}]}', '{"env":[{"name":"DB_PASS","value":"[password]"}]}'),
        ('{"key":"db.password","value":{"stringValue":"x y"},"n":"a"}', '{"key":"db.password","value":{"stringValue":"[password]"},"n":"a"}'),
        ('{"env":[{"value":"x y","name":"DB_PASS"}]}', '{"env":[{"value":"[password]","name":"DB_PASS"}]}'),
        ('[["Authorization","Bearer abc"],["A","b"]]', '[["Authorization","Bearer [authorization]"],["A","b"]]'),
        ('{"u":"https://bob:pw@x.example/a"}', '{"u":"https://[userinfo]@x.example/a"}'),
        ('{"u":"https://x.example/?a=1&sig=q%2Fw&b=2"}', '{"u":"https://x.example/?a=1&sig=[signature]&b=2"}'),
        ('{"u":"https:\\/\\/x.example/?a=1\\u0026token=q\\u0026b=2"}', '{"u":"https:\\/\\/x.example/?a=1\\u0026token=[token]\\u0026b=2"}'),
        ('{"a":"password ==","b":"c"}', '{"a":"password ==","b":"c"}'),
        ('{"a":"password :=","b":"c"}', '{"a":"password :=","b":"c"}'),
        ('{"a":"x := \\"y\\" password := \\"z1\\"","b":"c"}', '{"a":"x := \\"y\\" password := \\"[password]\\"","b":"c"}'),
        ('{"a":"token:","b":"c"}', '{"a":"token:","b":"c"}'),
        ('{"q":"mutation{login(user:\\"bob\\",password:\\"x\\")}"}', '{"q":"mutation{login(user:\\"bob\\",password:\\"[password]\\")}"}'),
        ('{"mail":"Jane Roe <jane@roe.example>"}', '{"mail":"Jane Roe <[email]>"}'),
        ('{"img":"logo@2x.png","dep":"lodash@4.17.21"}', '{"img":"logo@2x.png","dep":"lodash@4.17.21"}'),
        ('{"a":"\\nuser@mail.example"}', '{"a":"\\n[email]"}'),
        ('{"iban":"DE89 3704 0044 0532 0130 00"}', '{"iban":"[iban]"}'),
        ('{"t":"to DE89370400440532013000, EUR"}', '{"t":"to [iban], EUR"}'),
        ('{"t":"to DE88370400440532013000"}', '{"t":"to DE88370400440532013000"}'),
        ('{"t":"ssn 123-45-6789, 000-45-6789"}', '{"t":"ssn [ssn], 000-45-6789"}'),
        ('{"order":"123-45-6789"}', '{"order":"123-45-6789"}'),
    ],
)  # fmt: skip
def test_json(body: str, expected: str) -> None:
    assert _masked(body) == expected
    json.loads(_clean(body))


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("a=1&password=x%20y&b=2", "application/x-www-form-urlencoded", "a=1&password=[password]&b=2"),
        ("password=x;y,z\"'&b=2", "application/x-www-form-urlencoded", "password=[password]&b=2"),
        ("user%5Bpassword%5D=x&b=2", "application/x-www-form-urlencoded", "user%5Bpassword%5D=[password]&b=2"),
        ("code=4f8Kq1Zx9Lm2Rt5Yv7Bn&state=1", "", "code=[key]&state=1"),
        ("<a><password>x&amp;y</password></a>", "text/xml", "<a><password>[password]</password></a>"),
        ("<w:Password Type='t'>x</w:Password>", "text/xml", "<w:Password Type='t'>[password]</w:Password>"),
        ("<a><![CDATA[x]]></a><token><![CDATA[y]]></token>", "text/xml", "<a><![CDATA[x]]></a><token><![CDATA[[token]]]></token>"),
        ("&lt;pwd&gt;x&lt;/pwd&gt;", "text/xml", "&lt;pwd&gt;[password]&lt;/pwd&gt;"),
        ('<input name="csrf_token" value="x1">', "text/html", '<input name="csrf_token" value="[token]">'),
        ("db:\n  password: x y # old\n  z: 1\n", "", "db:\n  password: [password]\n  z: 1\n"),
        ("export API_KEY='x y'\nA=1", "", "export API_KEY='[api_key]'\nA=1"),
        ("INFO user=bob password=x2 ok", "text/plain", "INFO user=bob password=[password] ok"),
        ("Server=db;Password=x y;Database=z", "text/plain", "Server=db;Password=[password];Database=z"),
        ("Authorization: Bearer x.y\r\nHost: z", "text/plain", "Authorization: Bearer [authorization]\r\nHost: z"),
        ("ALTER USER a IDENTIFIED BY 'x'", "text/plain", "ALTER USER a IDENTIFIED BY '[password]'"),
        ("curl -u bob:x1 https://h", "text/plain", "curl -u bob:[password] https://h"),
        ("if password == other:", "text/plain", "if password == other:"),
        ('password := "x1"', "text/plain", 'password := "[password]"'),
        ('password += "x1"', "text/plain", 'password += "[password]"'),
        ("API_KEY ?= x1\nB := 1", "text/plain", "API_KEY ?= [api_key]\nB := 1"),
        ('if password == "x1" {', "text/plain", 'if password == "[password]" {'),
        ('if (password !== "x1")', "text/plain", 'if (password !== "[password]")'),
        ("if password != other:", "text/plain", "if password != other:"),
        ("Server=db;password= x1;Database=z", "text/plain", "Server=db;password= [password];Database=z"),
        ("//npm.example/:_authToken= x1 y", "text/plain", "//npm.example/:_authToken= [token] y"),
        ("x Y2FyZCB0b2tlbiBmb3IgcGFzc3dvcmQhPw= and", "text/plain", "x Y2FyZCB0b2tlbiBmb3IgcGFzc3dvcmQhPw= and"),
        (f"i={'Ab3/' * 99}4pw= in 12 ms", "text/plain", f"i={'Ab3/' * 99}4pw= in 12 ms"),
        ("tool --secret-key x1 --access-key y2", "text/plain", "tool --secret-key [password] --access-key [password]"),
        ("to token-service:8080", "text/plain", "to token-service:8080"),
        ("to auth-token-svc.prod:9090", "text/plain", "to auth-token-svc.prod:9090"),
        ("image r.example/token-worker:6.3.2", "text/plain", "image r.example/token-worker:6.3.2"),
        ("clone git@github.com:acme/x.git", "text/plain", "clone git@github.com:acme/x.git"),
        ("mail git@github.com now", "text/plain", "mail [email] now"),
        ("The token bucket is full", "text/plain", "The token bucket is full"),
    ],
)  # fmt: skip
def test_other_notations(body: str, kind: str, expected: str) -> None:
    assert _masked(body, kind) == expected


def test_multipart_keeps_its_parts() -> None:
    body = (
        '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        '--b\r\nContent-Disposition: form-data; name="password"\r\nContent-Type: text/plain\r\n\r\n'
        "two\r\nlines\r\n--b--\r\n"
    )
    assert _masked(body, "multipart/form-data; boundary=b") == body.replace(
        "two\r\nlines", "[password]"
    )


def test_a_private_key_goes_from_its_first_to_its_last_line() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"
    assert _masked(json.dumps({"a": f"x {key} y"})) == '{"a": "x [private_key] y"}'
    assert _masked(json.dumps({"a": key[:50], "b": 1})) == '{"a": "[private_key]", "b": 1}'
    certificate = key.replace("RSA PRIVATE KEY", "CERTIFICATE")
    assert certificate in _clean(certificate, "text/plain").decode()


def test_an_aws_secret_is_known_by_the_key_id_beside_it() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXAMPLEKE"
    text = f"id,value\nAKIAIOSFODNN7EXAMPLE,{secret}\n"
    assert _masked(text, "text/csv") == "id,value\n[aws_key],[aws_secret]\n"
    assert secret in _masked(f"checksum {secret}", "text/plain")


def test_base64_of_json_is_opened() -> None:
    assert _masked('{"data":"eyJwYXNzd29yZCI6ImEifQ=="}') == '{"data":"[base64]"}'
    harmless = '{"cursor":"eyJpZCI6MTIzNDUsImRpciI6ImFzYyJ9"}'
    assert _masked(harmless) == harmless


@pytest.mark.parametrize("before", ["", " ", "\n", "[", "[[", '["a",', "[ ", "[\n  ", "[\r\n"])
@pytest.mark.parametrize("after", ["", " ", "\n  ", "\r\n ", "\t"])
def test_base64_of_json_is_opened_however_it_is_indented(before: str, after: str) -> None:
    for name, left in (("password", "[base64]"), ("sort_by", None)):
        text = f'{before}{{{after}"{name}":"hunter2"}}{"]" * before.count("[")}'
        json.loads(text)
        encoded = base64.b64encode(text.encode()).decode()
        assert _masked(f'{{"data":"{encoded}"}}') == f'{{"data":"{left or encoded}"}}'


@pytest.mark.parametrize("secret", ["whsec_", "ABSKQmVkcm9ja0FQSUtleS", "1//0"])
@pytest.mark.parametrize("slash", ["/", "\\/", "\\u002F", "%2F", "%2f"])
def test_a_secret_goes_whole_where_its_slashes_are_escaped(secret: str, slash: str) -> None:
    tail = "Zq8vT2mK" * 7
    plain = f"{secret}{'aB3' * 14}{'' if secret == '1//0' else '/'}{tail}"
    assert re.fullmatch(
        r"q=\[\w+\]&x=1", _masked(f"q={plain.replace('/', slash)}&x=1", "text/plain")
    )


def _brotli(data: bytes) -> bytes:
    return bytes(pa.Codec("brotli").compress(data, asbytes=True))


def _zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("br", _brotli),
        ("zstd", _zstd),
        ("gzip, br", lambda data: _brotli(gzip.compress(data))),
        ("gzip", lambda data: data),
        ("br", lambda data: data),
        ("gzip", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
        (None, gzip.compress),
    ],
)
def test_encoded_bodies_are_stored_as_they_read(encoding: str | None, pack: object) -> None:
    body = json.dumps({"password": "hunter22", "text": "grün " * 20}).encode()
    clean = _clean(pack(body), "application/json", encoding)  # type: ignore[operator]
    document = json.loads(clean)
    assert document["password"].startswith("[redacted:password:")
    assert document["text"] == "grün " * 20


def test_an_encoded_body_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    filler = random.Random(1).choices("abcdefghijklmnop qrstuvwxyz", k=40_000)
    body = json.dumps({"password": "hunter22", "text": "".join(filler)}).encode()
    for pack, encoding in ((gzip.compress, "gzip"), (_zstd, "zstd"), (_brotli, "br")):
        clean = _clean(pack(body)[:-200], "application/json", encoding)
        assert b"hunter22" not in clean
        assert clean.startswith((b'{"password": "[redacted:', b"[redacted:undecodable:"))
    assert len(_clean(gzip.compress(body)[:-200], "application/json", "gzip")) > 30_000


def test_a_bomb_is_cut_at_the_limit() -> None:
    for pack, encoding in ((gzip.compress, "gzip"), (_zstd, "zstd"), (_brotli, "br")):
        assert len(_clean(pack(b"a" * (64 << 20)), "text/plain", encoding)) == 64 << 10


def test_what_cannot_be_decoded_is_not_kept() -> None:
    tail = gzip.compress(bytes(i * 7 % 251 for i in range(40_000)))[100:3000]
    assert _clean(tail, "application/json", "gzip").startswith(b"[redacted:undecodable:")


def test_an_image_stays_as_it_is() -> None:
    for encoding in (None, "gzip", "br"):
        assert _clean(_PNG, "image/png", encoding) == _PNG


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", ""])
@pytest.mark.parametrize("enabled", [True, False])
def test_bytes_that_begin_as_utf16_does_and_are_no_text_stay_as_they_are(
    mark: bytes, kind: str, enabled: bool
) -> None:
    redactor = Redactor(b"a key for tests only, 32 bytes..", RedactConfig(enabled=enabled))
    noise = random.Random(4)
    for body in (
        mark + bytes(range(256)) * 17,
        mark + bytes(range(255, -1, -1)) * 17,
        *(mark + noise.randbytes(noise.randrange(2, 900)) for _ in range(40)),
    ):
        tx = Transaction(ts=0, method="GET", res_body=body, res_content_type=kind, status=200)
        redactor.redact(tx)
        assert tx.res_body == body


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["{}", "x=1", "很长的中文消息，没有几个字母" * 9 + "!" * 9])
def test_text_in_utf16_is_looked_into(encoding: str, text: str) -> None:
    body = f"\ufeff{json.dumps({'password': 'hunter22', 'text': text}, ensure_ascii=False)}"
    for raw in (body.encode(encoding), body.encode(encoding)[:-1]):
        clean = _clean(raw)
        assert b'"password": "[redacted:password:' in clean
        assert text.encode() in clean


def test_a_secret_across_the_limit_leaves_nothing() -> None:
    for before in range(65_500, 65_540, 3):
        clean = _clean("x" * before + " ghp_" + "aB3" * 12 + " y" * 9000, "text/plain")
        assert len(clean) == 64 << 10
        assert b"ghp_" not in clean
        assert b"aB3" not in clean


@pytest.mark.parametrize("over", [1, 5000, 9000])
def test_a_body_without_secrets_is_cut_at_the_limit_too(over: int) -> None:
    assert _clean("lorem " * 11_000 + "x" * over, "text/plain") == (b"lorem " * 11_000)[: 64 << 10]


def test_a_secret_among_entities_by_the_hundred_is_found() -> None:
    text = "".join(
        f"&#{ord(letter)};" for letter in "Grüße, ein Satz. " * 80 + "jane@mail.example "
    )
    clean = _clean(f"<p>{text}</p>", "text/html")
    assert clean.startswith(b"<p>&#71;&#114;&#252;")
    assert re.search(rb"&#32;\[redacted:email:[0-9a-f]{12}\]&#32;</p>\Z", clean)


_RUN = base64.urlsafe_b64encode(random.Random(8).randbytes(6000)).decode()


@pytest.mark.parametrize("size", [500, 1023, 1024, 1025, 1300, 1535, 1536, 1537, 8000])
def test_what_stands_around_long_base64_is_found(size: int) -> None:
    """The inside of an image or attachment is not looked at; where it begins and ends is."""
    run, token = _RUN[:size], "eyJhbGciOiJIUzI1NiJ9." + _RUN[:90] + "." + _RUN[90:133]
    hidden = base64.b64encode(json.dumps({"password": "Zx81Qw", "pad": run}).encode()).decode()
    for before in range(0, 512, 85):
        body = f'{{"a":"{"." * before}","b":"{run}","password":"Zx81Qw","c":"{token}{run}","d":"{hidden}"}}'
        clean = _masked(body)
        assert clean.count(run) == 1
        assert clean.count("[password]") == 1
        assert "[jwt]" in clean
        assert "[base64]" in clean
        assert "Zx81" not in clean
    assert (b"0" * 20 in without_runs(run.encode())) == (size > 1100)
    assert _masked(f"{run}.password=Zx81Qw", "text/plain").endswith(".password=[password]")
    assert _masked(f"{run}password=Zx81Qw", "text/plain").endswith("password=[password]")


def test_a_list_of_what_is_found_by_keys_is_no_text_with_too_much() -> None:
    rnd = random.Random(3)
    rows = [
        {
            "cacheKey": f"{rnd.getrandbits(128):032x}",
            "titleKey": "checkoutConfirmationTitle",
            "state": "x" * 200,
        }
        for _ in range(190)
    ]
    body = json.dumps([*rows, {"shodan_key": "7q2mZx8Rt4Lk9Wd3Vn6Bh1Yc5Jf0Gs"}])
    assert _masked(body) == body.replace("7q2mZx8Rt4Lk9Wd3Vn6Bh1Yc5Jf0Gs", "[api_key]")


def test_a_text_with_too_much_to_look_at_is_cut_off() -> None:
    addresses = [f"user{n}@mail{n}.example" for n in range(3000)]
    tx = Transaction(ts=0, method="GET", res_body=json.dumps(addresses).encode())
    _REDACTOR.redact(tx)
    assert tx.res_body is not None
    assert b"@" not in tx.res_body
    assert tx.res_body.count(b"[redacted:email:") > 200
    assert re.search(rb"\[redacted:uninspected:[0-9a-f]{12}\]\Z", tx.res_body)
    assert "uninspected" in {finding.kind for finding in tx.findings}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PASSWORD=ab\\cdefghijkl", "PASSWORD=[password]"),
        ('PASSWORD=ab"cdefghijkl', "PASSWORD=[password]"),
        ("PASSWORD=ab<cdefghijkl", "PASSWORD=[password]"),
        ("PASSWORD=ab&x=cdefghijkl", "PASSWORD=[password]"),
        ("log: password=ab\\cdefghijkl next", "log: password=[password] next"),
        ('say "password=abcd" twice', 'say "password=[password]" twice'),
        ("<p>password=abcd<br>x</p>", "<p>password=[password]<br>x</p>"),
        ('password = ["Sec1ret","Tok2en"]', 'password = ["[password]","[password]"]'),
        (
            '<property name="password">Zx9-Qw7k</property>',
            '<property name="password">[password]</property>',
        ),
        ('<entry key="password">Zx9-Qw7k</entry>', '<entry key="password">[password]</entry>'),
        ('<label name="password">Password</label>', '<label name="password">Password</label>'),
        (
            '<meta name="csrf-token" content="Zx9-Qw7k">',
            '<meta name="csrf-token" content="[token]">',
        ),
        (
            "<member><name>password</name><value><string>Zx9</string></value></member>",
            "<member><name>password</name><value><string>[password]</string></value></member>",
        ),
        ("db:\n  password:\n    Zx9-Qw7k\n  x: 1\n", "db:\n  password:\n    [password]\n  x: 1\n"),
        ("secrets:\n  - Zx9-Qw7k\n  - b\nx: 1\n", "secrets:\n  [secret]\nx: 1\n"),
        (
            "password:\n  type: string\n  minLength: 8\n",
            "password:\n  type: string\n  minLength: 8\n",
        ),
        ("password:\nuser: bob\n", "password:\nuser: bob\n"),
        (
            "FROM x\nENV API_KEY Zx9-Qw7k\nENV LANG C\n",
            "FROM x\nENV API_KEY [api_key]\nENV LANG C\n",
        ),
        ("SetEnv API_KEY Zx9-Qw7k", "SetEnv API_KEY [api_key]"),
        ("requirepass Zx9-Qw7k", "requirepass [password]"),
        ("SET PASSWORD FOR 'a' = 'Zx9-Qw7k'", "SET PASSWORD FOR 'a' = '[password]'"),
        (
            "docker login -u bob -p Zx9-Qw7k r.example",
            "docker login -u bob -p [password] r.example",
        ),
        ("sshpass -p Zx9-Qw7k ssh x", "sshpass -p [password] ssh x"),
        (
            "tool --secret-key Zx9 --access-key Qw7",
            "tool --secret-key [password] --access-key [password]",
        ),
        (
            "Duplicate entry 'bob' for key 'users.name'",
            "Duplicate entry '[literal]' for key 'users.name'",
        ),
        ("Key (name)=(bob) already exists.", "Key (name)=([literal]) already exists."),
        ("on card 30569309025904 or 6759649826438453", "on card [card] or [card]"),
        ("DE89-3704-0044-0532-0130-00", "[iban]"),
        ("Grafana eyJrIjoiT0tTcG1pUlY2RnVKZTFVaDFsNFZXdE9ZWmNrMkZYbk", "Grafana [grafana]"),
    ],
)
def test_notations_of_files_logs_and_commands(text: str, expected: str) -> None:
    assert _masked(text, "text/plain") == expected


@pytest.mark.parametrize(
    "text",
    [
        "connect to token-service:8080 refused",
        "auth-token-svc.prod:9090",
        "registry.example/token-worker:6.3.2@sha256:ab12",
        "token-worker:latest",
        "git@github.com:acme/x.git",
        "token: expired",
        "password: required",
        "token=missing&password=invalid",
        "session: revoked",
    ],
)
def test_ports_tags_and_what_is_said_of_a_secret_stay(text: str) -> None:
    assert _masked(text, "text/plain") == text


@pytest.mark.parametrize(
    "body",
    [
        '{"token":" brown"}',
        '{"token":0}',
        '{"errors":{"password":["is too short"]}}',
        '{"token":"expired"}',
    ],
)
def test_answers_that_only_speak_of_a_token_or_password_stay(body: str) -> None:
    assert _masked(body) == body


@pytest.mark.parametrize("size", [100, 5000])
def test_findings_stand_in_order_however_large_the_bodies_are(size: int) -> None:
    body = json.dumps({"note": "lorem ipsum " * (size // 12), "password": "Zx81Qw"}).encode()
    tx = Transaction(ts=0, method="POST", req_headers={"X-Note": "mail a@b.example"})
    tx.req_body, tx.res_body = body, body.replace(b"password", b"token")
    tx.req_content_type = tx.res_content_type = "application/json"
    _REDACTOR.redact(tx)
    places = ["request.header.x-note", "request.body.password", "response.body.token"]
    assert [secret.place for secret in tx.findings or ()] == places
    assert b"Zx81" not in tx.req_body + tx.res_body

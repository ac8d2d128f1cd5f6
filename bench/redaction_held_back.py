# ruff: noqa: E501 (tables: one case a line)
"""Secrets in places and notations, and single texts, that the rules were not written against.

The first set was made before the rules were tuned, and run once as they then were; the single texts
were thought up after the rules stood. docs/redaction.md has the figures of the first runs beside the
present ones.
"""

from __future__ import annotations

import base64
import copy
import json
import random
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from bench.redaction_cases import (
    Place,
    Secret,
    codec,
    encoded_body,
    form_body,
    json_body,
    pick,
    text_body,
    transaction,
)
from recorder.decode.events import Transaction

_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"

HELD_BACK_SECRETS = [
    Secret("heroku", lambda r: "HRKU-AA" + pick(r, _ALNUM + "-_", 58), shape=True),
    Secret("doppler", lambda r: "dp.pt." + pick(r, _ALNUM, 43), shape=True),
    Secret("pulumi", lambda r: "pul-" + pick(r, _HEX, 40), shape=True),
    Secret("hubspot", lambda r: "pat-na1-" + "-".join(pick(r, _HEX, n) for n in (8, 4, 4, 4, 12)), shape=True),
    Secret("pgp", lambda r: "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + pick(r, _ALNUM, 64) + "\n" + pick(r, _ALNUM, 64) + "\n-----END PGP PRIVATE KEY BLOCK-----", shape=True),
    Secret("slack_webhook", lambda r: "https://hooks.slack.com/services/T" + pick(r, string.ascii_uppercase, 8) + "/B" + pick(r, string.ascii_uppercase, 8) + "/" + pick(r, _ALNUM, 24), shape=True),
    Secret("discover", lambda r: "6011 0009 9013 9424", shape=True),
    Secret("iban_fr", lambda r: "FR14 2004 1010 0505 0001 3M02 606", shape=True),
    Secret("password", lambda r: pick(r, _ALNUM + "#@%&", 12), ("pwd", "new_password", "Password", "smtp_pass")),
    Secret("token", lambda r: pick(r, _ALNUM, 40), ("gitToken", "X-Vault-Token", "authenticity_token", "id_token")),
    Secret("secret", lambda r: pick(r, _ALNUM + "/+", 32), ("signing_secret", "SECRET_KEY_BASE", "webhookSecret", "jwt_secret")),
]  # fmt: skip


def _pairs(name: str, secret: str) -> bytes:
    """A length-prefixed map, as MessagePack writes it."""
    key, value = name.encode(), secret.encode()
    return b"\x82\xa1a\x01\xd9" + bytes((len(key),)) + key + b"\xd9" + bytes((len(value),)) + value


HELD_BACK_PLACES = [
    Place("python repr", lambda n, s: text_body(repr({"user": "bob", n: s, "x": 1}))),
    Place("ruby hash", lambda n, s: text_body(f'{{:user => "bob", :{n} => {json.dumps(s)}, "z" => 1}}')),
    Place("php array", lambda n, s: text_body(f"['user' => 'bob', '{n}' => '{s}']")),
    Place("javascript object", lambda n, s: text_body(f"const c = {{user: 'bob', {n.replace('-', '_')}: '{s}', z: 1}};", "text/javascript")),
    Place("java properties", lambda n, s: text_body(f"app.user=bob\napp.{n}={s}\napp.z=1\n")),
    Place("ini", lambda n, s: text_body(f"[db]\nuser = bob\n{n} = {s}\nz = 1\n")),
    Place("toml", lambda n, s: text_body(f'[db]\nuser = "bob"\n{n} = {json.dumps(s)}\n')),
    Place("yaml, quoted", lambda n, s: text_body(f'db:\n  user: bob\n  {n}: "{s}"\n')),
    Place("connection string", lambda n, s: json_body(json.dumps({"cs": f"Server=db;User Id=app;Password={s};Encrypt=yes".replace("&", "%26")}))),
    Place("redis address", lambda n, s: json_body(json.dumps({"u": f"redis://:{quote(s, safe='')}@cache:6379/0"}))),
    Place("mongodb address", lambda n, s: text_body(f"MONGO=mongodb+srv://app:{quote(s, safe='')}@c.example/test?w=1")),
    Place("jdbc address", lambda n, s: text_body(f"jdbc:postgresql://db/x?user=app&password={quote(s)}&ssl=true")),
    Place("npmrc", lambda n, s: text_body(f"//registry.example/:_authToken={s}\n")),
    Place("netrc", lambda n, s: text_body(f"machine api.example login app password {s}\n"), blanks=False),
    Place("docker config", lambda n, s: json_body(json.dumps({"auths": {"r.example": {"auth": base64.b64encode(f"app:{s}".encode()).decode()}}}))),
    Place("headers in a json string", lambda n, s: json_body(json.dumps({"raw": f"GET / HTTP/1.1\r\nHost: x\r\nX-Api-Key: {s}\r\nAccept: */*\r\n\r\n"}))),
    Place("headers as json", lambda n, s: json_body(json.dumps({"headers": {"Authorization": f"Bearer {s}", "Accept": "*/*"}}))),
    Place("headers as a list", lambda n, s: json_body(json.dumps({"headers": [{"name": "Authorization", "value": f"Bearer {s}"}]}))),
    Place("header pairs", lambda n, s: json_body(json.dumps({"headers": [["Authorization", f"Bearer {s}"], ["Accept", "x"]]}))),
    Place("curl -u", lambda n, s: text_body(f"curl -u 'app:{s}' https://x.example/")),
    Place("graphql", lambda n, s: json_body(json.dumps({"query": f'mutation {{ login(user: "bob", {n.replace("-", "_")}: {json.dumps(s)}) {{ id }} }}'}))),
    Place("graphql variables", lambda n, s: json_body(json.dumps({"query": "mutation($i: I!){login(i:$i){id}}", "variables": {"input": {n: s}}}))),
    Place("cdata", lambda n, s: text_body(f"<a><{n}><![CDATA[{s}]]></{n}></a>", "text/xml")),
    Place("xml name and value", lambda n, s: text_body(f'<p name="{n}" value="{s.replace("&", "&amp;")}"/>', "text/xml")),
    Place("jsonp", lambda n, s: text_body(f"cb({json.dumps({n: s})});", "text/javascript")),
    Place("utf-16", lambda n, s: transaction(res_body=json.dumps({n: s}).encode("utf-16"), res_content_type="application/json")),
    Place("json with a byte order mark", lambda n, s: json_body("\ufeff" + json.dumps({n: s}))),
    Place("json, name in capitals", lambda n, s: json_body(json.dumps({n.upper().replace("-", "_"): s}))),
    Place("json, name with spaces", lambda n, s: json_body(json.dumps({n.replace("_", " "): s}))),
    Place("json, long escapes", lambda n, s: json_body(json.dumps({"m": json.dumps({n: s})}).replace("/", "\\/"))),
    Place("form, some bytes encoded", lambda n, s: form_body("a=1&" + quote(n) + "=" + "".join(f"%{ord(c):02x}" if i % 2 else quote(c, safe="") for i, c in enumerate(s)))),
    Place("message pack", lambda n, s: transaction(req_body=_pairs(n, s), req_content_type="application/msgpack"), False),
    Place("json in multipart", lambda n, s: transaction(req_body=(f'--b\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n{json.dumps({n: s})}\r\n--b--').encode(), req_content_type="multipart/form-data; boundary=b")),
    Place("zstd of a form, twice", lambda n, s: encoded_body(n, s, "zstd, zstd", lambda d: codec("zstd")(codec("zstd")(d)))),
    Place("forwarded authorization", lambda n, s: transaction(req_headers={"X-Forwarded-Authorization": f"Bearer {s}"})),
    Place("proxy authorization", lambda n, s: transaction(req_headers={"Proxy-Authorization": "Basic " + base64.b64encode(f"u:{s}".encode()).decode()})),
    Place("header with json", lambda n, s: transaction(req_headers={"X-Context": json.dumps({"a": 1, n: s})})),
    Place("cookie with json", lambda n, s: transaction(req_headers={"Cookie": "ctx=" + quote(json.dumps({n: s})) + "; a=b"})),
    Place("sql in json", lambda n, s: json_body(json.dumps({"sql": f"ALTER USER app IDENTIFIED BY '{s}'"}))),
    Place("sql statement", lambda n, s: text_body(f"CREATE ROLE app LOGIN PASSWORD '{s}';")),
]  # fmt: skip


def first(rnd: random.Random) -> list[tuple[Secret, str]]:
    """One secret of each kind."""
    return [(secret, secret.make(rnd)) for secret in HELD_BACK_SECRETS]


_S = "Qz7kT2vX9mB4nL8w"
_P = "correct-Horse7"
_P64 = base64.b64encode(_P.encode()).decode()
_PAIR = base64.b64encode(f"bob:{_P}".encode()).decode()
_SAML = base64.b64encode(b"<saml>" + _S.encode() * 4).decode()


def _tx(**fields: Any) -> Transaction:
    return Transaction(ts=0, method="POST", status=200, **fields)


def _bare_json(document: Any) -> Transaction:
    return _tx(req_body=json.dumps(document).encode(), req_content_type="application/json")


def _bare_text(text: str, kind: str = "text/plain") -> Transaction:
    return _tx(res_body=text.encode(), res_content_type=kind)


def _bare_form(text: str) -> Transaction:
    return _tx(req_body=text.encode(), req_content_type="application/x-www-form-urlencoded")


# what it is: (secret, transaction)
SINGLES: dict[str, tuple[str, Transaction]] = {
    "sts xml": (
        _S,
        _bare_text(
            f"<Credentials><AccessKeyId>x</AccessKeyId><SecretAccessKey>{_S}</SecretAccessKey><SessionToken>{_S}</SessionToken></Credentials>",
            "text/xml",
        ),
    ),
    "k8s secret yaml": (
        _P64,
        _bare_text(
            f"apiVersion: v1\nkind: Secret\ndata:\n  password: {_P64}\n", "application/yaml"
        ),
    ),
    "yaml block": (
        _P,
        _bare_text(f"stringData:\n  password: |\n    {_P}\n  x: 1\n", "application/yaml"),
    ),
    "yaml folded at 0": (_P, _bare_text(f"password: >-\n  {_P}\nx: 1\n", "application/yaml")),
    "tfstate": (_P, _bare_json({"attributes": {"master_password": _P, "name": "db"}})),
    "ldif": (_P64, _bare_text(f"dn: cn=x\nuserPassword:: {_P64}\n")),
    "apikey scheme": (_S, _tx(req_headers={"Authorization": f"ApiKey {_S}=="})),
    "sas": (_S, _tx(path="/c/b", query=f"sv=2024-01-01&sp=r&sig={_S}%2Bab%3D")),
    "presigned": (
        _S.lower(),
        _tx(
            path="/b/k",
            query=f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={_S.lower()}&X-Amz-Expires=60",
        ),
    ),
    "semicolons": (_P, _tx(query=f"a=1;password={_P};b=2")),
    "cookie in json": (
        _S,
        _bare_json({"headers": {"Cookie": f"sid={_S}; theme=x", "Accept": "*/*"}}),
    ),
    "set-cookie in json": (_S, _bare_json({"headers": {"set-cookie": [f"sid={_S}; Path=/"]}})),
    "cookie header in text": (
        _S,
        _bare_text(f"GET / HTTP/1.1\r\nHost: x\r\nCookie: sid={_S}\r\n\r\n"),
    ),
    "auth array": (_P, _bare_json({"auth": ["bob", _P]})),
    "auth in query": (_PAIR, _tx(query="auth=" + _PAIR)),
    "csv": (_P, _bare_text(f"name,password\nbob,{_P}\n", "text/csv")),
    "prose": (_P, _bare_text(f"Hello, your new password is {_P}, please change it.")),
    "prose colon": (_P, _bare_text(f"Hello, your temporary password is: {_P}\nBye")),
    "sms": ("493817", _bare_form("To=%2B4915112345678&Body=Your+verification+code+is+493817")),
    "sms colon": ("493817", _bare_json({"text": "Your code: 493817"})),
    "otp json": ("493817", _bare_json({"message": "493817 is your verification code"})),
    "backtick": (_P, _bare_text(f"const c = {{ password: `{_P}` }}", "text/javascript")),
    "js quoted key single": (
        _P,
        _bare_text(f"const c = {{ 'password': '{_P}' }}", "text/javascript"),
    ),
    "jsessionid path": (_S, _tx(path=f"/shop/cart;jsessionid={_S}")),
    "capital escape": (_P, _tx(req_body=b'{"\\u0050assword":"' + _P.encode() + b'"}')),
    "es bulk": (
        _P,
        _tx(
            req_body=(
                json.dumps({"index": {}})
                + "\n"
                + json.dumps({"msg": json.dumps({"password": _P})})
                + "\n"
            ).encode(),
            req_content_type="application/x-ndjson",
        ),
    ),
    "td": (_P, _bare_text(f"<tr><td>Password</td><td>{_P}</td></tr>", "text/html")),
    "html label value": (
        _P,
        _bare_text(f'<input value="{_P}" type=password name=password>', "text/html"),
    ),
    "dsn": (_P, _bare_text(f"dsn: user:{_P}@tcp(db:3306)/x")),
    "odbc braces": (_P, _bare_text(f"Driver=x;PWD={{{_P}}};UID=a")),
    "powershell": (_P, _bare_text(f"New-User -Password '{_P}' -Name x")),
    "cli flag": (_P, _bare_text(f"mysql --user=root --password={_P} db")),
    "cli flag space": (_P, _bare_text(f"tool --password {_P} --x")),
    "cli -p": (_P, _bare_text(f"mysql -uroot -p{_P} db")),
    "go struct": (_P, _bare_text(f'Config{{User:"a", Password:"{_P}"}}')),
    "java tostring": (_P, _bare_text(f"User(name=a, password={_P}, x=1)")),
    "python kw": (_P, _bare_text(f"connect(user='a', password='{_P}')")),
    "docker env": (_P, _bare_json({"Env": [f"POSTGRES_PASSWORD={_P}", "A=b"]})),
    "gh actions": (_P, _bare_text(f"::add-mask::{_P}")),
    "graphql var json": (_P, _bare_json({"variables": {"pwd": _P}})),
    "soap header": (
        _P,
        _bare_text(
            f'<wsse:UsernameToken><wsse:Username>u</wsse:Username><wsse:Password Type="x#PasswordText">{_P}</wsse:Password></wsse:UsernameToken>',
            "text/xml",
        ),
    ),
    "xml attr other": (_P, _bare_text(f'<add key="DbPassword" value="{_P}" />', "text/xml")),
    "plist": (_P, _bare_text(f"<key>password</key><string>{_P}</string>", "text/xml")),
    "toml inline": (_P, _bare_text(f'db = {{ user = "a", password = "{_P}" }}')),
    "hcl": (_P, _bare_text(f'password = "{_P}"\n')),
    "saml": (_SAML, _bare_form("SAMLResponse=" + _SAML.replace("+", "%2B"))),
    "query in fragment json": (_S, _bare_json({"u": f"https://x/#/cb?id_token={_S}&x=1"})),
    "ws proto": (_S, _tx(req_headers={"Sec-Websocket-Protocol": f"graphql, bearer {_S}{_S}1"})),
    "signature hdr": (
        _S,
        _tx(req_headers={"X-Hub-Signature-256": "sha256=1", "X-Gitlab-Token": _S}),
    ),
    "vault resp": (_S, _bare_json({"auth": {"client_token": _S, "accessor": "x"}})),
    "firebase": (_S, _bare_json({"idToken": _S, "refreshToken": _S})),
    "msal": (_S, _bare_json({"client_info": "x", "id_token": _S})),
    "recovery": (_S, _bare_json({"recovery_codes": [_S]})),
    "mnemonic": ("ripple able", _bare_json({"mnemonic": "ripple able zoo cat dog run"})),
}


def singles() -> Iterator[tuple[str, str, Transaction]]:
    """(what it is, secret, transaction) of each; made anew, for redaction works in place."""
    for label, (secret, tx) in SINGLES.items():
        yield label, secret, copy.deepcopy(tx)

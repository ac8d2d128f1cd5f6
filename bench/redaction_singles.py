# ruff: noqa: E501 (tables: one case a line)
"""Single secrets in single texts, thought up after the rules stood: a second held-back set.

docs/redaction.md has the figure of its first run beside the present one.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

from recorder.decode.row import Transaction

_S = "Qz7kT2vX9mB4nL8w"
_P = "correct-Horse7"
_P64 = base64.b64encode(_P.encode()).decode()
_PAIR = base64.b64encode(f"bob:{_P}".encode()).decode()
_SAML = base64.b64encode(b"<saml>" + _S.encode() * 4).decode()


def _tx(**fields: Any) -> Transaction:
    return Transaction(ts=0, method="POST", status=200, **fields)


def _json(document: Any) -> Transaction:
    return _tx(req_body=json.dumps(document).encode(), req_content_type="application/json")


def _text(text: str, kind: str = "text/plain") -> Transaction:
    return _tx(res_body=text.encode(), res_content_type=kind)


def _form(text: str) -> Transaction:
    return _tx(req_body=text.encode(), req_content_type="application/x-www-form-urlencoded")


# what it is: (secret, transaction)
SINGLES: dict[str, tuple[str, Transaction]] = {
    "sts xml": (
        _S,
        _text(
            f"<Credentials><AccessKeyId>x</AccessKeyId><SecretAccessKey>{_S}</SecretAccessKey><SessionToken>{_S}</SessionToken></Credentials>",
            "text/xml",
        ),
    ),
    "k8s secret yaml": (
        _P64,
        _text(f"apiVersion: v1\nkind: Secret\ndata:\n  password: {_P64}\n", "application/yaml"),
    ),
    "yaml block": (
        _P,
        _text(f"stringData:\n  password: |\n    {_P}\n  x: 1\n", "application/yaml"),
    ),
    "yaml folded at 0": (_P, _text(f"password: >-\n  {_P}\nx: 1\n", "application/yaml")),
    "tfstate": (_P, _json({"attributes": {"master_password": _P, "name": "db"}})),
    "ldif": (_P64, _text(f"dn: cn=x\nuserPassword:: {_P64}\n")),
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
    "cookie in json": (_S, _json({"headers": {"Cookie": f"sid={_S}; theme=x", "Accept": "*/*"}})),
    "set-cookie in json": (_S, _json({"headers": {"set-cookie": [f"sid={_S}; Path=/"]}})),
    "cookie header in text": (_S, _text(f"GET / HTTP/1.1\r\nHost: x\r\nCookie: sid={_S}\r\n\r\n")),
    "auth array": (_P, _json({"auth": ["bob", _P]})),
    "auth in query": (_PAIR, _tx(query="auth=" + _PAIR)),
    "csv": (_P, _text(f"name,password\nbob,{_P}\n", "text/csv")),
    "prose": (_P, _text(f"Hello, your new password is {_P}, please change it.")),
    "prose colon": (_P, _text(f"Hello, your temporary password is: {_P}\nBye")),
    "sms": ("493817", _form("To=%2B4915112345678&Body=Your+verification+code+is+493817")),
    "sms colon": ("493817", _json({"text": "Your code: 493817"})),
    "otp json": ("493817", _json({"message": "493817 is your verification code"})),
    "backtick": (_P, _text(f"const c = {{ password: `{_P}` }}", "text/javascript")),
    "js quoted key single": (_P, _text(f"const c = {{ 'password': '{_P}' }}", "text/javascript")),
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
    "td": (_P, _text(f"<tr><td>Password</td><td>{_P}</td></tr>", "text/html")),
    "html label value": (
        _P,
        _text(f'<input value="{_P}" type=password name=password>', "text/html"),
    ),
    "dsn": (_P, _text(f"dsn: user:{_P}@tcp(db:3306)/x")),
    "odbc braces": (_P, _text(f"Driver=x;PWD={{{_P}}};UID=a")),
    "powershell": (_P, _text(f"New-User -Password '{_P}' -Name x")),
    "cli flag": (_P, _text(f"mysql --user=root --password={_P} db")),
    "cli flag space": (_P, _text(f"tool --password {_P} --x")),
    "cli -p": (_P, _text(f"mysql -uroot -p{_P} db")),
    "go struct": (_P, _text(f'Config{{User:"a", Password:"{_P}"}}')),
    "java tostring": (_P, _text(f"User(name=a, password={_P}, x=1)")),
    "python kw": (_P, _text(f"connect(user='a', password='{_P}')")),
    "docker env": (_P, _json({"Env": [f"POSTGRES_PASSWORD={_P}", "A=b"]})),
    "gh actions": (_P, _text(f"::add-mask::{_P}")),
    "graphql var json": (_P, _json({"variables": {"pwd": _P}})),
    "soap header": (
        _P,
        _text(
            f'<wsse:UsernameToken><wsse:Username>u</wsse:Username><wsse:Password Type="x#PasswordText">{_P}</wsse:Password></wsse:UsernameToken>',
            "text/xml",
        ),
    ),
    "xml attr other": (_P, _text(f'<add key="DbPassword" value="{_P}" />', "text/xml")),
    "plist": (_P, _text(f"<key>password</key><string>{_P}</string>", "text/xml")),
    "toml inline": (_P, _text(f'db = {{ user = "a", password = "{_P}" }}')),
    "hcl": (_P, _text(f'password = "{_P}"\n')),
    "saml": (_SAML, _form("SAMLResponse=" + _SAML.replace("+", "%2B"))),
    "query in fragment json": (_S, _json({"u": f"https://x/#/cb?id_token={_S}&x=1"})),
    "ws proto": (_S, _tx(req_headers={"Sec-Websocket-Protocol": f"graphql, bearer {_S}{_S}1"})),
    "signature hdr": (
        _S,
        _tx(req_headers={"X-Hub-Signature-256": "sha256=1", "X-Gitlab-Token": _S}),
    ),
    "vault resp": (_S, _json({"auth": {"client_token": _S, "accessor": "x"}})),
    "firebase": (_S, _json({"idToken": _S, "refreshToken": _S})),
    "msal": (_S, _json({"client_info": "x", "id_token": _S})),
    "recovery": (_S, _json({"recovery_codes": [_S]})),
    "mnemonic": ("ripple able", _json({"mnemonic": "ripple able zoo cat dog run"})),
}


def singles() -> Iterator[tuple[str, str, Transaction]]:
    """(what it is, secret, transaction) of each; made anew, for redaction works in place."""
    for label, (secret, tx) in SINGLES.items():
        yield label, secret, copy.deepcopy(tx)

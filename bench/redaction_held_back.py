# ruff: noqa: E501 (tables: one case a line)
"""Secrets in places and notations that the rules were not written against.

Made before the rules were tuned, and run once as they then were; docs/redaction.md has the figure
of that first run beside the present one.
"""

from __future__ import annotations

import base64
import json
import random
import string
from urllib.parse import quote

from bench.redaction_places import Place, _codec, _encoded, _form, _json, _text, transaction
from bench.redaction_secrets import Secret, pick

_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"

SECRETS = [
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


PLACES = [
    Place("python repr", lambda n, s: _text(repr({"user": "bob", n: s, "x": 1}))),
    Place("ruby hash", lambda n, s: _text(f'{{:user => "bob", :{n} => {json.dumps(s)}, "z" => 1}}')),
    Place("php array", lambda n, s: _text(f"['user' => 'bob', '{n}' => '{s}']")),
    Place("javascript object", lambda n, s: _text(f"const c = {{user: 'bob', {n.replace('-', '_')}: '{s}', z: 1}};", "text/javascript")),
    Place("java properties", lambda n, s: _text(f"app.user=bob\napp.{n}={s}\napp.z=1\n")),
    Place("ini", lambda n, s: _text(f"[db]\nuser = bob\n{n} = {s}\nz = 1\n")),
    Place("toml", lambda n, s: _text(f'[db]\nuser = "bob"\n{n} = {json.dumps(s)}\n')),
    Place("yaml, quoted", lambda n, s: _text(f'db:\n  user: bob\n  {n}: "{s}"\n')),
    Place("connection string", lambda n, s: _json(json.dumps({"cs": f"Server=db;User Id=app;Password={s};Encrypt=yes".replace("&", "%26")}))),
    Place("redis address", lambda n, s: _json(json.dumps({"u": f"redis://:{quote(s, safe='')}@cache:6379/0"}))),
    Place("mongodb address", lambda n, s: _text(f"MONGO=mongodb+srv://app:{quote(s, safe='')}@c.example/test?w=1")),
    Place("jdbc address", lambda n, s: _text(f"jdbc:postgresql://db/x?user=app&password={quote(s)}&ssl=true")),
    Place("npmrc", lambda n, s: _text(f"//registry.example/:_authToken={s}\n")),
    Place("netrc", lambda n, s: _text(f"machine api.example login app password {s}\n"), blanks=False),
    Place("docker config", lambda n, s: _json(json.dumps({"auths": {"r.example": {"auth": base64.b64encode(f"app:{s}".encode()).decode()}}}))),
    Place("headers in a json string", lambda n, s: _json(json.dumps({"raw": f"GET / HTTP/1.1\r\nHost: x\r\nX-Api-Key: {s}\r\nAccept: */*\r\n\r\n"}))),
    Place("headers as json", lambda n, s: _json(json.dumps({"headers": {"Authorization": f"Bearer {s}", "Accept": "*/*"}}))),
    Place("headers as a list", lambda n, s: _json(json.dumps({"headers": [{"name": "Authorization", "value": f"Bearer {s}"}]}))),
    Place("header pairs", lambda n, s: _json(json.dumps({"headers": [["Authorization", f"Bearer {s}"], ["Accept", "x"]]}))),
    Place("curl -u", lambda n, s: _text(f"curl -u 'app:{s}' https://x.example/")),
    Place("graphql", lambda n, s: _json(json.dumps({"query": f'mutation {{ login(user: "bob", {n.replace("-", "_")}: {json.dumps(s)}) {{ id }} }}'}))),
    Place("graphql variables", lambda n, s: _json(json.dumps({"query": "mutation($i: I!){login(i:$i){id}}", "variables": {"input": {n: s}}}))),
    Place("cdata", lambda n, s: _text(f"<a><{n}><![CDATA[{s}]]></{n}></a>", "text/xml")),
    Place("xml name and value", lambda n, s: _text(f'<p name="{n}" value="{s.replace("&", "&amp;")}"/>', "text/xml")),
    Place("jsonp", lambda n, s: _text(f"cb({json.dumps({n: s})});", "text/javascript")),
    Place("utf-16", lambda n, s: transaction(res_body=json.dumps({n: s}).encode("utf-16"), res_content_type="application/json")),
    Place("json with a byte order mark", lambda n, s: _json("\ufeff" + json.dumps({n: s}))),
    Place("json, name in capitals", lambda n, s: _json(json.dumps({n.upper().replace("-", "_"): s}))),
    Place("json, name with spaces", lambda n, s: _json(json.dumps({n.replace("_", " "): s}))),
    Place("json, long escapes", lambda n, s: _json(json.dumps({"m": json.dumps({n: s})}).replace("/", "\\/"))),
    Place("form, some bytes encoded", lambda n, s: _form("a=1&" + quote(n) + "=" + "".join(f"%{ord(c):02x}" if i % 2 else quote(c, safe="") for i, c in enumerate(s)))),
    Place("message pack", lambda n, s: transaction(req_body=_pairs(n, s), req_content_type="application/msgpack"), False),
    Place("json in multipart", lambda n, s: transaction(req_body=(f'--b\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n{json.dumps({n: s})}\r\n--b--').encode(), req_content_type="multipart/form-data; boundary=b")),
    Place("zstd of a form, twice", lambda n, s: _encoded(n, s, "zstd, zstd", lambda d: _codec("zstd")(_codec("zstd")(d)))),
    Place("forwarded authorization", lambda n, s: transaction(req_headers={"X-Forwarded-Authorization": f"Bearer {s}"})),
    Place("proxy authorization", lambda n, s: transaction(req_headers={"Proxy-Authorization": "Basic " + base64.b64encode(f"u:{s}".encode()).decode()})),
    Place("header with json", lambda n, s: transaction(req_headers={"X-Context": json.dumps({"a": 1, n: s})})),
    Place("cookie with json", lambda n, s: transaction(req_headers={"Cookie": "ctx=" + quote(json.dumps({n: s})) + "; a=b"})),
    Place("sql in json", lambda n, s: _json(json.dumps({"sql": f"ALTER USER app IDENTIFIED BY '{s}'"}))),
    Place("sql statement", lambda n, s: _text(f"CREATE ROLE app LOGIN PASSWORD '{s}';")),
]  # fmt: skip


def first(rnd: random.Random) -> list[tuple[Secret, str]]:
    """One secret of each kind."""
    return [(secret, secret.make(rnd)) for secret in SECRETS]

# ruff: noqa: E501 (tables: one case a line)
"""What is planted: made-up secrets of every kind that redaction claims to know (none of them opens
anything), the places where they may stand, and harmless values that look like secrets."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import random
import string
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow as pa

from recorder.decode.events import Transaction

_LOWER = string.ascii_lowercase
_ALNUM = string.ascii_letters + string.digits
_URL64 = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_UPPER_DIGITS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Secret:
    """A kind of secret. `names` are fields that it is filed under; a `shape` is one that is
    known by its looks and so must not survive anywhere, under any name."""

    kind: str
    make: Callable[[random.Random], str]
    names: tuple[str, ...] = ()
    shape: bool = False
    number: bool = False


def pick(rnd: random.Random, letters: str, count: int) -> str:
    """`count` random ones of `letters`."""
    return "".join(rnd.choices(letters, k=count))


def _plain(prefix: str, letters: str, count: int, tail: str = "") -> Callable[[random.Random], str]:
    return lambda rnd: prefix + pick(rnd, letters, count) + tail


def _luhn(rnd: random.Random, prefix: str, length: int) -> str:
    body = prefix + pick(rnd, string.digits, length - len(prefix) - 1)
    total = sum(
        sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body))
    )
    return body + str(-total % 10)


def _grouped(digits: str, separator: str) -> str:
    return separator.join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _iban(rnd: random.Random, country: str, length: int, letters: str = "") -> str:
    account = letters + pick(rnd, string.digits, length - 4 - len(letters))
    number = int("".join(str(int(c, 36)) for c in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def _ssn(rnd: random.Random) -> str:
    return f"{rnd.randrange(100, 665)}-{rnd.randrange(10, 99)}-{rnd.randrange(1000, 9999)}"


def _url64(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _jwt(rnd: random.Random) -> str:
    head = _url64({"alg": "RS256", "typ": "JWT"})
    body = _url64({"sub": pick(rnd, _ALNUM, 12), "exp": 1763800000})
    return f"{head}.{body}.{pick(rnd, _URL64, 86)}"


def _pem(kind: str) -> Callable[[random.Random], str]:
    def make(rnd: random.Random) -> str:
        lines = [pick(rnd, _ALNUM + "+/", 64) for _ in range(6)]
        return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    return make


def _uuid(rnd: random.Random) -> str:
    digits = pick(rnd, _HEX, 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


SHAPES = [
    Secret("aws_key", _plain("AKIA", string.ascii_uppercase + "234567", 16), shape=True),
    Secret("aws_temporary", _plain("ASIA", string.ascii_uppercase + "234567", 16), shape=True),
    Secret("gcp_key", _plain("AIza", _URL64, 35), shape=True),
    Secret("gcp_oauth", _plain("ya29.", _URL64, 120), shape=True),
    Secret("gcp_client", _plain("GOCSPX-", _URL64, 28), shape=True),
    Secret("azure_secret", lambda r: pick(r, _ALNUM, 3) + "8Q~" + pick(r, _ALNUM + "_.~-", 34), shape=True),
    Secret("azure_storage", lambda r: "AccountKey=" + pick(r, _ALNUM + "+/", 86) + "==", shape=True),
    Secret("digitalocean", _plain("dop_v1_", _HEX, 64), shape=True),
    Secret("github_classic", _plain("ghp_", _ALNUM, 36), shape=True),
    Secret("github_server", _plain("ghs_", _ALNUM, 36), shape=True),
    Secret("github_fine", lambda r: "github_pat_" + pick(r, _ALNUM, 22) + "_" + pick(r, _ALNUM, 59), shape=True),
    Secret("gitlab", _plain("glpat-", _URL64, 20), shape=True),
    Secret("gitlab_runner", _plain("glrt-", _URL64, 20), shape=True),
    Secret("atlassian", _plain("ATATT3xFfGF0", _URL64, 180), shape=True),
    Secret("npm", _plain("npm_", _ALNUM, 36), shape=True),
    Secret("pypi", _plain("pypi-AgEIcHlwaS5vcmc", _URL64, 130), shape=True),
    Secret("rubygems", _plain("rubygems_", _HEX, 48), shape=True),
    Secret("docker", _plain("dckr_pat_", _URL64, 27), shape=True),
    Secret("slack_bot", lambda r: f"xoxb-{r.randrange(10**11)}-{r.randrange(10**12)}-" + pick(r, _ALNUM, 24), shape=True),
    Secret("slack_user", lambda r: f"xoxp-{r.randrange(10**11)}-{r.randrange(10**11)}-" + pick(r, _HEX, 32), shape=True),
    Secret("slack_app", lambda r: f"xapp-1-A{pick(r, _UPPER_DIGITS, 10)}-{r.randrange(10**12)}-" + pick(r, _HEX, 64), shape=True),
    Secret("telegram", lambda r: f"{r.randrange(10**8, 10**10)}:AA" + pick(r, _URL64, 33), shape=True),
    Secret("twilio", _plain("SK", _HEX, 32), shape=True),
    Secret("sendgrid", lambda r: "SG." + pick(r, _URL64, 22) + "." + pick(r, _URL64, 43), shape=True),
    Secret("mailgun", _plain("key-", _HEX, 32), shape=True),
    Secret("mailchimp", _plain("", _HEX, 32, "-us14"), shape=True),
    Secret("brevo", lambda r: "xkeysib-" + pick(r, _HEX, 64) + "-" + pick(r, _ALNUM, 16), shape=True),
    Secret("stripe_live", _plain("sk_live_", _ALNUM, 24), shape=True),
    Secret("stripe_restricted", _plain("rk_live_", _ALNUM, 99), shape=True),
    Secret("stripe_webhook", _plain("whsec_", _ALNUM, 32), shape=True),
    Secret("square", _plain("sq0atp-", _URL64, 22), shape=True),
    Secret("shopify", _plain("shpat_", _HEX, 32), shape=True),
    Secret("plaid", lambda r: "access-production-" + _uuid(r), shape=True),
    Secret("openai_project", _plain("sk-proj-", _URL64, 120), shape=True),
    Secret("openai_old", lambda r: "sk-" + pick(r, _ALNUM, 20) + "T3BlbkFJ" + pick(r, _ALNUM, 20), shape=True),
    Secret("anthropic", _plain("sk-ant-api03-", _URL64, 95), shape=True),
    Secret("huggingface", _plain("hf_", string.ascii_letters, 34), shape=True),
    Secret("groq", _plain("gsk_", _ALNUM, 52), shape=True),
    Secret("xai", _plain("xai-", _ALNUM, 80), shape=True),
    Secret("replicate", _plain("r8_", _ALNUM, 37), shape=True),
    Secret("vault", _plain("hvs.", _URL64, 90), shape=True),
    Secret("terraform", lambda r: pick(r, _ALNUM, 14) + ".atlasv1." + pick(r, _URL64, 67), shape=True),
    Secret("grafana", lambda r: "glsa_" + pick(r, _ALNUM, 32) + "_" + pick(r, _HEX, 8), shape=True),
    Secret("newrelic", _plain("NRAK-", _UPPER_DIGITS, 27), shape=True),
    Secret("sentry", _plain("sntrys_", _ALNUM, 60), shape=True),
    Secret("databricks", _plain("dapi", _HEX, 32), shape=True),
    Secret("planetscale", _plain("pscale_tkn_", _URL64, 43), shape=True),
    Secret("tailscale", lambda r: "tskey-auth-" + pick(r, _ALNUM, 12) + "-" + pick(r, _ALNUM, 32), shape=True),
    Secret("linear", _plain("lin_api_", _ALNUM, 40), shape=True),
    Secret("airtable", lambda r: "pat" + pick(r, _ALNUM, 14) + "." + pick(r, _HEX, 64), shape=True),
    Secret("figma", _plain("figd_", _URL64, 40), shape=True),
    Secret("postman", lambda r: "PMAK-" + pick(r, _HEX, 24) + "-" + pick(r, _HEX, 34), shape=True),
    Secret("age", _plain("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58), shape=True),
    Secret("jwt", _jwt, shape=True),
    Secret("private_key", _pem("RSA PRIVATE KEY"), shape=True),
    Secret("private_key_ec", _pem("EC PRIVATE KEY"), shape=True),
    Secret("private_key_openssh", _pem("OPENSSH PRIVATE KEY"), shape=True),
    Secret("card_visa", lambda r: _luhn(r, "4", 16), shape=True, number=True),
    Secret("card_mastercard", lambda r: _luhn(r, "53", 16), shape=True, number=True),
    Secret("card_amex", lambda r: _luhn(r, "37", 15), shape=True, number=True),
    Secret("card_grouped", lambda r: _grouped(_luhn(r, "4", 16), " "), shape=True),
    Secret("card_dashed", lambda r: _grouped(_luhn(r, "51", 16), "-"), shape=True),
    Secret("iban_de", lambda r: _iban(r, "DE", 22), shape=True),
    Secret("iban_gb", lambda r: _iban(r, "GB", 22, "NWBK"), shape=True),
    Secret("iban_grouped", lambda r: _grouped(_iban(r, "NL", 18, "ABNA"), " "), shape=True),
    Secret("ssn", _ssn, shape=True),
    Secret("email", lambda r: pick(r, _LOWER, 9) + "@" + pick(r, _LOWER, 12) + ".net", shape=True),
]  # fmt: skip

# Random text without a mark of its own: known only by the name that it is filed under.
NAMED = [
    Secret("password", lambda r: pick(r, _ALNUM + "!$*()-_.", 14), ("password", "db_password", "userPassword", "passwd")),
    Secret("passphrase", lambda r: " ".join(pick(r, _LOWER, 6) for _ in range(4)), ("passphrase", "wallet-passphrase")),
    Secret("api_key", lambda r: pick(r, _HEX, 32), ("api_key", "apiKey", "x-api-key", "DD-API-KEY")),
    Secret("secret", lambda r: pick(r, _ALNUM, 40), ("client_secret", "secret", "appSecret", "aws_secret_access_key")),
    Secret("token", lambda r: pick(r, _URL64, 43), ("access_token", "refreshToken", "auth-token", "csrf_token")),
    Secret("session", lambda r: pick(r, _ALNUM, 26), ("session_id", "JSESSIONID", "PHPSESSID", "connect.sid")),
    Secret("account_key", lambda r: pick(r, _ALNUM + "+/", 86) + "==", ("AccountKey", "storage_key")),
    Secret("numeric_password", lambda r: pick(r, string.digits, 10), ("password", "login_password"), number=True),
    Secret("cvv", lambda r: str(r.randrange(100, 999)), ("cvv", "card_cvc")),
    Secret("otp", lambda r: str(r.randrange(10**5, 10**6)), ("otp", "totp"), number=True),
]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A place: `plant(name, secret)` gives a transaction with the secret in it.

    `named`: the secret is filed under its name there, so kinds without a shape count too.
    """

    label: str
    plant: Callable[[str, str], Transaction]
    named: bool = True
    blanks: bool = True  # False: a value with blanks would have to be quoted there


def transaction(**fields: Any) -> Transaction:
    """An ordinary call of a payment service, with some fields replaced."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, br",
        "User-Agent": "acme-pay/4.2 python/3.12",
        "X-Request-Id": "1f0e2d3c-aaaa-4bbb-8ccc-0123456789ab",
    } | fields.pop("req_headers", {})
    answer = {"Server": "nginx", "Date": "Sun, 22 Nov 2026 13:00:00 GMT"} | fields.pop(
        "res_headers", {}
    )
    return Transaction(
        **{
            "ts": 1_795_352_400_000_000,
            "method": "POST",
            "scheme": "https",
            "host": "api.example.com",
            "path": "/v1/charges",
            "status": 200,
            "req_headers": headers,
            "res_headers": answer,
            **fields,
        }
    )


def json_body(text: str, **fields: Any) -> Transaction:
    return transaction(req_body=text.encode(), req_content_type="application/json", **fields)


def form_body(text: str) -> Transaction:
    return transaction(req_body=text.encode(), req_content_type="application/x-www-form-urlencoded")


def text_body(text: str, kind: str = "text/plain") -> Transaction:
    return transaction(res_body=text.encode(), res_content_type=kind)


def _document(name: str, secret: str) -> dict[str, Any]:
    return {"id": "ch_1", "amount": 1999, "customer": {"locale": "de-DE", name: secret}, "ok": True}


def _nested(name: str, secret: str, depth: int) -> Any:
    document: Any = {name: secret}
    for level in range(depth):
        document = {"level": level, "inner": document} if level % 2 else [level, document]
    return document


def _quoted(name: str, secret: str, times: int) -> str:
    text = json.dumps({name: secret, "n": 1})
    for _ in range(times):
        text = json.dumps({"payload": text, "n": 1})
    return text


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def _all_percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _multipart(name: str, secret: str, extra: str = "") -> Transaction:
    body = (
        f'--b1\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        f'--b1\r\nContent-Disposition: form-data; name="{name}"\r\n{extra}\r\n{secret}\r\n--b1--\r\n'
    )
    return transaction(req_body=body.encode(), req_content_type="multipart/form-data; boundary=b1")


def encoded_body(
    name: str, secret: str, encoding: str, pack: Callable[[bytes], bytes]
) -> Transaction:
    body = json.dumps(_document(name, secret)).encode()
    return transaction(
        res_body=pack(body),
        res_content_type="application/json",
        res_headers={"Content-Encoding": encoding},
    )


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def codec(name: str) -> Callable[[bytes], bytes]:
    return lambda data: bytes(pa.Codec(name).compress(data, asbytes=True))


def _basic(secret: str) -> str:
    return base64.b64encode(f"app:{secret}".encode()).decode()


PADDING = {"items": [{"sku": f"SKU-{n:05d}", "qty": n % 9} for n in range(4)]}

PLACES = [
    Place("header", lambda n, s: transaction(req_headers={n: s})),
    Place("header of the answer", lambda n, s: transaction(res_headers={n: s})),
    Place("header under any name", lambda n, s: transaction(req_headers={"X-Note": f"see {s}"}), False),
    Place("authorization: bearer", lambda n, s: transaction(req_headers={"Authorization": f"Bearer {s}"})),
    Place("authorization: token", lambda n, s: transaction(req_headers={"authorization": f"token {s}"})),
    Place("authorization: basic", lambda n, s: transaction(req_headers={"Authorization": f"Basic {_basic(s)}"})),
    Place("authorization: bare", lambda n, s: transaction(req_headers={"Authorization": s})),
    Place("cookie", lambda n, s: transaction(req_headers={"Cookie": f"theme=dark; {n}={quote(s)}; lang=de"})),
    Place("set-cookie", lambda n, s: transaction(res_headers={"Set-Cookie": f"{n}={quote(s)}; Path=/; HttpOnly"})),
    Place("query", lambda n, s: transaction(query=f"limit=10&{quote(n)}={quote(s, safe='')}&page=2")),
    Place("query with plus", lambda n, s: transaction(query=f"{quote_plus(n)}={quote_plus(s)}&page=2")),
    Place("query, every byte encoded", lambda n, s: transaction(query=f"a=1&{_all_percent(n)}={_all_percent(s)}")),
    Place("query under any name", lambda n, s: transaction(query=f"q={quote(s)}&page=2"), False),
    Place("address inside the query, encoded twice", lambda n, s: transaction(query="to=" + quote(f"https://x.example/?{n}={quote(s)}", safe=""))),
    Place("path", lambda n, s: transaction(path=f"/v1/{quote(s)}/items"), False),
    Place("path pseudo header", lambda n, s: transaction(path="/v1/x", query=f"{n}={quote(s)}", req_headers={":path": f"/v1/x?{n}={quote(s)}"})),
    Place("referer", lambda n, s: transaction(req_headers={"Referer": f"https://shop.example/cart?{n}={quote(s)}&x=1"})),
    Place("location, in the fragment", lambda n, s: transaction(res_headers={"Location": f"https://shop.example/cb#{n}={quote(s)}"})),
    Place("user agent", lambda n, s: transaction(user_agent=f"bot/1.0 ({s})", req_headers={"User-Agent": f"bot/1.0 ({s})"}), False),
    Place("userinfo", lambda n, s: json_body(json.dumps({"dsn": f"postgres://app:{quote(s, safe='')}@db.example:5432/x"}))),
    Place("userinfo, slashes escaped", lambda n, s: json_body(json.dumps({"u": f"https://app:{quote(s, safe='')}@h.example/x"}).replace("/", "\\/"))),
    Place("json", lambda n, s: json_body(json.dumps(_document(n, s)))),
    Place("json, indented", lambda n, s: json_body(json.dumps(_document(n, s), indent=4))),
    Place("json, compact", lambda n, s: json_body(json.dumps(_document(n, s), separators=(",", ":")))),
    Place("json under any name", lambda n, s: json_body(json.dumps({**PADDING, "note": f"got {s} today"})), False),
    Place("json key", lambda n, s: json_body(json.dumps({s: 1, "b": 2})), False),
    Place("json, 40 levels down", lambda n, s: json_body(json.dumps(_nested(n, s, 40)))),
    Place("json, list under the name", lambda n, s: json_body(json.dumps({n: [s, s], "b": 1}))),
    Place("json in a json string", lambda n, s: json_body(_quoted(n, s, 1))),
    Place("json in json in json", lambda n, s: json_body(_quoted(n, s, 3))),
    Place("json, value escaped", lambda n, s: json_body(f'{{"a":1,"{n}":"{_escaped(s)}"}}')),
    Place("json, name escaped", lambda n, s: json_body(f'{{"a":1,"{_escaped(n)}":{json.dumps(s)}}}')),
    Place("json, all escaped in a string", lambda n, s: json_body(json.dumps({"p": f'{{"{_escaped(n)}":"{_escaped(s)}"}}'}))),
    Place("json, quotes as \\u0022", lambda n, s: json_body(json.dumps({"p": json.dumps({n: s})}).replace('\\"', "\\u0022"))),
    Place("json, slashes escaped", lambda n, s: json_body(json.dumps(_document(n, s)).replace("/", "\\/"))),
    Place("json, ends in the middle", lambda n, s: json_body(json.dumps({**PADDING, n: s})[:-2])),
    Place("json, begins in the middle", lambda n, s: json_body(json.dumps({**PADDING, n: s, "z": [1]})[37:])),
    Place("json, name and value apart", lambda n, s: json_body(json.dumps({"env": [{"name": n, "value": s}, {"name": "A", "value": "b"}]}))),
    Place("json, an address", lambda n, s: json_body(json.dumps({"next": f"https://x.example/a?b=1&{n}={quote(s)}&c=2"}))),
    Place("json, an address escaped as Go does", lambda n, s: json_body(json.dumps({"next": f"https://x.example/a?b=1&{n}={quote(s)}&c=2"}).replace("&", "\\u0026"))),
    Place("json lines", lambda n, s: json_body("\n".join(json.dumps(d) for d in ({"a": 1}, {n: s}, {"b": 2})))),
    Place("server-sent events", lambda n, s: text_body(f"event: x\ndata: {json.dumps({n: s})}\n\n", "text/event-stream")),
    Place("form", lambda n, s: form_body(f"a=1&{quote_plus(n)}={quote_plus(s)}&z=2")),
    Place("form, brackets", lambda n, s: form_body(f"user%5B{quote_plus(n)}%5D={quote_plus(s)}&z=2")),
    Place("form, every byte encoded", lambda n, s: form_body(f"a=1&{_all_percent(n)}={_all_percent(s)}&z=2")),
    Place("form under any name", lambda n, s: form_body(f"note={quote_plus(s)}&z=2"), False),
    Place("form with json", lambda n, s: form_body("payload=" + quote_plus(json.dumps({"a": 1, n: s})))),
    Place("form with an address encoded twice", lambda n, s: form_body("to=" + quote(quote(f"https://x.example/?{n}={quote(s)}", safe=""), safe=""))),
    Place("multipart", _multipart),
    Place("multipart, with a type", lambda n, s: _multipart(n, s, "Content-Type: text/plain; charset=utf-8\r\n")),
    Place("xml element", lambda n, s: text_body(f"<a><b>1</b><{n}>{s}</{n}></a>", "application/xml")),
    Place("xml element with attributes", lambda n, s: text_body(f'<s:a xmlns:s="u"><s:{n} Type="t">{s}</s:{n}></s:a>', "text/xml")),
    Place("xml attribute", lambda n, s: text_body(f'<a b="1" {n}="{s}"/>', "application/xml")),
    Place("html input", lambda n, s: text_body(f'<input type="hidden" name="{n}" value="{s}">', "text/html")),
    Place("html, json in an attribute", lambda n, s: text_body('<div data-x="' + json.dumps({n: s}).replace('"', "&quot;") + '">', "text/html")),
    Place("log line", lambda n, s: text_body(f"2026-11-22 13:00:01 INFO login {n}={s}\n2026-11-22 next line"), blanks=False),
    Place("yaml", lambda n, s: text_body(f"server:\n  port: 1\n  {n}: {s}\n  z: 1\n", "application/yaml")),
    Place("environment", lambda n, s: text_body(f"export A=1\nexport {n.upper()}='{s}'\nB=2\n")),
    Place("text in a json string", lambda n, s: json_body(json.dumps({"log": f"line one\n{n}={s}\nline three"}))),
    Place("free text", lambda n, s: text_body(f"Yesterday somebody sent {s} to the list."), False),
    Place("curl in a text", lambda n, s: text_body(f"run curl -H 'Authorization: Bearer {s}' https://x.example"), False),
    Place("gzip", lambda n, s: encoded_body(n, s, "gzip", gzip.compress)),
    Place("deflate", lambda n, s: encoded_body(n, s, "deflate", zlib.compress)),
    Place("deflate without a head", lambda n, s: encoded_body(n, s, "deflate", _raw_deflate)),
    Place("brotli", lambda n, s: encoded_body(n, s, "br", codec("brotli"))),
    Place("zstd", lambda n, s: encoded_body(n, s, "zstd", codec("zstd"))),
    Place("gzip in brotli", lambda n, s: encoded_body(n, s, "gzip, br", lambda d: codec("brotli")(gzip.compress(d)))),
    Place("gzip, cut off", lambda n, s: encoded_body(n, s, "gzip", lambda d: gzip.compress(d + b" " * 9000)[:-12])),
    Place("said to be gzip, is not", lambda n, s: encoded_body(n, s, "gzip", lambda d: d)),
    Place("grpc frame", lambda n, s: transaction(req_body=b"\0\0\0\0\x40\x0a" + bytes([min(len(s), 127)]) + s.encode() + b"\x10\x01"), False),
    Place("base64 of json", lambda n, s: json_body(json.dumps({"data": base64.b64encode(json.dumps({n: s}).encode()).decode()}))),
    Place("across the body limit", lambda n, s: json_body(json.dumps({"pad": "x" * (65_536 - 40), n: s, "z": "y" * 20_000}))),
    Place("error signature", lambda n, s: transaction(status=500, error_signature=f"bad value {s}"), False),
]  # fmt: skip


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _when(rnd: random.Random) -> dt.datetime:
    start = dt.datetime(2026, 11, 22, 13, tzinfo=dt.UTC)
    return start + dt.timedelta(milliseconds=rnd.randrange(10**9))


def _uuid7(rnd: random.Random) -> str:
    digits = f"{int(_when(rnd).timestamp() * 1000):012x}7{pick(rnd, _HEX, 3)}a{pick(rnd, _HEX, 15)}"
    return str(uuid.UUID(digits))


def _image(rnd: random.Random) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + rnd.randbytes(600)).decode()


def _cursor(rnd: random.Random) -> str:
    text = json.dumps({"id": rnd.randrange(10**9), "after": _when(rnd).isoformat()})
    return base64.b64encode(text.encode()).decode()


def _version(rnd: random.Random) -> str:
    return f"{rnd.randrange(30)}.{rnd.randrange(30)}.{rnd.randrange(300)}"


# kind -> (field that it stands under, generator)
HARMLESS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "uuid v4": ("id", lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))),
    "uuid v7": ("event_id", _uuid7),
    "uuid without dashes": ("correlation", lambda r: pick(r, _HEX, 32)),
    "ulid": ("id", lambda r: "01" + pick(r, _CROCKFORD, 24)),
    "ksuid": ("ksuid", lambda r: "2" + pick(r, _ALNUM, 26)),
    "cuid": ("cuid", lambda r: "c" + pick(r, string.ascii_lowercase + string.digits, 24)),
    "nanoid": ("slug", lambda r: pick(r, _ALNUM + "_-", 21)),
    "object id": ("_id", lambda r: pick(r, _HEX, 24)),
    "xid": ("request_id", lambda r: "d3t5" + pick(r, "0123456789abcdefghijklmnopqrstuv", 16)),
    "trace id": ("trace_id", lambda r: pick(r, _HEX, 32)),
    "traceparent": ("traceparent", lambda r: f"00-{pick(r, _HEX, 32)}-{pick(r, _HEX, 16)}-01"),
    "span id": ("span_id", lambda r: pick(r, _HEX, 16)),
    "cache key, a hash": ("cache_key", lambda r: pick(r, _HEX, 40)),
    "sort key": ("sort_key", lambda r: pick(r, _ALNUM, 24)),
    "idempotency key, random": ("idempotency_key", lambda r: pick(r, _ALNUM, 32)),
    "key of a partition": ("partitionKey", _uuid),
    "key of a row": ("tenant_key", _uuid),
    "key of a text": ("title_key", lambda r: f"settings.page{r.randrange(10**4)}.title.long"),
    "key of a websocket": ("websocket_key", lambda r: base64.b64encode(r.randbytes(16)).decode()),
    "key of an issue": ("issue_key", lambda r: f"PLATFORM-{r.randrange(10**6)}"),
    "commit": ("commit", lambda r: pick(r, _HEX, 40)),
    "short commit": ("sha", lambda r: pick(r, _HEX, 7)),
    "sha256": ("sha256", lambda r: pick(r, _HEX, 64)),
    "md5": ("md5", lambda r: pick(r, _HEX, 32)),
    "sha256 in base64": ("integrity", lambda r: "sha256-" + base64.b64encode(r.randbytes(32)).decode()),
    "image digest": ("image", lambda r: f"registry.example/api@sha256:{pick(r, _HEX, 64)}"),
    "etag": ("etag", lambda r: f'W/"{pick(r, _HEX, 16)}"'),
    "timestamp": ("created_at", lambda r: _when(r).isoformat()),
    "timestamp with Z": ("updated", lambda r: _when(r).strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
    "date": ("date", lambda r: _when(r).strftime("%a, %d %b %Y %H:%M:%S GMT")),
    "epoch seconds": ("exp", lambda r: str(int(_when(r).timestamp()))),
    "epoch milliseconds": ("ts", lambda r: str(int(_when(r).timestamp() * 1e3))),
    "epoch microseconds": ("offset", lambda r: str(int(_when(r).timestamp() * 1e6))),
    "epoch nanoseconds": ("time_unix_nano", lambda r: str(int(_when(r).timestamp()) * 10**9 + r.randrange(10**9))),
    "image in base64": ("thumbnail", _image),
    "data address": ("avatar", lambda r: "data:image/png;base64," + _image(r)),
    "cursor in base64": ("cursor", _cursor),
    "page token": ("next_page_token", lambda r: pick(r, _ALNUM + "-_", 40)),
    "order number": ("order", lambda r: f"ORD-2026-{r.randrange(10**6):06d}"),
    "order number, digits": ("order_number", lambda r: str(r.randrange(10**15, 10**16))),
    "order number, groups": ("order_id", lambda r: f"{r.randrange(1000):03d}-{r.randrange(10**7):07d}-{r.randrange(10**7):07d}"),
    "invoice number": ("invoice", lambda r: f"INV{r.randrange(10**8):08d}"),
    "phone": ("phone", lambda r: f"+49 {r.randrange(150, 180)} {r.randrange(10**7, 10**8)}"),
    "phone, digits": ("mobile", lambda r: f"49{r.randrange(150, 180)}{r.randrange(10**7, 10**8)}"),
    "phone, US": ("fax", lambda r: f"({r.randrange(200, 999)}) {r.randrange(200, 999)}-{r.randrange(10**4):04d}"),
    "phone, dashes": ("contact", lambda r: f"{r.randrange(200, 999)}-{r.randrange(200, 999)}-{r.randrange(10**4):04d}"),
    "snowflake": ("id", lambda r: str(r.randrange(10**17, 2 * 10**18))),
    "long integer": ("sequence", lambda r: str(r.randrange(10**15, 10**17))),
    "long integer without context": ("value", lambda r: str(r.randrange(10**17, 10**19))),
    "float": ("score", lambda r: repr(r.random())),
    "large float": ("distance", lambda r: repr(r.random() * 5e3)),
    "price": ("price", lambda r: f"{r.randrange(10**6) / 100:.2f}"),
    "version": ("version", _version),
    "version with build": ("build", lambda r: f"{_version(r)}+build.{r.randrange(10**5)}.{pick(r, _HEX, 8)}"),
    "package": ("dependency", lambda r: f"{pick(r, string.ascii_lowercase, 7)}@{_version(r)}"),
    "scoped package": ("dependency", lambda r: f"@acme/{pick(r, string.ascii_lowercase, 6)}@{_version(r)}"),
    "ipv4": ("ip", lambda r: ".".join(str(r.randrange(256)) for _ in range(4))),
    "ipv6": ("ip", lambda r: "2001:db8:" + ":".join(pick(r, _HEX, 4) for _ in range(6))),
    "mac": ("mac", lambda r: ":".join(pick(r, _HEX, 2) for _ in range(6))),
    "address": ("href", lambda r: f"https://shop.example/p/{r.randrange(10**6)}?ref=mail&page={r.randrange(9)}"),
    "address with a port": ("target", lambda r: f"http://10.0.{r.randrange(256)}.{r.randrange(256)}:8080/healthz"),
    "file name": ("file", lambda r: f"logo-{r.randrange(1000)}@2x.png"),
    "sku": ("sku", lambda r: f"SKU-{pick(r, string.ascii_uppercase, 3)}-{r.randrange(10**5)}"),
    "ean": ("ean", lambda r: str(r.randrange(4 * 10**12, 5 * 10**12))),
    "isbn": ("isbn", lambda r: f"978-3-{r.randrange(10**3)}-{r.randrange(10**5):05d}-{r.randrange(10)}"),
    "imei": ("imei", lambda r: "35" + pick(r, string.digits, 13)),
    "tracking number": ("tracking", lambda r: "1Z" + pick(r, string.ascii_uppercase + string.digits, 16)),
    "tracking number, digits": ("tracking_number", lambda r: "94" + pick(r, string.digits, 20)),
    "flight": ("flight", lambda r: f"LH{r.randrange(100, 9999)}"),
    "vin": ("vin", lambda r: "WVWZZZ" + pick(r, "0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 11)),
    "customer id": ("customer", lambda r: "cus_" + pick(r, _ALNUM, 14)),
    "payment id": ("payment_intent", lambda r: "pi_3" + pick(r, _ALNUM, 23)),
    "message sid": ("message_sid", lambda r: "SM" + pick(r, _HEX, 32)),
    "account sid": ("account_sid", lambda r: "AC" + pick(r, _HEX, 32)),
    "arn": ("arn", lambda r: f"arn:aws:iam::{r.randrange(10**12):012d}:role/app-{r.randrange(99)}"),
    "instance": ("instance", lambda r: "i-0" + pick(r, _HEX, 16)),
    "pod": ("pod", lambda r: f"api-{pick(r, _HEX, 10)}-{pick(r, string.ascii_lowercase, 5)}"),
    "colour": ("color", lambda r: "#" + pick(r, _HEX, 6)),
    "position": ("position", lambda r: f"{r.uniform(-90, 90):.14f},{r.uniform(-180, 180):.14f}"),
    "sentence": ("text", lambda r: f"The token bucket refills {r.randrange(9)} times; basic authentication is off."),
    "sentence about passwords": ("help", lambda r: f"Your password must have {r.randrange(8, 20)} characters. Secret santa is on!"),
    "count of tokens": ("max_tokens", lambda r: str(r.randrange(10**5))),
    "kind of token": ("token_type", lambda r: r.choice(["bearer", "Bearer", "mac"])),
    "time of a password": ("password_changed_at", lambda r: _when(r).isoformat()),
    "author": ("author", lambda r: pick(r, string.ascii_lowercase, 8)),
    "authority": ("authority", lambda r: f"{pick(r, string.ascii_lowercase, 6)}.example:443"),
    "secret's name": ("secret_name", lambda r: f"prod/db/{pick(r, string.ascii_lowercase, 6)}"),
    "masked card": ("card", lambda r: f"**** **** **** {r.randrange(10**4):04d}"),
    "last four": ("last4", lambda r: f"{r.randrange(10**4):04d}"),
    "cache key": ("cache_key", lambda r: f"user:{r.randrange(10**6)}:profile:v{r.randrange(9)}"),
    "idempotency key": ("idempotency_key", lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))),
    "shipping": ("shipping", lambda r: r.choice(["standard", "express", "pickup"])),
    "password flag": ("password_required", lambda r: r.choice(["true", "false"])),
    "user agent": ("user_agent", lambda r: f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{r.randrange(90, 140)}.0.0.0 Safari/537.36"),
    "analytics id": ("_ga", lambda r: f"GA1.2.{r.randrange(10**9)}.{r.randrange(10**9)}"),
    "public key": ("publishable_key", lambda r: "pk_test_" + pick(r, _ALNUM, 24)),
    "public key, long": ("publishable_key", lambda r: "pk_live_" + pick(r, _ALNUM, 99)),
    "project key": ("project", lambda r: "phc_" + pick(r, _ALNUM, 43)),
    "completion id": ("id", lambda r: "chatcmpl-" + pick(r, _ALNUM, 29)),
    "answer id": ("id", lambda r: "resp_" + pick(r, _HEX, 48)),
    "id of a tool's use": ("tool_use_id", lambda r: "toolu_01" + pick(r, _ALNUM, 22)),
    "request id in hex": ("request", lambda r: "req_" + pick(r, _HEX, 32)),
    "prefixed ksuid": ("id", lambda r: "user_2" + pick(r, _ALNUM, 26)),
    "prefixed ulid": ("id", lambda r: "key_01" + pick(r, _CROCKFORD, 24)),
    "node id": ("node_id", lambda r: "PR_kwDO" + pick(r, _ALNUM, 14)),
    "node id of a branch": ("node_id", lambda r: "REF_kwDO" + pick(r, _ALNUM, 44)),
    "etag of a size": ("etag", lambda r: f'W/"{pick(r, _HEX, 3)}-{pick(r, _ALNUM, 27)}"'),
    "drive id": ("file_id", lambda r: "1" + pick(r, _ALNUM + "_-", 43)),
    "cursor in base64url": ("cursor", lambda r: pick(r, _ALNUM + "_-", 64)),
    "chunk": ("src", lambda r: f"/static/js/main-{pick(r, _HEX, 20)}.chunk.js"),
    "chunk of Vite": ("src", lambda r: f"/assets/index-{pick(r, _ALNUM + '_-', 8)}.js"),
    "object key": ("key", lambda r: f"uploads/2026/11/avatar_{uuid.UUID(int=r.getrandbits(128), version=4)}.png"),
    "image tag": ("tag", lambda r: f"shop-api:live-{pick(r, _HEX, 40)}"),
    "flag": ("flag", lambda r: f"checkout_new_payment_sheet_v{r.randrange(9)}"),
    "slug": ("slug", lambda r: f"how-we-test-api-keys-{pick(r, _ALNUM, 21)}"),
    "name of a test": ("test", lambda r: f"test_GetUserByIdV{r.randrange(9)}ReturnsOk200ForTenant"),
    "name of a class": ("logger", lambda r: f"com.acme.OrderServiceV{r.randrange(9)}ImplForTenantGroup2Configuration"),
    "certificate": ("ca", lambda r: "-----BEGIN CERTIFICATE-----\n" + base64.b64encode(r.randbytes(90)).decode() + "\n-----END CERTIFICATE-----"),
}  # fmt: skip

_NUMBERS = {"epoch milliseconds", "epoch microseconds", "epoch nanoseconds", "snowflake",
            "long integer", "order number, digits", "float", "large float"}  # fmt: skip


def _in_json(kind: str, name: str, value: str) -> Transaction:
    written: Any = json.loads(value) if kind in _NUMBERS else value
    body = {"object": "event", "data": {name: written, "live": False}, "list": [written, 1]}
    return transaction(res_body=json.dumps(body).encode(), res_content_type="application/json")


def _in_text(kind: str, name: str, value: str) -> Transaction:
    text = f"2026-11-22 13:00:01 INFO handled {name}={value} in 12 ms\n"
    return transaction(res_body=text.encode(), res_content_type="text/plain")


HARMLESS_PLACES: dict[str, Callable[[str, str, str], Transaction]] = {
    "json": _in_json,
    "text": _in_text,
    "query": lambda k, n, v: transaction(query=f"{n}={quote(v, safe='')}&limit=10"),
    "header": lambda k, n, v: transaction(res_headers={f"X-{n.replace('_', '-').strip('-').title()}": v.replace("\n", " ")}),
    "path": lambda k, n, v: transaction(path=f"/v1/things/{quote(v, safe='')}"),
    "cookie": lambda k, n, v: transaction(req_headers={"Cookie": f"{n}={quote(v)}; theme=dark"}),
}  # fmt: skip

# A random value in a cookie of unknown name is taken for a session: these look like one.
RANDOM = frozenset(
    ("ksuid", "cuid", "nanoid", "xid", "sha256 in base64", "image in base64", "data address",
     "cursor in base64", "page token", "payment id", "public key", "message sid", "account sid",
     "version with build", "pod", "traceparent", "public key, long", "project key", "completion id",
     "answer id", "id of a tool's use", "request id in hex", "prefixed ksuid", "prefixed ulid",
     "node id", "node id of a branch", "etag of a size", "drive id", "cursor in base64url", "slug",
     "cache key, a hash", "sort key", "idempotency key, random", "key of a websocket", "image tag", "chunk", "chunk of Vite", "name of a test", "name of a class", "object key")
)  # fmt: skip

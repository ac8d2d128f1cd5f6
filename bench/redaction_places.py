# ruff: noqa: E501 (tables: one case a line)
"""Where a secret may stand in a transaction, and how it may be written there."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow as pa

from recorder.decode.row import Transaction


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


def _json(text: str, **fields: Any) -> Transaction:
    return transaction(req_body=text.encode(), req_content_type="application/json", **fields)


def _form(text: str) -> Transaction:
    return transaction(req_body=text.encode(), req_content_type="application/x-www-form-urlencoded")


def _text(text: str, kind: str = "text/plain") -> Transaction:
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


def _encoded(name: str, secret: str, encoding: str, pack: Callable[[bytes], bytes]) -> Transaction:
    body = json.dumps(_document(name, secret)).encode()
    return transaction(
        res_body=pack(body),
        res_content_type="application/json",
        res_headers={"Content-Encoding": encoding},
    )


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _codec(name: str) -> Callable[[bytes], bytes]:
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
    Place("userinfo", lambda n, s: _json(json.dumps({"dsn": f"postgres://app:{quote(s, safe='')}@db.example:5432/x"}))),
    Place("userinfo, slashes escaped", lambda n, s: _json(json.dumps({"u": f"https://app:{quote(s, safe='')}@h.example/x"}).replace("/", "\\/"))),
    Place("json", lambda n, s: _json(json.dumps(_document(n, s)))),
    Place("json, indented", lambda n, s: _json(json.dumps(_document(n, s), indent=4))),
    Place("json, compact", lambda n, s: _json(json.dumps(_document(n, s), separators=(",", ":")))),
    Place("json under any name", lambda n, s: _json(json.dumps({**PADDING, "note": f"got {s} today"})), False),
    Place("json key", lambda n, s: _json(json.dumps({s: 1, "b": 2})), False),
    Place("json, 40 levels down", lambda n, s: _json(json.dumps(_nested(n, s, 40)))),
    Place("json, list under the name", lambda n, s: _json(json.dumps({n: [s, s], "b": 1}))),
    Place("json in a json string", lambda n, s: _json(_quoted(n, s, 1))),
    Place("json in json in json", lambda n, s: _json(_quoted(n, s, 3))),
    Place("json, value escaped", lambda n, s: _json(f'{{"a":1,"{n}":"{_escaped(s)}"}}')),
    Place("json, name escaped", lambda n, s: _json(f'{{"a":1,"{_escaped(n)}":{json.dumps(s)}}}')),
    Place("json, all escaped in a string", lambda n, s: _json(json.dumps({"p": f'{{"{_escaped(n)}":"{_escaped(s)}"}}'}))),
    Place("json, quotes as \\u0022", lambda n, s: _json(json.dumps({"p": json.dumps({n: s})}).replace('\\"', "\\u0022"))),
    Place("json, slashes escaped", lambda n, s: _json(json.dumps(_document(n, s)).replace("/", "\\/"))),
    Place("json, ends in the middle", lambda n, s: _json(json.dumps({**PADDING, n: s})[:-2])),
    Place("json, begins in the middle", lambda n, s: _json(json.dumps({**PADDING, n: s, "z": [1]})[37:])),
    Place("json, name and value apart", lambda n, s: _json(json.dumps({"env": [{"name": n, "value": s}, {"name": "A", "value": "b"}]}))),
    Place("json, an address", lambda n, s: _json(json.dumps({"next": f"https://x.example/a?b=1&{n}={quote(s)}&c=2"}))),
    Place("json, an address escaped as Go does", lambda n, s: _json(json.dumps({"next": f"https://x.example/a?b=1&{n}={quote(s)}&c=2"}).replace("&", "\\u0026"))),
    Place("json lines", lambda n, s: _json("\n".join(json.dumps(d) for d in ({"a": 1}, {n: s}, {"b": 2})))),
    Place("server-sent events", lambda n, s: _text(f"event: x\ndata: {json.dumps({n: s})}\n\n", "text/event-stream")),
    Place("form", lambda n, s: _form(f"a=1&{quote_plus(n)}={quote_plus(s)}&z=2")),
    Place("form, brackets", lambda n, s: _form(f"user%5B{quote_plus(n)}%5D={quote_plus(s)}&z=2")),
    Place("form, every byte encoded", lambda n, s: _form(f"a=1&{_all_percent(n)}={_all_percent(s)}&z=2")),
    Place("form under any name", lambda n, s: _form(f"note={quote_plus(s)}&z=2"), False),
    Place("form with json", lambda n, s: _form("payload=" + quote_plus(json.dumps({"a": 1, n: s})))),
    Place("form with an address encoded twice", lambda n, s: _form("to=" + quote(quote(f"https://x.example/?{n}={quote(s)}", safe=""), safe=""))),
    Place("multipart", _multipart),
    Place("multipart, with a type", lambda n, s: _multipart(n, s, "Content-Type: text/plain; charset=utf-8\r\n")),
    Place("xml element", lambda n, s: _text(f"<a><b>1</b><{n}>{s}</{n}></a>", "application/xml")),
    Place("xml element with attributes", lambda n, s: _text(f'<s:a xmlns:s="u"><s:{n} Type="t">{s}</s:{n}></s:a>', "text/xml")),
    Place("xml attribute", lambda n, s: _text(f'<a b="1" {n}="{s}"/>', "application/xml")),
    Place("html input", lambda n, s: _text(f'<input type="hidden" name="{n}" value="{s}">', "text/html")),
    Place("html, json in an attribute", lambda n, s: _text('<div data-x="' + json.dumps({n: s}).replace('"', "&quot;") + '">', "text/html")),
    Place("log line", lambda n, s: _text(f"2026-11-22 13:00:01 INFO login {n}={s}\n2026-11-22 next line"), blanks=False),
    Place("yaml", lambda n, s: _text(f"server:\n  port: 1\n  {n}: {s}\n  z: 1\n", "application/yaml")),
    Place("environment", lambda n, s: _text(f"export A=1\nexport {n.upper()}='{s}'\nB=2\n")),
    Place("text in a json string", lambda n, s: _json(json.dumps({"log": f"line one\n{n}={s}\nline three"}))),
    Place("free text", lambda n, s: _text(f"Yesterday somebody sent {s} to the list."), False),
    Place("curl in a text", lambda n, s: _text(f"run curl -H 'Authorization: Bearer {s}' https://x.example"), False),
    Place("gzip", lambda n, s: _encoded(n, s, "gzip", gzip.compress)),
    Place("deflate", lambda n, s: _encoded(n, s, "deflate", zlib.compress)),
    Place("deflate without a head", lambda n, s: _encoded(n, s, "deflate", _raw_deflate)),
    Place("brotli", lambda n, s: _encoded(n, s, "br", _codec("brotli"))),
    Place("zstd", lambda n, s: _encoded(n, s, "zstd", _codec("zstd"))),
    Place("gzip in brotli", lambda n, s: _encoded(n, s, "gzip, br", lambda d: _codec("brotli")(gzip.compress(d)))),
    Place("gzip, cut off", lambda n, s: _encoded(n, s, "gzip", lambda d: gzip.compress(d + b" " * 9000)[:-12])),
    Place("said to be gzip, is not", lambda n, s: _encoded(n, s, "gzip", lambda d: d)),
    Place("grpc frame", lambda n, s: transaction(req_body=b"\0\0\0\0\x40\x0a" + bytes([min(len(s), 127)]) + s.encode() + b"\x10\x01"), False),
    Place("base64 of json", lambda n, s: _json(json.dumps({"data": base64.b64encode(json.dumps({n: s}).encode()).decode()}))),
    Place("across the body limit", lambda n, s: _json(json.dumps({"pad": "x" * (65_536 - 40), n: s, "z": "y" * 20_000}))),
    Place("error signature", lambda n, s: transaction(status=500, error_signature=f"bad value {s}"), False),
]  # fmt: skip

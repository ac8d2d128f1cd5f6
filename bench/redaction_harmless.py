# ruff: noqa: E501 (tables: one case a line)
"""Values that look like secrets and are none: what redaction must leave alone."""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
import string
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from bench.redaction_places import transaction
from bench.redaction_secrets import pick
from recorder.decode.row import Transaction

_HEX = "0123456789abcdef"
_ALNUM = string.ascii_letters + string.digits
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


PLACES: dict[str, Callable[[str, str, str], Transaction]] = {
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
     "version with build", "pod", "traceparent")
)  # fmt: skip

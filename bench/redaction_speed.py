# ruff: noqa: E501 (tables: one case a line)
"""What redaction costs: ordinary events, and the worst megabyte that we could build."""

from __future__ import annotations

import base64
import json
import random
import string
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor

_KEY = b"bench-only-key-of-32-bytes-long!"
_MEGABYTE = 1 << 20
_BLOCK = 250
_WORDS = [
    "invoice",
    "parcel",
    "chair",
    "lamp",
    "green",
    "quiet",
    "ready",
    "north",
    "river",
    "stone",
    "paper",
    "cloud",
]


def _document(rnd: random.Random, number: int) -> dict[str, Any]:
    """Some 700 bytes of JSON as services exchange it; one in five names a person's address."""
    person = {"id": f"cus_{rnd.getrandbits(56):014x}", "name": f"Ada {number}", "locale": "de-DE"}
    if number % 5 == 0:
        person["email"] = f"ada{number}@mail.example"
    items = [
        {"sku": f"SKU-{rnd.randrange(10**5):05d}", "qty": rnd.randrange(9), "price": rnd.random()}
        for _ in range(4)
    ]
    return {
        "id": f"ch_{rnd.getrandbits(96):024x}",
        "object": "charge",
        "amount": rnd.randrange(10**5),
        "created": 1_795_352_400 + number,
        "customer": person,
        "order": str(uuid.UUID(int=rnd.getrandbits(128), version=4)),
        "items": items,
        "metadata": {"trace": f"{rnd.getrandbits(128):032x}", "region": "eu-central-1", "try": 1},
        "description": " ".join(rnd.choices(_WORDS, k=18)),
        "url": f"https://api.example.com/v1/charges/{number}",
        "next": None,
    }


def ordinary(count: int, seed: int = 1) -> Iterator[Transaction]:
    """Different transactions of 20 headers and two JSON bodies of some 700 bytes each."""
    rnd = random.Random(seed)
    for number in range(count):
        path, query = (
            f"/v1/customers/cus_{number:014x}/charges",
            f"expand=items&limit={number % 99}",
        )
        trace = f"00-{rnd.getrandbits(128):032x}-{rnd.getrandbits(64):016x}-01"
        yield Transaction(
            ts=1_795_352_400_000_000 + number,
            method="POST",
            scheme="https",
            host="api.example.com",
            authority="api.example.com",
            path=path,
            query=query,
            protocol="http2",
            status=200,
            req_content_type="application/json",
            res_content_type="application/json",
            user_agent="acme-pay/4.2 python/3.12",
            endpoint_id="api.example.com",
            trace_id=trace[3:35],
            req_headers={
                ":authority": "api.example.com",
                ":method": "POST",
                ":path": f"{path}?{query}",
                ":scheme": "https",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "Authorization": f"Bearer sk_live_{number % 7}abcdefghijklmnopqrstuv",
                "Content-Length": str(650 + rnd.randrange(99)),
                "Content-Type": "application/json",
                "User-Agent": "acme-pay/4.2 python/3.12",
                "Traceparent": trace,
                "X-Request-Id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)),
            },
            res_headers={
                ":status": "200",
                "Cache-Control": "no-store",
                "Content-Type": "application/json",
                "Date": f"Sun, 22 Nov 2026 13:{number // 6000 % 60:02d}:{number // 100 % 60:02d} GMT",
                "Etag": f'W/"{rnd.getrandbits(64):016x}"',
                "Server": "nginx",
                "Strict-Transport-Security": "max-age=63072000",
                "X-Ratelimit-Remaining": str(number % 5000),
            },
            req_body=json.dumps(_document(rnd, number)).encode(),
            res_body=json.dumps(_document(rnd, number + 1)).encode(),
        )


_LETTERS = string.ascii_letters + string.digits


def _encoded(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def new_session(rnd: random.Random, number: int) -> Transaction:
    """A browser's request of a session that was not seen before: a JWT and 2 KB of cookies, of
    which the settings are those of many others."""

    def pick(count: int) -> str:
        return "".join(rnd.choices(_LETTERS, k=count))

    now = 1_795_352_400 + number
    claims = {"sub": pick(22), "iat": now, "exp": now + 900, "scope": "openid profile email"}
    token = f"{_encoded({'alg': 'RS256', 'kid': pick(8)})}.{_encoded(claims)}.{pick(342)}"
    consent = f"isGpcEnabled=0&datestamp={now}&version=202411.1.0&consentId={uuid.UUID(int=rnd.getrandbits(128))}"
    cookies = {
        "session": f"s%3A{pick(32)}.{pick(43)}", "csrftoken": pick(64), "id_token": pick(420),
        "_ga": f"GA1.1.{rnd.randrange(10**9)}.{now}", "_ga_X7": f"GS2.1.s{now}$o1$g1$t{now}$j60$l0$h0",
        "_gid": f"GA1.2.{rnd.randrange(10**9)}.{now}", "_fbp": f"fb.1.{now}000.{rnd.randrange(10**17)}",
        "OptanonConsent": quote(consent + "&groups=C0001%3A1%2CC0002%3A1" * 9),
        "ajs_anonymous_id": str(uuid.UUID(int=rnd.getrandbits(128))), "cart": str(uuid.UUID(int=rnd.getrandbits(128))),
        "intercom-id-ab12": str(uuid.UUID(int=rnd.getrandbits(128))), "device": pick(200), "lb": pick(12),
        "theme": rnd.choice(["dark", "light"]), "lang": rnd.choice(["de-DE", "en-US", "fr-FR"]),
        "ab": rnd.choice(["a", "b"]), "seen": str(now), "tz": "Europe%2FBerlin", "features": quote(json.dumps({"beta": True, "layout": "wide"})),
    }  # fmt: skip
    return Transaction(
        ts=now * 1_000_000,
        method="GET",
        scheme="https",
        host="shop.example.com",
        authority="shop.example.com",
        path=f"/v1/carts/{number}",
        status=200,
        user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0",
        req_headers={
            "Accept": "application/json",
            "Authorization": f"Bearer {token}",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-Request-Id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)),
        },
        res_headers={"Content-Type": "application/json", "Server": "nginx"},
    )


def cold_headers(events: int = 4_000) -> dict[str, float]:
    """CPU time (µs) of events whose sessions were not seen before, and what one of an ordinary
    event is in the same run: the median of blocks of each, in turns."""
    rnd = random.Random(7)
    redactor = Redactor(_KEY, RedactConfig())
    usual = list(ordinary(events))
    costs: dict[str, list[float]] = {"new": [], "ordinary": []}
    size = 0
    for at in range(0, events, _BLOCK):
        new = [new_session(rnd, number) for number in range(at, at + _BLOCK)]
        size += sum(map(size_of, new))
        for label, block in (("new", new), ("ordinary", usual[at : at + _BLOCK])):
            started = time.thread_time()
            for tx in block:
                redactor.redact(tx)
            costs[label].append((time.thread_time() - started) / _BLOCK * 1e6)
    half = len(costs["new"]) // 2
    new_us, ordinary_us = (sorted(costs[label][half:])[half // 2] for label in costs)
    return {
        "us_per_new_session": round(new_us, 1),
        "us_per_ordinary_event": round(ordinary_us, 1),
        "ratio": round(new_us / ordinary_us, 2),
        "bytes_per_new_session": round(size / events),
    }


def unseen(bodies: int = 40) -> dict[str, float]:
    """CPU time (ns) a byte of bodies of 64 KB that were not seen before, the median of so many of
    each kind in turns: ordinary JSON, and JSON around random text."""
    rnd = random.Random(9)
    redactor = Redactor(_KEY, RedactConfig())
    makes: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps([_document(rnd, rnd.randrange(10**6)) for _ in range(82)]),
        "base64": lambda: json.dumps({"data": base64.b64encode(rnd.randbytes(48_000)).decode()}),
        "alnum": lambda: json.dumps({"data": "".join(rnd.choices(_LETTERS, k=64_000))}),
        "base64_lines": lambda: json.dumps({"data": base64.encodebytes(rnd.randbytes(46_000)).decode()}),
        "base64_short": lambda: json.dumps([base64.b64encode(rnd.randbytes(1_500)).decode() for _ in range(31)]),
    }  # fmt: skip
    costs: dict[str, list[float]] = {label: [] for label in makes}
    for _ in range(bodies):
        for label, make in makes.items():
            body = make().encode()
            tx = Transaction(
                ts=0, method="POST", req_body=body, req_content_type="application/json"
            )
            started = time.thread_time()
            redactor.redact(tx)
            costs[label].append((time.thread_time() - started) * 1e9 / len(body))
    return {
        f"ns_per_byte_unseen_{label}": round(sorted(some)[bodies // 2], 2)
        for label, some in costs.items()
    }


def size_of(tx: Transaction) -> int:
    """The bytes of a transaction that redaction reads."""
    texts = [*tx.req_headers.items(), *tx.res_headers.items()]
    length = sum(len(name) + len(value) for name, value in texts)
    return length + len(tx.req_body or b"") + len(tx.res_body or b"")


def speed(events: int = 8_000) -> dict[str, float]:
    """CPU time an event (µs), after a warm-up: the median and the best of blocks."""
    transactions = list(ordinary(events))
    total = sum(map(size_of, transactions))
    redactor = Redactor(_KEY, RedactConfig())
    warm = events // 2
    for tx in transactions[:warm]:
        redactor.redact(tx)
    blocks = []
    for at in range(warm, events, _BLOCK):
        started = time.thread_time()
        for tx in transactions[at : at + _BLOCK]:
            redactor.redact(tx)
        blocks.append((time.thread_time() - started) / _BLOCK * 1e6)
    blocks.sort()
    median = blocks[len(blocks) // 2]
    return {
        "us_per_clean_event": round(_clean_cost(redactor), 2),
        "us_per_event": round(median, 2),
        "us_per_event_best": round(blocks[0], 2),
        "bytes_per_event": round(total / events),
        "ns_per_byte": round(1000 * median * events / total, 2),
    }


def _clean_cost(redactor: Redactor) -> float:
    """CPU time (µs) of an event in whose bodies there is nothing to take out."""
    clean = [tx for tx in ordinary(4_000, seed=2) if not _has_address(tx)]
    costs = []
    for at in range(0, len(clean) - _BLOCK, _BLOCK):
        started = time.thread_time()
        for tx in clean[at : at + _BLOCK]:
            redactor.redact(tx)
        costs.append((time.thread_time() - started) / _BLOCK * 1e6)
    return sorted(costs)[len(costs) // 2]


def _has_address(tx: Transaction) -> bool:
    return b"@" in (tx.req_body or b"") + (tx.res_body or b"")


def _filled(piece: str) -> bytes:
    data = piece.encode()
    return (data * (_MEGABYTE // len(data) + 1))[:_MEGABYTE]


def _listed(make: Callable[[int], str]) -> bytes:
    out, size, number = [], 0, 0
    while size < _MEGABYTE:
        out.append(make(number))
        size += len(out[-1]) + 1
        number += 1
    return ("[" + ",".join(out) + "]").encode()[:_MEGABYTE]


def ordinary_megabyte() -> bytes:
    """One body of many ordinary documents."""
    rnd = random.Random(3)
    return _listed(lambda number: json.dumps(_document(rnd, number)))


WORST: dict[str, Callable[[], bytes]] = {
    "deep lists": lambda: b"[" * (_MEGABYTE // 2) + b"]" * (_MEGABYTE // 2),
    "deep objects": lambda: b'{"a":' * (_MEGABYTE // 6) + b"1" + b"}" * (_MEGABYTE // 6),
    "deep objects under a secret's name": lambda: b'{"token":' * (_MEGABYTE // 10),
    "one list under a secret's name": lambda: b'{"secrets":[' + _filled('"a",'),
    "brackets under a secret's name": lambda: b'{"secrets":' + b"[" * _MEGABYTE,
    "e-mail addresses": lambda: _listed(lambda n: f'"a{n}@b.de"'),
    "at signs": lambda: _filled("a@b"),
    "passwords": lambda: _listed(lambda n: f'{{"pw":"{n}"}}'),
    "names without values": lambda: _filled("token:"),
    "names in a row": lambda: _filled("token_secret_"),
    "names of keys that are none": lambda: _filled('"cache_key":"a1b2c3d4e5f6a7b8c9",'),
    "names of keys without a random value": lambda: _filled('"xkey":"aaaaaaaaaaaaaaaaa",'),
    "names that are harmless": lambda: _filled('"max_tokens":1,'),
    "names in tags": lambda: _filled("<token "),
    "names beside nothing": lambda: _filled('{"name":"token"},'),
    "digits": lambda: b"4" * _MEGABYTE,
    "digits in groups": lambda: _filled("4111 "),
    "numbers that are nearly cards": lambda: _filled("4111111111111112,"),
    "cards": lambda: _filled("4111111111111111,"),
    "numbers that are nearly social": lambda: _filled("000-11-2222 "),
    "capitals and digits": lambda: _filled("DE89A1B2"),
    "nearly IBANs": lambda: _filled("DE88370400440532013000 "),
    "starts of keys": lambda: _filled("sk-proj-"),
    "starts of several keys": lambda: _filled("ghp_AKIAxoxb-glpat-npm_SG.eyJhbGci"),
    "nearly tokens": lambda: _filled("eyJhbGciOiJ."),
    "base64 of json": lambda: _filled("eyJhIjoxfQ== "),
    "one long base64 of json": lambda: b"eyJ" + b"hIjoxfQ" * (_MEGABYTE // 7),
    "begins of private keys": lambda: _filled("-----BEGIN PRIVATE KEY-----"),
    "addresses without an end": lambda: _filled("://aaaaaaaa"),
    "one long userinfo": lambda: b"http://" + b"a:" * (_MEGABYTE // 2),
    "bearer": lambda: _filled("bearer "),
    "bearer tokens": lambda: _filled("bearer abcdefghijklmnop1 "),
    "links": lambda: _filled("/reset/aaaaaaaaaaaaaaaaaaaaa"),
    "backslashes": lambda: b'"' + b"\\" * _MEGABYTE,
    "names and backslashes": lambda: _filled('token\\\\\\\\\\\\\\"'),
    "escaped quotes": lambda: b'{"token":"' + _filled('\\"'),
    "escaped strings in escaped strings": lambda: b'{"a":"' + _filled('{\\"token\\":\\"x\\"},'),
    "quotes": lambda: b'"' * _MEGABYTE,
    "quotes and a card": lambda: b"[" + b'"",' * (_MEGABYTE // 3) + b"4111111111111111]",
    "unicode escapes": lambda: _filled("\\u0041"),
    "unicode escapes of quotes": lambda: _filled("\\u0022token\\u0022:"),
    "quiet, then unicode escapes": lambda: (
        b"lorem ipsum " * (_MEGABYTE // 24) + _filled("\\u0041")[: _MEGABYTE // 2]
    ),
    "quiet, then passwords": lambda: (
        b"lorem ipsum " * (_MEGABYTE // 24) + _filled("password=x&")[: _MEGABYTE // 2]
    ),
    "percent signs": lambda: _filled("%41"),
    "percent signs encoded often": lambda: _filled("%2525252541"),
    "few percent signs": lambda: _filled("%41 lorem ipsum dolor sit amet "),
    "entities": lambda: _filled("&#65;"),
    "entities of quotes": lambda: _filled("&quot;"),
    "control characters": lambda: bytes(range(32)) * (_MEGABYTE // 32),
    "random base64": lambda: base64.b64encode(random.Random(4).randbytes(_MEGABYTE * 3 // 4)),
    "random bytes": lambda: random.Random(1).randbytes(_MEGABYTE),
    "random text": lambda: bytes(random.Random(2).choices(range(32, 127), k=_MEGABYTE)),
    "everything mixed": lambda: _mixed(),
}


def _mixed() -> bytes:
    rnd = random.Random(5)
    pieces = ["sk-", "token", '":"', "a@b.de", "4111111111111111", "%41", "\\u0041", "://", "@", "&quot;",
              "eyJhbGci", "DE89", "000-11-2222", "bearer ", "-----BEGIN PRIVATE", "\\\\", '"', "{", "[",
              "pin=", "password", "AKIA", "/reset/", ":", "=", "<", ">", " ", "xoxb-", "0"]  # fmt: skip
    return "".join(rnd.choices(pieces, k=_MEGABYTE // 4)).encode()[:_MEGABYTE]


def worst() -> dict[str, Any]:
    """CPU time a byte (ns) of a body of one megabyte, for each kind of bad input."""
    redactor = Redactor(_KEY, RedactConfig(), _MEGABYTE)
    warm = list(ordinary(2_000))
    for tx in warm:
        redactor.redact(tx)
    base = speed()["ns_per_byte"]
    figures = {"ordinary": _cost(redactor, ordinary_megabyte())}
    for label, make in WORST.items():
        figures[label] = _cost(redactor, make())
    label = max(figures, key=lambda one: figures[one])
    return {
        "ordinary_events_ns_per_byte": base,
        "ordinary_megabyte_ns_per_byte": figures["ordinary"],
        "worst": label,
        "worst_ns_per_byte": figures[label],
        "worst_to_ordinary_events": round(figures[label] / base, 2),
        "worst_to_ordinary_megabyte": round(figures[label] / figures["ordinary"], 2),
        "all": dict(sorted(figures.items(), key=lambda one: -one[1])),
    }


def _cost(redactor: Redactor, body: bytes) -> float:
    best = 1e9
    for _ in range(2):
        tx = Transaction(ts=0, method="POST", req_body=body, req_content_type="application/json")
        started = time.thread_time()
        redactor.redact(tx)
        best = min(best, time.thread_time() - started)
    return round(best * 1e9 / len(body), 2)

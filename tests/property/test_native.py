"""The compiled part and its twin make the same of every block: the same rows, rejections, counts.

Built once into a temporary folder, where there is a Rust compiler.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.native import Native
from recorder.options import RecordOptions
from recorder.pipeline import worker as worker_module
from recorder.pipeline.worker import Worker
from recorder.redact.config import ExtraRule, RedactConfig
from recorder.redact.rules import builtin
from recorder.source.blocks import whole_events
from recorder.write.intake import Connected, Part, Repeats
from tests.kit import NOON, frame, stamp, transaction

FIXTURES = Path(__file__).parents[2] / "fixtures"


class Pair:
    """A worker with the compiled part, and one without."""

    def __init__(self, file: Path, **options: Any) -> None:
        asked = RecordOptions(store=Path(), connections=True, **options)
        self.twin = Worker(b"k" * 32, asked)
        self.own = Worker(b"k" * 32, asked, Native(file))
        self.in_columns = 0
        self.failures: list[Exception] = []
        if self.own._native:
            columnar = self.own._columnar
            columnar.clean = self._clean(columnar.clean)

    def _clean(self, clean: Any) -> Any:
        def counted(*words: Any) -> Any:
            try:
                made = clean(*words)
            except Exception as error:  # the worker goes on with the same rows
                self.failures.append(error)
                raise
            self.in_columns += made.part.counts["events"]
            return made

        return counted

    def agree(self, block: bytes, repeats: type[Repeats] = Repeats) -> dict[str, Any]:
        """Both make the same of a block, which is of a stream of its own."""
        self.twin.repeats, self.own.repeats = repeats(), repeats()
        plain, own = (summary(one.process_block(block)) for one in (self.twin, self.own))
        assert own == plain
        assert self.failures == []
        return plain


class NoRepeats(Repeats):
    """Of different events with one id and one time, one becomes a row: not always the same one."""

    def has(self, *words: Any) -> bool:
        return False


def summary(parts: list[Part]) -> dict[str, Any]:
    """All that a block came to. Rows are in the order of their events; parts go by stream."""
    rows: list[Any] = []
    counts = Counter[str]()
    times: list[int] = []
    numbers: set[tuple[int, int]] = set()
    others: list[Any] = []
    for part in parts:
        if isinstance(part, Connected):
            others.append((len(rows), part.ts, part.data))
            continue
        if part.transactions is not None:
            part.transactions.validate(full=True)
            rows += part.transactions.to_pylist()
        counts.update(part.counts)
        times += part.times
        others += [*part.connections, *part.database]
        others += [(one.event, one.reason, one.size, one.sample) for one in part.rejected]
        numbers |= {(key, code) for key, codes in part.numbers.items() for code in codes}
    return {
        "rows": sorted(rows, key=lambda row: row["order"]),
        "counts": {name: count for name, count in counts.items() if count},
        "times": times,  # in the stream's order: coverage tells by them when a clock stepped
        "numbers": numbers,
        "others": sorted(map(repr, others)),
    }


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_SMALL", 0)


@pytest.fixture(scope="module")
def pair(library: Path) -> Pair:
    return Pair(library)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("checkout-incident", {}),
        ("leaks", {}),
        ("hostile", {}),
        ("checkout-incident", {"store_bodies": "errors", "routes": ("/v1/{anything}/**",)}),
    ],
)
def test_recorded_streams_are_the_same(library: Path, name: str, options: dict[str, Any]) -> None:
    both = Pair(library, **options)
    rows = [len(both.agree(block)["rows"]) for block in recorded(name)[:3]]
    both.agree(2 * recorded(name)[0])  # all of it comes again
    if name == "checkout-incident":
        assert both.in_columns > 0.9 * sum(rows[1:])  # the first begins a stream


def recorded(name: str, size: int = 1 << 20) -> list[bytes]:
    """A recorded stream in blocks."""
    with gzip.open(FIXTURES / f"{name}.sse.gz") as file:
        return list(whole_events(iter(lambda: file.read(size), b"")))


@pytest.mark.parametrize(
    "options",
    [
        {"store_bodies": "none"},
        {"body_limit": 64},
        {"filter": "res.status >= 400"},
        {"redact": RedactConfig(enabled=False)},
        {"redact": RedactConfig(rules=(ExtraRule("house", "svc-[0-9]"),))},
        {"redact": RedactConfig(allow_values=("^token-0000017.*",))},
    ],
)
def test_every_option_means_the_same(library: Path, options: dict[str, Any]) -> None:
    from bench.source import Producer, make_pool

    producer = Producer(make_pool(60))
    block = b"".join(producer.event(n, NOON / 1e6) for n in range(90))
    both = Pair(library, **options)
    both.agree(block)
    both.twin.shedding = both.own.shedding = True
    both.twin.shift_us = both.own.shift_us = -7_000_000
    both.agree(block.replace(b"x", b"y"))


def event(
    inner: str, *, ts: str = stamp(NOON), extra: str = "", packed: str | None = None
) -> bytes:
    """A transaction of this JSON, `extra` in its outer part."""
    if packed is None:
        packed = base64.b64encode(inner.encode("utf-8", "surrogatepass")).decode()
    data = f'{{"data":{{"data":{{"requestId":"a"{extra},"data":"{packed}"}}}},"ts":"{ts}"}}'
    return b"event: request.http_transaction\ndata: " + data.encode() + b"\n\n"


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE", "anna@example.com", "4242424242424242", "Bearer abcdefgh12345678",
    "sid=41c26f6b98de8e73; theme=light", "password=hunter2aa",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2ln",
]  # fmt: skip
TEXT = st.text(max_size=12) | st.sampled_from(
    [*SECRETS, "", "a b", "é" * 5, "\u2028", "\x7f", "application/json", "text/html", "gzip",
     "application/grpc+proto", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x" * 300]
)  # fmt: skip
BODY = (
    st.binary(max_size=30) | TEXT.map(str.encode) | st.sampled_from(
        [b"\x1f\x8b\x08", b"(\xb5/\xfd", b"\xff\xfea\0", b'{"email": "anna@example.com"}',
         b"\0\1\2 packed", b"a=1&password=hunter2aa", b"\x89PNG\r\n",
         gzip.compress(b"anna@example.com" * 9)]
    )
).map(lambda raw: base64.b64encode(raw).decode())  # fmt: skip
NUMBER = st.sampled_from(
    [0, 1, 200, 404, 422, 503, 999, 2**31, 2**53] * 5 + [-1, 1000, 2**63, 10**25, 1.5]
)
TIME = st.sampled_from(
    [stamp(NOON)] * 40 + [
        "2026-11-22T12:00:00.123456789Z", "2026-11-22T12:00:00.9999999Z",
        "2026-11-22T14:00:00.1+02:00", "2026-11-22T12:00:00", "2026-11-22 12:00:00Z",
        "1969-01-01T00:00:00Z", "2026-11-30T12:00:00Z", "2026-02-30T12:00:00Z",
        "2150-01-01T00:00:00Z", "now", "",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["Cookie", "cookie", "Authorization", "X-Api-Key", "Content-Type", "Traceparent", "traceparent",
     "X-B3-Traceid", "Content-Encoding", "content-encoding", ":path", ":authority", "Referer",
     "Set-Cookie", "Grpc-Status", "grpc-status", "X-Session", "AKIAIOSFODNN7EXAMPLE"]
) | st.text(max_size=6)  # fmt: skip
MAYBE = st.none() | TEXT
HEADERS = st.none() | st.dictionaries(NAMES, TEXT, max_size=6)
AUTHORITIES = ["a.example", "u:p@B.example:443", "a.example:80", "é.example", ""]
PATHS = ["/v1/a/17", "/v1/a?token=abc", "/a#b?c", "?x", "", "/users/anna@example.com"]
ANYTHING = st.recursive(
    NUMBER | TEXT | st.booleans() | st.none(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXT, one, max_size=3),
    max_leaves=6,
)


def fields(needed: Any = None, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(needed or {}, optional=optional)


REQUEST = fields(
    {"method": st.sampled_from(["GET", "POST"]), "authority": st.sampled_from(AUTHORITIES)},
    path=st.sampled_from(PATHS), scheme=st.sampled_from(["https", "http", None]),
    protocol=MAYBE | st.just("grpc"), user_agent=MAYBE, content_type=MAYBE, headers=HEADERS,
    request_id=st.sampled_from([None, "", "own", "9m4e2mr0ui3e8a215n4g"]),
    body=st.none() | BODY, url=TEXT | st.just("https://c.example/d?e=f"),
)  # fmt: skip
RESPONSE = fields(
    status=st.none() | NUMBER, content_type=MAYBE, headers=HEADERS, body=st.none() | BODY
)
METADATA = fields(
    process_id=MAYBE | NUMBER, process_exe=MAYBE, container_name=MAYBE, container_image=MAYBE,
    pod_name=MAYBE, pod_namespace=MAYBE, bytes_sent=st.none() | NUMBER, bytes_received=NUMBER,
    connection_id=MAYBE | st.just("9m4e2mr0ui3e8a215n40"), endpoint_id=MAYBE,
    tags=st.lists(TEXT, max_size=2), qrec=st.none() | st.just({"findings": [["email", "x", "y"]]}),
)  # fmt: skip
INNER = fields(
    {"request": REQUEST},
    response=st.none() | RESPONSE, metadata=st.none() | METADATA, transaction_time=st.none() | TIME,
    duration_ms=st.none() | NUMBER, direction=MAYBE, unknown=ANYTHING,
)  # fmt: skip


@given(st.lists(st.tuples(INNER, TIME, st.booleans()), min_size=1, max_size=5))
@settings(max_examples=300)
def test_any_transaction_is_the_same(pair: Pair, some: list[tuple[Any, str, bool]]) -> None:
    texts = [json.dumps(inner, ensure_ascii=escaped) for inner, _, escaped in some]
    block = b"".join(event(text, ts=ts) for text, (_, ts, _) in zip(texts, some, strict=True))
    pair.agree(block, NoRepeats)


RANDOM = "aB3dE5fG7hI9jK1lM3nO5pQ7"
PIECES = [
    RANDOM, "0" * 21, "deadbeef" * 4, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "true", "required",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV", "2026-11-22T12:00:00.123Z", "fe80::1ff:fe23:4567:890a", "hunter2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2ln", "anna@example.com", "dXNlcjpwYXNzd29yZA==", "17",
    "[redacted:session:0123456789ab]", "\\/", "%2541", "%40", "%00", "%", "%%", "%7B%22a%22%3A1%7D",
    "&lt;", "&#64;", "+", " ", '"', "'", "\t", "=", "é", "\x85", "\xa0", ",", "is not", "httponly",
    "HttpOnly", "Bearer ", "basic ", "AWS4-HMAC-SHA256 Credential=AKIA/a, Signature=0f", "token=",
]  # fmt: skip
VALUE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=4).map("".join)
COOKIE = st.tuples(
    st.sampled_from(
        ["sid", "a", "token", " csrf_token", "_ga", "auth", "user_session", "pin", "tokens", "",
         "é", "api-key ", "next_page_token", "x" * 120, "ajs_id", "Secure", "iban"]
    ) | st.text(max_size=4),
    st.sampled_from(["=", "=", "=", "==", '="', "= ", ""]), VALUE,
).map("".join)  # fmt: skip
# None that is scanned: a long one that was seen before comes among these in the twin's findings.
NAMED = st.dictionaries(
    st.sampled_from(
        ["Cookie", "cookie", "COOKIE", "Set-Cookie", "set-cookie", "coo\u212aie",
         "Authorization", "authorization", "Proxy-Authorization", "X-Auth", "X-Auth-Token",
         "X-Tokens", "X-Pin", "X-Session", "X-Api-Key", "Iban"]
    ),
    st.lists(COOKIE, max_size=6).map(";".join) | VALUE | st.just("a=1;" * 300),
    max_size=4,
)  # fmt: skip


@given(st.lists(st.tuples(NAMED, NAMED), min_size=1, max_size=6), st.integers(0, 1))
@settings(max_examples=600)
def test_any_named_header_is_the_same(
    pair: Pair, some: list[tuple[dict[str, str], dict[str, str]]], repeated: int
) -> None:
    block = named_headers(some + some[:repeated])
    assert len(pair.agree(block)["rows"]) == len(some) + repeated


def named_headers(some: Iterable[Sequence[dict[str, str]]]) -> bytes:
    """A block of events with such headers of request and response."""
    return b"".join(
        event(json.dumps({
            "request": {"method": "GET", "authority": "a", "path": f"/{n}", "request_id": f"{n}",
                        "headers": request},
            "response": {"status": 200, "headers": response},
        }))
        for n, (request, response) in enumerate(some)
    )  # fmt: skip


def test_what_says_that_there_is_no_secret_is_a_short_word() -> None:
    """By that the compiled part leaves it to its twin."""
    assert all(len(word) < 16 and word.islower() for word in builtin().harmless_values)
    assert not re.search("[0-9]", "".join(builtin().harmless_values))


DEEP = '{"request":{"method":"GET","path":"/a","authority":"b","x":' + "[" * 500 + "]" * 500 + "}}"
ODD = [
    event('\ufeff{"request":{"path":"/a","authority":"b"}}'),
    event('{"request":{"path":"/a","authority":"b"}} x'),
    event('{"request":{"path":"/a","authority":"b","path":"/c"}}'),
    event('{"request":{"path":"/a","authority":"b","headers":{"A":"1","A":"2"}}}'),
    event('{"request":{"path":"/a","authority":"b"},"request":{"path":"/c","authority":"d"}}'),
    event('{"request":{"path":"/\\ud800","authority":"b"}}'),
    event('{"request":{"path":"/\\ud83d\\ude00","authority":"b"}}'),
    event('{"request":{"path":"/\ud800","authority":"b"}}'),
    event('{"re\\u0071uest":{"path":"/a","authority":"b"}}'),
    event('{"request":{"path":"/a\\u0000","authority":"b"}}'),
    event('{"request":{"path":"/a","authority":"b","x":1e999}}'),
    event('{"request":{"path":"/a","authority":"b","x":01}}'),
    event('{"request":{"path":"/a","authority":"b","x":-}}'),
    event('{"request":{"path":"/a","authority":"b","x":"\\q"}}'),
    event('{"request":{"path":"/a","authority":"b","x":tru}}'),
    event('{"request":{"path":"/a","authority":"b"},"duration_ms":12345678901234567890}'),
    event('{"request":{"path":"/a","authority":"b"},"response":{"status":"200"}}'),
    event('{"request":{"path":"/a","authority":"b","body":"QQ"}}'),
    event('{"request":{"path":"/a","authority":"b","body":"QR=="}}'),
    event('{"request":{"path":"/a","authority":"b","body":"Q\\u0055I="}}'),
    event('{"request":{"path":"/a","authority":"b","body":"QU-_"}}'),
    event('{"request":[]}'),
    event("[]"),
    event(""),
    event(DEEP),
    event("", packed="===="),
    event("", packed="eyJ yZXF1ZXN0Ijp7fX0="),
    event('{"request":{"path":"/a","authority":"b"}}', extra=',"requestId":"c"'),
    event('{"request":{"path":"/a","authority":"b"}}', extra=',"type":5'),
    b"event: request.http_transaction\ndata: {\n\n",
    b"event: request.http_transaction\ndata: \xff\xfe\n\n",
    b"event: error\ndata: plain text\n\n",
    b"event: system.connected\ndata: {\"ts\":\"2026-11-22T12:00:00Z\"}\n\n",
    b"event: qrec.oversized\n\n",
    b"retry: 5\n\n",
    b": comment\n\n",
    b"data: only\n\n",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)))
def test_what_is_odd_is_the_same(pair: Pair, number: int) -> None:
    good = frame(transaction("good", path=f"/v1/{number}"))
    pair.agree(good + ODD[number] + good.replace(b"/1", b"/2") + ODD[number])


EXAMPLES = [frame(transaction("a")), frame(transaction("b", status=500)), *ODD]


@given(
    st.lists(st.sampled_from(EXAMPLES) | st.binary(max_size=40), max_size=6),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=300)
@example([b"event: a\ndata: b\n"], [])
def test_any_bytes_are_the_same(
    pair: Pair, pieces: list[bytes], changes: list[tuple[int, int]]
) -> None:
    block = bytearray(b"".join(pieces))
    for at, byte in changes:
        if at < len(block):
            block[at] = byte
    pair.agree(bytes(block), NoRepeats)


COOKIE_NAMES = [
    "sid", "a", "token", " csrf", "_ga", "auth", "user_session", "pin", "tokens", "", "é", "_fbp",
]  # fmt: skip
PLAIN = [
    RANDOM, RANDOM[:12], RANDOM[:15], RANDOM[:19], RANDOM[:20], "0123456789abcdef" * 2, "17",
    "A" * 15 + "b1c", "ab12" + "c" * 15 + "D", "aBcDeFgHiJkLmNoPqRs1", "abcd1efgh2ijkl3mnop4",
    "abcde1fghij2klmno3pqrst4", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAI",
    "4bf92f35:77b3:4da6:a3ce:929d0e0e4736", "a1:b2:c3:d4:e5:f6:a7:b8", "a1:b2:c3:d4:e5:f6:a7:b8:c9",
    "aB3dE5%2FfG7hI9%2BjK1lM3", "aB3dE5%20fG7hI9jK1lM3", "x1y2z3", "1T2Z3T4Z5T6Z7T8Z9T0Z1T",
    "2026-11-22T12:00:00.123Z", "anna%40example.com", "anna%2540example.com",
    "anna%252540example.com", "anna&#64;example.com", "required", "Bearer is required",
]  # fmt: skip


def random_headers(rng: random.Random, events: int = 100) -> bytes:
    """Denser than what Hypothesis makes: about half is judged without Python."""

    def value() -> str:
        plain = rng.random() < 0.6
        return rng.choice(PLAIN) if plain else "".join(rng.choices(PIECES, k=rng.randrange(4)))

    def cookie() -> str:
        return rng.choice(COOKIE_NAMES) + rng.choice(["=", "=", "=", "=", "", ' ="']) + value()

    def header() -> tuple[str, str]:
        name = rng.choice(["Cookie", "Cookie", "set-cookie", "Authorization", "X-Tokens", "X-Auth"])
        if "ookie" not in name:
            return name, rng.choice(["", "", "Bearer ", "bearer+", "basic+"]) + value()
        return name, ";".join(cookie() for _ in range(rng.randrange(4)))

    return named_headers(
        [dict(header() for _ in range(2)) for _ in range(2)] for _ in range(events)
    )


def test_dense_named_headers_are_the_same(pair: Pair) -> None:
    for seed in range(30):
        pair.agree(random_headers(random.Random(seed)), NoRepeats)


@pytest.mark.long
def test_a_minute_of_named_headers_is_the_same(library: Path) -> None:
    rng = random.Random()
    both, end = Pair(library), time.monotonic() + 60
    while time.monotonic() < end:
        both.agree(random_headers(rng), NoRepeats)


@pytest.mark.long
def test_a_minute_of_broken_streams_is_the_same(library: Path) -> None:
    """Streams with some bytes changed, moved or gone."""
    rng = random.Random()
    both = Pair(library)
    names = ("checkout-incident", "leaks", "hostile")
    blocks = [block for name in names for block in recorded(name, 30_000)]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        block = bytearray(rng.choice(blocks))
        for _ in range(rng.randrange(1, 12)):
            at = rng.randrange(len(block))
            piece = bytes(
                rng.choice(b'{}[]":,\\\n\r0-9nA=+/\0\xff') for _ in range(rng.randrange(3))
            )
            block[at : at + rng.randrange(3)] = piece
        both.agree(bytes(block), NoRepeats)

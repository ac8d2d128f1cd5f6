"""What redaction costs, text by text: whoever can send a request chooses them. What grew with their
square, or with every text that was not seen before, would stop a recorder."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.decode.events import Transaction
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor
from recorder.redact.rules import builtin

_REDACTOR = Redactor(b"a key for tests only, 32 bytes..", RedactConfig())
_ASCII = st.characters(min_codepoint=33, max_codepoint=126)
_RULES = builtin()
_NAMES = [
    (*field.within, *field.words, *field.exact) for field in _RULES.fields if field.kind != "jwt"
]
# What stands between and around secrets, and begins what is none.
_AROUND = (
    '"', ":", "=", " ", "&", ";", ",", "/", "%2F", "%41", "\\n", "\\u0041", "\\", "<", ">", "@",
    "\n", "a", "0", "b.de", "://", "&quot;", "eyJ", "{", "[", "bearer ", "DE89", "4111", "HttpOnly",
)  # fmt: skip


def _header(name: str) -> Callable[[str], Transaction]:
    return lambda text: Transaction(ts=0, method="GET", req_headers={name: text})


def _body(kind: str, before: str = "", after: str = "") -> Callable[[str], Transaction]:
    return lambda text: Transaction(
        ts=0,
        method="POST",
        req_body=(before + text + after).encode("utf-8", "surrogatepass"),
        req_content_type=kind,
    )


_PLACES: dict[str, Callable[[str], Transaction]] = {
    "json": _body("application/json", '{"a":"', '"}'),
    "text": _body("text/plain"),
    "form": _body("application/x-www-form-urlencoded", "a=1&"),
    "frame": _body("application/grpc", "\0\0\0\0\x40\x0a"),
    "query": lambda text: Transaction(ts=0, method="GET", query=text),
    "path": lambda text: Transaction(ts=0, method="GET", path="/" + text),
    **{name: _header(name) for name in ("Cookie", "Set-Cookie", "Authorization", "X-Api-Key")},
    **{name: _header(name) for name in ("Referer", "X-Note", ":path")},
}


def _hostile(pieces: list[str], seed: int, size: int) -> str:
    rnd = random.Random(seed)
    parts = [*pieces, *(piece[: len(piece) // 2] for piece in pieces), *rnd.sample(_AROUND, 3)]
    return "".join(rnd.choices(parts, k=size // 2))[:size]


def _cost(make: Callable[[str], Transaction], pieces: list[str], size: int) -> float:
    """Seconds of CPU for a text of that size; the best of three texts, none seen before."""
    costs = []
    for seed in range(3):
        tx = make(_hostile(pieces, seed, size) + str(size))
        started = time.thread_time()
        _REDACTOR.redact(tx)
        costs.append(time.thread_time() - started)
    return min(costs)


def _linear(place: str, pieces: list[str]) -> bool:
    """Whether four times the length is no ten times the work; a busy machine gets three tries."""
    make = _PLACES[place]
    return any(_cost(make, pieces, 65_536) < 10 * _cost(make, pieces, 16_384) for _ in range(3))


@pytest.mark.parametrize("place", _PLACES)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_shapes_cost_what_their_length_is(place: str, data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.sampled_from(_RULES.shapes), min_size=1, max_size=3))
    pieces = [
        data.draw(st.from_regex(pattern.replace(r"\z", r"\Z"), fullmatch=True, alphabet=_ASCII))
        for shape in shapes
        for pattern in (shape.pattern, *shape.starts)
    ]
    assert _linear(place, pieces)


@pytest.mark.parametrize("place", _PLACES)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_names_cost_what_their_length_is(place: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=2))
    written = [name.replace(" ", "_") for group in names for name in group]
    assert _linear(place, [*written, *(name.title() for name in written), '":"', "="])


_pieces = st.sampled_from((*_AROUND, "sid=x9; ", "=;=", "a=b;", "Credential=", "Signature=0", "é"))


@settings(deadline=None, max_examples=40)
@given(st.lists(_pieces, min_size=1, max_size=5), st.sampled_from(list(_PLACES)))
def test_what_stands_around_secrets_costs_what_its_length_is(units: list[str], place: str) -> None:
    assert _linear(place, ["".join(units)])


def test_random_text_costs_no_more_for_not_having_been_seen_before() -> None:
    """An automaton that has a state for every text that comes costs 100 times as much as plain
    JSON on a picture in base64, each time anew."""
    rnd = random.Random(1)
    plain = json.dumps([{"id": n, "text": "the parcel is ready"} for n in range(1_500)])
    make = _body("application/json")

    def cost(text: str) -> float:
        tx = make(text)
        started = time.thread_time()
        _REDACTOR.redact(tx)
        return (time.thread_time() - started) / len(text)

    def picture() -> str:
        return base64.b64encode(rnd.randbytes(48 << 10)).decode()

    for _ in range(12):
        cost(picture())
    assert min(cost(picture()) for _ in range(5)) < 40 * min(cost(plain) for _ in range(3))

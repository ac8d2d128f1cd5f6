"""Routes of any path whatever: bounded, stable, and blind to the value of an identifier."""

from __future__ import annotations

import string
import uuid

from hypothesis import given
from hypothesis import strategies as st

from recorder.normalize.routes import MAX_ROUTE, Router

PATH_TEXT = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "/-_.%=;:@[]{}(),+~'é\x00")
)
PATHS = st.one_of(st.text(), PATH_TEXT, PATH_TEXT.map(lambda text: "/" + text))
ROUTER = Router()


@given(PATHS)
def test_a_route_is_bounded_and_its_own_route(path: str) -> None:
    route = Router().route(path)
    assert 0 < len(route) <= MAX_ROUTE
    assert Router().route(route) == route


@given(PATHS)
def test_remembering_changes_nothing(path: str) -> None:
    assert ROUTER.route(path) == ROUTER.route(path) == Router().route(path)


@given(PATHS)
def test_no_control_character_gets_into_a_route(path: str) -> None:
    assert not any(ord(c) < 32 or ord(c) == 127 for c in Router().route(path))


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_numbers_give_one_route_whatever_they_are(a: int, b: int) -> None:
    assert Router().route(f"/orders/{a}/lines") == Router().route(f"/orders/{b}/lines")


@given(st.uuids(), st.booleans())
def test_every_uuid_is_one(value: uuid.UUID, upper: bool) -> None:
    text = str(value).upper() if upper else str(value)
    assert Router().route(f"/orders/{text}/lines") == "/orders/{uuid}/lines"

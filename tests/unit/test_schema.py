"""What schemas promise: the shape that was seen, and only changes that chance does not explain."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.core.window import Baseline, Window
from queries.schema import (
    Shape,
    add_body,
    compare_schemas,
    differences,
    schema,
    schema_of,
)
from store.layout import Store
from tests.contract.stored import NOW, build, minute, row

HOUR = Window(NOW - timedelta(hours=1), NOW)
BEFORE = Baseline("previous", (Window(NOW - timedelta(hours=2), NOW - timedelta(hours=1)),))


def shape(*bodies: Any) -> Shape:
    found = Shape()
    for body in bodies:
        assert add_body(found, json.dumps(body).encode())
    return found


def test_a_shape_as_json_schema() -> None:
    found = schema_of(shape({"a": 1, "b": [{"c": None}, {"c": "x"}]}, {"a": 1.5}))
    assert found["properties"]["a"] == {"type": "number"}
    assert found["required"] == ["a"]
    assert found["properties"]["b"]["items"]["properties"]["c"] == {"type": ["null", "string"]}


@pytest.mark.parametrize("body", [None, b"", b"x", b'{"a": 1', b"[" * 50_000, b"\xff{}"])
def test_what_is_no_json_is_passed_over(body: bytes | None) -> None:
    assert not add_body(Shape(), body)


def test_an_object_with_endless_names_stays_bounded() -> None:
    found = schema_of(shape({f"id{n}": n for n in range(1000)}))
    assert len(found["properties"]) == 200
    assert found["additionalProperties"] is True


def test_what_appeared_vanished_and_changed() -> None:
    before = shape(*({"id": 1, "old": "x", "items": [{"n": 1}]} for _ in range(50)))
    after = shape(*({"id": "1", "new": None, "items": [{"n": 1}]} for _ in range(50)))
    found = {(d.path, d.change): (d.before, d.after) for d in differences(before, after)}
    assert found == {
        ("$.id", "type"): (("integer",), ("string",)),
        ("$.old", "vanished"): (("string",), ()),
        ("$.new", "appeared"): ((), ("null",)),
    }


def test_a_rare_field_that_a_sample_may_miss_is_no_change() -> None:
    before = shape(*({"id": 1} for _ in range(50)))
    after = shape(*({"id": 1} for _ in range(49)), {"id": 1, "rare": True})
    assert list(differences(before, after)) == []
    assert list(differences(after, before)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(st.lists(JSON, min_size=1, max_size=5))
def test_no_body_differs_from_itself(bodies: list[Any]) -> None:
    one, other = Shape(), Shape()
    for body in bodies:
        one.add(body)
        other.add(body)
    assert list(differences(one, other)) == []
    json.dumps(schema_of(one), allow_nan=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    rows = []
    for number in range(-60, 60):
        price = b'"1"' if number >= 0 else b"1"
        rows.append(row(minute(number), res_body=b'{"id": 7, "price": %s}' % price))
        rows.append(row(minute(number), status=500, res_body=b'{"error": "x"}'))
        rows.append(row(minute(number), host="plain.example.com", res_body=b"<html>"))
    return build(tmp_path_factory.mktemp("schema") / "store", rows)


def test_statuses_are_kept_apart(store: Store) -> None:
    answer = schema(store, HOUR)
    [first] = [e for e in answer.endpoints if e.host == "api.example.com"]
    assert first.request is None
    assert set(first.responses) == {"2xx", "5xx"}
    assert set(first.responses["5xx"]["properties"]) == {"error"}
    assert first.requests == 120


def test_two_windows_are_compared(store: Store) -> None:
    answer = compare_schemas(store, HOUR, BEFORE)
    [change] = answer.changes
    assert (change.path, change.part, change.change) == ("$.price", "response 2xx", "type")
    assert (change.before, change.after) == (("integer",), ("string",))
    assert answer.compared == 1


def test_an_empty_window_is_an_answer(store: Store) -> None:
    early = Window(NOW - timedelta(hours=9), NOW - timedelta(hours=8))
    assert schema(store, early).endpoints == ()
    assert compare_schemas(store, early, BEFORE).compared == 0

"""Classes of values behave as those of `dataclasses`."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from store.values import dataclass

Maker = Callable[..., Any]


def classes(make: Maker) -> tuple[Any, Any, Any]:
    """A frozen class, one derived from it, and one that can be changed."""

    @make(frozen=True, order=True)
    class Point:
        """A point."""

        x: int
        tags: list[str] = dataclasses.field(default_factory=list)
        y: int = 2
        z: int = dataclasses.field(default=3, kw_only=True)

    @make(frozen=True, order=True)
    class Named(Point):
        name: str = "p"

    @make
    class Counter:
        count: int = 0

        def __post_init__(self) -> None:
            self.count += 1

    return Point, Named, Counter


@dataclass(frozen=True)
class Plain:
    one: int
    two: tuple[int, ...] = ()


@pytest.mark.parametrize("make", [dataclass, dataclasses.dataclass])
def test_what_both_do(make: Maker) -> None:
    point, named, counter = classes(make)
    assert point(1) == point(x=1, tags=[], y=2) != point(1, ["a"])
    assert point(1) != named(1)
    assert point(1) < point(2) <= point(2)
    assert repr(point(1)).endswith("Point(x=1, tags=[], y=2, z=3)")
    assert point(1).tags is not point(1).tags
    assert named(1, name="q").name == "q"
    assert [field.name for field in dataclasses.fields(named)] == ["x", "tags", "y", "z", "name"]
    assert dataclasses.replace(point(1), y=5) == point(1, y=5)
    assert counter().count == 1
    changed = counter(4)
    changed.count = 9
    assert changed.count == 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        point(1).x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point(1).x
    with pytest.raises(TypeError):
        hash(counter())
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}), ((1, [], 2, 3), {}), ((1,), {"x": 2}), ((1,), {"q": 2}), ((), {"y": 2, "q": 1}),
    ]  # fmt: skip
    for args, named in wrong:
        with pytest.raises(TypeError):
            point(*args, **named)


def test_values_are_hashed_copied_and_pickled() -> None:
    value = Plain(1, (2,))
    assert {value, Plain(1, (2,))} == {value}
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value


def test_a_mistake_is_named() -> None:
    with pytest.raises(TypeError, match="Plain takes one, two; given are 0 in order and three"):
        Plain(three=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="given are 3 in order and none by name"):
        Plain(1, (), 3)  # type: ignore[call-arg]

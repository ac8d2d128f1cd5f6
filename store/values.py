"""Classes of values, as `dataclasses` makes them and at a tenth of its price.

`dataclasses.dataclass` writes and compiles up to six functions for each class, 0.7 to 1.5 ms; a
question imports sixty such classes before it does anything. Here the functions are the same for
all of them and read the class's fields when they are called. `fields`, `replace`, `is_dataclass`
and `__post_init__` work as ever.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, *, frozen=False, order=False):
        """Make a class of values; frozen: they can be hashed, and are not changed."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, order=order)
        cls.__doc__ = cls.__doc__ or cls.__name__  # else the signature is written out for it
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        own: dict[str, Any] = {"__init__": _maker(cls), "__repr__": _repr, "__eq__": _eq}
        own["__hash__"] = _hash if frozen else None
        if frozen:
            own |= {"__setattr__": _refuse, "__delattr__": _refuse}
        if order:
            own |= {f"__{name}__": _comparison(name) for name in ("lt", "le", "gt", "ge")}
        for name, function in own.items():
            if name not in cls.__dict__:
                setattr(cls, name, function)
        return cls


def _maker(cls: type[Any]) -> Any:
    fields = dataclasses.fields(cls)
    names = tuple(field.name for field in fields if not field.kw_only)
    known = frozenset(field.name for field in fields)
    missing = dataclasses.MISSING
    defaults = {one.name: one.default for one in fields if one.default is not missing}
    factories = [
        (one.name, one.default_factory) for one in fields if one.default_factory is not missing
    ]
    prepared = hasattr(cls, "__post_init__")

    def __init__(self: Any, *args: Any, **named: Any) -> None:
        own = self.__dict__
        own.update(defaults)
        own.update(zip(names, args, strict=False))
        own.update(named)
        for name, make in factories:
            if name not in own:
                own[name] = make()
        if own.keys() != known or len(args) > len(names) or not named.keys().isdisjoint(
            names[: len(args)]
        ):  # fmt: skip
            raise TypeError(
                f"{cls.__name__} takes {', '.join(sorted(known))}; "
                f"given are {len(args)} in order and {', '.join(named) or 'none by name'}"
            )
        if prepared:
            self.__post_init__()

    return __init__


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in value.__dataclass_fields__)


def _repr(self: Any) -> str:
    pairs = zip(self.__dataclass_fields__, _values(self), strict=True)
    return f"{type(self).__qualname__}({', '.join(f'{name}={one!r}' for name, one in pairs)})"


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _comparison(name: str) -> Any:
    compare = getattr(operator, name)

    def method(self: Any, other: object) -> Any:
        alike = type(other) is type(self)
        return compare(_values(self), _values(other)) if alike else NotImplemented

    return method


def _refuse(self: Any, name: str, value: object = None) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change {name!r} of {type(self).__name__}")

"""A recorded transaction as the event that a filter sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from filters.fields import FIELDS, resolve

_READERS = {name: spec.read for name, spec in FIELDS.items()}


def row_fields(tx: Any) -> Mapping[str, Any]:
    """The fields of a recorder's Transaction, read when asked for: `row["req"]["method"]`.

    A field without a value (None) is missing, as it would be in Qtap's event.
    """
    return _Row(tx)


class _Row(Mapping[str, Any]):
    """Also answers to whole dotted names, which is what compiled filters ask first."""

    __slots__ = ("_prefix", "_tx")

    def __init__(self, tx: Any, prefix: str = "") -> None:
        self._tx = tx
        self._prefix = prefix

    def get(self, key: str, default: Any = None) -> Any:
        name = self._prefix + key
        read = _READERS.get(name)
        if read is None:
            spec = resolve(name)
            if spec is None:
                return _Row(self._tx, f"{name}.") if name in _BRANCHES else default
            read = spec.read
        value = read(self._tx)
        return default if value is None else value

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        below = (name[len(self._prefix) :] for name in FIELDS if name.startswith(self._prefix))
        names = dict.fromkeys(name.partition(".")[0] for name in below)
        return (name for name in names if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_BRANCHES = {
    name[:place]
    for name in [*FIELDS, "req.header.", "res.header."]
    for place, char in enumerate(name)
    if char == "."
}

"""The rule table (rules.toml) as Python objects, with a user's own rules added."""

from __future__ import annotations

import hashlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import re2

from recorder.redact.config import RedactConfig
from recorder.redact.text import compiled
from store.errors import UsageError

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_HINT = "Patterns are RE2: no look-around, no back-references."
TABLE = Path(__file__).with_name("rules.toml")


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret known by its looks. `starts` and `pattern` are RE2, matched from the start."""

    kind: str
    starts: tuple[str, ...]
    pattern: str
    back: str = ""
    back_min: int = 0
    opaque: bool = False
    headed: bool = False
    mixed: bool = False
    unless: frozenset[str] = frozenset()
    least: int = 0
    source: str = ""

    @property
    def custom(self) -> bool:
        """Whether it is a user's own, which may begin anywhere and end in anything."""
        return not self.source


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret known by the name it is filed under; see the head of rules.toml."""

    kind: str
    within: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    opaque: bool = False
    value: str = ""
    numbers: bool = False
    unless: frozenset[str] = frozenset()
    source: str = ""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules that a redactor works by."""

    shapes: tuple[Shape, ...]
    fields: tuple[Field, ...]
    harmless_before: frozenset[str]
    harmless_after: frozenset[str]
    harmless_names: frozenset[str]
    harmless_values: frozenset[str]
    harmless_message: str
    numbers_card: frozenset[str]
    numbers_other: frozenset[str]
    numbers_issuers: tuple[str, ...]
    numbers_iban: dict[str, int]  # length by country
    phrases_before: tuple[str, ...]


@cache
def builtin() -> Rules:
    """The table that comes with qrec."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    rules = {"shapes": table.pop("shape"), "fields": table.pop("field")}
    for section, entries in table.items():
        rules |= {f"{section}_{name}": value for name, value in entries.items()}
    return msgspec.convert(rules, Rules)


def rules_for(config: RedactConfig) -> Rules:
    """The built-in rules and the user's, without the kinds that are switched off.

    UsageError for a pattern that RE2 does not take or that would match the empty string.
    """
    base = builtin()
    shapes, names = _of_users(config)
    shapes += [one for one in base.shapes if one.kind not in config.skip_kinds]
    names += [one for one in base.fields if one.kind not in config.skip_kinds]
    allowed = {"".join(words(name)) for name in config.allow_names}
    return msgspec.structs.replace(
        base,
        shapes=tuple(shapes),
        fields=tuple(names),
        harmless_names=base.harmless_names | allowed,
    )


def _of_users(config: RedactConfig) -> tuple[list[Shape], list[Field]]:
    shapes: list[Shape] = []
    names: list[Field] = []
    for rule in config.rules:
        if rule.pattern:
            what = f"the pattern of the rule for {rule.kind}"
            if _own(rule.pattern, what).search(b"") is not None:
                raise UsageError(f"{what} matches nothing at all", _HINT)
            shapes.insert(0, Shape(rule.kind, (rule.pattern,), rule.pattern))
        if rule.names:
            names_of = tuple(" ".join(words(name)) for name in rule.names)
            if "" in names_of:
                raise UsageError(f"a name of the rule for {rule.kind} has no letters", "Use some.")
            names.insert(0, Field(rule.kind, words=names_of, numbers=rule.numbers))
    return shapes, names


def allowed_values(config: RedactConfig) -> list[Any]:
    """The patterns of values that are left alone. UsageError for one that RE2 does not take."""
    return [_own(pattern, "a pattern of redact.allow_values") for pattern in config.allow_values]


def policy_of(config: RedactConfig) -> str:
    """A short id of the rules and settings, for the files that are written under them. UsageError
    for those that a Redactor cannot be made of; what it compiles takes 9 MB."""
    _of_users(config)
    allowed_values(config)
    rules = hashlib.sha256(TABLE.read_bytes() + repr(config).encode()).hexdigest()[:12]
    return f"qrec-{rules}" if config.enabled else "off"


def _own(pattern: str, what: str) -> Any:
    """A pattern of the user's own, compiled. UsageError where RE2 does not take it."""
    try:
        return compiled(pattern)
    except re2.error as error:
        raise UsageError(f"{what} is wrong: {error}", _HINT) from error


def words(name: str) -> list[str]:
    """The words of a name, in lower case: X-Api-Key2 and xAPIKey give x, api, key."""
    return [word.lower() for word in _WORDS.findall(name)]

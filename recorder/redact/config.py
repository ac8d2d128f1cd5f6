"""What a person may change about redaction: the `[redact]` table of qrec.toml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from store.errors import UsageError

_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")


@dataclass(frozen=True)
class ExtraRule:
    """A rule of the user's own: a pattern (RE2) for a shape, or names of fields, or both."""

    kind: str
    pattern: str = ""
    names: tuple[str, ...] = ()
    numbers: bool = False


@dataclass(frozen=True)
class RedactConfig:
    """How to redact. Patterns are RE2.

    `allow_names` are fields, headers, cookies and parameters that are never secret by their
    name; `allow_values` are patterns that a whole value matches to be left alone; `skip_kinds`
    turns kinds off.
    """

    enabled: bool = True
    rules: tuple[ExtraRule, ...] = ()
    allow_names: tuple[str, ...] = ()
    allow_values: tuple[str, ...] = ()
    skip_kinds: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def from_mapping(table: Mapping[str, Any], beside: Collection[str] = ()) -> RedactConfig:
        """The configuration in a parsed `[redact]` table, which may hold the settings `beside` for
        others. UsageError names what is wrong."""
        known = {*beside, *(one.name for one in fields(RedactConfig))}
        for key in table:
            if key not in known:
                raise UsageError(
                    f"unknown setting redact.{key}",
                    f"Known settings are {', '.join(sorted(known))}.",
                )
        return RedactConfig(
            enabled=typed(table, "enabled", bool, True),
            rules=tuple(_rule(one) for one in typed(table, "rules", list, [])),
            allow_names=_texts(table, "allow_names"),
            allow_values=_texts(table, "allow_values"),
            skip_kinds=frozenset(_texts(table, "skip_kinds")),
        )


def typed(table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    """The value of a setting in `[redact]`. UsageError when it is of another type."""
    value = table.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"redact.{key} is {value!r}", f"It wants a {kind.__name__}.")
    return value


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = typed(table, key, list, [])
    if not all(isinstance(value, str) for value in values):
        raise UsageError(f"redact.{key} holds something else than text", "Give a list of strings.")
    return tuple(values)


def _rule(entry: Any) -> ExtraRule:
    hint = 'A rule is { kind = "badge", pattern = "B-[0-9]{6}" } or has names = ["badge"].'
    if not isinstance(entry, Mapping) or not set(entry) <= {"kind", "pattern", "names", "numbers"}:
        raise UsageError(f"redact.rules holds {entry!r}", hint)
    rule = ExtraRule(
        kind=typed(entry, "kind", str, ""),
        pattern=typed(entry, "pattern", str, ""),
        names=_texts(entry, "names"),
        numbers=typed(entry, "numbers", bool, False),
    )
    if not _KIND.match(rule.kind):
        raise UsageError(f"redact.rules has the kind {rule.kind!r}", "Use a-z, 0-9 and _.")
    if not rule.pattern and not rule.names:
        raise UsageError(f"the rule for {rule.kind} has neither pattern nor names", hint)
    return rule

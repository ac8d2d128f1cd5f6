"""Which names are names of secrets: X-Api-Key, user[password], refreshToken, next_page_token."""

from __future__ import annotations

import re
from typing import NamedTuple

from recorder.redact.rules import Field, Rules, words
from recorder.redact.text import compiled, printable, unbase64

_REMEMBERED = 20_000
_LONGEST = 200  # a longer name is judged by its end
_CONSTANTS = frozenset(
    b"true false null none nil undefined yes no include omit same-origin".split()
)
_LONG_WORD = 5  # a word of so many letters counts inside a longer word too: mytoken


class Named(NamedTuple):
    """What is known of a name: its rules, most telling first, and whether it is a plural."""

    rules: tuple[Field, ...]
    plural: bool


class NameBook:
    """Looks names up in the field rules; remembers what it has seen, up to a bound."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: dict[bytes, Named | None] = {}
        self._values = {rule: compiled(rule.value) for rule in rules.fields if rule.value}

    def look(self, name: bytes) -> Named | None:
        """The rules for a name, or None when it is harmless."""
        name = name[-_LONGEST:]
        try:
            return self._known[name]
        except KeyError:
            pass
        found = self._judge(name.decode("latin-1"))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[name] = found
        return found

    def rule(self, name: bytes, place: str, value: bytes) -> Field | None:
        """The rule by which `value`, filed under `name` at `place`, is a secret."""
        named = self.look(name)
        if named is None or not value:
            return None
        if (named.plural and value.isdigit()) or value.lower() in _CONSTANTS:
            return None  # a number of tokens; whether there are credentials
        for rule in named.rules:
            if rule.only and place not in rule.only:
                continue
            if rule.opaque and not opaque(value) and not _is_pair(rule, value):
                continue
            if rule.value and self._values[rule].search(value) is None:
                continue
            return rule
        return None

    def _judge(self, name: str) -> Named | None:
        parts = words(name)
        whole = "".join(parts)
        if not parts or whole in self._rules.harmless_names:
            return None
        found = tuple(rule for rule in self._rules.fields if self._fits(rule, parts, whole))
        return Named(found, parts[-1].endswith("s")) if found else None

    def _fits(self, rule: Field, parts: list[str], whole: str) -> bool:
        if whole in (name.replace(" ", "") for name in rule.exact):
            return True
        for name in rule.within:
            at = whole.rfind(name.replace(" ", ""))
            if at >= 0 and self._telling(parts, at, at + len(name.replace(" ", "")), False):
                return True
        for name in rule.words:
            for at, end in _word_spans(parts, name.split(" ")):
                if self._telling(parts, at, end, True):
                    return True
        return False

    def _telling(self, parts: list[str], start: int, end: int, word: bool) -> bool:
        """Whether no word around letters start..end says that this is about a secret, not it."""
        at = 0
        before = ""
        for part in parts:
            if at + len(part) <= start:
                before = part
            elif at >= end and part in self._rules.harmless_after:
                return False
            at += len(part)
        return not (word and before in self._rules.harmless_before)


def _word_spans(parts: list[str], wanted: list[str]) -> list[tuple[int, int]]:
    """Where the wanted words stand one after the other, as letter offsets of the squeezed name."""
    spans = []
    at = 0
    for index, part in enumerate(parts):
        if parts[index : index + len(wanted)] == wanted:
            spans.append((at, at + sum(map(len, wanted))))
        elif len(wanted) == 1 and len(wanted[0]) >= _LONG_WORD and part.endswith(wanted[0]):
            spans.append((at, at + len(part)))
        at += len(part)
    return spans


def _is_pair(rule: Field, value: bytes) -> bool:
    """Whether a value is user:password in base64, as container tools keep it under "auth"."""
    if rule.kind != "authorization" or len(value) < 8:
        return False
    pair = unbase64(value)
    return b":" in pair and printable(pair)


_UUID = rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_KNOWN_IDS = re.compile(
    rb"(?:%s|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9.:TZ+-]+|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})\Z"
    % _UUID
)
_RANDOM = re.compile(rb"[A-Za-z0-9_.~+/=%:!*-]{16,4096}\Z")
_CLASSES = (
    bytes(
        ord("0") if chr(c).isdigit() else ord("A") if chr(c).isupper() else ord("a")
        for c in range(128)
    )
    + b"a" * 128
)
_CHANGES = re.compile(rb"(?:0+|A+|a+)")


def opaque(value: bytes) -> bool:
    """Whether a value looks random and is no UUID, ULID, number or time.

    Random text goes from small letters to capitals to digits and back every other character;
    words, slugs and camelCase names do so seldom.
    """
    if _RANDOM.match(value) is None or _KNOWN_IDS.match(value) is not None:
        return False
    classes = value.translate(_CLASSES, b"_.~+/=%:!*-")
    return classes.count(b"0") >= 2 and 4 * (len(_CHANGES.findall(classes)) - 1) >= len(classes)

"""What a person may change about redaction: the `[redact]` table of qrec.toml.

What recorded traffic must not carry to a disk, docs/redaction.md tells in full.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from store.errors import UnavailableError, UsageError
from store.files import create, sync_folder

BODY_LIMIT = 64 << 10  # bytes of a body that are kept, if nothing else is set
_KEY_BYTES = 32
_HINT = 'A rule is { kind = "badge", pattern = "B-[0-9]{6}" } or has names = ["badge"].'
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")


@dataclass(frozen=True)
class ExtraRule:
    """A rule of the user's own: a pattern (RE2) for a shape, or names of fields, or both."""

    kind: str
    pattern: str = ""
    names: tuple[str, ...] = ()
    numbers: bool = False


_RULE_KEYS = {one.name for one in fields(ExtraRule)}


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
        own = {key: value for key, value in table.items() if key not in beside}
        try:
            config = msgspec.convert(own, RedactConfig)
        except msgspec.ValidationError as error:
            raise UsageError(f"the table [redact] is wrong: {error}", _HINT) from error
        for rule, entry in zip(config.rules, table.get("rules", ()), strict=True):
            if not set(entry) <= _RULE_KEYS:
                raise UsageError(f"redact.rules holds {entry!r}", _HINT)
            if not _KIND.match(rule.kind):
                raise UsageError(f"redact.rules has the kind {rule.kind!r}", "Use a-z, 0-9 and _.")
            if not rule.pattern and not rule.names:
                raise UsageError(f"the rule for {rule.kind} has neither pattern nor names", _HINT)
        return config


def load_key(path: Path, shared: Path | None = None) -> bytes:
    """The store's key for fingerprints: 32 bytes, made (0600) when there is none yet.

    shared: a file with the key of a fleet, which the store then has as well; else it is random.
    Raises UnavailableError when a file cannot be made or read, or holds no key, and where the
    store has another one already.
    """
    if shared is not None:
        key = load_shared(shared)
        if not path.exists():
            _create(path, key)
        if load_key(path) != key:
            raise UnavailableError(
                f"{path} is another key than {shared}",
                "Begin a new store (--store), or remove the old key: fingerprints of before then "
                "no longer compare.",
            )
        return key
    try:
        if not path.exists():
            _create(path, secrets.token_bytes(_KEY_BYTES))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        key = path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"the redaction key {path} cannot be used: {error.strerror}",
            "Check who owns the store and its permissions.",
        ) from error
    if len(key) != _KEY_BYTES:
        raise UnavailableError(
            f"{path} is no redaction key",
            "Remove it to have a new one made; fingerprints of before then no longer compare.",
        )
    return key


def load_shared(path: Path) -> bytes:
    """The key in a file, of 32 bytes or as 64 hexadecimal digits."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"the shared redaction key {path} cannot be read: {error.strerror}",
            "Check the path and its permissions.",
        ) from error
    with contextlib.suppress(ValueError):  # bytes that are no text are the key itself
        text = bytes.fromhex(text.decode()) if len(text) > _KEY_BYTES else text
    if len(text) != _KEY_BYTES:
        raise UnavailableError(
            f"{path} is no redaction key",
            "It is 32 random bytes, or 64 hexadecimal digits: `openssl rand -hex 32`.",
        )
    return text


def _create(path: Path, key: bytes) -> None:
    """Write a new key in one step: of several recorders that start at once, one wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = create(temporary)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return
        except OSError:  # a file system without links: who is last wins
            temporary.replace(path)
        sync_folder(path.parent)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)

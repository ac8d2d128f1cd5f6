"""The fingerprint of a secret: the same secret gives the same one, and it tells nothing else."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from store.errors import UnavailableError

_KEY_BYTES = 32
_DIGITS = 12  # hex digits of a fingerprint: 48 bits keep a store's secrets apart
_REMEMBERED = 20_000


class Fingerprinter:
    """HMAC-SHA256 under the store's key, cut to 12 hex digits; remembers a bounded number."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, str] = {}

    def __call__(self, secret: bytes) -> str:
        known = self._known.get(secret)
        if known is None:
            known = hmac.digest(self._key, secret, "sha256").hex()[:_DIGITS]
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[secret] = known
        return known


def load_key(path: Path) -> bytes:
    """The store's key for fingerprints: 32 random bytes, made (0600) when there is none yet.

    Raises UnavailableError when the file cannot be made or read, or holds no key.
    """
    try:
        if not path.exists():
            _create(path)
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


def _create(path: Path) -> None:
    """Write a new key in one step: of several recorders that start at once, one wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY_BYTES))
        os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)

"""Whether anything of a secret is left in a text, in whatever notation."""

from __future__ import annotations

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Iterable, Iterator

PIECE = 7  # so many characters in a row of a secret count as a leak

_PUBLIC = re.compile(r"-----[A-Z ]+-----|https?://[a-z.]+/services/|AccountKey=|rubygems_")
_PLACEHOLDER = re.compile(r"\[redacted:[a-z0-9_]*(?::[0-9a-f]{0,12}\]?|$)", re.MULTILINE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


def leaked(texts: Iterable[str], secret: str) -> bool:
    """Whether any piece of the secret stands in any of the texts."""
    if len(secret) < PIECE:  # three digits stand in many a longer number
        alone = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])")
        return any(alone.search(reading) for text in texts for reading in readings(text))
    parts = pieces(secret)
    return any(part in reading for text in texts for reading in readings(text) for part in parts)


def pieces(secret: str) -> list[str]:
    """Every PIECE characters in a row of a secret, without what all of its kind share."""
    core = _PUBLIC.sub(" ", secret).strip()
    size = min(PIECE, len(core))
    return [core[at : at + size] for at in range(len(core) - size + 1)]


def readings(text: str) -> Iterator[str]:
    """A text as it is, and with escapes, percent signs, entities and base64 undone; without its
    placeholders, which name kinds."""
    text = _PLACEHOLDER.sub("[]", text)
    yield text
    plain = text
    for _ in range(4):
        before = plain
        plain = re.sub(r"\\+u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), plain)
        plain = re.sub(r"\\+([\"/])", r"\1", plain).replace("\\n", "\n")
        yield plain
        plain = html.unescape(urllib.parse.unquote_plus(plain))
        if plain == before:
            break
        yield plain
    for match in _BASE64.finditer(text):
        blob = urllib.parse.unquote(match[0]).replace("-", "+").replace("_", "/").rstrip("=")
        try:
            yield base64.b64decode(blob + "=" * (-len(blob) % 4)).decode("latin-1")
        except binascii.Error:
            continue

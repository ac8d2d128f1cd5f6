"""Where in a body a placeholder stands: request.body.user.password, request.body.items[].token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_PLACEHOLDER = re.compile(r"\[redacted:([a-z0-9_]+):([0-9a-f]{12})\]")
_LARGEST = 256 << 10  # bytes of JSON that are parsed for the sake of a path
_MOST = 100  # placeholders that get their own place
_LONGEST = 200
_DEEPEST = 4  # JSON in JSON strings


def json_places(body: bytes, prefix: str) -> list[tuple[str, str, str]] | None:
    """(kind, place, fingerprint) of each placeholder in a redacted JSON body, in order.

    None when the body is no JSON, is cut off or too large to be parsed for this.
    """
    if len(body) > _LARGEST or body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    places = []
    for place, text in _strings(document, prefix):
        for kind, fingerprint in _PLACEHOLDER.findall(text):
            places.append((kind, place, fingerprint))
            if len(places) >= _MOST:
                return places
    return places


def _strings(document: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """The strings with placeholders, and their paths; a stack, for depth is the sender's."""
    stack: list[tuple[Any, str, int]] = [(document, prefix, 0)]
    while stack:
        node, path, depth = stack.pop()
        if isinstance(node, dict):
            for key in node:
                if "[redacted:" in key:
                    yield path, key
            for key, value in reversed(node.items()):
                if isinstance(value, (dict, list, str)):
                    stack.append((value, f"{path}.{_key(key)}"[:_LONGEST], depth))
        elif isinstance(node, list):
            stack.extend((value, f"{path}[]"[:_LONGEST], depth) for value in reversed(node))
        elif isinstance(node, str) and "[redacted:" in node:
            nested = _nested(node) if depth < _DEEPEST else None
            if nested is None:
                yield path, node
            else:
                stack.append((nested, path, depth + 1))


def _key(key: str) -> str:
    return _PLACEHOLDER.sub("*", key)


def _nested(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None

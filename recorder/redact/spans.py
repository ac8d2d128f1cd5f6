"""From what was found in views of a text back to the raw bytes, in order and apart."""

from __future__ import annotations

import re

from recorder.redact.text import UNSURE, Hit, Lexer
from recorder.redact.views import View, entity_view, percent_view

_LEVELS = 3  # how often percent encoding is undone
_DELIMITER = re.compile(rb"\\*[\"'<>&\s]")
_TAG_DELIMITER = re.compile(rb"\\*[\"<>]")


def deeper(text: bytes) -> list[list[View]]:
    """The paths of views in which `text` reads differently."""
    paths: list[list[View]] = []
    if entities := entity_view(text):
        paths.append([entities])
    path: list[View] = []
    while len(path) < _LEVELS and (view := percent_view(text)):
        path = [*path, view]
        paths.append(path)
        text = view.text
    return paths


def raw(chain: list[View], offset: int) -> int:
    if offset >= 0:
        for view in reversed(chain):
            offset = view.raw(offset)
    return offset


def mapped(hit: Hit, chain: list[View]) -> Hit:
    if not chain:
        return hit
    return hit._replace(start=raw(chain, hit.start), end=raw(chain, hit.end))


def clamped(buf: bytes, hit: Hit, tags: bool) -> Hit:
    """Within one string or parameter of the raw text: an escape may have decoded to a quote."""
    stop = (_TAG_DELIMITER if tags else _DELIMITER).search(buf, hit.start, hit.end)
    end = stop.start() if stop else hit.end
    return hit._replace(end=end, quote=b"%22" if hit.quote not in (b"", UNSURE) else b"")


def in_strings(buf: bytes, hits: list[Hit]) -> list[Hit]:
    """The hits of a view that stand in strings of the JSON: an escape that decodes to a quote
    can make a view begin a value behind the string's end."""
    lexer = Lexer(buf)
    return [hit for hit in sorted(hits) if lexer.depth_at(hit.start) != 0]


def apart(hits: list[Hit], end: int) -> list[Hit]:
    """In order, within the text up to `end`, overlapping ones as one."""
    apart: list[Hit] = []
    if len(hits) == 1 and hits[0].start < hits[0].end <= end:
        return hits
    for hit in sorted(hits, key=lambda one: (one.start, -one.end)):
        if hit.start >= end or hit.start >= hit.end:
            continue
        if apart and hit.start < apart[-1].end:
            if hit.end > apart[-1].end:
                apart[-1] = apart[-1]._replace(end=hit.end)
            continue
        apart.append(hit)
    return apart

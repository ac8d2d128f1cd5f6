"""From an assistant's arguments to a question, and from its answer to a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult, TextContent

from queries.core.answer import document
from queries.core.escape import visible_json
from store.layout import Store
from store.values import dataclass

MAX_ANSWER = 150_000  # characters of one answer
_ROOMS = (300, 100)  # characters of one text, where the answer would be longer


@dataclass(frozen=True)
class Context:
    """What every tool needs to know about this server."""

    store: Path
    tz: tzinfo
    now: Callable[[], datetime]

    def open(self) -> Store:
        return Store.open(self.store)


def result(answer: Any, told: str | None = None) -> CallToolResult:
    """The document as structured content, and as text for clients that only read text.

    told: the text, where it is not the document.

    In the text, characters that nobody sees but a language model reads are written as escapes.
    Where long texts make the whole too long to be read, they are cut shorter, and a note says so.
    """
    content = document(answer)
    text = _text(content)
    for room in _ROOMS if not hasattr(answer, "max_text") else ():
        if len(text) <= MAX_ANSWER:
            break
        content = document(answer, room)
        content.get("notes", []).append(_shortened(room))
        text = _text(content)
    said = TextContent(type="text", text=text if told is None else told)
    return CallToolResult(content=[said], structured_content=content)


def _text(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return visible_json(text)


def _shortened(room: int) -> dict[str, Any]:
    text = f"texts are cut at {room} characters here to keep the answer short; a smaller limit, or"
    text += " a narrower where, shows more of each"
    return {"code": "shortened", "text": text, "from": None, "to": None}

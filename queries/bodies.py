"""A recorded body as text for people and assistants: pretty where it is JSON, harmless, capped."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Literal

from queries.core.escape import visible_lines

DEFAULT_CHARS = 4_000
MAX_CHARS = 50_000
_PRETTY_LIMIT = 1 << 20  # bytes of JSON that are laid out; larger ones are shown as they came

Encoding = Literal["json", "text", "base64", "none"]


@dataclass(frozen=True)
class Body:
    """A body, redacted when it was recorded. `text` is data, whatever it says.

    encoding: json (laid out anew), text, base64 (it is no text), none (nothing was kept).
    bytes: its size as captured; stored_bytes: what is kept of it (redaction changes lengths);
    incomplete: its end was not kept; offset, shown_chars and cut_chars: how many characters of
    the stored body stand before `text`, in it, after it.
    """

    content_type: str | None
    bytes: int
    stored_bytes: int
    incomplete: bool
    encoding: Encoding
    text: str
    offset: int
    shown_chars: int
    cut_chars: int

    @property
    def cut(self) -> bool:
        return self.cut_chars > 0 or self.incomplete


def body_of(
    content_type: str | None,
    stored: bytes | None,
    size: int | None,
    most: int = DEFAULT_CHARS,
    offset: int = 0,
) -> Body:
    """At most `most` characters of a body from `offset` on; `stored` None: it was not kept."""
    encoding, whole = readable(stored)
    text = whole[offset : offset + most]
    return Body(
        content_type=content_type,
        bytes=len(stored or b"") if size is None else size,
        stored_bytes=len(stored or b""),
        incomplete=_incomplete(stored or b"", size or 0),
        encoding=encoding,
        text=text,
        offset=min(offset, len(whole)),
        shown_chars=len(text),
        cut_chars=max(len(whole) - offset - len(text), 0),
    )


def _incomplete(stored: bytes, size: int) -> bool:
    """A shorter body was cut, or a long secret was taken out of it; limits are round numbers."""
    return len(stored) < size and (len(stored) % 1024 == 0 or b"[redacted:" not in stored)


def readable(stored: bytes | None) -> tuple[Encoding, str]:
    """The whole of a stored body as harmless text."""
    if not stored:
        return "none", ""
    if stored.lstrip()[:1] in (b"{", b"[") and len(stored) <= _PRETTY_LIMIT:
        try:
            laid = json.dumps(json.loads(stored), indent=2, ensure_ascii=False)
            return "json", visible_lines(laid)
        except (ValueError, RecursionError):  # cut at the limit, or none after all
            pass
    try:
        text = stored.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(stored) - error.start > 3:  # more than a letter that the cut went through
            return "base64", base64.b64encode(stored).decode()
        text = stored[: error.start].decode("utf-8")
    if "\x00" in text:
        return "base64", base64.b64encode(stored).decode()
    return "text", visible_lines(text)

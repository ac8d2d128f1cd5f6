"""The signature of an error: what a failed response says, without what varies from call to call.

    {"error": {"type": "card_error", "code": "card_declined", "message": "Card 4242 declined"}}
    ->  card_error/card_declined: Card … declined

So that a thousand failures become three kinds of failure. The dialects are those of the wild:
problem details (RFC 9457), Stripe, Google, AWS, OAuth, GraphQL, Spring, FastAPI, Rails, Elastic,
JSON-RPC, S3's XML, SOAP, HTML pages, plain text, and gRPC's status. Sentences lose their numbers,
identifiers, names of hosts and quoted values.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from recorder.normalize.tokens import KNOWN, is_random, name_compound
from store.derived import GRPC_NAMES, GRPC_OK

MAX_BODY: Final = 16 * 1024  # bytes looked at
MAX_SIGNATURE: Final = 160  # characters
_MAX_DEPTH: Final = 3
_MAX_KEYS: Final = 40

# What kind of error it is, most general first, and what it says, most telling first.
_KINDS: Final = (
    "__type", "type", "exception", "code", "error_code", "errorcode", "status", "decline_code",
    "faultcode",
)  # fmt: skip
_TEXTS: Final = (
    "message", "error_description", "title", "reason", "detail", "msg", "description",
    "error_message", "errormessage", "faultstring", "error",
)  # fmt: skip
_NESTED: Final = ("error", "errors", "fault", "detail", "details", "exception", "response", "data")
_PAIR: Final = re.compile(
    rf'"({"|".join([*_KINDS, *_TEXTS])})"\s*:\s*(?:"((?:[^"\\]|\\.){{1,300}})|(-?\d{{1,6}})\b)',
    re.IGNORECASE,
)
_TAG: Final = re.compile(
    r"<(?:\w{1,20}:)?(code|message|faultcode|faultstring|reason|title|detail|h1)\b[^<>]{0,200}>"
    r"\s*(?:<!\[CDATA\[)?([^<>]{1,300})",
    re.IGNORECASE,
)
_MARKUP: Final = re.compile(r"<(?:style|script)\b.*?(?:</|\Z)|<[^<>]{0,2000}>", re.I | re.DOTALL)
_DECODER: Final = msgspec.json.Decoder()


def error_signature(
    status: int | None, content_type: str | None, body: bytes | None, grpc_status: str | None = None
) -> str | None:
    """The signature of a failed response (status 400 and up, or a gRPC status other than OK), at
    most MAX_SIGNATURE characters; None for one that did not fail, or says nothing readable.

    Looks at the first MAX_BODY bytes; never raises, whatever the body.
    """
    grpc_failed = (grpc_status or "") not in GRPC_OK
    if not grpc_failed and (status is None or status < 400):
        return None
    found = _from_body(body[:MAX_BODY], content_type or "", len(body) > MAX_BODY) if body else None
    if found is None and grpc_failed:
        return f"grpc: {GRPC_NAMES.get(str(grpc_status), scrub(str(grpc_status))[:40])}"
    return found


def _from_body(body: bytes, content_type: str, is_cut: bool) -> str | None:
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n)]}',")  # XSSI guards, too
    if not text or _is_binary(text):
        return None
    if text[0] in "{[" or body.lstrip()[:1] in (b"{", b"["):
        return _from_json(body, text, is_cut)
    if text[0] == '"' and "json" in content_type:
        return _signature([], text.strip('"'))
    return _from_markup(text) if text[0] == "<" else _from_text(text)


def _is_binary(text: str) -> bool:
    head = text[:256]
    odd = sum(c == "\ufffd" or (c < " " and c not in "\t\r\n\x1b") for c in head)
    return odd * 10 > len(head)


def _from_json(body: bytes, text: str, is_cut: bool) -> str | None:
    if not is_cut:
        try:
            return _from_value(_DECODER.decode(body), 0)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass  # not JSON after all, or several documents, or nested to hurt
    flat: dict[str, Any] = {}
    for key, string, number in _PAIR.findall(text):
        flat.setdefault(key.lower(), string or int(number or 0))
    return _from_object(flat, _MAX_DEPTH)


def _from_value(value: Any, depth: int) -> str | None:
    if isinstance(value, str):
        return _signature([], value)
    if isinstance(value, dict):
        return _from_object({str(k).lower(): value[k] for k in list(value)[:_MAX_KEYS]}, depth)
    if isinstance(value, list) and depth <= _MAX_DEPTH:
        return next((found for item in value[:5] if (found := _from_value(item, depth + 1))), None)
    return None


def _from_object(values: Mapping[str, Any], depth: int) -> str | None:
    """`values` has its keys in lower case."""
    nested = next(_from_nested(values, depth), None)
    kinds = [kind for key in _KINDS if (kind := _kind(key, values.get(key)))]
    text = next((t for key in _TEXTS if isinstance(t := values.get(key), str) and t.strip()), "")
    if nested is not None and not kinds and (not text or text == values.get("message")):
        return nested  # {"message": "Validation failed", "errors": [...]}: the inner one tells
    extensions = values.get("extensions")  # GraphQL keeps the code there
    if isinstance(extensions, dict) and isinstance(code := extensions.get("code"), str):
        kinds.insert(0, code)
    error = values.get("error")
    if isinstance(error, str) and text != error:  # OAuth, Spring: error and its description
        kinds = [error]
    return (_signature(kinds, text) if kinds or text else None) or nested


def _from_nested(values: Mapping[str, Any], depth: int) -> Iterator[str]:
    if depth >= _MAX_DEPTH:
        return
    for key in _NESTED:
        value = values.get(key)
        if not isinstance(value, dict | list):
            continue
        if found := _from_value(value, depth + 1):
            yield found
        elif isinstance(value, dict):  # Rails, Laravel, ASP.NET: {"errors": {"name": ["..."]}}
            for field, said in list(value.items())[:5]:
                if found := _from_value(said, depth + 1):
                    yield _signature([str(field)], found) or found


def _kind(key: str, value: Any) -> str | None:
    """A kind is a name or a small number: `card_declined`, -32601; HTTP's status is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int):
        is_http = key == "status" or 100 <= value < 600
        return None if is_http or abs(value) > 999_999 else str(value)
    value = value.rsplit("#", 1)[-1].rstrip("/").rsplit("/", 1)[-1].strip()
    if value.lower() in {"", "about:blank", "error", "fail", "failed", "failure", "false"}:
        return None
    return None if value.isdecimal() or len(value) > 80 else value


def _from_markup(text: str) -> str | None:
    found: dict[str, str] = {}
    for tag, content in _TAG.findall(text):
        if content.strip():
            found.setdefault(tag.lower(), html.unescape(content).strip())
    kind = found.get("code") or found.get("faultcode")
    said = next((found[tag] for tag in ("message", "faultstring", "title", "h1", "reason", "detail")
                 if tag in found), "")  # fmt: skip
    if kind or said:
        return _signature([kind] if kind else [], said)
    return _from_text(html.unescape(_MARKUP.sub(" ", text)))


def _from_text(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    return _signature([], lines[-1] if lines[0].startswith("Traceback (") else lines[0])


def _signature(kinds: list[str], text: str) -> str | None:
    cleaned = (
        kind if kind.lstrip("-").isdecimal() else scrub(kind, quoted=False) for kind in kinds
    )
    names = list(dict.fromkeys(cleaned))[:3]
    said = scrub(re.sub(r"^\s*[45]\d\d\b[\s:-]*", "", text[:600]))  # "502 Bad Gateway"
    head = "/".join(name for name in names if name.strip("… "))
    if said.strip("… .:") and said not in names:
        whole = f"{head}: {said}" if head else said
    else:
        whole = head
    if len(whole) > MAX_SIGNATURE:
        whole = whole[: MAX_SIGNATURE - 1].rstrip() + "…"
    return whole or None


GONE: Final = "…"

_QUOTED: Final = r"""(?<![\w'])(?:"[^"]{0,300}"|'[^']{0,300}'(?!\w)|`[^`]{0,300}`|“[^”]{0,300}”)"""
_VARYING: Final = re.compile(
    r"\[redacted[^\]\[]{0,80}\]"
    r"|\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>)\]]+"  # addresses
    r"|[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \d{1,2}[ -]\w{3}[ -]\d{2,4}"
    r"(?: [\d:]{5,8})?(?: [A-Z]{3})?"
    r"|\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?)?(?: ?Z| ?[+-]\d\d:?\d\d)?"
    r"|\b[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}\b"
    r"|(?<![\w:])(?:[\da-fA-F]{0,4}:){2,7}[\da-fA-F]{0,4}(?![\w:])"  # IPv6, clocks
    r"|(?<![\w.-])(?:[A-Za-z0-9-]{1,63}\.){1,8}"
    r"(?:com|org|net|io|dev|app|local|localhost|internal|svc|cloud|co|ai|de|uk|eu|example|test)"
    r"(?:\.[a-z]{2,3})?(?::\d{1,5})?(?![\w.])"
    r"|(?<![\w.])[A-Za-z][\w.-]{0,100}:\d{2,5}\b"  # db:5432
    r"|(?<![\w.:/])(?:[A-Za-z]:\\|\.{0,2}/)[\w.@%+~{}-]{1,255}(?:[/\\][\w.@%+~{}-]{0,255}){1,40}"
    r"|\b0[xX][\da-fA-F]+\b"
)
_QUOTES: Final = re.compile(_QUOTED)
_WORDS: Final = re.compile(r"[^\W_][\w-]*[^\W_]|[^\W_]")
_NAMES: Final = KNOWN | {"2fa", "3ds", "3d"}
_REPEATED: Final = re.compile(rf"{GONE}(?:[\s,;:/()|.-]{{0,4}}{GONE})+")
_UNSEEN: Final = re.compile(
    r"\x1b\[[0-9;]{0,20}[A-Za-z]|[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)


@lru_cache(maxsize=4096)  # failures repeat themselves
def scrub(text: str, quoted: bool = True) -> str:
    """`text` (up to 600 characters of it) with every varying part replaced by an ellipsis.

    With `quoted`, what stands in quotation marks goes too, whatever it is.
    """
    text = " ".join(_UNSEEN.sub(" ", text[:600]).split())
    if quoted:
        text = _QUOTES.sub(GONE, text)
    text = _VARYING.sub(GONE, text)
    text = _WORDS.sub(lambda found: _word(found[0]), text)
    return _REPEATED.sub(GONE, text).strip()


def _word(word: str) -> str:
    if word.isalpha():
        return GONE if len(word) >= 12 and word.isascii() and is_random(word) else word
    if "-" not in word and "_" not in word and not any(c.isdecimal() for c in word):
        return word
    if word.lower() in _NAMES:
        return word
    if word[0].isdecimal():  # 30s, 1.5GB, but an identifier as a whole
        unit = word.lstrip("0123456789")
        return GONE + unit if len(unit) <= 3 and unit.isalpha() else GONE
    return GONE if "{" in name_compound(word) else word

"""What to do about a kind of secret that was found in traffic, and how much it matters where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Concern = Literal["leak", "review", "expected"]

_PERSONAL = frozenset({"email", "ssn", "card", "iban", "phone", "cvv", "pin"})
_SESSION = frozenset({"session", "jwt", "bearer", "token", "otp", "link_token", "signature"})
_UNREAD = frozenset({"uninspected", "undecodable", "unreadable"})
# Headers that are made to carry a credential to the one who asked for it.
_CARRIERS = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
    "apikey", "x-auth-token", "x-amz-security-token", "x-goog-api-key", "private-token",
)  # fmt: skip

_ADVICE = {
    "password": "Send passwords only to the sign-in they belong to; where one turned up in a"
    " response, a log or an event, take the field out and have it changed.",
    "basic": "Name and password travel with every request: use a token that expires instead.",
    "userinfo": "A name and password in an address end up in logs: move them into a header.",
    "private_key": "A private key has no business in traffic: revoke it and find who sends it.",
    "email": "Personal data: check that this receiver may have it, and that it needs it.",
    "ssn": "Personal data of the strictest kind: stop sending it, or tokenise it.",
    "card": "Card numbers bring PCI DSS with them: let the payment provider's form take them.",
    "cvv": "A card's check number may never be stored: find out where it goes, and stop it.",
    "iban": "Personal data: check that this receiver may have it, and that it needs it.",
    "session": "Whoever has a session id is that user: keep it in a Secure, HttpOnly cookie.",
    "jwt": "Good until it expires, for anybody: keep it in a header, and its lifetime short.",
    "link_token": "A link that works by its token: let it expire after one use.",
    "slack_webhook": "The address is the secret: regenerate it if others may have seen it.",
    "discord_webhook": "The address is the secret: regenerate it if others may have seen it.",
    "teams_webhook": "The address is the secret: regenerate it if others may have seen it.",
}
_CREDENTIAL = (
    "Rotate it if it went anywhere but to its issuer; take it out of addresses, bodies and logs."
)
_TOKEN = "Keep it in a header, its lifetime short; where it stands in an address, move it."
_UNREADABLE = "It could not be read, so it was taken out as a whole: nothing to do unless it grows."


def advice(kind: str) -> str:
    """What to do, in one sentence."""
    if kind in _UNREAD:
        return _UNREADABLE
    return _ADVICE.get(kind) or (_TOKEN if kind in _SESSION else _CREDENTIAL)


def personal(kinds: Iterable[str]) -> bool:
    """Whether all of these are about a person rather than credentials."""
    return _PERSONAL.issuperset(kinds)


def concern(kind: str, place: str, goes: str, plain: bool) -> Concern:
    """leak: a credential where others see it (an address, a response, plain HTTP to the outside);
    review: personal data, or a credential in a body; expected: in a header made for it."""
    if kind in _UNREAD:
        return "review"
    if kind in _PERSONAL:
        return "leak" if plain and goes == "outside" else "review"
    side, _, rest = place.partition(".")
    part, _, name = rest.partition(".")
    if plain and goes == "outside":
        return "leak"
    if part == "header":
        return "expected" if name.split(".")[0].lower() in _CARRIERS else "review"
    if part in ("query", "path", "url"):
        return "leak"
    return "leak" if side == "response" and kind not in _SESSION else "review"

"""The functions of the language: starts_with, and Qtap's zone and in_zone."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from filters.compare import go_text

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


class Function(NamedTuple):
    """A function: how many arguments it takes, whether only strings, and what it does."""

    arity: int
    strings: bool
    call: Callable[..., object]
    example: str


def starts_with(value: object, prefix: object) -> bool:
    """Whether the text of a value begins with the text of another, case and all."""
    return go_text(value).startswith(go_text(prefix))


@lru_cache(maxsize=65_536)
def zone(domain: str) -> str:
    """The registrable domain: `api.eu.example.co.uk` -> `example.co.uk`.

    Without one (a public suffix itself, a single name) the domain comes back as it is, less
    one trailing dot. Public and private suffixes count; an unknown last label is a suffix.
    """
    domain = domain.removesuffix(".")
    if domain.startswith(".") or domain.endswith(".") or ".." in domain:
        return domain
    found = _suffixes().privatesuffix(domain)
    # count labels rather than take the answer, which is in lower case
    return ".".join(domain.split(".")[-(found.count(".") + 1) :]) if found else domain


def in_zone(domain: str, zone: str) -> bool:
    """Whether a domain is the zone or lies in it: compared as text, case and all."""
    return domain == zone or domain.endswith(f".{zone}")


FUNCTIONS: dict[str, Function] = {
    "starts_with": Function(2, False, starts_with, 'starts_with(req.host, "api.")'),
    "zone": Function(1, True, zone, 'zone(req.host) == "example.com"'),
    "in_zone": Function(2, True, in_zone, 'in_zone(req.host, "example.com")'),
}


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()

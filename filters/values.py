"""What the literals of a filter mean, by Go's rules, which rulekit follows.

Values at run time are plain Python: str, int, float, bool, None, dict, bytes; `list` for a
list of anything and `tuple` for a list known to hold only strings (Go tells the two apart).
Addresses, networks, hardware addresses, hex and regular expressions have the small classes
below: they come from literals only, since an event as JSON has none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(
    r"\\(?:(?P<plain>[abfnrtv])|(?P<same>[\\\"])|x(?P<x>[0-9a-fA-F]{2})|(?P<o>[0-7]{3})"
    r"|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<bad>.?))",
    re.DOTALL,
)
_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{2,45}")
# RE2 in C++ takes these; Go does not, or only since lately
_NOT_IN_GO = re.compile(r"(?<!\\)(?:\\\\)*(?:\\C|\(\?<)")


class Ip(NamedTuple):
    """An IP address. `text` is the canonical text; IPv4 in IPv6 counts as IPv4."""

    version: int
    number: int
    text: str


class Net(NamedTuple):
    """A network in CIDR notation, host bits cleared. `text` is the canonical text."""

    version: int
    number: int
    prefix: int
    text: str

    def contains(self, ip: Ip) -> bool:
        """Whether the address is in this network; never across IP versions."""
        shift = (32 if self.version == 4 else 128) - self.prefix
        return ip.version == self.version and ip.number >> shift == self.number >> shift


class Mac(NamedTuple):
    """A hardware address; `text` is lower case with colons."""

    octets: bytes
    text: str


class Hex(NamedTuple):
    """Bytes written as `47:45:54`; `raw` as written."""

    octets: bytes
    raw: str


class Regex(NamedTuple):
    """A compiled RE2 pattern. `search(text)` is truthy where it matches anywhere in the text."""

    pattern: str
    search: Callable[[str], object]


def unquote(raw: str) -> str:
    """The text of a quoted string. ValueError: an escape that Go does not know, a raw newline."""
    body = raw[1:-1]
    if raw[0] == "'":
        # rulekit makes a double-quoted string of it first, with this very replacement
        body = body.replace('"', '\\"').replace("\\'", "'")
    if "\n" in body:
        raise ValueError("a string cannot span lines: write \\n for a line break")
    if '"' in re.sub(r"\\.", "", body, flags=re.DOTALL):
        raise ValueError("a quote inside a string needs a backslash")
    text = _ESCAPE.sub(_unescape, body)
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("these bytes are not UTF-8 text: write them as hex, c3:28") from None


def _unescape(found: re.Match[str]) -> str:
    kind = found.lastgroup or "bad"
    text = found.group(kind)
    if kind == "plain":
        return _ESCAPES[text]
    if kind == "same":
        return text
    if kind == "bad":
        raise ValueError(f"unknown escape \\{text} in a string: write \\\\ for a backslash")
    number = int(text, 8 if kind == "o" else 16)
    if kind in ("x", "o") and number < 256:
        return chr(number) if number < 128 else chr(0xDC00 + number)  # a byte, joined above
    if kind == "o" or number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError(f"\\{text} is not a character")
    return chr(number)


def retype(text: str) -> str | Ip | Net | Mac:
    """The value of a quoted string: rulekit reads addresses out of strings."""
    if "." in text or ":" in text:
        found = parse_ip(text) or parse_net(text)
        if found:
            return found
        if _MAC.fullmatch(text):
            return Mac(bytes.fromhex(text.replace(":", "")), text.lower())
    return text


def parse_ip(text: str) -> Ip | None:
    """An IPv4 or IPv6 address without zone, or None."""
    if not _ADDRESS.fullmatch(text):
        return None
    import ipaddress

    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    return Ip(ip.version, int(ip), str(ip))


def parse_net(text: str) -> Net | None:
    """A network as address/bits, host bits cleared, or None."""
    address, slash, bits = text.partition("/")
    if not slash or not _ADDRESS.fullmatch(address) or not re.fullmatch("[0-9]{1,3}", bits):
        return None
    import ipaddress

    try:
        net = ipaddress.ip_network(f"{address}/{int(bits)}", strict=False)
    except ValueError:
        return None
    if isinstance(net, ipaddress.IPv6Network) and net.network_address.ipv4_mapped:
        net = ipaddress.IPv4Network((net.network_address.ipv4_mapped, net.prefixlen - 96))
    return Net(net.version, int(net.network_address), net.prefixlen, str(net))


def parse_int(raw: str) -> int:
    """An integer of 64 bits, signed or not; a leading zero makes it octal, as in Go."""
    digits = raw.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0"
    if octal and set(digits) - set("01234567"):
        raise ValueError(f"{raw} is not a number: a leading zero makes it octal")
    number = int(digits, 8 if octal else 10) * (-1 if raw[0] == "-" else 1)
    top = 2**64 if digits == raw else 2**63
    if not -(2**63) <= number < top:
        raise ValueError(f"{raw} does not fit in 64 bits")
    return number


def parse_float(raw: str) -> float:
    """A float. ValueError when it is too large for one."""
    number = float(raw)
    if number in (float("inf"), float("-inf")):
        raise ValueError("this number is too large")
    return number


def parse_hex(raw: str) -> Hex:
    """Bytes from `47:45:54`."""
    return Hex(bytes.fromhex(raw.replace(":", "")), raw)


def parse_regex(raw: str) -> Regex:
    """A pattern from `/…/` or `|…|`. ValueError says what RE2 does not take."""
    return compile_regex(raw[1:-1])


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> Regex:
    """RE2 runs in linear time whatever the pattern, and reads it as Go does."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        what = error.args[0] if error.args else "unknown"
        what = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        raise ValueError(f"not a regular expression: {what}") from None
    if _NOT_IN_GO.search(pattern):
        raise ValueError("not a regular expression that Qtap knows: it has \\C or (?<name>")
    return Regex(pattern, compiled.search)

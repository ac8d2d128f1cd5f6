"""Values: what the literals of a filter mean, how two values compare, what functions make of them.

All by Go's rules, which rulekit follows. Values at run time are plain Python: str, int, float,
bool, None, dict, bytes; `list` for a list of anything and `tuple` for a list known to hold only
strings (Go tells the two apart). Addresses, networks, hardware addresses, hex and regular
expressions have the small classes below: they come from literals only, since an event as JSON
has none of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

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


def _unescape(match: re.Match[str]) -> str:
    kind = match.lastgroup or "bad"
    text = match.group(kind)
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
        address = parse_ip(text) or parse_net(text)
        if address:
            return address
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


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> Regex:
    """A pattern: RE2 runs in linear time whatever it is, and reads it as Go does. ValueError says
    what RE2 does not take."""
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


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip


def compare(left: object, op: str, right: object) -> bool:
    """Whether `left op right` holds, for any two values and any operator but matches and in."""
    if type(right) is list:
        # a list on the right never "contains", whatever the left side is
        return op != "contains" and _each(right, op, lambda one, op: compare(left, op, one))
    kind = type(left)
    if kind is str:
        return _text(left, op, right)  # type: ignore[arg-type]
    if kind is int or kind is float:
        return _numbers(left, op, right)
    if kind is list:
        return _each(left, op, lambda one, op: compare(one, op, right))  # type: ignore[arg-type]
    if kind is bool:
        return op in ("==", "!=") and type(right) is bool and _ORDERS[op](left, right)
    if kind is tuple:
        return _texts(left, op, right)  # type: ignore[arg-type]
    return _address(left, op, right)


def _numbers(left: Any, op: str, right: object) -> bool:
    """Numeric order over int and float. Go turns the integer into a float where they meet."""
    if type(right) is float:
        left = float(left)
    elif type(right) is not int:
        return False
    elif type(left) is float:
        right = float(right)
    order = _ORDERS.get(op)
    return order is not None and order(left, right)


def match(left: object, regex: Regex) -> bool:
    """`left matches regex`: a string, or any of a list of strings; nothing else."""
    if type(left) is str:
        return bool(regex.search(left))
    return type(left) is tuple and any(regex.search(one) for one in left)


def truthy(value: object) -> bool:
    """Whether a value alone holds: not null, false, zero or empty. Maps always do."""
    if isinstance(value, str | bool | int | float | bytes | list | tuple | None):
        return bool(value)
    return True


def go_text(value: object) -> str:
    """A value as Go prints it, which is what starts_with compares."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if value is None:
        return "<nil>"
    if isinstance(value, Ip | Net | Mac):
        return value.text
    if isinstance(value, Hex):
        return value.raw
    if isinstance(value, Regex):
        return value.pattern
    if isinstance(value, list | tuple):
        return f"[{' '.join(go_text(one) for one in value)}]"
    if isinstance(value, bytes):
        return f"[{' '.join(str(octet) for octet in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    return str(value)


def _go_float(value: float) -> str:
    sign, digits, _ = (exact := Decimal(repr(value)).normalize()).as_tuple()
    exponent = exact.adjusted() if exact else 0
    if -4 <= exponent < 6:
        # Go prints 999999 but 1e+06
        return format(exact, "f")
    rest = "".join(str(digit) for digit in digits[1:])
    mantissa = f"{'-' if sign else ''}{digits[0]}{'.' if rest else ''}{rest}"
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _each(items: Iterable[object], op: str, check: Callable[[object, str], bool]) -> bool:
    if op == "!=":
        return not any(check(one, "==") for one in items)
    op = "==" if op == "contains" else op
    return any(check(one, op) for one in items)


def _text(left: str, op: str, right: object) -> bool:
    if type(right) is str:
        return _strings(left, op, right)
    if isinstance(right, Regex):
        return op in ("==", "!=", "contains") and bool(right.search(left)) != (op == "!=")
    if isinstance(right, Ip | Net):
        return _strings(left, op, right.text)
    if isinstance(right, Hex):
        return _strings(left.encode("utf-8", "surrogatepass"), op, right.octets)
    return False


def _strings(left: Any, op: str, right: Any) -> bool:
    if op == "contains":
        return right in left
    return bool(left == right if op == "==" else op == "!=" and left != right)


def _texts(left: Sequence[str], op: str, right: object) -> bool:
    if type(right) is not str and not isinstance(right, Regex):
        return False
    op = "==" if op == "contains" else op
    return any(_text(one, op, right) for one in left)


def _address(left: object, op: str, right: object) -> bool:
    if isinstance(left, Mac):
        if isinstance(right, Mac):
            return _strings(left.octets, op, right.octets)
        other = right.raw if isinstance(right, Hex) else right
        return isinstance(other, str) and _strings(left.text, op, other.lower())
    if isinstance(left, Ip) and isinstance(right, Ip):
        return op in ("==", "!=") and (left[:2] == right[:2]) == (op == "==")
    if isinstance(left, Net) and isinstance(right, Ip):
        left, right = right, left
    if isinstance(left, Ip) and isinstance(right, Net):
        return op in ("==", "!=", "contains") and right.contains(left) == (op != "!=")
    return False


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
    suffix = _suffixes().privatesuffix(domain)
    # count labels rather than take the answer, which is in lower case
    return ".".join(domain.split(".")[-(suffix.count(".") + 1) :]) if suffix else domain


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

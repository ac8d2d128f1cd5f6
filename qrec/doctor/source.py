"""The source: whether it answers, as what, what of a filter it takes, and who else may listen."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import filters
from qrec.doctor import Check
from qrec.format import span
from recorder.source.probe import Greeting, greet
from recorder.source.subscription import LinkError
from store.errors import QrecError

_REMEDY = {
    "refused": "Start Qtap with --enable-dev-tools, or name its address with --url.",
    "timeout": "Check that this is Qtap's address, and that nothing between holds it up.",
    "status": "Start Qtap with --enable-dev-tools; while it starts, it answers 404 for a moment.",
    "filter": "Record with --push none: the whole filter is applied here.",
    "not_sse": "Check that this is Qtap's address; the port is that of --httpd-listen.",
}
_SKEW_S = 2.0  # windows end now, by this machine's clock
_LISTEN = "0A"


def greeted(url: str) -> Greeting:
    """The source's greeting. QrecError, with what to do, where there is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise QrecError(f"{url!r} is not an address", "Write it as http://localhost:10001.")
    try:
        return greet(url)
    except LinkError as error:
        raise QrecError(f"{url}: {error.text}", _remedy(error)) from None


def _remedy(error: LinkError) -> str:
    return _REMEDY.get(error.kind, "Look into Qtap's own log, and try again.")


def source(url: str, greeting: Greeting) -> Iterator[Check]:
    """Who answers, what its clock says, and whether others can reach it."""
    facts = {"url": url, "filters": greeting.filters}
    if not greeting.connected:
        yield Check(
            "source", "warning", f"{url} streams events, but does not greet as Qtap does",
            "Check the address: this may be another program.", facts,
        )  # fmt: skip
    elif greeting.filters:
        yield Check("source", "ok", f"Qtap 0.14 or newer answers at {url}", facts=facts)
    else:
        text = f"Qtap before 0.14 answers at {url}; it knows no filters, so they are applied here"
        yield Check("source", "ok", text, facts=facts)
    if greeting.ahead_s is not None:
        yield _clock(greeting.ahead_s)
    if (open_to := _open_to_all(url)) is not None:
        yield _exposure(open_to)


def _clock(ahead: float) -> Check:
    facts = {"ahead_s": round(ahead, 3)}
    if abs(ahead) < _SKEW_S:
        return Check("clock", "ok", "the source's clock and this one agree", facts=facts)
    way = "ahead of" if ahead > 0 else "behind"
    return Check(
        "clock", "warning", f"the source's clock is {span(abs(ahead))} {way} this one",
        "Set both by NTP: windows end at this machine's now, and rows carry the source's time.",
        facts,
    )  # fmt: skip


def _exposure(port: int) -> Check:
    if port < 0:
        return Check("exposure", "ok", "the source listens on this machine only")
    return Check(
        "exposure", "warning",
        f"port {port} is open on every network interface: whoever reaches it reads the decrypted "
        "traffic of this host, without a password",
        f"Start Qtap with --httpd-listen 127.0.0.1:{port} (--status-listen in older versions), "
        "or close the port in the firewall.",
        {"port": port},
    )  # fmt: skip


def _open_to_all(url: str) -> int | None:
    """The port where it listens on all interfaces; -1 where not; None where it cannot be told."""
    parts = urlsplit(url)
    if not _loopback(parts.hostname or ""):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = False
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except (OSError, ValueError):
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTEN and int(number, 16) == port:
                found = True
                if not int(address, 16):
                    return port
    return -1 if found else None


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def filter_check(text: str, push: str, url: str, greeting: Greeting | None) -> Iterator[Check]:
    """Whether the filter is valid, how it is read, and what of it the source takes."""
    if not text:
        yield Check("filter", "ok", "no filter: every transaction is recorded")
        return
    try:
        expression = filters.parse(text)
        filters.check(expression, "record")
    except QrecError as error:
        remedy = error.hint or "Mend it where the caret stands; docs/filters.md has the language."
        yield Check("filter", "problem", error.message, remedy)
        return
    pushed = filters.pushable(expression, push)  # type: ignore[arg-type]
    facts = {"filter": text, "pushed": pushed, "reads": expression.pretty()}
    if pushed is not None and greeting is not None and greeting.filters:
        try:
            greet(url, pushed)
        except LinkError as error:
            said = f"the source does not take {pushed}: {error.text}"
            yield Check("filter", "problem", said, _remedy(error), facts)
            return
    what = f"Qtap gets {pushed}" if pushed else "Qtap gets none of it: everything is sent here"
    remarks = filters.remarks(expression)
    doubtful = len(remarks) > expression.mixes
    yield Check(
        "filter", "warning" if doubtful else "ok", "; ".join(["valid", *remarks, what]),
        "Mend the part that is named; docs/filters.md has the language." if doubtful else "", facts,
    )  # fmt: skip

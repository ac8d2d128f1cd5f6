"""How well redaction does: what leaks, what is taken out for nothing, and what it costs.

    python -m bench.redaction [--json] [--speed] [--worst] [--no-store]

Plants made-up secrets of every kind in every place and notation, lets the real Redactor (and, in
a second pass, the whole way of `qrec replay` into a store) at them and looks for any part of them
in what is left. Exits 1 when something leaked.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
import sys
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench import redaction_held_back, redaction_places, redaction_secrets
from bench.redaction_harmless import HARMLESS, RANDOM
from bench.redaction_harmless import PLACES as HARMLESS_PLACES
from bench.redaction_places import Place
from bench.redaction_secrets import Secret
from recorder.model import Transaction
from recorder.redact import RedactConfig, Redactor

_KEY = b"bench-only-key-of-32-bytes-long!"
_PIECE = 7  # so many characters in a row of a secret count as a leak
_EACH = 40  # harmless values of a kind in a place


def cases(
    secrets: list[Secret], places: list[Place], seed: int
) -> Iterator[tuple[str, str, Transaction]]:
    """(label, planted secret, transaction) of every kind in every place that it fits."""
    rnd = random.Random(seed)
    for secret in secrets:
        for place in places:
            if not place.named and not secret.shape:
                continue
            names = secret.names or ("note",)
            for name in names if place.named and secret.names else names[:1]:
                value = secret.make(rnd)
                while len(value) < _PIECE and value in ORDINARY:
                    value = secret.make(rnd)
                if " " in value and not place.blanks:
                    continue
                try:
                    yield f"{secret.kind} / {place.label} / {name}", value, place.plant(name, value)
                except UnicodeEncodeError:
                    continue


ORDINARY = repr(redaction_places.transaction()) + repr(redaction_places.PADDING)


def leaked(tx: Transaction, secret: str) -> bool:
    """Whether any piece of the secret is left in any field, in any notation."""
    return any(piece in text for text in _readings(tx) for piece in _pieces(secret))


def _pieces(secret: str) -> list[str]:
    core = secret
    for part in re.findall(r"-----[A-Z ]+-----|https?://[a-z.]+/services/|AccountKey=", secret):
        core = core.replace(part, " ")
    core = core.strip()
    size = min(_PIECE, len(core))
    return [core[at : at + size] for at in range(len(core) - size + 1)]


def _readings(tx: Transaction) -> Iterator[str]:
    texts = []
    for field in tx.__struct_fields__:
        value = getattr(tx, field)
        if isinstance(value, bytes):
            texts.append(value.decode("utf-8", "replace"))
            texts.append(value[: len(value) // 2 * 2].decode("utf-16", "ignore"))
        elif isinstance(value, dict):
            texts += [f"{key}: {one}" for key, one in value.items()]
        elif isinstance(value, list):
            texts += [finding.place for finding in value]
        elif isinstance(value, str):
            texts.append(value)
    yield from readings("\n".join(texts))


def readings(text: str) -> Iterator[str]:
    """A text as it is, and with escapes, percent signs, entities and base64 undone."""
    text = re.sub(r"\[redacted:[a-z0-9_]*(?::[0-9a-f]{0,12}\]?|$)", "[]", text, flags=re.MULTILINE)
    yield text
    plain = text
    for _ in range(4):
        plain = re.sub(r"\\+u00([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), plain)
        plain = re.sub(r"\\+([\"/])", r"\1", plain).replace("\\n", "\n")
        yield plain
        plain = html.unescape(urllib.parse.unquote_plus(plain))
        yield plain
    for match in re.finditer(r"[A-Za-z0-9+/_-]{16,}={0,2}", text):
        try:
            blob = urllib.parse.unquote(match[0]).replace("-", "+").replace("_", "/")
            yield __import__("base64").b64decode(blob + "=" * (-len(blob) % 4)).decode("latin-1")
        except ValueError:
            continue


def leaks(secrets: list[Secret], places: list[Place], seed: int) -> dict[str, Any]:
    """Plant every case and see what is left of it."""
    redactor = Redactor(_KEY, RedactConfig())
    found: list[str] = []
    unreported: list[str] = []
    total = 0
    for label, value, tx in cases(secrets, places, seed):
        total += 1
        redactor.redact(tx)
        if leaked(tx, value):
            found.append(label)
        elif not tx.findings:
            unreported.append(label)
    return {
        "kinds": len(secrets),
        "places": len(places),
        "planted": total,
        "leaked": len(found),
        "without_finding": len(unreported),
        "failures": redactor.failures,
        "examples": sorted(set(found))[:200],
    }


def harmless(seed: int) -> dict[str, Any]:
    """Ordinary values that are not secret, and how many are taken out all the same."""
    redactor = Redactor(_KEY, RedactConfig())
    rnd = random.Random(seed)
    total = 0
    hit: Counter[str] = Counter()
    for kind, (name, make) in HARMLESS.items():
        for place, plant in HARMLESS_PLACES.items():
            if place == "cookie" and kind in RANDOM:
                continue
            for _ in range(_EACH):
                tx = plant(kind, name, make(rnd))
                redactor.redact(tx)
                total += 1
                if tx.findings:
                    hit[f"{kind} / {place} / {tx.findings[0].kind}"] += 1
    redacted = sum(hit.values())
    return {
        "kinds": len(HARMLESS),
        "values": total,
        "redacted": redacted,
        "per_1000": round(1000 * redacted / total, 3),
        "examples": dict(hit.most_common(40)),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    result = {
        "main": leaks(
            redaction_secrets.SHAPES + redaction_secrets.NAMED,
            redaction_places.PLACES,
            options.seed,
        ),
        "held_back": leaks(redaction_held_back.SECRETS, redaction_held_back.PLACES, options.seed),
        "harmless": harmless(options.seed),
    }
    print(json.dumps(result, indent=None if options.json else 2))
    return 1 if result["main"]["leaked"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""How well redaction does: what leaks, what is taken out for nothing, and what it costs.

    python -m bench.redaction [--json] [--speed] [--worst] [--no-store] [--seed N]

Plants made-up secrets of every kind in every place and notation, lets the real Redactor (and, in
a second pass, the whole way of a replay into a store) at them and looks for any part of them in
what is left. Exits 1 when something leaked.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from bench import redaction_held_back, redaction_places, redaction_secrets
from bench.redaction_harmless import HARMLESS, RANDOM
from bench.redaction_harmless import PLACES as HARMLESS_PLACES
from bench.redaction_places import Place
from bench.redaction_readings import PIECE, leaked
from bench.redaction_secrets import Secret
from bench.redaction_singles import singles
from bench.redaction_speed import speed, worst
from bench.redaction_store import through_a_store
from recorder.decode.row import Transaction
from recorder.redact import RedactConfig, Redactor

_KEY = b"bench-only-key-of-32-bytes-long!"
_EACH = 40  # harmless values of a kind in a place
_ORDINARY = repr(redaction_places.transaction()) + repr(redaction_places.PADDING)

SECRETS = redaction_secrets.SHAPES + redaction_secrets.NAMED


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
            for name in names if place.named else names[:1]:
                value = secret.make(rnd)
                while len(value) < PIECE and value in _ORDINARY:
                    value = secret.make(rnd)
                if " " in value and not place.blanks:
                    continue
                yield f"{secret.kind} / {place.label} / {name}", value, place.plant(name, value)


def _texts(tx: Transaction) -> Iterator[str]:
    for field in tx.__struct_fields__:
        value = getattr(tx, field)
        if isinstance(value, bytes):
            yield value.decode("utf-8", "replace")
            yield value[: len(value) // 2 * 2].decode("utf-16", "ignore")
        elif isinstance(value, dict):
            yield from (f"{key}: {one}" for key, one in value.items())
        elif isinstance(value, list):
            yield from (finding.place for finding in value)
        elif isinstance(value, str):
            yield value


def leaks(secrets: list[Secret], places: list[Place], seed: int) -> dict[str, Any]:
    """Plant every case and see what is left of it."""
    figures = {"kinds": len(secrets), "places": len(places)}
    return figures | what_leaks(cases(secrets, places, seed))


def what_leaks(planted: Iterable[tuple[str, str, Transaction]]) -> dict[str, Any]:
    """How many planted secrets are left, in part or whole, and which."""
    redactor = Redactor(_KEY, RedactConfig())
    found: list[str] = []
    silent: list[str] = []
    total = 0
    for label, value, tx in planted:
        total += 1
        redactor.redact(tx)
        if leaked(_texts(tx), value):
            found.append(label)
        elif not tx.findings:
            silent.append(label)
    return {
        "planted": total,
        "leaked": len(found),
        "without_finding": len(silent),
        "failures": redactor.failures,
        "examples": sorted(set(found))[:200],
    }


def harmless(seed: int, each: int = _EACH) -> dict[str, Any]:
    """Ordinary values that are not secret, and how many are taken out all the same."""
    redactor = Redactor(_KEY, RedactConfig())
    rnd = random.Random(seed)
    total = 0
    hit: Counter[str] = Counter()
    for kind, (name, make) in HARMLESS.items():
        for place, plant in HARMLESS_PLACES.items():
            if place == "cookie" and kind in RANDOM:
                continue
            for _ in range(each):
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


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, in one document."""
    result: dict[str, Any] = {}
    if options.speed:
        result["speed"] = speed()
    if options.worst:
        result["worst"] = worst()
    if result:
        return result
    seed = options.seed
    result["main"] = leaks(SECRETS, redaction_places.PLACES, seed)
    result["held_back"] = leaks(redaction_held_back.SECRETS, redaction_held_back.PLACES, seed)
    result["held_back_singles"] = what_leaks(singles())
    result["harmless"] = harmless(seed)
    if options.store:
        result["store"] = through_a_store(cases(SECRETS, redaction_places.PLACES, seed))
    return result


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What redaction lets through, and what it costs.")
    parser.add_argument("--json", action="store_true", help="one document on one line")
    parser.add_argument("--speed", action="store_true", help="CPU time an event")
    parser.add_argument("--worst", action="store_true", help="CPU time a byte of the worst input")
    parser.add_argument("--no-store", dest="store", action="store_false", help="skip the replay")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    result = measure(options)
    print(json.dumps(result, indent=None if options.json else 2))
    return 1 if any(result.get(key, {}).get("leaked") for key in ("main", "store")) else 0


if __name__ == "__main__":
    sys.exit(main())

"""How well redaction does: what leaks, what is taken out for nothing, and what it costs.

    python -m bench.redaction [--json] [--speed] [--worst] [--no-store] [--seed N]

Plants made-up secrets of every kind in every place and notation, lets the real Redactor (and, in
a second pass, the whole way of a replay into a store) at them and looks for any part of them in
what is left. Exits 1 when something leaked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import html
import json
import random
import re
import sys
import tempfile
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.redaction_apis import FIRST, HELD_BACK, in_use, under_vendors
from bench.redaction_betterleaks import formats
from bench.redaction_cases import (
    HARMLESS,
    HARMLESS_PLACES,
    NAMED,
    PADDING,
    PLACES,
    RANDOM,
    SHAPES,
    Place,
    Secret,
    transaction,
)
from bench.redaction_credsweeper import half
from bench.redaction_documented import documented
from bench.redaction_drawn import drawn
from bench.redaction_held_back import HELD_BACK_PLACES, HELD_BACK_SECRETS, singles
from bench.redaction_outside import anew
from bench.redaction_speed import cold_headers, speed, unseen, worst
from bench.redaction_unread import HELD_BACK as UNREAD
from bench.redaction_unread import LEARNT, of_whoevers_making, planted
from recorder.decode.events import Transaction
from recorder.options import RecordOptions
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor
from recorder.replay import replay

PIECE = 7  # so many characters in a row of a secret count as a leak

_PUBLIC = re.compile(
    r"-----[A-Z ]+-----|https?://[a-z.]+/(?:services|api/webhooks)/|AccountKey=|rubygems_"
)
_PLACEHOLDER = re.compile(r"\[redacted:[a-z0-9_]*(?::[0-9a-f]{0,12}\]?|$)", re.MULTILINE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


def leaked(texts: Iterable[str], secret: str) -> bool:
    """Whether any piece of the secret stands in any of the texts."""
    if len(secret) < PIECE:  # three digits stand in many a longer number
        alone = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])")
        return any(alone.search(reading) for text in texts for reading in readings(text))
    parts = pieces(secret)
    return any(part in reading for text in texts for reading in readings(text) for part in parts)


def pieces(secret: str) -> list[str]:
    """Every PIECE characters in a row of a secret, without what all of its kind share."""
    core = _PUBLIC.sub(" ", secret).strip()
    size = min(PIECE, len(core))
    return [core[at : at + size] for at in range(len(core) - size + 1)]


def readings(text: str) -> Iterator[str]:
    """A text as it is, and with escapes, percent signs, entities and base64 undone; without its
    placeholders, which name kinds."""
    text = _PLACEHOLDER.sub("[]", text)
    yield text
    plain = text
    for _ in range(4):
        before = plain
        plain = re.sub(r"\\+u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), plain)
        plain = re.sub(r"\\+([\"/])", r"\1", plain).replace("\\n", "\n")
        yield plain
        plain = html.unescape(urllib.parse.unquote_plus(plain))
        if plain == before:
            break
        yield plain
    for match in _BASE64.finditer(text):
        blob = urllib.parse.unquote(match[0]).replace("-", "+").replace("_", "/").rstrip("=")
        try:
            yield base64.b64decode(blob + "=" * (-len(blob) % 4)).decode("latin-1")
        except binascii.Error:
            continue


_TS = "2026-11-22T13:00:00.000000Z"
_BROKEN = 97  # every so many events is followed by one that cannot be decoded, with its secret


def event(tx: Transaction, number: int) -> str:
    """A transaction as Qtap sends it, in one line of JSON."""
    target = f"{tx.path}?{tx.query}" if tx.query else tx.path
    request = {
        "method": tx.method, "scheme": tx.scheme, "authority": tx.host, "path": target,
        "url": f"{tx.scheme}://{tx.host}{target}", "request_id": f"req{number:017d}",
        "headers": tx.req_headers, "user_agent": tx.user_agent,
        "content_type": tx.req_content_type, "body": _body(tx.req_body),
    }  # fmt: skip
    response = {
        "status": tx.status, "headers": tx.res_headers, "content_type": tx.res_content_type,
        "body": _body(tx.res_body),
    }  # fmt: skip
    inner = {
        "metadata": {"process_id": "1"}, "request": _present(request),
        "response": _present(response), "transaction_time": _TS, "duration_ms": 5,
        "direction": "egress-external",
    }  # fmt: skip
    data = base64.b64encode(json.dumps(inner).encode()).decode()
    artifact = {"requestId": request["request_id"], "type": "http_transaction", "data": data}
    return json.dumps({"data": {"data": artifact}, "ts": _TS})


def _body(body: bytes | None) -> str | None:
    return base64.b64encode(body).decode() if body else None


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def through_a_store(cases: Iterable[tuple[str, str, Transaction]]) -> dict[str, Any]:
    """Record every case and look for its secret in all that the store then holds."""
    with tempfile.TemporaryDirectory() as folder:
        stream, store = Path(folder) / "planted.sse", Path(folder) / "store"
        planted: dict[str, tuple[str, str]] = {}
        with stream.open("w", encoding="utf-8") as out:
            for number, (label, secret, tx) in enumerate(cases):
                planted[f"req{number:017d}"] = (label, secret)
                out.write(f"event: request.http_transaction\ndata: {event(tx, number)}\n\n")
                if number % _BROKEN == 0:
                    broken = json.dumps({"data": {"authorization": secret, "password": secret}})
                    out.write(f"event: request.http_transaction\ndata: {broken[:-2]}\n\n")
        done = replay([stream], RecordOptions(store=store))
        found, rows, size = _rows_that_leak(store, planted)
        files = [path for path in sorted(store.rglob("*")) if path.is_file()]
        found += _files_that_leak(files, {secret for _, secret in planted.values()})
    return {
        "events": len(planted),
        "rows": rows,
        "rejected": done[0].rejected,
        "files": len(files),
        "bytes_read": size,
        "leaked": len(found),
        "examples": sorted(found)[:200],
    }


def _rows_that_leak(store: Path, planted: dict[str, tuple[str, str]]) -> tuple[list[str], int, int]:
    found: list[str] = []
    seen: set[str] = set()
    size = 0
    for path in sorted(store.rglob("*.parquet")):
        for row in pq.read_table(path, partitioning=None).to_pylist():
            if "request_id" not in row or row["request_id"] not in planted:
                continue
            label, secret = planted[row["request_id"]]
            seen.add(row["request_id"])
            texts = list(_row_texts(row))
            size += sum(map(len, texts))
            if leaked(texts, secret):
                found.append(label)
    if len(seen) != len(planted):
        found.append(f"{len(planted) - len(seen)} rows are missing")
    return found, len(seen), size


def _row_texts(node: Any) -> Iterable[str]:
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, (list, tuple)):
            stack += one
        elif isinstance(one, bytes):
            yield one.decode("utf-8", "replace")
        elif isinstance(one, str):
            yield one


def _files_that_leak(files: list[Path], secrets: set[str]) -> list[str]:
    """Any file that is not Parquet, word for word: journals, rejected samples, coverage."""
    found = []
    whole = [secret for secret in secrets if len(secret) >= PIECE]
    for path in files:
        if path.suffix == ".parquet":
            continue
        for text in readings(path.read_bytes().decode("latin-1")):
            found += [f"{path.name}: {pieces(one)[0]}…" for one in whole if one in text]
    return found


_KEY = b"bench-only-key-of-32-bytes-long!"
_EACH = 40  # harmless values of a kind in a place
_ORDINARY = repr(transaction()) + repr(PADDING)

SECRETS = SHAPES + NAMED


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
        result["speed"] = speed() | cold_headers() | unseen()
    if options.worst:
        result["worst"] = worst()
    if result:
        return result
    seed = options.seed
    result["main"] = leaks(SECRETS, PLACES, seed)
    result["held_back"] = leaks(HELD_BACK_SECRETS, HELD_BACK_PLACES, seed)
    result["held_back_anew"] = what_leaks(anew())
    result["held_back_documented"] = what_leaks(documented())
    result["held_back_betterleaks"] = what_leaks(formats())
    result["held_back_credsweeper"] = what_leaks(half())
    result["held_back_drawn"] = what_leaks(drawn())
    result["learnt"] = what_leaks(planted(LEARNT))
    result["held_back_unread"] = what_leaks(planted(UNREAD))
    result["of_whoevers_making"] = what_leaks(of_whoevers_making())
    for label, apis in (("apis", FIRST), ("held_back_apis", HELD_BACK)):
        result[label] = what_leaks(in_use(apis))
        result[f"{label}_under_vendors"] = what_leaks(under_vendors(apis))
    result["held_back_singles"] = what_leaks(singles())
    result["harmless"] = harmless(seed)
    if options.store:
        result["store"] = through_a_store(cases(SECRETS, PLACES, seed))
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

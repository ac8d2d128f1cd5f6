"""What redaction took out of traffic: which kinds of secrets, where, sent by whom, and what to do.

The secrets themselves are gone before anything is stored. A fingerprint (an HMAC under the store's
own key) stands for each, so that the same secret is recognised wherever it turns up again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries.advice import Concern, advice, concern, personal
from queries.core.answer import Note, Side
from queries.core.question import DEFAULT_LIMIT, VERSION, Place, asking
from queries.core.window import Window

if TYPE_CHECKING:
    from filters import Expr
    from store import Store

_ORDER: dict[Concern, int] = {"leak": 0, "review": 1, "expected": 2}
_LOOKED_AT = 1_000  # secrets in several places, before they are sorted
_MOST = 5  # hosts, sources and places of a secret that are named


@dataclass(frozen=True)
class KindRow:
    """A kind of secret over the whole window. places: in how many different ones it was found."""

    kind: str
    concern: Concern
    transactions: int
    places: int
    advice: str


@dataclass(frozen=True)
class FindingRow:
    """A kind of secret at one place of requests (or responses) between one source and one host.

    concern: leak (where others see it), review, or expected (in a header made for it). goes:
    outside, inside or here, as in hosts. secrets: how many different ones, by fingerprint;
    hints: up to three of the fingerprints. plain: it went over HTTP without encryption.
    """

    kind: str
    concern: Concern
    place: str
    host: str | None
    goes: Place
    source: str | None
    plain: bool
    transactions: int
    secrets: int
    hints: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    sample: str


@dataclass(frozen=True)
class SecretRow:
    """One secret that turned up at more than one host, source or place, by its fingerprint."""

    hint: str
    kinds: tuple[str, ...]
    transactions: int
    hosts: tuple[str, ...]
    hosts_total: int
    sources: tuple[str, ...]
    sources_total: int
    places: tuple[str, ...]
    places_total: int


@dataclass(frozen=True)
class Sensitive:
    """What was found in a window; affected: transactions with at least one finding."""

    window: Side
    affected: int
    notes: tuple[Note, ...]
    kinds: tuple[KindRow, ...]
    findings: tuple[FindingRow, ...]
    secrets: tuple[SecretRow, ...]
    truncated: bool
    version: int = field(default=VERSION)


def sensitive(
    store: Store, window: Window, where: Expr | None = None, limit: int = DEFAULT_LIMIT
) -> Sensitive:
    """What redaction found in the window's transactions that match; `limit` rows of each list."""
    with asking(store, window, where) as asked:
        [whole] = asked.rows("sensitive_totals")
        rows = [_finding(row) for row in asked.rows("sensitive")]
        rows.sort(key=lambda row: (_ORDER[row.concern], row.goes != "outside", -row.transactions))
        secrets = asked.rows("sensitive_secrets", {"rows": _LOOKED_AT})
        counts = (whole["all_requests"], whole["all_errors"])
        found = asked.found(rows, limit, counts, _unredacted(asked.reader.files["transactions"]))
    secrets.sort(key=lambda row: personal(row["kinds"]))  # a key that is shared comes first
    return Sensitive(
        window=found.window,
        affected=whole["affected"],
        notes=found.notes,
        kinds=_kinds(rows),
        findings=tuple(found.rows),
        secrets=tuple(_secret(row) for row in secrets[:limit]),
        truncated=found.truncated or len(secrets) > limit,
    )


def _unredacted(files: Sequence[Path]) -> list[Note]:
    """Where redaction was switched off nothing was looked for: that is not the same as clean."""
    import pyarrow.parquet as pq

    off = 0
    for path in files:
        try:
            about = pq.read_metadata(path).metadata or {}
        except (OSError, ValueError):  # what is unreadable, the reader tells
            continue
        off += about.get(b"qrec.redaction") == b"off"
    if not off:
        return []
    text = "were written with redaction switched off: nothing was looked for in them"
    return [Note("unredacted", f"{off} of {len(files)} files of this window {text}")]


def _finding(row: dict[str, Any]) -> FindingRow:
    weight = concern(row["kind"], row["place"], row["goes"], row["plain"])
    return FindingRow(concern=weight, hints=tuple(row.pop("hints")), **row)


def _kinds(rows: list[FindingRow]) -> tuple[KindRow, ...]:
    """Kinds in the order of the worst of their places, with what to do."""
    by_kind: dict[str, list[FindingRow]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    kinds = [
        KindRow(
            kind=kind,
            concern=min((row.concern for row in own), key=_ORDER.__getitem__),
            transactions=sum(row.transactions for row in own),
            places=len({row.place for row in own}),
            advice=advice(kind),
        )
        for kind, own in by_kind.items()
    ]
    return tuple(sorted(kinds, key=lambda k: (_ORDER[k.concern], -k.transactions, k.kind)))


def _secret(row: dict[str, Any]) -> SecretRow:
    lists: dict[str, Any] = {}
    for name in ("hosts", "sources", "places"):
        lists |= {name: tuple(row[name][:_MOST]), f"{name}_total": len(row[name])}
    return SecretRow(
        hint=row["hint"],
        kinds=tuple(row["kinds"]),
        transactions=row["transactions"],
        **lists,
    )

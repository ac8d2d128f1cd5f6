"""Which secrets and personal data were in traffic: kind, place, host, source; never the value.

The secrets themselves are gone before anything is stored. A fingerprint (an HMAC under the store's
own key) stands for each, so that the same secret is recognised wherever it turns up again.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Literal

from queries.core.answer import Note, PagedAnswer
from queries.core.format import Paragraph, Title
from queries.core.question import CURSOR, DEFAULT_LIMIT, LIMIT, WHERE, Column, Part, Question, Where
from queries.core.selection import selection
from queries.core.session import Reader
from queries.core.window import Window
from store.derived import Place
from store.layout import Store
from store.values import dataclass

Concern = Literal["leak", "review", "expected"]
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
class Sensitive(PagedAnswer):
    """What was found in a window; affected: transactions with at least one finding."""

    affected: int
    kinds: tuple[KindRow, ...]
    findings: tuple[FindingRow, ...]
    secrets: tuple[SecretRow, ...]


def sensitive(
    store: Store, window: Window, where: Where = None, limit: int = DEFAULT_LIMIT
) -> Sensitive:
    """What redaction found in the window's transactions that match; `limit` rows of each list."""
    with selection(store, window, where) as chosen:
        [whole] = chosen.rows("sensitive_totals")
        rows = [_finding(row) for row in chosen.rows("sensitive")]
        rows.sort(key=lambda row: (_ORDER[row.concern], row.goes != "outside", -row.transactions))
        secrets = chosen.rows("sensitive_secrets", {"rows": _LOOKED_AT})
        counts = (whole["all_requests"], whole["all_errors"])
        found = chosen.result(rows, limit, counts, _unredacted(chosen.reader))
    secrets.sort(key=lambda row: personal(row["kinds"]))  # a key that is shared comes first
    return found.answer(
        Sensitive,
        affected=whole["affected"],
        kinds=_kinds(rows),
        findings=tuple(found.rows),
        secrets=tuple(_secret(row) for row in secrets[:limit]),
        truncated=found.truncated or len(secrets) > limit,
    )


def _unredacted(reader: Reader) -> list[Note]:
    """Where redaction was switched off nothing was looked for: that is not the same as clean."""
    told = reader.each(
        "transactions",
        "SELECT count(*) FROM parquet_kv_metadata({files})"
        " WHERE decode(key) = 'qrec.redaction' AND decode(value) = 'off'",
    )
    off, files = sum(row[0] for row in told), reader.files["transactions"]
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
        hint=row["hint"], kinds=tuple(row["kinds"]), transactions=row["transactions"], **lists
    )


# What there is to say of each kind: whether it is personal, how it is kept, what to do about it.
_KINDS: Final = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8"))


def advice(kind: str) -> str:
    """What to do, in one sentence."""
    group = next((one for one in ("unread", "session") if kind in _KINDS[one]), "credential")
    text: str = _KINDS["advice"].get(kind) or _KINDS["otherwise"][group]
    return text


def personal(kinds: Iterable[str]) -> bool:
    """Whether all of these are about a person rather than credentials."""
    return set(kinds) <= set(_KINDS["personal"])


def concern(kind: str, place: str, goes: str, plain: bool) -> Concern:
    """leak: a credential where others see it (an address, a response, plain HTTP to the outside);
    review: personal data, or a credential in a body; expected: in a header made for it."""
    if kind in _KINDS["unread"]:
        return "review"
    if kind in _KINDS["personal"]:
        return "leak" if plain and goes == "outside" else "review"
    side, _, rest = place.partition(".")
    part, _, name = rest.partition(".")
    if plain and goes == "outside":
        return "leak"
    if part == "header":
        return "expected" if name.split(".")[0].lower() in _KINDS["carriers"] else "review"
    if part in ("query", "path", "url"):
        return "leak"
    return "leak" if side == "response" and kind not in _KINDS["session"] else "review"


_SECRETS = (
    Column("secret", "hint"),
    Column("kinds", lambda s: " ".join(s.kinds), give=1),
    Column("hosts", lambda s: (s.hosts, s.hosts_total), "names", give=2),
    Column("by", lambda s: (s.sources, s.sources_total), "names", give=2),
    Column("places", lambda s: (s.places, s.places_total), "names", give=3),
)


def _parts(answer: Sensitive, heading: str, _: tzinfo) -> Iterator[Part]:
    """Where secrets were, which are in several places, and what to do."""
    yield f"{heading}; {answer.affected:,} with findings"
    if not answer.findings:
        return
    yield SENSITIVE.columns, answer.findings
    if answer.secrets:
        yield from ("", Title("the same secret in several places"), (_SECRETS, answer.secrets))
    yield from ("", Title("what to do"))
    kinds_by_advice: dict[str, list[str]] = {}
    for kind in answer.kinds:
        if kind.concern != "expected":
            kinds_by_advice.setdefault(kind.advice, []).append(kind.kind)
    for advice, kinds in kinds_by_advice.items():
        yield Paragraph(f"  {', '.join(kinds)}: {advice}")


SENSITIVE = Question(
    name="sensitive",
    tool="check_sensitive_data",
    title="Sensitive data",
    summary="secrets seen in traffic",
    group="transactions",
    function=sensitive,
    answer=Sensitive,
    rows="findings",
    further=("secrets",),
    arguments=(WHERE, LIMIT, CURSOR),
    columns=(
        Column("concern"),
        Column("kind"),
        Column("place", give=1),
        Column("host", lambda f: f"{f.host or '-'}{' (http)' if f.plain else ''}", give=2),
        Column("by", "source", give=2),
        Column("times", "transactions", "count"),
        Column("secrets", kind="count"),
    ),
    parts=_parts,
    empty="redaction found nothing in what matches",
    help="""
    leak: where others see it; review: personal data, or a credential in a body; expected: a
    credential in a header made for it. The same fingerprint is the same secret.

    \b
    Examples:
      qrec sensitive --last 1d
      qrec sensitive --where 'direction == "egress-external"'
      qrec sensitive --where 'secrets.kind contains "card"' --json
    """,
    guide="""
    Which credentials and personal data were in the traffic of a window; never their values.

    Redaction took them out before anything was stored; what stays is the kind, the place
    (request.header.authorization, response.body.user.email), host, source and a fingerprint:
    the same fingerprint is the same secret. `findings` are sorted by concern: "leak" (in an
    address, a response, or over plain HTTP to the outside), "review" (personal data, or a
    credential in a body), "expected" (in a header made for it). `secrets` are those that turn up
    in several places. `kinds` says what to do. An empty list means that no rule matched, not that
    there is nothing. Next: search_traffic with where='secrets.kind contains "…"', or
    get_transaction on a `sample`.
    """,
)

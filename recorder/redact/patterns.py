"""The one scan that every text passes: a single RE2 pattern for where a secret may stand.

What it finds are candidates; `scan` looks at each more closely. Every alternative looks ahead a
bounded stretch or consumes what it looked at, so that a text of n bytes costs O(n) whatever is
in it.
"""

from __future__ import annotations

import re2

from recorder.redact.rules import Field, Rules
from recorder.redact.text import compiled, options

NAME, EMAIL, USERINFO, DIGITS, IBAN, SCHEME, LINK, STATEMENT, SHAPE = range(9)

_SHORT = 4  # a word of so few letters counts as a whole word only
_TAIL = r"[A-Za-z0-9_.$\[\]-]{0,40}"  # what may follow in the same name
# What makes a word a name: a separator after it ("token":, token=), the end of an XML tag
# (<token>, <token Type="x">) or the end of a string (name="token", for what stands beside it).
_FILED_UNDER = (
    r"(?:\\*(?:[\"']|u0022))?[ \t\r\n]{0,8}(?:=>|[:=]|\\+u003[adAD])"
    # <key>token</key><string>, <td>Token</td><td>
    r"|</[a-z]{1,8}>[ \t\r\n]{0,16}<[a-z]{1,8}[^<>]{0,60}>"
    r"|>|\\+u003[eE]|[ \t\r\n]{1,8}[A-Za-z_][A-Za-z0-9_:.-]{0,40}=\\*[\"']|\\*[\"']"
)
_SLASH = r"(?:\\*/)"

CARD = (
    r"[2-6][0-9]{12,}"
    r"|[2-6][0-9]{3}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}(?:[ +-]|%20)[0-9]{4}"
    r"|3[0-9]{3}(?:[ +-]|%20)[0-9]{6}(?:[ +-]|%20)[0-9]{4,5}"
)
SSN = r"[0-9]{3}-[0-9]{2}-[0-9]{4}"
_COUNTRIES = (  # that have IBANs
    r"A[DELTZ]|B[AEGHRY]|C[HRYZ]|D[EKO]|E[EGS]|F[IOR]|G[BEILRT]|H[RU]|I[ELQST]|JO|K[WZ]|L[BCITUVY]"
    r"|M[CDEKRTU]|N[LO]|P[KLST]|QA|R[OS]|S[ACEIKMTV]|T[LNR]|UA|V[AG]|XK"
)


def _spaced(name: str) -> str:
    return "[ _.-]?".join(name.split(" "))


def _stems(fields: tuple[Field, ...]) -> tuple[str, str, str]:
    """The names to look for: those that count inside a longer name, those that must be a whole
    word of it, and (as a pattern) those that count in a query only."""
    within: set[str] = set()
    short: set[str] = set()
    ends: set[str] = set()  # the last word of a query's name: X-Amz-Signature
    exact: set[str] = set()
    for field in fields:
        if field.only and not field.only & {"header", "body"}:
            ends.update(field.words)
            exact.update(map(_spaced, field.exact))
            continue
        within.update((*field.within, *field.exact))
        for word in field.words:
            (within if len(word) > _SHORT else short).add(word)
    plain = "|".join(sorted(map(_spaced, within), key=len, reverse=True))
    last = f"(?:[A-Za-z0-9_.-]{{0,30}}[_.-])?(?i:{'|'.join(sorted(ends))})"
    return plain, "|".join(sorted(short)), f"(?:{last}|(?i:{'|'.join(sorted(exact))}))"


def _names(fields: tuple[Field, ...]) -> str:
    plain, short, query = _stems(fields)
    capital = "|".join(word.capitalize() for word in short.split("|"))
    ahead = f"(?i:{plain}){_TAIL}"
    whole = (
        rf"(?:(?:^|[^A-Za-z0-9]|\\[nrtbf]|\\u00[0-9A-Fa-f]{{2}})(?i:{short})|[a-z](?:{capital}))"
        r"(?:[0-9_.\[\]-][A-Za-z0-9_.$\[\]-]{0,40}|[A-Z][A-Za-z0-9_.$\[\]-]{0,40})?"
    )
    in_query = rf"(?:^|[?&;#]|\\u0026){query}="
    return rf"(?:{ahead}|{whole})(?:{_FILED_UNDER})|{in_query}"


def _scan_parts(rules: Rules, skipped: frozenset[str]) -> list[tuple[int, str]]:
    """(category, pattern) in the order of preference where two begin at the same byte."""
    parts = [(SHAPE, start) for shape in rules.shapes for start in shape.starts]
    other = {
        USERINFO: ("userinfo", rf":{_SLASH}{_SLASH}[^/?#@\s\"'<>\\]+@"),
        EMAIL: ("email", r"[A-Za-z0-9_%+.-]@[A-Za-z0-9]"),
        SCHEME: ("bearer", r"(?i:bearer|basic)(?:[ \t+]|%20){1,3}[A-Za-z0-9+/_.~%=-]"),
        LINK: (
            "link",
            rf"/(?i:[a-z_-]{{0,20}}(?:token|reset|verify|confirm|magic|activat|invit|unsubscrib)"
            rf"[a-z_-]{{0,20}}){_SLASH}[A-Za-z0-9_.~-]{{20}}",
        ),
        STATEMENT: ("password", STATEMENTS),
        DIGITS: ("card", rf"(?:^|[^0-9A-Za-z._]|\\[nrtbf])(?:{CARD}|{SSN})"),
        IBAN: ("iban", rf"(?:{_COUNTRIES})[0-9]{{2}}(?:(?:[ +]|%20)?[A-Z0-9]{{4}}){{2,7}}"
               r"(?:(?:[ +]|%20)?[A-Z0-9]{1,3})?"),
    }  # fmt: skip
    parts.append((NAME, _names(rules.fields)))
    parts += [(number, text) for number, (kind, text) in other.items() if kind not in skipped]
    return parts


# Where credentials follow a phrase: SQL, .netrc, command lines, what mails and messages say.
_BLANK = r"(?:[ +]|%20)"
_CODE = r"(?i:code|pin|otp|passcode)"
STATEMENTS = (
    r"(?i:identified(?: with [a-z0-9_]{1,40})? (?:by|as)|password)[ ]{1,4}(?:N|E)?\\*[\"']"
    r"|(?i:login[ \t]{1,4}[^\s\"]{1,64}[ \t]{1,4}password[ \t]{1,4})"
    r"|[ ](?:-u|--user|--proxy-user)[ =]{1,3}\\*[\"']?[A-Za-z0-9_.@%+-]{1,64}:"
    r"|[ ]--(?i:[a-z-]{0,20}(?:password|passwd|passphrase|token|secret|api-?key))[ ]{1,3}"
    rf"|(?i:password|passphrase){_BLANK}is:?{_BLANK}"
    rf"|(?i:your|verification|security|login|confirmation|access|time){_BLANK}{_CODE}"
    rf"(?:{_BLANK}is)?:?{_BLANK}{{1,2}}[0-9]"
    rf"|[0-9]{{4,8}}{_BLANK}is{_BLANK}(?i:your){_BLANK}"
)

# Escapes that hide what the scan looks for. Those that encoders write as a rule and that the
# scan's own patterns allow for (\/ \n \u003c \u0026 %20 %2F) are not among them.
JSON_ESCAPES = r"\\u00(?:2[2DdEeFf]|3[0-9Aa]|40|[46][0-9A-Fa-f]|5[0-9AaFf]|7[0-9Aa])"
PERCENT_ESCAPES = r"%(?:2[2567DEde]|3[0-9ADEFadef]|[46][0-9A-Fa-f]|5[0-9ABDFabdf]|7[0-9ABDEabde])"
ENTITIES = r"&(?:quot;|lt;|#[0-9xX])"


class Patterns:
    """The compiled scan. `first` finds a candidate or an escape, `candidates` no escapes,
    `no_shape` what a candidate may be that began like a key and is none."""

    def __init__(self, rules: Rules, skipped: frozenset[str]) -> None:
        parts = _scan_parts(rules, skipped)
        # A user's own pattern may end in anything; ours for a name alone end in a separator.
        self.custom = any(not shape.source for shape in rules.shapes)
        alternatives = "|".join(text for _, text in parts)
        self.candidates = compiled(alternatives)
        self.no_shape = compiled("|".join(text for number, text in parts if number != SHAPE))
        self.first = compiled(f"{alternatives}|{JSON_ESCAPES}|{PERCENT_ESCAPES}|{ENTITIES}")
        self._categories = [category for category, _ in parts]
        self._which = re2.Set.FullMatchSet(options())
        for _, text in parts:
            self._which.Add(text.encode())
        self._which.Compile()
        starts = [index for index, shape in enumerate(rules.shapes) for _ in shape.starts]
        self._shape_of = dict(enumerate(starts))

    def category(self, candidate: bytes) -> tuple[int, list[int]]:
        """What a candidate is, and which shapes (indices) it may be the start of."""
        found = sorted(self._which.Match(candidate) or ())
        if not found:
            return SHAPE, []
        shapes: list[int] = []
        for index in found:
            if self._categories[index] == SHAPE and self._shape_of[index] not in shapes:
                shapes.append(self._shape_of[index])
        return self._categories[found[0]], shapes

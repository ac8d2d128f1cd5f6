"""Numbers with a check built in: payment cards, IBANs, US social security numbers."""

from __future__ import annotations

import re

from recorder.redact.rules import builtin

# Issuer ranges by first digits and the lengths they use. Numbers of other lengths count only
# under a name that says card (rules.toml), since one number in ten passes the Luhn check.
_ISSUERS = re.compile(
    rb"(?:4[0-9]{15}"  # Visa
    rb"|5[1-5][0-9]{14}"  # Mastercard
    rb"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard since 2017
    rb"|3[47][0-9]{13}"  # American Express
    rb"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}"  # Discover
    rb"|35(?:2[89]|[3-8][0-9])[0-9]{12}"  # JCB
    rb"|62[0-9]{14}"  # UnionPay
    rb"|220[0-4][0-9]{12})\Z"  # Mir
)
_GROUPED_ONLY = re.compile(rb"3(?:0[0-5]|[68][0-9]|9[0-9])[0-9]{11}\Z")  # Diners Club
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_SEPARATORS = b"\"'\\ :=#./"
_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")

# Length of an IBAN by country: ISO 13616 registry.
IBAN_LENGTHS = {
    b"AD": 24, b"AE": 23, b"AL": 28, b"AT": 20, b"AZ": 28, b"BA": 20, b"BE": 16, b"BG": 22,
    b"BH": 22, b"BR": 29, b"BY": 28, b"CH": 21, b"CR": 22, b"CY": 28, b"CZ": 24, b"DE": 22,
    b"DK": 18, b"DO": 28, b"EE": 20, b"EG": 29, b"ES": 24, b"FI": 18, b"FO": 18, b"FR": 27,
    b"GB": 22, b"GE": 22, b"GI": 23, b"GL": 18, b"GR": 27, b"GT": 28, b"HR": 21, b"HU": 28,
    b"IE": 22, b"IL": 23, b"IQ": 23, b"IS": 26, b"IT": 27, b"JO": 30, b"KW": 30, b"KZ": 20,
    b"LB": 28, b"LC": 32, b"LI": 21, b"LT": 20, b"LU": 20, b"LV": 21, b"LY": 25, b"MC": 27,
    b"MD": 24, b"ME": 22, b"MK": 19, b"MR": 27, b"MT": 31, b"MU": 30, b"NL": 18, b"NO": 15,
    b"PK": 24, b"PL": 28, b"PS": 29, b"PT": 25, b"QA": 29, b"RO": 24, b"RS": 22, b"SA": 24,
    b"SC": 31, b"SE": 24, b"SI": 19, b"SK": 24, b"SM": 27, b"ST": 25, b"SV": 28, b"TL": 23,
    b"TN": 24, b"TR": 26, b"UA": 29, b"VA": 22, b"VG": 24, b"XK": 20,
}  # fmt: skip


def luhn(digits: bytes) -> bool:
    """Whether ASCII digits pass the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = digit - 48
        total += _DOUBLED[value] if place & 1 else value
    return total % 10 == 0


def other_number(before: bytes) -> bool:
    """Whether a name (or what stands before a number) says that the number is no card."""
    text = before.rstrip(_SEPARATORS)
    name = text[len(text.rstrip(_NAME_BYTES)) :].decode("latin-1")
    words = [word.lower() for word in _WORDS.findall(name)]
    rules = builtin()
    if not words or rules.card_words.intersection(words):
        return False
    return not rules.other_numbers.isdisjoint((words[-1], words[-1].removesuffix("s")))


def is_card(text: bytes, before: bytes) -> bool:
    """Whether `text`, digits in groups or without, is a card number; `before` is what precedes."""
    digits = text.translate(None, b" +-").replace(b"%20", b"")
    grouped = len(digits) != len(text)
    fits = _ISSUERS.match(digits) or (grouped and _GROUPED_ONLY.match(digits))
    if not fits or not luhn(digits):
        return False
    return grouped or not other_number(before)


def is_ssn(text: bytes, before: bytes) -> bool:
    """Whether nnn-nn-nnnn can be a social security number (no 000, 666 or 9xx area)."""
    area, group, serial = text.split(b"-")
    possible = area not in (b"000", b"666") and area < b"900" and group != b"00"
    return possible and serial != b"0000" and not other_number(before)


def iban_length(text: bytes) -> int:
    """How many characters of `text`, separators included, are an IBAN; 0 when it is none."""
    text = text.replace(b"%20", b"   ")
    wanted = IBAN_LENGTHS[text[:2]]
    end = taken = 0
    while end < len(text) and taken < wanted:
        taken += text[end] not in b" +"
        end += 1
    compact = text[:end].translate(None, b" +")
    if len(compact) != wanted:
        return 0
    if not compact.isalnum():
        return 0
    number = "".join(str(int(chr(c), 36)) for c in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0

"""Does a run of letters and digits look like something a person named, or like chance?

Paths, error messages and keys hold both: `charges`, `oauth2`, `listBuckets` name a thing, and
`9s6XKzkNRiz8i3` names one of a million. No word list can tell them apart (product names, other
languages, abbreviations), but pairs of neighbouring letters can: in names they follow habits,
in random text they do not. The table gives how rare each pair is, measured over English words,
identifiers and package names, and words of twenty other languages written in Latin letters.
"""

from __future__ import annotations

import math
import re
from typing import Final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_STEP: Final = 0.4  # bits a unit of the table

# One row a first letter (the first row: start of a word), one column a second letter (the last
# column: end of the word); base 36 digits, in units of _STEP bits: a higher digit is rarer.
_RARITY: Final = (
    "ab9acccdcgdcacd9ib8aeeeiihz"
    "hdbcjhdicje9b8kcn8a8efhifi8"
    "7ffg8iii8gl8hi8goacg9lkmen8"
    "8kfh9jl7bnabhj6gobd9dlnnhk9"
    "8ege6fgj8iiegg9gpdcfcjjkgk6"
    "cgbbeffjflgbc8hej79aifhdij6"
    "9igg9aik6ml9hi8goadcbmlkep8"
    "9ihg6jec9nkdfcafo9bfbkjnhn6"
    "6iig6jkj8ljffh8hldfbbljoeo7"
    "cdaccecljjfab6adlc99jemhlf9"
    "5ihf6jlj9kgggg9fki8h9ihmkk9"
    "7hhh7ihf8mfdhf9gpdbcbjgnfn6"
    "7igd7hil7kiagi8gqkcccimndn8"
    "6cgg6ijm8nkedh99midgcklmgo8"
    "9ib99f8jajfhiebhoja8efmmfk7"
    "fecbigdjfjeaa7cbo7bbbedhkj9"
    "8kgg8iidapjaij9cn8dbdllm8q9"
    "chfggijjdml9fhgehcdd3jhklk7"
    "7hed6hfk8mfgdf9goebbdgkoek7"
    "bjbh8ijc9ndfghccjib7cjinfj5"
    "8jfi7ikb7njfhi9gq9cdckildk6"
    "bcdcbfekbif9a7hbp898iilikha"
    "6jgh4jil6nkhggahpfehfklkgn9"
    "6igf7ijc7niehc9gobbggmjkfm8"
    "bgbfafih9lkedhe9lge7gijeem4"
    "afcecffiejhdbcc9keaafhgjji4"
    "7hhg5jhf8khffd9gnhgfciglcd8"
)
_WIDTH: Final = len(_LETTERS) + 1
_BITS: Final = {
    first + second: -_STEP * int(_RARITY[row * _WIDTH + column], 36)
    for row, first in enumerate("^" + _LETTERS)
    for column, second in enumerate(_LETTERS + "$")
}

# camelCase and PascalCase fall into their words, digits into their runs.
_RUNS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CONVERSION: Final = re.compile(r"(?<=[a-z])[24](?=[a-z])")  # html2pdf, text4shell
_NO_DIGITS: Final = {ord(digit): None for digit in "0123456789"}
_ALPHABET: Final = {
    (lower, upper, digit): math.log2(26 * lower + 26 * upper + 10 * digit or 1)
    for lower in (False, True)
    for upper in (False, True)
    for digit in (False, True)
}

# Names with more digits than names have. Lower case; asked before anything is computed.
_KNOWN: Final = """
a11y aarch64 aes128 aes192 aes256 amd64 argon2 arm64 armv7 armv8 avx2 avx512 base16 base32
base36 base58 base62 base64 base64url bcrypt2 blake2 blake2b blake3 crc16 crc32 crc64 ec2 ed448
ed25519 eddsa25519 es2015 es2016 es2017 es2018 es2019 es2020 es2021 es2022 es2023 es256 es384
es512 geoip2 gfx90a gpt3 gpt4 gpt35 h2c h264 h265 hs256 hs384 hs512 html5 http1 http2 http3
i18n i386 i486 i586 i686 icu4c iso27001 iso3166 iso4217 iso639 iso8601 iso8859 jpeg2000 k3s k8s
l10n latin1 log4j log4j2 m3u8 md4 md5 mp3 mp4 mpeg2 mpeg4 mqtt5 n8n neo4j oauth1 oauth2 o365
office365 p224 p256 p384 p521 pbkdf2 pkcs1 pkcs8 pkcs11 pkcs12 ps256 ppc64 ppc64le rfc2616
rfc2617 rfc3339 rfc5545 rfc6749 rfc7231 rfc7517 rfc7519 rfc7807 rfc9110 rfc9457 riscv64 route53
rs256 rs384 rs512 s390x scim2 secp256k1 secp256r1 sha1 sha2 sha224 sha256 sha3 sha384 sha512
socks4 socks5 sqlite3 ttf2woff2 utf16 utf32 utf8 v4l2 web3 win32 win64 windows1252 woff2 x25519
x509 x64 x86 x8664 dynamodbv2
"""
KNOWN: Final = frozenset(_KNOWN.split())


def margin(token: str) -> float:
    """How surely `token` (ASCII letters and digits) was named by someone: above 0 a name,
    below 0 chance. In natural log odds, fitted on package names, identifiers and random ids."""
    lower, upper = not token.isupper(), not token.islower()
    if upper and not any("a" <= c <= "z" for c in token):
        token, lower, upper = token.lower(), True, False  # shouting says nothing
    if not upper:
        token = _CONVERSION.sub("", token)
    digits = len(token) - len(token.translate(_NO_DIGITS))
    chance = _ALPHABET[lower, upper, digits > 0]
    gain, words, shouted, numbers = 0.0, 0, 0, 0
    for run in _RUNS.findall(token):
        if run[0] <= "9":
            numbers += 1
            continue
        words += 1
        shouted += run.isupper()
        framed = f"^{run.lower()}$"
        gain += chance * len(run)
        gain += sum([_BITS[pair] for pair in map(str.__add__, framed, framed[1:])])
    penalty = 0.48 * words + 4.8 * shouted + 2.4 * numbers + 0.12 * digits + 0.074 * len(token)
    return 0.47 * gain - penalty + 7.17


def is_random(token: str) -> bool:
    """Whether a run of ASCII letters and digits (not digits alone) is an identifier by chance
    rather than a name. Runs under five characters are never called random: too little to see."""
    size = len(token)
    if size < 5 or token.lower() in KNOWN:
        return False
    digits = size - len(token.translate(_NO_DIGITS))
    if size >= 10 and 2 * len(_RUNS.findall(token)) > size:
        return True  # what has more than one change in two characters, nobody could say
    if not digits:
        return size >= 8 and (_is_hex(token) or margin(token) < 0)
    letters = size - digits
    if token[:letters].isalpha():  # user12345, tt0111161, but gpt35 and page200
        return digits >= 4 or (size >= 8 and margin(token) < 0)
    if token[:digits].isdigit():  # 12345abc, but 1080p and 500px
        return digits >= 5 or (size >= 8 and _is_hex(token)) or (size >= 6 and margin(token) < -1)
    if size >= 6 and digits >= 2 and _is_hex(token):
        return True
    return size >= 6 and margin(token) < (0 if digits > 1 else -2)


def _is_hex(token: str) -> bool:
    return not token.strip("0123456789abcdef") or not token.strip("0123456789ABCDEF")

# ruff: noqa: E501 (tables: one case a line)
"""The rule table: every rule is well-formed, says where it comes from, and does what it says."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.redact.config import ExtraRule, RedactConfig
from recorder.redact.looks import IBAN_LENGTHS, fits
from recorder.redact.names import NameBook, opaque
from recorder.redact.redactor import Redactor
from recorder.redact.rules import Field, Shape, builtin, rules_for
from recorder.redact.text import compiled, where
from store.errors import UsageError

_RULES = builtin()
_REDACTOR = Redactor(b"a key for tests only, 32 bytes..", RedactConfig())
_ASCII = st.characters(min_codepoint=33, max_codepoint=126)
_IDS = [f"{shape.kind}-{number}" for number, shape in enumerate(_RULES.shapes)]


def _python(pattern: str) -> str:
    return pattern.replace(r"\z", r"\Z")


@pytest.mark.parametrize("shape", _RULES.shapes, ids=_IDS)
def test_a_shape_names_its_source_and_has_patterns_that_compile(shape: Shape) -> None:
    assert shape.source.startswith("https://")
    assert re.fullmatch(r"[a-z][a-z0-9_]*", shape.kind)
    for pattern in (*shape.starts, shape.pattern):
        assert compiled(pattern).search(b"") is None
    assert bool(shape.back) == bool(shape.back_min)


@pytest.mark.parametrize("field", _RULES.fields, ids=lambda field: field.kind)
def test_a_field_rule_names_its_source_and_its_names_are_words(field: Field) -> None:
    assert field.source.startswith("https://")
    for name in (*field.within, *field.words, *field.exact):
        assert re.fullmatch(r"[a-z ]+", name)
    assert field.only <= {"query", "cookie", "header", "body"}


@pytest.mark.parametrize("shape", _RULES.shapes, ids=_IDS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_scan_looks_for_whatever_fits_a_shape(shape: Shape, data: st.DataObject) -> None:
    """A start that is narrower than its pattern lets some secrets by, few enough to go unnoticed."""
    secret = data.draw(st.from_regex(_python(shape.pattern), fullmatch=True, alphabet=_ASCII))
    assert any(re.match(start, secret) for start in shape.starts)


@pytest.mark.parametrize(
    "secret",
    [
        "cmVmd000/" + "0" * 40,
        "NRAA-_" + "0" * 15,
    ],
)
def test_a_key_may_begin_with_any_of_its_letters(secret: str) -> None:
    assert secret[-20:] not in _REDACTOR.text(f"see {secret} and go on")


@pytest.mark.parametrize("shape", _RULES.shapes, ids=_IDS)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_fits_a_shape_is_taken_out(shape: Shape, data: st.DataObject) -> None:
    if shape.kind == "private_key":
        return  # a block, see test_redact_bodies
    secret = data.draw(
        st.from_regex(_python(shape.pattern), fullmatch=True, alphabet=_ASCII), "secret"
    )
    if shape.back:
        back = data.draw(st.from_regex(f"[{shape.back}]{{{shape.back_min}}}", fullmatch=True))
        secret = back + secret
    if not fits(shape, secret.encode(), 0, len(secret)):
        return
    found = re.fullmatch(_python(shape.pattern), secret)
    inner = found[1] if found and found.groups() else secret
    text = _REDACTOR.text(f'{{"note": "see {secret} and go on"}}')
    assert inner not in text
    assert "[redacted:" in text


@pytest.mark.parametrize(
    "secret",
    [
        *("0" * 16 + "QA00AZDO0000", "0" * 18 + "QA00AZDO0000", "QA00" * 5 + "AZDO0000"),
        *("0" * 16 + "ew00AZDO0000", "ew00" + "a" * 20 + "AZDO0000", "eyJ0" * 5 + "AZDO0000"),
    ],
)
def test_what_looks_like_an_iban_or_base64_hides_no_key_that_begins_in_it(secret: str) -> None:
    assert _REDACTOR.text(f"see {secret} and").startswith("see [redacted:azure_devops:")


@pytest.mark.parametrize("country", sorted(IBAN_LENGTHS), ids=bytes.decode)
def test_an_iban_of_every_country_is_taken_out(country: bytes) -> None:
    """Also where it begins like a key: SK31… as Twilio's do."""
    account = ("7420" * 8)[: IBAN_LENGTHS[country] - 4]
    number = int("".join(str(int(letter, 36)) for letter in account + country.decode() + "00"))
    iban = f"{country.decode()}{98 - number % 97:02d}{account}"
    spaced = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    for text in (iban, spaced):
        assert _REDACTOR.text(f"to {text}, thanks").startswith("to [redacted:iban:")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", "password"),
        ("userPassword2", "password"),
        ("DB_PASSWORD", "password"),
        ("user[password]", "password"),
        ("new-password", "password"),
        ("passwordConfirmation", "password"),
        ("pwd", "password"),
        ("X-Api-Key", "api_key"),
        ("apikey", "api_key"),
        ("myApiKey", "api_key"),
        ("Ocp-Apim-Subscription-Key", "api_key"),
        ("aws_secret_access_key", "secret"),
        ("clientSecret", "secret"),
        ("refresh_token", "token"),
        ("mytoken", "token"),
        ("X-CSRF-Token", "token"),
        ("Authorization", "authorization"),
        ("X-Auth-User", "authorization"),
        ("private_key", "private_key"),
        ("authcode", "token"),
        ("X-Access-Code", "token"),
        ("apipass", "password"),
        ("adminPwd", "password"),
        ("mdp", "password"),
        ("backup_code", "secret"),
        ("Authentication", "authorization"),
    ],
)
def test_names_of_secrets(name: str, kind: str) -> None:
    rule = NameBook(_RULES).rule(name.encode(), "body", b"Zx81-something-99")
    assert rule is not None
    assert rule.kind == kind


@pytest.mark.parametrize(
    "name",
    ["author", "authority", "shipping", "max_tokens", "total_tokens", "next_page_token", "tokenizer",
     "token_type", "token_expires_at", "password_changed_at", "passwordless", "secretary", "sid",
     "secret_name", "public_key", "idempotency_key", "cache_key", "sort_key", "key", "code", "nonce",
     "compass", "passenger", "deviceCodename", "pinned", "design", "monkey", "WWW-Authenticate", "X-Author"],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert NameBook(_RULES).rule(name.encode(), "body", b"Zx81-something-99") is None


_RANDOM = "7q2mZx8Rt4Lk9Wd3Vn6Bh1Yc5Jf0Gs"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"shodan_key": "{_RANDOM}"}}', f'{{"a":"{{\\"weatherKey\\":\\"{_RANDOM}\\"}}"}}', f"DEEPGRAM_KEY={_RANDOM}",
        f"export FASTLY_KEY='{_RANDOM}'", f"maps.key: {_RANDOM}", f"fastly-key: {_RANDOM}", f"<mapsKey>{_RANDOM}</mapsKey>",
        f'[{{"name": "SHODAN_KEY", "value": "{_RANDOM}"}}]', f"see 'https://x.example/?q=a&key={_RANDOM}'",
        f"(https://x.example/?shodankey={_RANDOM})", f"x = {{rapidKey: '{_RANDOM}'}}",
    ],
)  # fmt: skip
def test_a_random_value_under_any_vendors_key_goes(text: str) -> None:
    assert _RANDOM not in _REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        *(f'{{"{name}": "{_RANDOM}"}}' for name in (
            "cache_key", "sortKey", "partitionKey", "objectKey", "idempotency_key", "publicKey", "nextKey",
            "key", "keyboard", "monkey", "site_key", "x_key_hash",
        )),
        '{"shodan_key": "9f86d081-884c-4d65-9a2f-eaa0c55ad015"}', '{"issueKey": "PLATFORM-1234"}',
        '{"labelKey": "page.settings.title.long"}', '{"photoKey": "2026/11/img9Xk2mQ7.png"}',
        f"Sec-WebSocket-Key: {_RANDOM}", f"Surrogate-Key: {_RANDOM}", '{"vendorKey": "someCamelCaseIdentifier"}',
    ],
)  # fmt: skip
def test_a_key_that_only_finds_something_stays(text: str) -> None:
    assert _REDACTOR.text(text) == text


def test_some_names_count_in_a_query_only() -> None:
    book = NameBook(_RULES)
    for name, value in ((b"sig", b"abc"), (b"code", b"4f8Kq1Zx9Lm2Rt5Yv7Bn"), (b"sid", b"x1")):
        assert book.rule(name, "query", value) is not None
        assert book.rule(name, "body", value) is None


@pytest.mark.parametrize(
    ("value", "random"),
    [
        (b"4f8Kq1Zx9Lm2Rt5Yv7Bn", True),
        (b"9f86d081884c7d659a2feaa0c55ad015", True),
        (b"018f3c9e-7d1a-7b3c-9c55-0123456789ab", False),
        (b"01HF7YAT31JZHSMW1CG6Q6MHB7", False),
        (b"1795352400000000", False),
        (b"2026-11-22T13:00:00Z", False),
        (b"a-descriptive-slug-of-2026", False),
        (b"someCamelCaseIdentifier", False),
        (b"short1", False),
    ],
)
def test_what_looks_random(value: bytes, random: bool) -> None:
    assert opaque(value) is random


@pytest.mark.parametrize("written", ["badge no", "badge_no", "badgeNo", "X-Badge-No", "BADGE_NO2"])
def test_a_name_of_ones_own_counts_however_it_is_written(written: str) -> None:
    for told in ("badge no", "badge_no", "badgeNo"):
        redactor = Redactor(b"k" * 32, RedactConfig(rules=(ExtraRule("staff", names=(told,)),)))
        assert "red" not in redactor.text(f'{{"{written}": "red"}}').replace("redacted", "")


def test_own_rules_and_exceptions() -> None:
    config = RedactConfig(
        rules=(
            ExtraRule("badge", pattern="B-[0-9]{6}"),
            ExtraRule("colour", names=("lamp colour",)),
        ),
        allow_names=("session token",),
        allow_values=("sk_test_.*",),
        skip_kinds=frozenset({"email"}),
    )
    redactor = Redactor(b"k" * 32, config)
    text = redactor.text(
        '{"note": "B-123456 of a@b.de", "lampColour": "red", "session_token": "x1", '
        '"api_key": "sk_test_abcdefghijklm", "password": "hunter2"}'
    )
    assert "B-123456" not in text
    assert '"lampColour": "[redacted:colour:' in text
    assert "a@b.de" in text
    assert '"session_token": "x1"' in text
    assert '"api_key": "sk_test_abcdefghijklm"' in text
    assert "hunter2" not in text


@pytest.mark.parametrize("pattern", ["(?=x)", "a**", "x*", r"(a)\1"])
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        rules_for(RedactConfig(rules=(ExtraRule("mine", pattern=pattern),)))
    if pattern != "x*":
        with pytest.raises(UsageError):
            Redactor(b"k" * 32, RedactConfig(allow_values=(pattern,)))


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(UsageError):
        rules_for(RedactConfig(rules=(ExtraRule("mine", names=("12",)),)))


def test_settings_are_read_from_a_table() -> None:
    config = RedactConfig.from_mapping(
        {
            "rules": [{"kind": "badge", "pattern": "B-[0-9]{6}"}],
            "allow_names": ["x"],
            "skip_kinds": ["email"],
        }
    )
    assert config.rules == (ExtraRule("badge", "B-[0-9]{6}"),)
    assert config.skip_kinds == {"email"}


@pytest.mark.parametrize(
    "table",
    [
        {"bodylimit": 1},
        {"rules": [{"kind": "Not A Kind", "pattern": "x"}]},
        {"rules": [{"kind": "empty"}]},
        {"rules": [{"kind": "x", "regex": "x"}]},
        {"allow_names": [1]},
        {"enabled": "yes"},
        {"rules": [{"kind": "x", "names": "badge"}]},
    ],
)
def test_settings_that_are_wrong_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RedactConfig.from_mapping(table)


@pytest.mark.parametrize("wrapped", [False, True], ids=["RE2 itself", "the binding's objects"])
def test_where_a_pattern_is_met_first(wrapped: bool) -> None:
    pattern = compiled("b+")
    find = where(SimpleNamespace(search=pattern.search) if wrapped else pattern)
    assert find(b"abbabb", 0, 6) == (1, 3)
    assert find(b"abbabb", 3, 5) == (4, 5)
    assert find(b"abbabb", 3, 4) == (-1, -1)
    assert find(b"abbabb", 6, 6) == (-1, -1)

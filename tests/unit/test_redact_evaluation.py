"""A slice of the evaluation in bench/redaction.py: nothing leaks, hardly anything is taken out for
nothing."""

from __future__ import annotations

from itertools import islice

from bench.redaction import SECRETS, cases, harmless, leaked, pieces, what_leaks
from bench.redaction_apis import FIRST, HELD_BACK, in_use, under_vendors
from bench.redaction_cases import PLACES
from recorder.redact.config import RedactConfig
from recorder.redact.redactor import Redactor

_EVERY = 5


def test_no_planted_secret_is_left() -> None:
    planted = islice(cases(SECRETS, PLACES, seed=11), 0, None, _EVERY)
    result = what_leaks(planted)
    assert result["planted"] > 1_000
    assert result["leaked"] == 0, result["examples"]
    assert result["without_finding"] == 0
    assert result["failures"] == 0


def test_at_most_one_harmless_value_in_a_thousand_is_taken_out() -> None:
    result = harmless(seed=11, each=8)
    assert result["values"] > 4_000
    assert result["per_1000"] <= 1, result["examples"]


def test_keys_without_a_mark_go_where_apis_take_them() -> None:
    """All but keys in a path and a UUID as `key`; most also under the vendor's name and `key`."""
    result = what_leaks(in_use(FIRST | HELD_BACK))
    assert result["leaked"] <= 0.05 * result["planted"], result["examples"]
    result = what_leaks(under_vendors(FIRST | HELD_BACK))
    assert result["leaked"] <= 0.2 * result["planted"], result["examples"]


def test_the_evaluation_would_see_a_leak() -> None:
    """Without redaction nearly all of it is seen to leak."""
    redactor = Redactor(b"k" * 32, RedactConfig(enabled=False))
    seen = 0
    planted = list(islice(cases(SECRETS, PLACES, seed=3), 0, None, 97))
    for _, secret, tx in planted:
        redactor.redact(tx)
        texts = [repr(tx), *(str(value) for value in tx.req_headers.values())]
        seen += leaked(texts, secret)
    assert seen > 0.9 * len(planted)
    assert pieces("0123456789") == ["0123456", "1234567", "2345678", "3456789"]

"""What must hold for any traffic: whole documents, no invented numbers, silence about sameness."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.core.answer import to_document
from queries.diff.stats import odds_z, rate_z
from tests.cells import BEFORE, HOUR, NOON, WINDOW, answer

TEXT = st.sampled_from(["", "a", "api.example.com", "ü", "x" * 40, "{id}", "'; drop table cells"])
ROW = st.fixed_dictionaries(
    {
        "minute": st.integers(-60, 59).map(lambda m: NOON + timedelta(minutes=m)),
        "direction": st.sampled_from(["ingress", "egress-internal", "egress-external", None]),
        "host": TEXT | st.none(),
        "method": TEXT | st.none(),
        "route": TEXT | st.none(),
        "status": st.sampled_from([None, 0, 100, 200, 404, 500, 599, 32767]),
        "container": TEXT | st.none(),
        "process": TEXT | st.none(),
        "signature": TEXT | st.none(),
        "requests": st.integers(1, 300),
        "bytes_received": st.integers(0, 10**9) | st.none(),
        "durations": st.lists(st.integers(-1, 2**31 - 1), max_size=4) | st.none(),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, max_size=60))
def test_any_cells_give_a_document_that_json_can_say(rows: list[dict[str, Any]]) -> None:
    document = to_document(answer(rows, [WINDOW, BEFORE]))
    json.dumps(document, allow_nan=False)
    assert document["verdict"] in ("changed", "nothing_changed")
    assert (document["verdict"] == "changed") == bool(document["findings"])
    assert document["window"]["requests"] == sum(r["requests"] for r in rows if r["minute"] >= NOON)


@settings(max_examples=15, deadline=None)
@given(st.lists(ROW, max_size=40))
def test_an_hour_against_its_own_copy_is_silence(rows: list[dict[str, Any]]) -> None:
    before = [r for r in rows if r["minute"] < NOON]
    after = [{**r, "minute": r["minute"] + HOUR} for r in before]
    assert answer([*before, *after], [WINDOW, BEFORE]).findings == ()


COUNT = st.integers(0, 10_000)


@given(COUNT, COUNT, COUNT, COUNT, st.floats(0, 3))
def test_more_failures_never_say_less(a: int, b: int, c: int, d: int, band: float) -> None:
    (fw, nw), (fb, nb) = sorted((a, b)), sorted((c, d))
    args = [np.array([x, y], dtype=float) for x, y in ((fw, min(fw + 1, nw)), (nw, nw))]
    z = odds_z(args[0], args[1], np.full(2, float(fb)), np.full(2, float(nb)), band)
    assert np.isfinite(z).all()
    assert z[1] >= z[0] - 1e-3


@given(COUNT, COUNT, st.floats(0.01, 100), st.floats(0, 3))
def test_more_requests_never_say_less(nw: int, nb: int, rho: float, band: float) -> None:
    now = np.array([nw, nw + 1], dtype=float)
    z = rate_z(now, np.full(2, float(nb)), np.full(2, rho), band)
    assert np.isfinite(z).all()
    assert z[1] >= z[0] - 1e-3

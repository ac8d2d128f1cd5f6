"""Recording without redaction: asked for twice, and never forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qrec.recording import body_options, checked_table, redact_config
from qrec.settings import Settings
from store.errors import UnavailableError, UsageError
from store.layout import Store
from store.marks import mark_unredacted, unredacted


def settings(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "qrec.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return Settings(environ, (file,))


def test_redaction_is_on_unless_said_twice(tmp_path: Path) -> None:
    assert redact_config(settings(tmp_path), {}).enabled
    assert not redact_config(settings(tmp_path), {"no_redact": True, "i_know": True}).enabled
    with pytest.raises(UsageError, match="--no-redact") as caught:
        redact_config(settings(tmp_path), {"no_redact": True})
    assert "--i-know" in caught.value.hint


def test_a_file_alone_cannot_turn_redaction_off(tmp_path: Path) -> None:
    off = settings(tmp_path, "[redact]\nenabled = false\n")
    with pytest.raises(UsageError, match=r"qrec\.toml"):
        redact_config(off, {})
    assert not redact_config(off, {"i_know": True}).enabled


@pytest.mark.parametrize(
    ("text", "environ", "bodies"),
    [
        ("", {}, "all"),
        ('[redact]\nstore_bodies = "errors"', {}, "errors"),
        ('[redact]\nstore_bodies = "errors"', {"QREC_STORE_BODIES": "none"}, "none"),
        ('store_bodies = "none"', {}, "none"),
    ],
)
def test_which_bodies_are_kept(
    tmp_path: Path, text: str, environ: dict[str, str], bodies: str
) -> None:
    assert body_options(settings(tmp_path, text, **environ), {})["store_bodies"] == bodies


def test_the_body_limit_of_the_flag_wins(tmp_path: Path) -> None:
    file = settings(tmp_path, "[redact]\nbody_limit = 10\n")
    assert body_options(file, {})["body_limit"] == 10
    assert body_options(file, {"body_limit": "1MiB"})["body_limit"] == 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "bodylimit = 1",
        'body_limit = "1"',
        "body_limit = true",
        "body_limit = -1",
        'store_bodies = "some"',
    ],
)
def test_what_is_kept_of_bodies_is_checked_with_the_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="redact"):
        checked_table(settings(tmp_path, f"[redact]\n{text}\n"))


def test_the_mark_stays_and_tells_of_the_first_time(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    assert unredacted(store) is None
    mark_unredacted(store, "web")
    first = unredacted(store)
    mark_unredacted(store, "other")
    assert first is not None
    assert first.recorder == "web"
    assert unredacted(Store.open(tmp_path / "s")) == first


@pytest.mark.parametrize("mark", [True, "yes", {"since": "whenever"}, [1]])
def test_a_mark_made_by_hand_counts(tmp_path: Path, mark: Any) -> None:
    store = Store.create(tmp_path / "s")
    store.manifest.write_text(json.dumps({"format": 1, "unredacted": mark}))
    assert unredacted(store) is not None


def test_a_store_that_cannot_be_marked_is_not_recorded_into(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s")
    store.manifest.write_text("[1]")
    with pytest.raises(UnavailableError, match="cannot mark"):
        mark_unredacted(store, "web")

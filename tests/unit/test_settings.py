"""Settings: the nearest voice wins, and each value says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from qrec.settings import SETTINGS, Settings
from store.errors import UsageError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def everything(settings: Settings) -> None:
    for setting in SETTINGS:
        settings.get(setting.name)


def test_a_flag_beats_the_environment_beats_a_file_beats_the_default(tmp_path: Path) -> None:
    near = write(tmp_path / "near.toml", 'timezone = "UTC"\nlimit = 5\n')
    far = write(tmp_path / "far.toml", 'limit = 7\nurl = "http://far:1"\n')
    environ = {"QREC_TIMEZONE": "Asia/Tokyo", "QREC_STORE": "/from/variable"}
    settings = Settings(environ, (near, far), {"store": "/from/flag"})
    assert settings.get("store").origin == "--store"
    assert settings.path("store") == Path("/from/flag")
    assert (settings.text("timezone"), settings.get("timezone").origin) == (
        "Asia/Tokyo",
        "QREC_TIMEZONE",
    )
    assert (settings.count("limit"), settings.get("limit").origin) == (5, str(near))
    assert (settings.text("url"), settings.get("url").origin) == ("http://far:1", str(far))
    assert settings.get("push").origin == "default"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert Settings({"QREC_LIMIT": ""}, ()).get("limit").origin == "default"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_every_setting_has_a_default_and_a_word_about_it(name: str) -> None:
    settings = Settings({}, ())
    assert settings.get(name).origin == "default"
    assert next(s for s in SETTINGS if s.name == name).doc


def test_paths_and_lists_are_read_as_such(tmp_path: Path) -> None:
    file = write(
        tmp_path / "qrec.toml",
        'store = "~/recordings"\n[routes]\ntemplates = ["/a/{id}", "/b/{name}"]\n',
    )
    settings = Settings({}, (file,))
    assert settings.path("store") == Path.home() / "recordings"
    assert settings.texts("routes.templates") == ("/a/{id}", "/b/{name}")


def test_the_redaction_table_is_handed_on_as_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path / "qrec.toml", '[redact]\nbody_limit = 10\nskip_kinds = ["iban"]\n')
    value = Settings({}, (file,)).redact()
    assert value.value == {"body_limit": 10, "skip_kinds": ["iban"]}
    assert value.origin == str(file)
    assert Settings({}, ()).redact().origin == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('stroe = "x"', "Did you mean 'store'"),
        ('flush-interval = "1s"', "Did you mean 'flush_interval'"),
        ('[recording]\nfilter = "x"', "no setting 'recording.filter'"),
        ("limit = 0", "between 1 and 100000"),
        ("limit = true", "whole number"),
        ('limit = "ten"', "whole number"),
        ("timezone = 3", "must be text"),
        ('color = "sometimes"', "one of auto, always, never"),
        ("[routes]\ntemplates = [1]", "list of texts"),
        ("limit = ", "not valid TOML"),
        ("limit = 5\nlimit = 6", "not valid TOML"),
    ],
)
def test_a_file_held_wrong_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path / "qrec.toml", text)
    with pytest.raises(UsageError) as caught:
        everything(Settings({}, (file,)))
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert str(file) in caught.value.message


def test_a_variable_held_wrong_is_named() -> None:
    with pytest.raises(UsageError, match="QREC_LIMIT"):
        Settings({"QREC_LIMIT": "many"}, ()).count("limit")


def test_broken_text_is_no_crash(tmp_path: Path) -> None:
    file = tmp_path / "qrec.toml"
    file.write_bytes(b"limit = \xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        Settings({}, (file,)).count("limit")


def test_a_file_that_anybody_may_write_to_is_not_followed(tmp_path: Path) -> None:
    file = write(tmp_path / "qrec.toml", 'store = "/elsewhere"')
    file.chmod(0o666)
    with pytest.raises(UsageError, match="not safe to follow"):
        Settings({}, (file,)).path("store")


def test_variables_that_mean_nothing_are_known() -> None:
    environ = {"QREC_STOER": "x", "QREC_STORE": "/y", "QREC_DEBUG": "1", "PATH": "z"}
    assert Settings(environ, ()).unknown_variables() == ["QREC_STOER"]

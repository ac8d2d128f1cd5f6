"""What qrec is told, and by whom: flags, then QREC_… variables, then qrec.toml, then defaults.

Every value remembers where it came from, and `qrec info` shows it. qrec.toml is read from the
current folder and from the user's configuration folder; the nearer one wins key by key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from qrec.config_file import read_config
from store.errors import UsageError

Kind = Literal["text", "path", "flag", "count", "texts"]


def default_store() -> Path:
    """Where recordings go when nobody says otherwise: the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("qrec", appauthor=False) / "store"


def default_recorder() -> str:
    """This host's name, as a recording takes it."""
    from recorder.options import default_recorder as host

    return host()


@dataclass(frozen=True)
class Setting:
    """One thing that can be set. `default` is a value, or a function where it costs to know."""

    name: str
    kind: Kind
    default: Any
    doc: str
    choices: tuple[str, ...] = ()


SETTINGS: tuple[Setting, ...] = (
    Setting("store", "path", default_store, "the folder of the recordings"),
    Setting("timezone", "text", "local", "how times are shown and read: an IANA name, UTC, local"),
    Setting("color", "text", "auto", "colours on a terminal", ("auto", "always", "never")),
    Setting("limit", "count", 20, "rows that an answer shows"),
    Setting("url", "text", "http://localhost:10001", "where Qtap's DevTools listen"),
    Setting("recorder", "text", default_recorder, "the name of this recorder in the store"),
    Setting("filter", "text", "", "which transactions are recorded; empty: all"),
    Setting("push", "text", "safe", "how much of it Qtap evaluates", ("safe", "all", "none")),
    Setting("flush_interval", "text", "1s", "how long an event may wait before it is on disk"),
    Setting("store_bodies", "text", "all", "which bodies are kept", ("all", "errors", "none")),
    Setting("keep", "text", "", "how long hours are kept, as in 14d; empty: for ever"),
    Setting("max_size", "text", "", "how much the store may hold, as in 20GB; empty: no limit"),
    Setting("metrics", "text", "", "where a recording serves Prometheus metrics; empty: nowhere"),
    Setting("routes.templates", "texts", (), "paths with {placeholders}, before qrec's own"),
)
REDACT = "redact."  # keys under [redact] belong to redaction, which checks them itself
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Value:
    """A setting's value and its origin: `--store`, `QREC_STORE`, a file's path or `default`."""

    value: Any
    origin: str


class Settings:
    """All settings of one run. Nothing is read twice; a bad value is a UsageError with its origin.

    `overrides` are flags by setting name; None means that the flag was not given.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        files: tuple[Path, ...] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._files = config_files() if files is None else files
        self._overrides = dict(overrides or {})
        self._tables: list[tuple[Path, dict[str, Any]]] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Where qrec.toml is looked for, nearest first."""
        return self._files

    def tables(self) -> list[tuple[Path, dict[str, Any]]]:
        """The configuration files that exist, nearest first, keys flattened with dots."""
        if self._tables is None:
            found = [(path, read_config(path)) for path in self._files]
            self._tables = [(path, table) for path, table in found if table is not None]
            for path, table in self._tables:
                _refuse_unknown(path, table)
        return self._tables

    def get(self, name: str) -> Value:
        """The value that wins, checked, with where it came from."""
        setting = BY_NAME[name]
        flag = self._overrides.get(name)
        if flag is not None:
            return Value(_checked(setting, flag, _flag(name)), _flag(name))
        variable = env_name(name)
        if self._environ.get(variable):
            return Value(_checked(setting, self._environ[variable], variable), variable)
        for path, table in self.tables():
            if name in table:
                return Value(_checked(setting, table[name], str(path)), str(path))
        default = setting.default
        return Value(default() if callable(default) else default, "default")

    def redact(self) -> Value:
        """The `[redact]` table of the nearest file that has one, as it stands there."""
        for path, table in self.tables():
            own = {k.removeprefix(REDACT): v for k, v in table.items() if k.startswith(REDACT)}
            if own:
                return Value(own, str(path))
        return Value({}, "default")

    def text(self, name: str) -> str:
        return str(self.get(name).value)

    def path(self, name: str) -> Path:
        return Path(self.get(name).value)

    def count(self, name: str) -> int:
        return int(self.get(name).value)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self.get(name).value)

    def unknown_variables(self) -> list[str]:
        """QREC_… variables that mean nothing to qrec; `qrec info` mentions them."""
        known = {env_name(setting.name) for setting in SETTINGS} | {"QREC_DEBUG", "QREC_NOW"}
        return sorted(name for name in self._environ if name.startswith("QREC_")
                      and name not in known)  # fmt: skip


def config_files() -> tuple[Path, ...]:
    """Where qrec.toml may lie, nearest first. The current folder may be gone."""
    from platformdirs import user_config_path

    mine = user_config_path("qrec", appauthor=False) / "qrec.toml"
    try:
        return (Path.cwd() / "qrec.toml", mine)
    except OSError:
        return (mine,)


def env_name(name: str) -> str:
    return "QREC_" + name.upper().replace(".", "_")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _refuse_unknown(path: Path, table: Mapping[str, Any]) -> None:
    for key in table:
        if key not in BY_NAME and not key.startswith(REDACT):
            near = get_close_matches(key.replace("-", "_"), BY_NAME, 1, 0.5)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"{path}: there is no setting {key[:60]!r}",
                f"{meant}The settings are: {', '.join(BY_NAME)} and [redact].",
            )


def _checked(setting: Setting, value: Any, origin: str) -> Any:
    """The value in the setting's type. Texts of the environment are converted."""
    convert: dict[Kind, Callable[[Any], Any]] = {
        "text": _text,
        "path": lambda value: Path(_text(value)).expanduser(),
        "flag": _truth,
        "count": _number,
        "texts": _texts,
    }
    try:
        converted = convert[setting.kind](value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{origin}: {setting.name} {error}", f"It is {setting.doc}.") from None
    if setting.choices and converted not in setting.choices:
        near = get_close_matches(str(converted), setting.choices, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"{origin}: {setting.name} cannot be {str(converted)[:60]!r}",
            f"{meant}It is one of: {', '.join(setting.choices)}.",
        )
    return converted


def _text(value: Any) -> str:
    if isinstance(value, str | Path):
        return str(value)
    raise TypeError(f"must be text, not {value!r:.60}")


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"must be a whole number, not {value!r:.60}")
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"must be a whole number, not {value!r:.60}") from None
    if not 1 <= number <= 100_000:
        raise ValueError(f"must be between 1 and 100000, not {number}")
    return number


def _truth(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    truth = value if isinstance(value, bool) else words.get(str(value).lower())
    if truth is None:
        raise ValueError(f"must be true or false, not {value!r:.60}")
    return truth


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):  # from the environment: comma separated
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise TypeError(f"must be a list of texts, not {value!r:.60}")

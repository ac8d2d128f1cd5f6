"""What qrec is told, and by whom: flags, then QREC_… variables, then qrec.toml, then defaults.

Every value remembers where it came from, and `qrec info` shows it. qrec.toml is read from the
current folder and from the user's configuration folder; the nearer one wins key by key.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from qrec.output import FetchProgress
from queries.core.window import parse_duration
from store.errors import UsageError, check_choice, did_you_mean
from store.layout import Store
from store.remote import is_url
from store.values import dataclass

T = TypeVar("T")
_MAX_BYTES = 1 << 20
SIZE_HINT = "Write a size such as 500MB, 20GB (powers of 1000), 512MiB or 20GiB (of 1024)."
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)(i?)(b?)", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LARGEST = 1 << 60


def default_store() -> Path:
    """Where recordings go when nobody says otherwise: the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("qrec", appauthor=False) / "store"


def default_cache() -> Path:
    """Where this user's caches belong."""
    from platformdirs import user_cache_path

    return user_cache_path("qrec", appauthor=False)


def default_recorder() -> str:
    """This host's name, as a recording takes it."""
    from recorder.options import default_recorder as host

    return host()


def _place(value: Any) -> Path | str:
    """A path, or the URL of a bucket as it is."""
    text = _text(value)
    return text if is_url(text) else Path(text).expanduser()


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


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):  # from the environment: comma separated
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise TypeError(f"must be a list of texts, not {value!r:.60}")


@dataclass(frozen=True)
class Setting:
    """One thing that can be set. `default` is a value, or a function where it costs to know.

    read: its value in its type, out of a text of the environment or of what a file has.
    """

    name: str
    read: Callable[[Any], Any]
    default: Any
    doc: str
    choices: tuple[str, ...] = ()


SETTINGS: tuple[Setting, ...] = (
    Setting("store", _place, default_store, "the folder of the recordings"),
    Setting("cache", _place, default_cache, "where files of a bucket are kept to be read again"),
    Setting("cache_size", _text, "20GB", "how much of them is kept"),
    Setting("max_fetch", _text, "5GB", "how much of a bucket one question may fetch"),
    Setting("engine", _text, "", "where rows are read and counted: sc://host:15002; empty: here"),
    Setting("timezone", _text, "local", "how times are shown and read: an IANA name, UTC, local"),
    Setting("color", _text, "auto", "colours on a terminal", ("auto", "always", "never")),
    Setting("limit", _number, 20, "rows that an answer shows"),
    Setting("url", _text, "http://localhost:10001", "where Qtap's DevTools listen"),
    Setting("recorder", _text, default_recorder, "the name of this recorder in the store"),
    Setting("group", _text, "", "recorders that are one population, as in prod-eu; empty: alone"),
    Setting("redaction_key", _text, "", "a file with a key that hosts share; empty: the store's"),
    Setting("filter", _text, "", "which transactions are recorded; empty: all"),
    Setting("push", _text, "safe", "how much of it Qtap evaluates", ("safe", "all", "none")),
    Setting("flush_interval", _text, "1s", "how long events gather before they are on disk"),
    Setting("store_bodies", _text, "all", "which bodies are kept", ("all", "errors", "none")),
    Setting("keep", _text, "", "how long hours are kept, as in 14d; empty: for ever"),
    Setting("max_size", _text, "", "how much the store may hold, as in 20GB; empty: no limit"),
    Setting("metrics", _text, "", "where a recording serves Prometheus metrics; empty: nowhere"),
    Setting("routes.templates", _texts, (), "paths with {placeholders}, before qrec's own"),
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

    `overrides` are flags by setting name; None means that the flag was not given. `defaults` are
    those of a command that has its own.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        files: tuple[Path, ...] | None = None,
        overrides: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self.files = config_files() if files is None else files  # qrec.toml, nearest first
        self._overrides = dict(overrides or {})
        self._defaults = dict(defaults or {})

    @cached_property
    def tables(self) -> list[tuple[Path, dict[str, Any]]]:
        """The configuration files that exist, nearest first, keys flattened with dots."""
        tables = [(path, table) for path in self.files if (table := read_config(path)) is not None]
        for path, table in tables:
            _refuse_unknown(path, table)
        return tables

    def get(self, name: str) -> Value:
        """The value that wins, checked, with where it came from."""
        setting = BY_NAME[name]
        flag = self._overrides.get(name)
        if flag is not None:
            return Value(_checked(setting, flag, _flag(name)), _flag(name))
        variable = env_name(name)
        if self._environ.get(variable):
            return Value(_checked(setting, self._environ[variable], variable), variable)
        for path, table in self.tables:
            if name in table:
                return Value(_checked(setting, table[name], str(path)), str(path))
        default = self._defaults.get(name, setting.default)
        return Value(default() if callable(default) else default, "default")

    def redact(self) -> Value:
        """The `[redact]` table of the nearest file that has one, as it stands there."""
        for path, table in self.tables:
            own = {k.removeprefix(REDACT): v for k, v in table.items() if k.startswith(REDACT)}
            if own:
                return Value(own, str(path))
        return Value({}, "default")

    def text(self, name: str) -> str:
        return str(self.get(name).value)

    def path(self, name: str) -> Path:
        """A folder or file of this machine. UsageError where a bucket is named."""
        value = self.get(name)
        if is_url(str(value.value)):
            raise UsageError(
                f"{value.origin}: {value.value} is a bucket, and this needs a folder here",
                "Name a folder; `qrec ship` copies what is recorded there to a bucket.",
            )
        return Path(value.value)

    def store(self) -> Store:
        """The store that is named, a folder or a bucket. UnavailableError where it is none."""
        place, engine = self.text("store"), self.text("engine")
        if not is_url(place):
            return Store.open(self.path("store"), engine)
        from store.bucket import Bucket, Limits

        kept, fetched = (self.parsed(name, parse_size) for name in ("cache_size", "max_fetch"))
        limits = Limits(self.path("cache"), kept, fetched, FetchProgress())
        return Bucket.at(place, limits, engine)

    def parsed(self, name: str, parse: Callable[[str], T]) -> T:
        """A text as `parse` reads it. UsageError names who said what cannot be read."""
        value = self.get(name)
        try:
            return parse(str(value.value))
        except UsageError as error:
            raise UsageError(f"{value.origin}: {error.message}", error.hint) from None

    @property
    def keep(self) -> timedelta | None:
        """How long hours are kept; None: for ever."""
        return self.parsed("keep", parse_duration) if self.text("keep") else None

    @property
    def max_size(self) -> int | None:
        """How many bytes the store may hold; None: as many as there are."""
        return self.parsed("max_size", parse_size) if self.text("max_size") else None

    def count(self, name: str) -> int:
        return int(self.get(name).value)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self.get(name).value)

    def unknown_variables(self) -> list[str]:
        """QREC_… variables that mean nothing to qrec; `qrec info` mentions them."""
        known = {env_name(setting.name) for setting in SETTINGS} | {"QREC_DEBUG", "QREC_NOW"}
        known.add("QREC_NATIVE")  # off: the recorder does without its compiled part
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
            raise UsageError(
                f"{path}: there is no setting {key[:60]!r}",
                did_you_mean(key.replace("-", "_"), BY_NAME,
                             f"The settings are: {', '.join(BY_NAME)} and [redact]."),
            )  # fmt: skip


def _checked(setting: Setting, value: Any, origin: str) -> Any:
    """The value in the setting's type. Texts of the environment are converted."""
    try:
        converted = setting.read(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{origin}: {setting.name} {error}", f"It is {setting.doc}.") from None
    if setting.choices:
        check_choice(f"{origin}: {setting.name}", str(converted), setting.choices)
    return converted


def read_config(path: Path) -> dict[str, Any] | None:
    """The file's keys joined with dots; None where there is no file. Raises UsageError."""
    try:
        with path.open("rb") as file:
            _refuse_strangers(path, os.fstat(file.fileno()))
            text = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", "Mend its permissions, or remove it."
        ) from None
    if len(text) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than 1 MiB", "That is no qrec.toml.")
    import tomllib  # only where there is a file: it costs 10 ms

    try:
        return _flat(tomllib.loads(text.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # TOML's own errors and broken UTF-8
        raise UsageError(f"{path} is not valid TOML: {error}", "Mend the line it names.") from None


def _refuse_strangers(path: Path, info: os.stat_result) -> None:
    """A file that another user left here must not decide where recordings of secrets go."""
    mine = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        mine.add(int(os.environ["SUDO_UID"]))
    if info.st_uid not in mine or info.st_mode & stat.S_IWOTH:
        who = "everybody may write to it" if info.st_uid in mine else "it belongs to another user"
        raise UsageError(
            f"{path} is not safe to follow: {who}",
            "Run qrec in another folder, or make the file yours alone (chown, chmod o-w).",
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def parse_size(text: str) -> int:
    """Bytes, more than zero. A number alone is refused: 20 bytes are seldom meant."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or not (match[2] or match[4]) or (match[3] and not match[2]):
        raise UsageError(f"{text[:60]!r} is not a size", SIZE_HINT)
    count = int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]])
    if not 0 < count <= _LARGEST:
        raise UsageError(f"the size {text[:60]!r} is {'zero' if not count else 'too large'}",
                         SIZE_HINT)  # fmt: skip
    return count


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached by that name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

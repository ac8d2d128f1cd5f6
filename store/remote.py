"""Objects in a bucket, by name: S3, Google, Azure or a folder, through obstore (`qrec[bucket]`).

Only this module knows obstore. What goes wrong is an UnavailableError with a next step.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.errors import QrecError, UnavailableError, UsageError
from store.files import replacing
from store.values import dataclass

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES: Final = ("s3", "gs", "az", "file")
_RETRIES: Final[Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_CHUNK: Final = 8 << 20
# What a service says of a request, and what helps then: the first that fits.
_ADVICE: Final = (
    (r"NoSuchBucket|ContainerNotFound", "there is no such bucket", "Make it, or mend the URL."),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocation",
        "the bucket is in another region",
        "Name the bucket's region in AWS_REGION.",
    ),
    (
        r"ExpiredToken|TokenRefreshRequired|credential.*expired",
        "the credentials have expired",
        "Get new ones, and ask again.",
    ),
    (
        r"169\.254\.169\.254|metadata\.google|IMDS|MissingCredential",
        "there are no credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them.",
    ),
    (
        r"\b40[13]\b|AccessDenied|InvalidAccessKey|SignatureDoesNotMatch|Unauthenticated",
        "the service refuses these credentials",
        "Check them, and what they may do there: list and read; write as well to ship.",
    ),
    (r"SlowDown|\b503\b|\b429\b", "the service asks for fewer requests", "Ask again in a while."),
)


@dataclass(frozen=True)
class Blob:
    """An object: its whole name, its size in bytes, a tag that changes with its content, and when
    it was written (Unix seconds)."""

    name: str
    size: int
    tag: str
    at: float


def is_url(place: str) -> bool:
    """Whether this names a bucket, rather than a folder."""
    return re.match(r"[a-z][a-z0-9+.-]*://", place) is not None


class Remote:
    """The objects below a URL. Names are relative to it, with slashes; any thread may ask."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet. UsageError where the URL is none that a bucket has."""
        self.url = url.rstrip("/")
        scheme = url.partition("://")[0]
        if scheme not in SCHEMES:
            raise UsageError(
                f"{url[:80]!r} is no bucket that qrec knows",
                "Give s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix or"
                " file:///folder, which is a folder's whole path.",
            )
        try:
            from obstore.store import from_url
        except ImportError:
            raise UnavailableError(
                f"{url} needs a client that is not installed", "pip install 'qrec[bucket]'"
            ) from None
        options: Any = {"client_options": {"allow_http": True}, "retry_config": _RETRIES}
        options = {"mkdir": True} if scheme == "file" else options
        try:
            self._store: ObjectStore = from_url(self.url, **options)
        except Exception as error:
            message = f"{url} cannot be used: {_first_line(error)}"
            raise UsageError(message, "Mend the URL.") from None

    def list(self, folder: str = "") -> tuple[list[Blob], list[str]]:
        """The objects and the folders directly in `folder`, by name; none where it is not there."""
        with self._told():
            found = self._store.list_with_delimiter(folder or None)
        blobs = [Blob(o["path"], o["size"], o["e_tag"] or "", o["last_modified"].timestamp())
                 for o in found["objects"]]  # fmt: skip
        return sorted(blobs, key=lambda blob: blob.name), sorted(found["common_prefixes"])

    def get(self, name: str) -> bytes | None:
        """A small object; None where it is not there."""
        with self._told():
            try:
                return bytes(self._store.get(name).bytes())
            except FileNotFoundError:
                return None

    def download(self, name: str, path: Path) -> bool:
        """Put an object in the place of `path`, whole or not at all; False: it is not there."""
        with self._told():
            try:
                stream = self._store.get(name).stream(min_chunk_size=_CHUNK)
            except FileNotFoundError:
                return False
            with replacing(path) as temporary, temporary.open("wb") as file:
                for chunk in stream:
                    file.write(chunk)
        return True

    def put_new(self, name: str, content: bytes | Path) -> bool:
        """Write an object that is not there yet; False, and nothing is changed, where it is."""
        from obstore.exceptions import AlreadyExistsError

        with self._told():
            try:
                self._store.put(name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def put(self, name: str, content: bytes | Path) -> None:
        """Write an object, in the place of another of the name."""
        with self._told():
            self._store.put(name, content)

    def size(self, name: str) -> int | None:
        """The bytes of an object; None where it is not there."""
        with self._told():
            try:
                return int(self._store.head(name)["size"])
            except FileNotFoundError:
                return None

    def delete(self, names: Sequence[str]) -> None:
        """Some objects may be gone already."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            self._store.delete(list(names))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the client raises, in words."""
        try:
            yield
        except (QrecError, FileNotFoundError):
            raise
        except Exception as error:
            text = str(error)
            for pattern, why, hint in _ADVICE:
                if re.search(pattern, text):
                    raise UnavailableError(f"cannot use {self.url}: {why}", hint) from error
            raise UnavailableError(
                f"cannot use {self.url}: {_first_line(error)}",
                "Check the URL and the network, and AWS_ENDPOINT_URL where it is not Amazon's.",
            ) from error


def _first_line(error: Exception) -> str:
    """obstore's errors go on for a page; the first line says it."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"^Generic \w+ error: ", "", line)[:300]

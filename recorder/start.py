"""What a recording needs before it begins, and what is said when it cannot begin."""

from __future__ import annotations

import contextlib

from recorder.options import RecordOptions
from recorder.pipeline.frames import Down
from store import Store
from store.errors import QrecError, UnavailableError, UsageError


def plan_filter(options: RecordOptions) -> tuple[str | None, str | None, list[str]]:
    """(the expression as qrec reads it, the part for the source, what is worth saying of both).

    UsageError when it is wrong.
    """
    if not options.filter:
        return None, None, []
    import filters

    expression = filters.parse(options.filter)
    filters.check(expression, "record")
    pushed = filters.pushable(expression, options.push)  # type: ignore[arg-type]
    remarks = [f"filter: {text}" for text in filters.remarks(expression)]
    if pushed is not None:
        remarks.append(
            f"the source applies {pushed}; it sends no calls of databases then "
            "(--push none records those that match the filter)"
        )
    return expression.text, pushed, remarks


def remove_empty(store: Store, recorder: str) -> None:
    """Take away the store that a recording made which never had anything to write.

    Folders are removed only where they are empty: whatever else is there stays, and the store
    with it.
    """
    live = store.live(recorder)
    ours = {store.manifest, store.key_file, live / "lock", live / "seq"}
    if any(path.is_file() and path not in ours for path in store.path.rglob("*")):
        return
    for path in ours:
        path.unlink(missing_ok=True)
    folders = sorted((p for p in store.path.rglob("*") if p.is_dir()), reverse=True)
    for folder in [*folders, store.path]:
        with contextlib.suppress(OSError):
            folder.rmdir()


def start_error(url: str, down: Down) -> QrecError:
    """The error for a source that could not be subscribed to, with the next step."""
    if down.kind == "filter":
        return UsageError(f"the source refuses the filter: {down.text}", "Try --push none.")
    if down.kind == "refused":
        return UnavailableError(
            f"nothing answers at {url}: {down.text}",
            "Start Qtap with --enable-dev-tools (or `qrec serve FILE`), name another address, "
            "or give --wait.",
        )
    if down.kind == "status" and "404" in down.text:
        return UnavailableError(
            f"{url} answers, but has no DevTools stream: {down.text}",
            "Start Qtap with --enable-dev-tools; while it is starting, give --wait.",
        )
    return UnavailableError(
        f"{url} is no Qtap stream: {down.text}", "Check the address, or give --wait."
    )

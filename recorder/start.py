"""What a recording needs before it begins, and what is said when it cannot begin."""

from __future__ import annotations

from recorder.link import Down
from recorder.options import RecordOptions
from store.errors import QrecError, UnavailableError, UsageError


def plan_filter(options: RecordOptions) -> tuple[str | None, str | None]:
    """(the expression as qrec reads it, the part for the source); UsageError when it is wrong."""
    if not options.filter:
        return None, None
    import filters

    expression = filters.parse(options.filter)
    filters.check(expression, "record")
    return expression.text, filters.pushable(expression, options.push)  # type: ignore[arg-type]


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

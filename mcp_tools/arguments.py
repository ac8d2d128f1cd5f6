"""The arguments that tools share: typed, bounded, and described for an assistant.

A tool is written as a function of a store and a window; here it gets the arguments from which
those are found, so that each is said once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field

from queries.core.window import resolve_window, resolve_windows

if TYPE_CHECKING:
    from mcp_tools.context import Context

MAX_ROWS = 200

Last = Annotated[
    str | None,
    Field(max_length=40, description="Length of the window: 90s, 15m, 1h, 2d. Default 1h."),
]
From = Annotated[
    str | None,
    Field(
        max_length=60,
        description="Beginning of the window: 2026-11-22T13:00Z, 14:00, 'yesterday 14:00', "
        "'10 minutes ago'. Times without a zone are in the user's.",
    ),
]
To = Annotated[str | None, Field(max_length=60, description="End of the window. Default: now.")]
Since = Annotated[
    str | None, Field(max_length=200, description="Window from a named mark (or a time) up to now.")
]
Around = Annotated[
    str | None,
    Field(
        max_length=200,
        description="Window of the hour (or `last`) after a named mark (or a time), for instance "
        "a deploy; what_changed compares it with the time before the mark.",
    ),
]
Where = Annotated[
    str | None,
    Field(
        max_length=4000,
        description="Only transactions that match this filter, for instance "
        "'res.status >= 500 AND req.host == \"api.example.com\"'.",
    ),
]
ContainerName = Annotated[
    str | None,
    Field(
        max_length=300,
        description="Only what this container (or program, outside of containers) did.",
    ),
]
Cursor = Annotated[
    str | None,
    Field(
        max_length=400,
        description="`next_cursor` of the page before, with all other arguments as they were.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=MAX_ROWS, description="Rows to return at most.")]
Vs = Annotated[
    str | None,
    Field(
        max_length=40,
        description="Baseline: 'previous' (the stretch just before; default), 'yesterday' (same "
        "time), '7d' (same time of the last 7 days), 'last-week'.",
    ),
]
VsFrom = Annotated[
    str | None, Field(max_length=60, description="Beginning of a baseline of your own.")
]
VsTo = Annotated[
    str | None, Field(max_length=60, description="Its end. Default: as long as the window.")
]


def _window(
    last: Last = None,
    from_time: From = None,
    to_time: To = None,
    since: Since = None,
    around: Around = None,
) -> None:
    """Which stretch of time."""


def _baseline(vs: Vs = None, vs_from: VsFrom = None, vs_to: VsTo = None) -> None:
    """What it is compared with."""


def with_arguments(
    context: Context, question: Callable[..., CallToolResult]
) -> Callable[..., CallToolResult]:
    """`question(store, window, …)`, `(store, window, baseline, …)` or `(store, …)`, of texts.

    Its keyword-only parameters are passed on as they are. Raises what windows and stores raise.
    """
    own = inspect.signature(question, eval_str=True).parameters
    compares = "baseline" in own
    templates = (_window, _baseline) if compares else (_window,) if "window" in own else ()
    asked = [p for t in templates for p in inspect.signature(t, eval_str=True).parameters.values()]
    rest = [p for p in own.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]

    def tool(**given: Any) -> CallToolResult:
        texts = {p.name: given.pop(p.name, None) for p in asked}
        store = context.open()
        if not templates:
            return question(store, **given)
        words = context.asked(store, from_=texts.pop("from_time"), to=texts.pop("to_time"), **texts)
        if compares:
            both = resolve_windows(words, context.now(), context.tz)
            return question(store, *both, **given)
        return question(store, resolve_window(words, context.now(), context.tz), **given)

    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*asked, *rest]]
    tool.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    tool.__doc__ = question.__doc__
    tool.__name__ = question.__name__
    return tool

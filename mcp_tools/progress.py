"""While an answer is on its way: word of its progress, and an end to it when nobody waits."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import anyio

from queries.core.session import Watch, watched

FIRST_WORD_S = 1.0  # most answers are there by then
_EVERY_S = 1.0
T = TypeVar("T")


async def accompanied(answer: Awaitable[T], context: Any) -> T:
    """The answer, with progress told to `context` once it takes longer than a second.

    When the request is cancelled, the queries behind it are interrupted: DuckDB stops within
    milliseconds, so that the machine that is in trouble is not kept busy for nobody.
    """
    watch, outcome = Watch(), []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, watch, context)
        with watched(watch):
            try:
                outcome.append(await answer)
            except Exception as error:  # out of the group as it is, not in one of its own
                failure: Exception | None = error
            else:
                failure = None
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome[0]


async def _tell(watch: Watch, context: Any) -> None:
    waited = FIRST_WORD_S
    try:
        await anyio.sleep(FIRST_WORD_S)
        while True:
            percent = watch.percent()
            how_far = "" if percent is None else f", {percent:.0f} % of this step"
            await context.report_progress(waited, None, f"scanning for {waited:.0f} s{how_far}")
            await anyio.sleep(_EVERY_S)
            waited += _EVERY_S
    finally:
        # Either the answer is there, and nothing runs, or nobody wants it any more.
        with anyio.CancelScope(shield=True):
            while not watch.stop():
                await anyio.sleep(0.02)

"""A tool as an assistant meets it: progress while it runs, and errors that can be acted on.

An error says what is wrong with which argument and what to write: never a path of the machine,
never a page of a library's own words, never over MAX_ERROR characters.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import Field, ValidationError

from queries.core.question import tools
from queries.core.watch import Watch, watched
from store.errors import QrecError, did_you_mean

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


MAX_ERROR = 500
# The flag of the command line that an error may speak of -> the argument's name here.
_ARGUMENTS = {"--from": "from_time", "--to": "to_time"}


class CarefulTool(Tool):
    """A tool that tells qrec's own errors and bad arguments in an assistant's terms.

    It runs in a thread, under the eyes of `accompanied`.
    """

    async def run(
        self, arguments: dict[str, Any], context: Any, convert_result: bool = False
    ) -> Any:
        """As the base class. Raises ToolError; anything unforeseen keeps its text to itself."""
        try:
            return await accompanied(super().run(arguments, context, convert_result), context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, QrecError):
                raise ToolError(told(cause)) from None
            if isinstance(cause, ValidationError):
                known = list(self.fn_metadata.arg_model.model_fields)
                raise ToolError(_capped(invalid(cause, known))) from None
            raise


class AskTool(CarefulTool):
    """A tool that hands its arguments on to the tool of the question that it is asked."""

    answering: dict[str, Tool] = Field(default={}, exclude=True)

    async def run(
        self, arguments: dict[str, Any], context: Any, convert_result: bool = False
    ) -> Any:
        """As the base class. Arguments that are null count as left out."""
        values = {name: value for name, value in arguments.items() if value is not None}
        name = str(values.pop("question", ""))[:60]
        if name not in self.answering:
            known = list(self.answering)
            hint = did_you_mean(name, known, f"It is one of {', '.join(known)}.")
            raise ToolError(_capped(f"question: {name!r} is none. {hint}"))
        return await self.answering[name].run(values, context, convert_result)


def told(error: QrecError) -> str:
    """The error with argument names for flags and without paths."""
    text = f"{error.message}. {error.hint}" if error.hint else error.message
    text = re.sub(r"`qrec ([a-z]+)[^`]*`", _tool, text)
    text = re.sub(r"--[a-z][a-z-]*", lambda m: _argument(m[0]), text)
    return _capped(without_paths(text))


def without_paths(text: str) -> str:
    """The text without this machine's paths: those that begin in a folder of its root."""
    roots = "|".join(re.escape(path.name) for path in sorted(Path("/").iterdir()) if path.is_dir())
    return re.sub(rf"/(?:{roots})(?:/[^\s'\":;,]*)?(?=[\s'\":;,]|$)", "…", text)


def invalid(error: ValidationError, known: list[str]) -> str:
    """What is wrong with the arguments, one sentence each."""
    return " ".join(_sentence(detail, known) for detail in error.errors()[:3])


def _sentence(detail: Any, known: list[str]) -> str:
    name = str(detail["loc"][0])[:60] if detail["loc"] else "arguments"
    if detail["type"] == "extra_forbidden":
        hint = did_you_mean(name, known, f"Arguments: {', '.join(known)}.")
        return f"There is no argument {name}. {hint}"
    return f"{name}: {detail['msg']}."


def _argument(flag: str) -> str:
    return _ARGUMENTS.get(flag, flag[2:].replace("-", "_"))


def _tool(command: re.Match[str]) -> str:
    """What an assistant has for a command: a tool, or else the command, for a person to run."""
    if command[1] == "marks":
        return "The resource qrec://marks"
    return next((t for t, one in tools().items() if one.name == command[1]), command[0])


def _capped(text: str) -> str:
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"

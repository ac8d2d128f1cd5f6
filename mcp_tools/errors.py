"""A tool whose errors an assistant can act on: what is wrong with which argument, what to write.

Never a path of the machine, never a page of a library's own words, never over MAX_ERROR characters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError

from mcp_tools.progress import accompanied
from store.errors import QrecError, did_you_mean

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


def told(error: QrecError) -> str:
    """The error with argument names for flags and without paths."""
    text = f"{error.message}. {error.hint}" if error.hint else error.message
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


def _capped(text: str) -> str:
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"

"""The MCP server: the questions of queries/ as tools, over stdio or HTTP on this machine.

A tool is a question with the arguments, text and schema of its declaration. The document itself is
made in one place (queries.core.answer.document), for the command line too; an output schema only
describes and checks it: the dataclasses of an answer as pydantic models, under the names of its
JSON. Times are ISO 8601 text there, so they are text here.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
import signal
import socket
import sys
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, create_model

from mcp_tools.errors import CarefulTool
from mcp_tools.prompts import add_prompts, add_resources, instructions
from mcp_tools.text import Context, brief, result
from queries.core.answer import Changes
from queries.core.question import REQUIRED, Argument, Question, tools
from store.errors import UnavailableError
from store.layout import Store
from store.version import __version__

_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_MOST_ITEMS = 20


def tool_of(question: Question, context: Context) -> Tool:
    """The question as a tool over the store of `context`."""
    tool = CarefulTool.from_function(
        _function(question, context),
        name=question.tool,
        title=question.title,
        description=inspect.cleandoc(question.guide),
        annotations=_READ_ONLY,
        structured_output=True,
    )
    # A mistyped argument that is silently ignored gives a right answer to a wrong question.
    arguments = tool.fn_metadata.arg_model
    strict = {"model_config": ConfigDict(extra="forbid"), "__module__": __name__}
    tool.fn_metadata.arg_model = type(arguments.__name__, (arguments,), strict)
    tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
    return tool


def _function(question: Question, context: Context) -> Callable[..., CallToolResult]:
    """A function of the question's arguments, with the signature that the server reads.

    The text of what_changed is its own, so that the question asked first does not fill the
    context; the structured content is the whole document as ever.
    """

    def ask(**values: Any) -> CallToolResult:
        answer = question.ask(context.open(), values, context.now(), context.tz)
        short = isinstance(answer, Changes) and not values.get("explain")
        return result(answer, brief(answer) if short else None)

    answer: Any = question.answer
    model = model_of(answer)
    signature = inspect.Signature(
        [_parameter(argument) for argument in question.every_argument],
        return_annotation=Annotated[CallToolResult, model],
    )
    ask.__signature__ = signature  # type: ignore[attr-defined]
    ask.__name__ = question.tool
    return ask


def _parameter(argument: Argument) -> inspect.Parameter:
    default = inspect.Parameter.empty if argument.default is REQUIRED else argument.default
    bounds: dict[str, Any] = {}
    kind: Any = argument.kind
    if argument.choices:
        kind = Literal[argument.choices]
    elif kind is int:
        bounds = {"ge": argument.least, "le": argument.most}
    elif kind is list:
        kind = list[Annotated[str, Field(max_length=argument.most)]]
        bounds = {"min_length": 1, "max_length": _MOST_ITEMS}
    else:
        bounds = {"max_length": argument.most}
    if default is None:
        kind = kind | None
    annotation = Annotated[kind, Field(description=argument.help, **bounds)]
    return inspect.Parameter(
        argument.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


@cache
def model_of(answer: Any) -> type[BaseModel]:
    """The model of a dataclass; fields are named as in the document, and all are required.

    A field's metadata may hold `name` (None: not in the document).
    """
    hints = get_type_hints(answer)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(answer):
        name = field.metadata.get("name", field.name)
        if name is not None:
            fields[f"f_{field.name}"] = (_plain(hints[field.name]), Field(alias=name))
    return create_model(
        answer.__name__,
        __config__=ConfigDict(extra="allow"),  # keys may be added to a document
        __doc__=answer.__doc__,
        **fields,
    )


def _plain(kind: Any) -> Any:
    """The type of a value once it is in the document."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return model_of(kind)
    if kind is datetime:
        return str
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_plain(arg) for arg in args)]  # noqa: UP007 - built at run time
    if origin in (tuple, list):
        return list[_plain(args[0])]  # type: ignore[misc]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _plain(args[1])]  # type: ignore[misc]
    return kind


_INTERRUPTED = 130


def build(
    store: Path | Callable[[], Store],
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    allow_sql: bool = False,
) -> MCPServer[Any]:
    """A server over the store at `store`, which is opened anew for each question.

    tz: the zone of times that an assistant writes without one; now: what "the last hour" ends at;
    allow_sql: whether the assistant may write SELECT statements of its own.
    """
    # Before the constructor, which would set up logging in its own way.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="qrec mcp: %(message)s")
    context = Context(store, tz, now)
    server: MCPServer[Any] = MCPServer(
        "qrec",
        title="qrec",
        instructions=instructions(context),
        version=__version__,
        log_level="WARNING",
        tools=[tool_of(question, context) for question in tools(allow_sql).values()],
    )
    add_resources(server, context)
    add_prompts(server, context)
    return server


def serve(
    store: Path | Callable[[], Store],
    tz: tzinfo,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    http_port: int | None = None,
    allow_sql: bool = False,
) -> None:
    """Serve until the client goes away (stdio) or forever (HTTP on 127.0.0.1, path /mcp).

    Raises UnavailableError when the port is taken.
    """
    server = build(store, tz, now, allow_sql)
    if http_port is None:
        # The thread that reads stdin cannot be woken: without this, Ctrl-C would wait for a line.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        server.run("stdio")
        return
    _check_port(http_port)
    server.run("streamable-http", host="127.0.0.1", port=http_port)


def _check_port(port: int) -> None:
    """Find out in advance whether the port is free: uvicorn would end the process with a log."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UnavailableError(
                f"cannot listen on 127.0.0.1:{port}: {reason}",
                "Choose another port with --http PORT.",
            ) from None
